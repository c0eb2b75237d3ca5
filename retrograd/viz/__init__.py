"""Pictures of computation graphs: one neutral graph object, several renderers."""

from retrograd.viz.curves import curves, gradient_norms
from retrograd.viz.graph import Edge, Graph, Vertex, graph
from retrograd.viz.receptive_field import Field, ReceptiveFields, receptive_field
from retrograd.viz.summary import Row, Summary, summary

__all__ = [
    "Edge",
    "Field",
    "Graph",
    "ReceptiveFields",
    "Row",
    "Summary",
    "Vertex",
    "curves",
    "gradient_norms",
    "graph",
    "receptive_field",
    "summary",
]
