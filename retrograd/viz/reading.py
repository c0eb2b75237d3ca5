"""`viz.graph`: the autograd graph behind some outputs, read after the fact."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from retrograd.autograd.graph import AccumulateGrad, Node, Pick
from retrograd.autograd.tensor import Tensor
from retrograd.nn.module import Module
from retrograd.viz.facts import broken, kept, scalar
from retrograd.viz.places import Places, origin, version_of
from retrograd.viz.structure import Edge, Graph, Scope, Vertex, components, prefixes

__all__ = ["graph", "in_order", "named", "origin", "result_of"]

Named = Mapping[str, Tensor] | Module | Sequence[Tensor] | Tensor | None


def graph(
    outputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
    params: Mapping[str, Tensor] | Module | None = None,
    *,
    inputs: Mapping[str, Tensor] | Sequence[Tensor] | Tensor | None = None,
    of: Tensor | Sequence[Tensor] | None = None,
) -> Graph:
    """The graph that computed the outputs: operations, and the tensors it started from.

    outputs  one Tensor, a list of them, or a dict that names them
    params   names tensors: a Module, or a dict from names to tensors, results of operations among them. With a Module
             operations are put into its modules, by the parameters that they use
    inputs   names of what the computation starts from, likewise
    of       the tensors whose gradients the outputs are (create_graph): what did not serve to compute these is the
             graph of the gradient, and gets a shade of its own

    Operands that need no gradient appear where an operation saved them for its own gradient; `viz.record` sees all.
    Raises ValueError for an output without a graph, and TypeError for one that is no Tensor.

    >>> import retrograd as rg
    >>> a = rg.tensor(3.0, requires_grad=True)
    >>> g = rg.viz.graph(a * a, params={"a": a})
    >>> [(v.kind, v.label) for v in g.vertices]
    [('parameter', 'a'), ('operation', 'Mul'), ('output', 'output')]
    """
    tensors = listed(outputs)
    forward = None if of is None else {n.seq for n in in_order([t._node for t in listed(of).values() if t._node])}
    return Reader(params, inputs, forward).read(tensors)


def listed(outputs: Any) -> dict[str, Tensor]:
    """Outputs by their labels, checked."""
    if isinstance(outputs, Mapping):
        tensors = dict(outputs)
    elif isinstance(outputs, Tensor):
        tensors = {"output": outputs}
    else:
        several = list(outputs) if not isinstance(outputs, (str, bytes)) else [outputs]
        tensors = {f"output {i}" if len(several) > 1 else "output": t for i, t in enumerate(several)}
    for tensor in tensors.values():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"graph: expected a Tensor or a list of them, got {type(tensor).__name__}")
        if tensor._node is None:
            raise ValueError(
                f"graph: the tensor of shape {tensor.shape} has no graph; "
                "does an input require a gradient, and was it computed outside no_grad()?"
            )
    return tensors


class Reader:
    """Makes a Graph from nodes."""

    def __init__(self, params: Any, inputs: Any, forward: set[int] | None) -> None:
        self.graph, self.forward = Graph(places=Places()), forward
        self.module = params if isinstance(params, Module) else None
        pairs = [("input", *pair) for pair in named(inputs, "input")] + [("parameter", *p) for p in named(params)]
        self.leaves = {t._node.seq: (kind, name, t) for kind, name, t in pairs if t._node is not None}
        self.constants = {id(t._array): (kind, name) for kind, name, t in pairs if t._node is None}
        self.shown: set[int] = set()
        self.by_id: dict[str, Vertex] = {}

    def read(self, outputs: dict[str, Tensor]) -> Graph:
        nodes: dict[int, str] = self.graph.places.nodes
        for node in in_order([t._node for t in outputs.values() if t._node is not None]):
            if isinstance(node, AccumulateGrad):
                nodes[node.seq] = self.leaf(node).id
            elif not isinstance(node, Pick):
                nodes[node.seq] = self.operation(node, nodes).id
        for label, tensor in outputs.items():
            source = origin(tensor._node)
            assert source is not None  # `listed` has seen to it
            phase = self.by_id[nodes[source.seq]].phase
            end = self.add("output", label, tensor.shape, tensor.dtype, phase=phase)
            end.facts |= values(tensor)
            edge = Edge(nodes[source.seq], end.id, tensor.shape, str(tensor.dtype), grad=True)
            edge.version = version_of(tensor)
            self.graph.edges.append(edge)
        if self.module is not None:
            place_in_modules(self.graph, self.module)
        return self.graph

    def add(self, kind: str, label: str, shape: Any, dtype: Any, **more: Any) -> Vertex:
        vertex = Vertex(f"v{len(self.graph.vertices)}", kind, label, tuple(shape), str(dtype), **more)
        vertex.requires_grad = kind != "constant"
        self.graph.vertices.append(vertex)
        self.by_id[vertex.id] = vertex
        return vertex

    def leaf(self, node: AccumulateGrad) -> Vertex:
        """A tensor that the gradient ends in."""
        kind, name, _ = self.leaves.get(node.seq, ("leaf", "leaf", None))
        vertex = self.add(kind, name, node.shape, node.dtype)
        if (tensor := node.variable) is not None:
            vertex.facts |= {"parameters": int(tensor._array.size), **values(tensor)}
        return vertex

    def operation(self, node: Node, nodes: dict[int, str]) -> Vertex:
        """An operation, its operands, and what it keeps for backward."""
        primitive = getattr(node, "primitive", None)
        sources: list[tuple[str, Any, Any, bool]] = []
        for i, parent in enumerate(node.parents):
            saved = primitive is not None and (primitive.variadic or primitive.inputs[i]) in node.saves
            if parent is not None:
                start = origin(parent)
                assert start is not None
                shape, dtype = result_of(start) if parent.dtype is None else (parent.shape, parent.dtype)
                sources.append((nodes[start.seq], shape, dtype, saved))
            elif (operand := constant_operand(node, i)) is not None:
                kind, name = self.constants.get(id(operand), ("constant", "constant"))
                constant = self.add("input" if kind == "input" else "constant", name, operand.shape, operand.dtype)
                constant.requires_grad = False
                constant.facts |= {} if (value := scalar(operand)) is None else {"value": value}
                sources.append((constant.id, operand.shape, operand.dtype, True))
        own = self.add("operation", node.name().removesuffix("Backward0"), *result_of(node))
        own.phase = "forward" if self.forward is None or node.seq in self.forward else "gradient"
        view = primitive is not None and bool(primitive.view)
        inplace = primitive is not None and primitive.name in ("replaced", "write_view")
        for source, shape, dtype, saved in sources:
            edge = Edge(source, own.id, tuple(shape), str(dtype), view=view, inplace=inplace, saved=saved)
            edge.grad = self.by_id[source].requires_grad
            self.graph.edges.append(edge)
        own.facts |= self.kept_by(node)
        _, name, tensor = self.leaves.get(node.seq, ("", "", None))
        if tensor is not None:
            own.facts |= {"name": name, **values(tensor)}
        return own

    def kept_by(self, node: Node) -> dict[str, Any]:
        """The rule's name, the bytes that this node keeps first, and what has been changed since."""
        facts: dict[str, Any] = {"rule": node.name()}
        fresh = [a for a in kept(node) if id(a) not in self.shown]
        self.shown |= {id(a) for a in fresh}
        if fresh:
            facts["saved"] = sum(int(a.nbytes) for a in fresh)
        if "out" in node.saves:
            facts["saves_out"] = True
        for name in node.saves:
            stamp = getattr(node, f"{name}_stamp", None)
            if isinstance(stamp, list) and stamp[0] > node.seq:
                facts["changed"] = f"{name} (version {stamp[1]}) by {stamp[2]}" if len(stamp) > 2 else name
        return facts


