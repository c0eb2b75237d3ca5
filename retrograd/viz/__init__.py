"""Pictures of computation graphs: one neutral graph object, several renderers."""

from retrograd.viz.graph import Edge, Graph, Vertex, graph

__all__ = ["Edge", "Graph", "Vertex", "graph"]
