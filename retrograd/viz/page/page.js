// The page: what is open, what is drawn, and what the mouse does.
const data = JSON.parse(document.getElementById("data").textContent);
const scopes = new Map(data.scopes.map(s => [s.path, s]));
const open = new Set(data.scopes.filter(s => s.open).map(s => s.path));
const vertices = new Map(data.vertices.map((v, i) => [v.id, {...v, order: i}]));
const $$ = id => document.getElementById(id);
const stage = $$("stage"), picture = $$("picture");
let boxes = new Map(), drawn = [], hits = new Set(), view = {x: 0, y: 0, k: 1}, whole = {w: 1, h: 1};

const outer = path => path.slice(0, Math.max(path.lastIndexOf("."), 0));
function above(path) { const all = []; for (; path; path = outer(path)) all.unshift(path); return all; }
function shown(v) { return above(v.module).find(p => !open.has(p)) ?? v.id; }      // the box a vertex is seen as
function size(lines) {
  return {w: Math.max(46, ...lines.map(l => 6.3 * [...l].length + 20)), h: 14 * lines.length + 12};
}

function arrange() {
  boxes = new Map();
  const inside = new Map([["", []]]), frames = new Map();
  const place = (id, parent, box) => { boxes.set(id, box); inside.get(parent).push(id); };
  for (const v of vertices.values()) {
    for (const path of above(v.module)) {
      if (!open.has(path)) break;
      if (!inside.has(path)) { inside.set(path, []); place(path, outer(path), {frame: path, order: v.order}); }
    }
    const id = shown(v), closed = scopes.get(id);
    if (!boxes.has(id)) {
      const look = closed && id !== v.id ? closed : v;
      place(id, id === v.id ? v.module : outer(id), {look, closed: look === closed, order: v.order, ...size(look.lines)});
    }
  }
  const seen = new Map();
  for (const e of data.edges) {
    const s = shown(vertices.get(e.source)), t = shown(vertices.get(e.target));
    if (s !== t && !seen.has(s + " " + t)) seen.set(s + " " + t, {...e, s, t, folded: s !== e.source || t !== e.target});
  }
  drawn = [...seen.values()];
  const chain = (id) => { const b = boxes.get(id); return above(b.frame ? outer(b.frame) : b.closed ? outer(id) : b.look.module); };
  const links = new Map([...inside.keys()].map(p => [p, []])), ports = new Map([...inside.keys()].map(p => [p, new Map()]));
  for (const e of drawn) {                             // out of modules through ports, across, and into modules through ports
    const a = [...chain(e.s), e.s], b = [...chain(e.t), e.t], before = "<" + e.s, after = ">" + e.s;
    let n = 0;
    while (n < a.length - 1 && n < b.length - 1 && a[n] === b[n]) n++;
    e.route = [];
    for (let i = a.length - 1; i > n; i--) e.route.push([a[i - 1], a[i], after]);
    e.route.push([n ? a[n - 1] : "", a[n], b[n]]);
    for (let i = n + 1; i < b.length; i++) e.route.push([b[i - 1], before, b[i]]);
    for (const [level, s, t] of e.route) {
      if (s === before) ports.get(level).set(s, {id: s, port: 1, order: -1, w: 8, h: 0});
      if (t === after) ports.get(level).set(t, {id: t, port: 2, order: Infinity, w: 8, h: 0});
      links.get(level).push([s, t]);
    }
  }
  for (const path of [...inside.keys()].sort((a, b) => above(b).length - above(a).length)) {
    const items = inside.get(path).map(id => ({id, ...boxes.get(id)}));
    const made = layered([...items, ...ports.get(path).values()], links.get(path));
    frames.set(path, made);
    if (path) Object.assign(boxes.get(path), {
      w: Math.max(made.w + 2 * PAD, 6 * scopes.get(path).lines[0].length + 24), h: made.h + HEAD + 2 * PAD});
  }
  const origins = new Map([["", [0, 0]]]);
  for (const path of [...inside.keys()].sort((a, b) => above(a).length - above(b).length)) {
    const [x, y] = origins.get(path), made = frames.get(path);
    for (const id of inside.get(path)) {
      const b = boxes.get(id);
      [b.x, b.y] = [x + made.at[id][0], y + made.at[id][1]];
      if (b.frame) origins.set(id, [b.x + (b.w - frames.get(id).w) / 2, b.y + HEAD + PAD]);
    }
  }
  for (const e of drawn) {
    e.through = [];
    for (const [level, s, t] of e.route) {
      const [x, y] = origins.get(level), made = frames.get(level);
      const port = id => (ports.get(level).has(id) ? [[made.at[id][0] + 4, made.at[id][1]]] : []);
      const bends = made.bends[s + " " + t] || [...(made.bends[t + " " + s] || [])].reverse();
      for (const p of [...port(s), ...bends, ...port(t)]) e.through.push([x + p[0], y + p[1]]);
    }
  }
  whole = frames.get("");
}

function make(name, attributes, parent) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [k, v] of Object.entries(attributes)) element.setAttribute(k, v);
  parent.append(element);
  return element;
}

function curve(points) {
  let d = `M${points[0]}`;
  for (let i = 1; i < points.length; i++) {
    const [[x, y], [u, v]] = [points[i - 1], points[i]], m = (y + v) / 2;
    d += `C${x},${m} ${u},${m} ${u},${v}`;
  }
  return d;
}

