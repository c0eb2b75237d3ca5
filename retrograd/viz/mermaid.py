"""A graph in Mermaid's language: Markdown that GitHub and notebooks draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrograd.viz.colours import Paint
from retrograd.viz.dot import nested, scope_label
from retrograd.viz.labels import broken_in, carried, lines, marks
from retrograd.viz.structure import Edge, Graph, Scope, Vertex

if TYPE_CHECKING:
    from retrograd.viz.picture import Picture

__all__ = ["to_mermaid"]


def to_mermaid(graph: Graph, picture: Picture) -> str:
    """A flowchart with modules as subgraphs; every label is escaped."""
    paint = Paint(graph, picture.color, picture.dark)
    out = [f"flowchart {'TD' if picture.direction == 'down' else 'LR'}"]
    if picture.title:
        out = ["---", f"title: {quoted(picture.title)}", "---", *out]
    depth = 0
    for number, (what, thing) in enumerate(nested(graph)):
        if what == "close":
            depth -= 1
        pad = "  " * (depth + 1)
        if isinstance(thing, Scope):
            out.append(f"{pad}subgraph s{number} [{quoted(scope_label(thing))}]" if what == "open" else f"{pad}end")
            depth += what == "open"
        else:
            out.append(pad + node(thing, picture))
    out += [f"  {edge(e, picture)}" for e in graph.edges]
    for v in graph.vertices:
        fill, text = paint.of(v)
        border = paint.theme.red if broken_in(v) else paint.theme.border
        out.append(f"  style {v.id} fill:{fill},color:{text},stroke:{border}")
    if picture.legend and graph.vertices:
        out.append('  subgraph legend ["legend"]')
        rows = paint.legend()
        out += [f"    k{i}[{quoted(meaning)}]" for i, (_, _, meaning) in enumerate(rows)]
        out.append("  end")
        out += [f"  style k{i} fill:{fill},color:{text}" for i, (fill, text, _) in enumerate(rows)]
    return "\n".join([*out, ""])


def node(vertex: Vertex, picture: Picture) -> str:
    """A box: round for operations, slanted for what the computation starts from."""
    label = quoted("\n".join(lines(vertex, picture.show)))
    if vertex.kind in ("operation", "module"):
        return f"{vertex.id}({label})"
    return f"{vertex.id}[/{label}/]" if vertex.kind in ("input", "output") else f"{vertex.id}[{label}]"


def edge(edge: Edge, picture: Picture) -> str:
    """An arrow, dotted where it is a view, a change in place, a kept value, or no gradient passes."""
    text = "\n".join(filter(None, [carried(edge) if picture.edges else "", marks(edge)]))
    backward = edge.saved and edge.target.endswith("b")
    arrow = "-.->" if edge.cut or edge.view or edge.inplace or backward else "-->"
    return f"{edge.source} {arrow}{f'|{quoted(text)}|' if text else ''} {edge.target}"


def quoted(text: str) -> str:
    """Text that Mermaid shows as itself: what could be syntax, Markdown or HTML is written by its number."""
    escaped = "".join(c if c.isalnum() or c in " .,:=()+-_×…→‖✂∂" or c == "\n" else f"#{ord(c)};" for c in text)
    return '"' + escaped.replace("_", "#95;").replace("\n", "<br/>") + '"'
