"""Views of a graph: the computation, the rules that take gradients back through it, or both."""

from __future__ import annotations

from dataclasses import replace

from retrograd.viz.structure import Edge, Graph, Scope, Vertex, prefixes

__all__ = ["VIEWS", "viewed"]

VIEWS = ("forward", "backward", "both")
FORWARD_FACTS = frozenset({"flops", "forward_time", "saved", "arguments", "value", "mean", "std", "min", "max"})


def viewed(graph: Graph, view: str) -> Graph:
    """The graph itself, the graph of its backward pass, or both, joined by the values that are kept."""
    if view == "forward":
        return graph
    back = {v.id: backward_of(v, view) for v in graph.vertices if v.requires_grad and v.phase != "backward"}
    joined = {id for e in graph.edges if e.grad for id in (e.source, e.target)}
    vertices = [back[v.id] for v in reversed(graph.vertices) if v.id in back and v.id in joined]
    edges = [
        Edge(back[e.target].id, back[e.source].id, e.shape, e.dtype, grad=True)
        for e in reversed(graph.edges)
        if e.grad and e.source in back and e.target in back
    ]
    if view == "both":
        vertices = [*graph.vertices, *vertices]
        saved = [replace(e, target=back[e.target].id, saved=True) for e in graph.edges if e.saved and e.target in back]
        saved += [
            Edge(v.id, back[v.id].id, v.shape, v.dtype, saved=True)
            for v in graph.vertices
            if v.facts.get("saves_out") and v.id in joined
        ]
        edges = [replace(e, saved=False) for e in graph.edges] + saved + edges
    scopes = {path: graph.scopes.get(original(path), Scope(path)) for path in prefixes(v.module for v in vertices)}
    return Graph(vertices, edges, {path: replace(scope, path=path) for path, scope in scopes.items()})


def backward_of(vertex: Vertex, view: str) -> Vertex:
    """The rule of an operation, or the gradient that ends in a leaf."""
    operation = vertex.kind == "operation"
    label = str(vertex.facts.get("rule", f"{vertex.label} backward")) if operation else f"grad of {vertex.label}"
    facts = {k: v for k, v in vertex.facts.items() if k not in FORWARD_FACTS and k not in ("nan", "inf")}
    module = ".".join(filter(None, ["backward", vertex.module])) if view == "both" else vertex.module
    kind = "operation" if operation else "gradient"
    return Vertex(f"{vertex.id}b", kind, label, vertex.shape, vertex.dtype, module, "backward", True, facts)


def original(path: str) -> str:
    """The module's path, without the scope that sets the backward pass apart."""
    return path.removeprefix("backward").removeprefix(".")
