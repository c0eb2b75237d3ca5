"""The computation graph as plain facts: nodes, edges, and nothing of how they are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from retrograd.autograd.graph import AccumulateGrad, Node, Pick
from retrograd.autograd.tensor import Tensor
from retrograd.viz.dot import to_dot
from retrograd.viz.render import render, to_svg

__all__ = ["Edge", "Graph", "Vertex", "graph"]


class HasParameters(Protocol):
    """A Module, as far as its picture is concerned."""

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]: ...


@dataclass(frozen=True)
class Vertex:
    """One thing in the picture.

    `kind` is "operation", "parameter" (a leaf named by `params`), "leaf" (another leaf that requires a gradient),
    "constant" (an operand that needs no gradient and was saved) or "output".
    """

    id: str
    kind: str
    label: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Edge:
    """Data flows from `source` to `target` (both are ids)."""

    source: str
    target: str


@dataclass(frozen=True)
class Graph:
    """Vertices and edges in the order of computation; renderers are functions of it.

    In a notebook it shows itself as a picture.
    """

    vertices: list[Vertex] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    @property
    def dot(self) -> str:
        """The picture in the DOT language; needs no program."""
        return to_dot(self)

    def render(self, path: str | Path) -> Path:
        """Writes the picture to a file; its ending (.svg, .png, .pdf, .dot) chooses the format. Returns the path.

        All but .dot need Graphviz (the extra `viz` and the program `dot`); RuntimeError says how to install it.
        """
        return render(self.dot, Path(path))

    def _repr_svg_(self) -> str:
        return to_svg(self.dot)


def graph(outputs: Tensor | Sequence[Tensor], params: Mapping[str, Tensor] | HasParameters | None = None) -> Graph:
    """The graph that computed the outputs: operations, and the tensors it started from.

    `params` names tensors: a Module, or a dict from names to tensors. Operands that need no gradient appear where an
    operation saved them for its own gradient. Raises ValueError for an output without a graph, and
    TypeError for one that is no Tensor.

    >>> import retrograd as rg
    >>> a = rg.tensor(3.0, requires_grad=True)
    >>> g = rg.viz.graph(a * a, params={"a": a})
    >>> [(v.kind, v.label) for v in g.vertices]
    [('parameter', 'a'), ('operation', 'Mul'), ('output', 'output')]
    """
    tensors = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"graph: expected a Tensor or a list of them, got {type(tensor).__name__}")
        if tensor._node is None:
            raise ValueError(
                f"graph: the tensor of shape {tensor.shape} has no graph; "
                "does an input require a gradient, and was it computed outside no_grad()?"
            )
    names, constants = names_given(params)
    result = Graph()
    ids: dict[int, str] = {}

    def add(kind: str, label: str, shape: tuple[int, ...], dtype: Any) -> str:
        vertex = Vertex(f"v{len(result.vertices)}", kind, label, tuple(shape), str(dtype))
        result.vertices.append(vertex)
        return vertex.id

    for node in in_order([t._node for t in tensors if t._node is not None]):
        if isinstance(node, Pick):
            continue
        if isinstance(node, AccumulateGrad):
            name = names.get(node.seq)
            ids[node.seq] = add("parameter" if name else "leaf", name or "leaf", node.shape, node.dtype)
            continue
        sources = []
        for i, parent in enumerate(node.parents):
            if parent is not None:
                sources.append(ids[origin(parent).seq])
            elif (operand := constant_operand(node, i)) is not None:
                name = constants.get(id(operand), "constant")
                sources.append(add("constant", name, operand.shape, operand.dtype))
        own = ids[node.seq] = add("operation", node.name().removesuffix("Backward0"), *result_of(node))
        result.edges.extend(Edge(source, own) for source in sources)
    for i, tensor in enumerate(tensors):
        label = "output" if len(tensors) == 1 else f"output {i}"
        end = add("output", label, tensor.shape, tensor.dtype)
        result.edges.append(Edge(ids[origin(tensor._node).seq], end))  # type: ignore[arg-type]  # checked above
    return result


def names_given(params: Mapping[str, Tensor] | HasParameters | None) -> tuple[dict[int, str], dict[int, str]]:
    """Names of leaves by the number of their node, and of tensors without gradient by the id of their array."""
    if params is None:
        return {}, {}
    pairs = list(params.items() if isinstance(params, Mapping) else params.named_parameters())
    leaves = {tensor._node.seq: name for name, tensor in pairs if tensor._node is not None}
    return leaves, {id(tensor._array): name for name, tensor in pairs if tensor._node is None}


def in_order(roots: Sequence[Node]) -> list[Node]:
    """Every node behind the roots, each after all that it depends on."""
    seen: dict[int, Node] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.seq not in seen:
            seen[node.seq] = node
            stack.extend(parent for parent in node.parents if parent is not None)
    return [seen[seq] for seq in sorted(seen)]


def origin(node: Node) -> Node:
    """The operation itself, for one of its several outputs."""
    return node.source if isinstance(node, Pick) else node


def result_of(node: Node) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of a node's (first) result."""
    if node.dtype is None:
        return node.out_shapes[0], node.out_dtypes[0]  # type: ignore[attr-defined]
    return node.shape, node.dtype


def constant_operand(node: Node, i: int) -> Any:
    """The array of an input that needs no gradient, if the node has saved it."""
    primitive = getattr(node, "primitive", None)
    if primitive is None or primitive.variadic:
        return None
    array = getattr(node, primitive.inputs[i], None)
    return array if hasattr(array, "dtype") else None
