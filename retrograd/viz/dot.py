"""A graph in the DOT language: text, no program needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrograd.viz.colours import Paint
from retrograd.viz.labels import broken_in, carried, lines, marks, tooltip
from retrograd.viz.structure import Edge, Graph, Scope, Vertex, components

if TYPE_CHECKING:
    from retrograd.viz.picture import Picture

__all__ = ["escape", "nested", "scope_label", "to_dot"]


def to_dot(graph: Graph, picture: Picture) -> str:
    """Top to bottom (or left to right) as the computation runs, modules as frames; every label is escaped."""
    paint = Paint(graph, picture.color, picture.dark)
    ink = paint.theme
    direction = "TB" if picture.direction == "down" else "LR"
    title = f' label="{escape(picture.title)}" labelloc=t fontsize=16' if picture.title else ""
    out = [
        "digraph {",
        f'  graph [rankdir={direction} bgcolor="{ink.ground}" nodesep=0.25 ranksep=0.3 fontname="Helvetica"'
        f' fontcolor="{ink.text}"{title}]',
        f'  node [fontname="Helvetica" fontsize=11 margin="0.12,0.06" color="{ink.border}" fontcolor="{ink.text}"]',
        f'  edge [fontname="Helvetica" fontsize=9 color="{ink.line}" fontcolor="{ink.text}" arrowsize=0.7]',
    ]
    depth = 0
    for number, (what, thing) in enumerate(nested(graph)):
        pad = "  " * (depth + 1)
        if what == "open" and isinstance(thing, Scope):
            fill, width = ink.cluster[depth % 2], 2 if thing.times > 1 else 0.7
            out.append(f'{pad}subgraph "cluster_{number}" {{')
            out.append(
                f'{pad}  graph [label="{escape(scope_label(thing))}" labelloc=t labeljust=l fontsize=10'
                f' style="rounded,filled" fillcolor="{fill}" color="{ink.border}" penwidth={width}]'
            )
            depth += 1
        elif isinstance(thing, Scope):
            depth -= 1
            out.append("  " * (depth + 1) + "}")
        else:
            out.append(f"{pad}{node(thing, paint, picture)}")
    out += [f"  {edge(e, paint, picture)}" for e in graph.edges]
    if picture.legend and graph.vertices:
        out.append(f"  {legend(paint)}")
    return "\n".join([*out, "}", ""])


def nested(graph: Graph) -> list[tuple[str, Scope | Vertex]]:
    """Vertices in order, between ("open", scope) and ("close", scope) of the modules that they lie in."""
    inside: dict[str, list[Vertex | str]] = {"": []}
    for v in graph.vertices:
        parts = components(v.module)
        for n in range(len(parts)):
            outer, path = ".".join(parts[:n]), ".".join(parts[: n + 1])
            if path not in inside:
                inside[path] = []
                inside[outer].append(path)
        inside[v.module].append(v)
    found: list[tuple[str, Scope | Vertex]] = []
    stack: list[tuple[str, Vertex | str | Scope]] = [("item", item) for item in reversed(inside[""])]
    while stack:
        what, item = stack.pop()
        if isinstance(item, str):
            scope = graph.scopes.get(item, Scope(item))
            found.append(("open", scope))
            stack.append(("close", scope))
            stack.extend(("item", below) for below in reversed(inside[item]))
        else:
            found.append((what if what == "close" else "vertex", item))
    return found


def scope_label(scope: Scope) -> str:
    """Name, class, and how many it stands for."""
    name = scope.label or scope.path.rpartition(".")[2]
    times = f"  ×{scope.times}" if scope.times > 1 else ""
    return f"{name}: {scope.kind}{times}" if scope.kind else f"{name}{times}"


SHAPES = {
    "operation": "rounded,filled",
    "module": "rounded,filled",
    "constant": "filled,dashed",
    "output": "filled,bold",
}


def node(vertex: Vertex, paint: Paint, picture: Picture) -> str:
    """A box; red where a number is not finite."""
    fill, text = paint.of(vertex)
    wrong = f' color="{paint.theme.red}" penwidth=2.5' if broken_in(vertex) else ""
    wrong += f' fontcolor="{paint.theme.red}"' if broken_in(vertex) and picture.color == "role" else ""
    color = f' fontcolor="{text}"' if text != paint.theme.text and not wrong else ""
    double = " peripheries=2" if vertex.facts.get("times", 1) > 1 else ""
    dashed = SHAPES.get(vertex.kind, "filled") + (",dashed" if vertex.facts.get("stopped") else "")
    label = escape("\n".join(lines(vertex, picture.show)))
    return (
        f'{vertex.id} [shape=box style="{dashed}" fillcolor="{fill}"{color}{wrong}{double} label="{label}"'
        f' tooltip="{escape(tooltip(vertex))}"]'
    )


def edge(edge: Edge, paint: Paint, picture: Picture) -> str:
    """An arrow: dashed for views and changes in place, dotted for kept values and where a gradient stops."""
    texts = [carried(edge)] if picture.edges else []
    texts += [marks(edge)] if marks(edge) else []
    looks = [f'label="{escape(chr(10).join(texts))}"'] if texts else []
    if edge.cut:
        looks.append(f'style=dotted color="{paint.theme.red}" fontcolor="{paint.theme.red}"')
    elif edge.view or edge.inplace:
        looks.append("style=dashed")
    elif edge.saved and edge.target.endswith("b"):
        looks.append("style=dotted constraint=false")
    if text := carried(edge):
        looks.append(f'tooltip="{escape(text)}"')
    return f"{edge.source} -> {edge.target}" + (f" [{' '.join(looks)}]" if looks else "")


def legend(paint: Paint) -> str:
    """A small table of colours and their meanings."""
    rows = "".join(
        f'<TR><TD BGCOLOR="{fill}"><FONT COLOR="{text}">{meaning}</FONT></TD></TR>'
        for fill, text, meaning in paint.legend()
    )
    table = (
        f'<TABLE BORDER="0" CELLBORDER="1" CELLSPACING="0" CELLPADDING="3" COLOR="{paint.theme.border}">{rows}</TABLE>'
    )
    return f"legend [shape=plaintext fontsize=9 label=<{table}>]"


def escape(text: str) -> str:
    """Text that DOT reads as itself between double quotes; control characters are left out."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return "".join(c for c in text if c >= " ")