def values(tensor: Tensor) -> dict[str, Any]:
    """Numbers of a tensor with one element, its gradient's, and whether both are sound."""
    found = broken(tensor._array)
    if (value := scalar(tensor._array)) is not None:
        found["value"] = value
    gradient = getattr(tensor, "_grad", None)
    if gradient is not None:
        found |= broken(gradient._array, "grad_")
        if (value := scalar(gradient._array)) is not None:
            found["grad"] = value
    return found


def named(tensors: Named, default: str = "tensor") -> list[tuple[str, Tensor]]:
    """Names and tensors of a Module, a dict, a sequence or a single tensor."""
    if tensors is None:
        return []
    if isinstance(tensors, Tensor):
        return [(default, tensors)]
    if isinstance(tensors, Mapping):
        return list(tensors.items())
    if isinstance(tensors, Module):
        return [*tensors.named_parameters(), *tensors.named_buffers()]
    return [(f"{default} {i}", tensor) for i, tensor in enumerate(tensors)]


def in_order(roots: Iterable[Node], stop: Callable[[Node], bool] | None = None) -> list[Node]:
    """Every node behind the roots, each after all that it depends on; none where `stop` says so, or behind it."""
    seen: dict[int, Node] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.seq not in seen and not (stop is not None and stop(node)):
            seen[node.seq] = node
            stack.extend(parent for parent in node.parents if parent is not None)
    return [seen[seq] for seq in sorted(seen)]


