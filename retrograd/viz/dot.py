"""A graph in the DOT language: text, no program needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrograd.viz.graph import Graph, Vertex

__all__ = ["to_dot"]

STYLES = {  # fill colours after Okabe & Ito's palette for all kinds of colour vision, lightened
    "operation": 'shape=box style="rounded,filled" fillcolor="#e8e8e8"',
    "parameter": 'shape=box style=filled fillcolor="#9fd8c3"',
    "leaf": 'shape=box style=filled fillcolor="#a9d4f5"',
    "constant": 'shape=box style="filled,dashed" fillcolor="#ffffff"',
    "output": 'shape=box style="filled,bold" fillcolor="#f6c98f"',
}


def to_dot(graph: Graph) -> str:
    """Top to bottom as the computation runs; labels are escaped."""
    lines = [
        "digraph {",
        '  graph [rankdir=TB bgcolor="white" nodesep=0.25 ranksep=0.3]',
        '  node [fontname="Helvetica" fontsize=11 margin="0.12,0.06"]',
        '  edge [color="#555555" arrowsize=0.7]',
    ]
    lines += [f'  {v.id} [label="{label(v)}" {STYLES[v.kind]}]' for v in graph.vertices]
    lines += [f"  {e.source} -> {e.target}" for e in graph.edges]
    return "\n".join([*lines, "}", ""])


def label(vertex: Vertex) -> str:
    """Name over shape and dtype."""
    return f"{escape(vertex.label)}\\n{escape(str(vertex.shape))} {escape(vertex.dtype)}"


def escape(text: str) -> str:
    """Text that DOT reads as itself between double quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
