"""A graph as a page of its own: it lays itself out in the browser, needs no program, and loads nothing."""

from __future__ import annotations

import html
import json
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from retrograd.viz.colours import Paint
from retrograd.viz.folding import above, collapsed, limited, one, readable_depth
from retrograd.viz.labels import broken_in, carried, lines, marks, tooltip
from retrograd.viz.rolling import rolled
from retrograd.viz.structure import Edge, Graph, Vertex, prefixes
from retrograd.viz.views import viewed

if TYPE_CHECKING:
    from retrograd.viz.picture import Picture

__all__ = ["to_html"]


def to_html(graph: Graph, picture: Picture) -> str:
    """The page. Modules that the other renderers would draw as boxes are closed at first, all can be opened."""
    graph = viewed(graph, picture.view)
    graph = rolled(graph) if picture.roll else graph
    depth = readable_depth(graph) if picture.depth is None else picture.depth
    first = collapsed(graph, depth, picture.collapse, leaves=picture.depth is None and depth > 0)
    if len(first.vertices) > picture.max_nodes:
        graph = first = limited(first, picture.max_nodes)
    folded = {path: one(graph, path, inside, None) for path, inside in contents(graph).items()}
    paint = Paint(Graph([*graph.vertices, *folded.values()]), picture.color, picture.dark)
    opened = set(first.scopes)
    data = {
        "vertices": [seen(v, paint, picture) for v in graph.vertices],
        "edges": [line(e) for e in graph.edges],
        "scopes": [
            {**seen(v, paint, picture), "path": path, "open": path in opened, "times": v.facts["times"]}
            for path, v in folded.items()
        ],
        "legend": paint.legend() if picture.legend else [],
    }
    return page(picture.title or "computation graph", data, paint)


def page(title: str, data: dict[str, Any], paint: Paint) -> str:
    """The parts of the page put together."""
    ink = paint.theme
    inks = {"even": ink.cluster[0], "odd": ink.cluster[1], **{k: getattr(ink, k) for k in ("ground", "text", "line")}}
    return Template(part("page.html")).substitute(
        title=html.escape(title),
        style=Template(part("page.css")).substitute(inks, border=ink.border, red=ink.red),
        layout=part("layout.js"),
        script=part("page.js"),
        data=embedded(data),
    )


def part(name: str) -> str:
    """One of the files that the page is made of."""
    return (files("retrograd.viz") / "page" / name).read_text(encoding="utf-8")


def embedded(data: Any) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def contents(graph: Graph) -> dict[str, list[Vertex]]:
    """All that lies in every module, however deep."""
    found: dict[str, list[Vertex]] = {path: [] for path in prefixes(v.module for v in graph.vertices)}
    for v in graph.vertices:
        for path in above(v.module):
            found[path].append(v)
    return found


def seen(vertex: Vertex, paint: Paint, picture: Picture) -> dict[str, Any]:
    """What the page draws of a vertex or of a folded module."""
    fill, text = paint.of(vertex)
    return {
        "id": vertex.id,
        "kind": vertex.kind,
        "module": vertex.module,
        "lines": lines(vertex, picture.show),
        "tip": tooltip(vertex),
        "fill": fill,
        "text": text,
        "round": vertex.kind in ("operation", "module"),
        "dashed": vertex.kind == "constant" or bool(vertex.facts.get("stopped")),
        "broken": bool(broken_in(vertex)),
    }


def line(edge: Edge) -> dict[str, Any]:
    """What the page draws of an edge."""
    kept = edge.saved and edge.target.endswith("b")
    look = "cut" if edge.cut else "dashed" if edge.view or edge.inplace else "dotted" if kept else ""
    return {"source": edge.source, "target": edge.target, "look": look, "mark": marks(edge), "tip": carried(edge)}