def result_of(node: Node) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of a node's (first) result."""
    if node.dtype is not None:
        return node.shape, node.dtype
    if hasattr(node, "out_shapes"):
        return node.out_shapes[0], node.out_dtypes[0]  # type: ignore[attr-defined]
    outputs: Any = getattr(node, "outputs", None) or getattr(node, "_outputs", None) or ()
    several = [o for o in outputs if o is not None]
    return tuple(several[0][-2]), several[0][-1]


def constant_operand(node: Node, i: int) -> Any:
    """The array of an input that needs no gradient, if the node has saved it."""
    primitive = getattr(node, "primitive", None)
    if primitive is None or primitive.variadic:
        return None
    array = getattr(node, primitive.inputs[i], None)
    return array if hasattr(array, "dtype") else None


def place_in_modules(graph: Graph, model: Module) -> None:
    """Puts operations into modules: those that use a parameter into its owner, the rest between their neighbours."""
    owned = {v.id: v.label.rpartition(".")[0] for v in graph.vertices if v.kind == "parameter"}
    before: dict[str, str] = {}
    above, below = {}, {}  # type: ignore[var-annotated]
    for edge in graph.edges:
        above.setdefault(edge.target, []).append(edge.source)
        below.setdefault(edge.source, []).append(edge.target)
    sure = {v.id: max((owned[s] for s in above.get(v.id, ()) if s in owned), default=None) for v in graph.vertices}
    for v in graph.vertices:  # the module last used on the way here …
        past = [before[s] for s in above.get(v.id, ()) if s in before]
        module = sure[v.id] if sure[v.id] is not None else (past[-1] if past else None)
        if module is not None and v.id not in owned:
            before[v.id] = module
    after: dict[str, str] = {}
    for v in reversed(graph.vertices):  # … and the one used next
        next_ = [after[t] for t in below.get(v.id, ()) if t in after]
        module = sure[v.id] if sure[v.id] is not None else (next_[0] if next_ else None)
        if module is not None:
            after[v.id] = module
    for v in graph.vertices:
        if v.id in owned:
            v.module = owned[v.id]
        elif v.kind == "operation":
            v.module = sure[v.id] if sure[v.id] is not None else common(before.get(v.id, ""), after.get(v.id, ""))  # type: ignore[assignment]
    kinds = {path: type(module).__name__ for path, module in model.named_modules()}
    for path in prefixes(v.module for v in graph.vertices):
        graph.scopes[path] = Scope(path, kinds.get(path, ""))


def common(a: str, b: str) -> str:
    """The path that two paths share."""
    shared = []
    for x, y in zip(components(a), components(b)):
        if x != y:
            break
        shared.append(x)
    return ".".join(shared)
