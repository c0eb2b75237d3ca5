// A layered layout (Sugiyama, Tagawa & Toda 1981), one for each open module: its parts are boxes of the layout above.
// Pure functions: they know nothing of the page.
const GAP = 22, RISE = 34, PAD = 14, HEAD = 18;

// items: [{id, order, w, h, port}] (port 1 stays on top, 2 at the bottom), links: [[id, id]]. Gives {w, h, at: {id: [x, y]}, bends: {"a b": [[x, y] …]}}.
function layered(items, links) {
  const by = new Map(items.map(i => [i.id, i]));
  items = [...items].sort((a, b) => a.order - b.order);
  const down = new Map();                           // every pair once, from the earlier to the later
  for (const [a, b] of links) {
    const [s, t] = by.get(a).order <= by.get(b).order ? [a, b] : [b, a];
    if (s !== t) down.set(s + " " + t, [s, t]);
  }
  const pairs = [...down.values()], into = group(pairs, 1, 0), out = group(pairs, 0, 1);
  const layer = new Map();
  for (const i of items) layer.set(i.id, Math.max(-1, ...(into.get(i.id) || []).map(s => layer.get(s))) + 1);
  for (const i of [...items].reverse()) {           // what a computation starts from stands next to its first use
    const below = (out.get(i.id) || []).map(t => layer.get(t));
    if (!into.has(i.id) && below.length && !i.port) layer.set(i.id, Math.min(...below) - 1);
  }
  const last = Math.max(...items.filter(i => i.port !== 2).map(i => layer.get(i.id))) + 1;
  for (const i of items) if (i.port === 2) layer.set(i.id, last);
  const rows = [], cells = new Map();
  const put = (cell, n) => { (rows[n] ||= []).push(cell); cells.set(cell.id, cell); cell.row = n; };
  for (const i of items) put({id: i.id, w: i.w, h: i.h, up: [], down: []}, layer.get(i.id));
  for (const [key, [s, t]] of down) {               // long links pass through a bend in every layer between
    let from = cells.get(s);
    for (let n = layer.get(s) + 1; n <= layer.get(t); n++) {
      if (n < layer.get(t)) put({id: key + " " + n, w: 10, h: 0, up: [], down: []}, n);
      const next = n < layer.get(t) ? cells.get(key + " " + n) : cells.get(t);
      from.down.push(next); next.up.push(from); from = next;
    }
  }
  const full = rows.filter(Boolean);
  order(full);
  across(full);
  let y = 0;
  const thin = row => !row || row.every(c => c.h === 0);
  full.forEach((row, n) => {
    const h = Math.max(...row.map(c => c.h));
    for (const c of row) c.y = y + (h - c.h) / 2;
    y += h + (n === full.length - 1 ? 0 : thin(row) || thin(full[n + 1]) ? 8 : RISE);
  });
  const left = Math.min(...full.flat().map(c => c.x - c.w / 2), 0);
  const at = {}, bends = {};
  for (const i of items) at[i.id] = [cells.get(i.id).x - i.w / 2 - left, cells.get(i.id).y];
  for (const [key, [s, t]] of down) {
    bends[key] = [];
    for (let n = layer.get(s) + 1; n < layer.get(t); n++) {
      const c = cells.get(key + " " + n);
      bends[key].push([c.x - left, c.y]);
    }
  }
  const w = Math.max(...full.flat().map(c => c.x + c.w / 2 - left), 0);
  return {w, h: y, at, bends};
}

function group(pairs, key, value) {
  const found = new Map();
  for (const p of pairs) (found.get(p[key]) || found.set(p[key], []).get(p[key])).push(p[value]);
  return found;
}

// Few crossings: every cell moves to the mean place of its neighbours, sweeping down and up.
function order(rows) {
  const number = () => rows.forEach(row => row.forEach((c, i) => { c.place = i; }));
  number();
  for (let sweep = 0; sweep < 8; sweep++) {
    const side = sweep % 2 ? "down" : "up";
    for (const row of sweep % 2 ? [...rows].reverse() : rows) {
      for (const c of row) c.wish = c[side].length ? mean(c[side].map(n => n.place)) : c.place;
      row.sort((a, b) => a.wish - b.wish || a.place - b.place);
      row.forEach((c, i) => { c.place = i; });
    }
  }
}

// Places across: near the mean of all neighbours, without overlaps.
function across(rows) {
  for (const row of rows) { let x = 0; for (const c of row) { c.x = x + c.w / 2; x += c.w + GAP; } }
  for (let round = 0; round < 14; round++) {
    const side = round % 2 ? "down" : "up";
    for (const row of round % 2 ? [...rows].reverse() : rows) {
      const wish = row.map(c => c[side].length ? mean(c[side].map(n => n.x)) : c.x);
      const a = spread(row, wish, 1), b = spread([...row].reverse(), [...wish].reverse(), -1).reverse();
      row.forEach((c, i) => { c.x = (a[i] + b[i]) / 2; });
    }
  }
}

function spread(row, wish, way) {
  const xs = [];
  row.forEach((c, i) => {
    const edge = i ? xs[i - 1] + way * ((row[i - 1].w + c.w) / 2 + GAP) : wish[i];
    xs.push(way > 0 ? Math.max(wish[i], edge) : Math.min(wish[i], edge));
  });
  return xs;
}

function mean(xs) { return xs.reduce((a, b) => a + b, 0) / xs.length; }