function draw() {
  arrange();
  stage.replaceChildren();
  for (const [id, b] of boxes) if (b.frame) {
    const s = scopes.get(id), g = make("g", {class: "scope" + (above(id).length % 2 ? "" : " odd"), "data-path": id}, stage);
    make("rect", {x: b.x, y: b.y, width: b.w, height: b.h, rx: 8, "stroke-width": s.times > 1 ? 2.5 : 0.8}, g);
    make("text", {x: b.x + 8, y: b.y + 13}, g).textContent = "▾ " + s.lines[0];
    watch(g, s.tip, () => toggle(id), null);
  }
  for (const e of drawn) {
    const a = boxes.get(e.s), b = boxes.get(e.t);
    const ends = [[a.x + a.w / 2, a.y + a.h], ...e.through, [b.x + b.w / 2, b.y]];
    e.line = make("path", {class: "edge " + (e.folded ? "" : e.look), d: curve(ends)}, stage);
    make("title", {}, e.line).textContent = e.tip;
    const middle = ends.length > 2 ? ends[ends.length >> 1] : [(ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2];
    if (e.mark && !e.folded) make("text", {class: "mark", x: middle[0] + 4, y: middle[1]}, stage).textContent = e.mark;
  }
  for (const [id, b] of boxes) if (!b.frame) {
    const v = b.look, classes = ["box", b.closed ? "closed" : v.kind, v.broken ? "broken" : "", v.dashed ? "dashed" : ""];
    const g = make("g", {class: classes.join(" ") + (hits.has(id) ? " hit" : ""), "data-id": id}, stage);
    make("rect", {x: b.x, y: b.y, width: b.w, height: b.h, rx: v.round ? 8 : 1, fill: v.fill}, g);
    v.lines.forEach((line, i) => {
      make("text", {x: b.x + b.w / 2, y: b.y + 17 + 14 * i, fill: v.text}, g).textContent = (b.closed && !i ? "▸ " : "") + line;
    });
    watch(g, v.tip, b.closed ? () => toggle(id) : null, id);
  }
}

function watch(g, text, click, id) {
  g.addEventListener("mousemove", event => {
    const facts = $$("facts");
    facts.textContent = text; facts.hidden = false;
    facts.style.left = Math.min(event.clientX + 14, innerWidth - facts.offsetWidth - 8) + "px";
    facts.style.top = Math.min(event.clientY + 14, innerHeight - facts.offsetHeight - 8) + "px";
    if (id) for (const e of drawn) e.line.classList.toggle("near", e.s === id || e.t === id);
  });
  g.addEventListener("mouseleave", () => { $$("facts").hidden = true; drawn.forEach(e => e.line.classList.remove("near")); });
  if (click) g.addEventListener("click", event => { event.stopPropagation(); if (!moved) click(); });
}

function toggle(path) { open.has(path) ? open.delete(path) : open.add(path); draw(); }
function look() { stage.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.k})`); }
function fit() {
  const r = picture.getBoundingClientRect(), k = Math.min((r.width - 40) / whole.w, (r.height - 40) / whole.h, 1.4);
  view = {k: Math.max(k, 0.35), x: 0, y: 20};
  view.x = (r.width - whole.w * view.k) / 2;
  look();
}
function zoom(factor, x, y) {
  const k = Math.min(Math.max(view.k * factor, 0.02), 8), f = k / view.k;
  view = {k, x: x - (x - view.x) * f, y: y - (y - view.y) * f};
  look();
}
const centre = () => [picture.clientWidth / 2, picture.clientHeight / 2];

let from = null, moved = false;
picture.addEventListener("wheel", event => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / 500), event.offsetX, event.offsetY);
}, {passive: false});
picture.addEventListener("pointerdown", event => { from = [event.clientX - view.x, event.clientY - view.y, event.clientX, event.clientY]; moved = false; });
addEventListener("pointermove", event => {
  if (!from || !event.buttons) return;
  if (Math.hypot(event.clientX - from[2], event.clientY - from[3]) > 4) moved = true;
  if (moved) { view.x = event.clientX - from[0]; view.y = event.clientY - from[1]; look(); }
});
addEventListener("pointerup", () => { from = null; });
$$("in").onclick = () => zoom(1.3, ...centre());
$$("out").onclick = () => zoom(1 / 1.3, ...centre());
$$("fit").onclick = fit;
$$("more").onclick = () => { scopes.forEach((_, path) => open.add(path)); draw(); fit(); };
$$("less").onclick = () => { open.clear(); draw(); fit(); };
$$("search").oninput = event => {
  const word = event.target.value.toLowerCase();
  hits = new Set();
  for (const v of word ? vertices.values() : []) if ((v.tip + " " + v.module).toLowerCase().includes(word)) hits.add(v.id);
  const inner = hits.size;
  if (inner <= 40) for (const id of hits) above(vertices.get(id).module).forEach(p => open.add(p));
  else hits = new Set([...hits].map(id => shown(vertices.get(id))));
  $$("found").textContent = word ? `${inner} found` : "";
  draw();
};
addEventListener("keydown", event => {
  if (event.key === "/" && event.target !== $$("search")) { event.preventDefault(); $$("search").focus(); }
});
for (const [fill, text, meaning] of data.legend) {
  const row = document.createElement("li");
  row.textContent = meaning; row.style.background = fill; row.style.color = text;
  $$("legend").append(row);
}
draw();
fit();
