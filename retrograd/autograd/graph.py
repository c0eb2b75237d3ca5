"""The graph and its replay: Node, `backward`, `autograd.grad`.

A Node is one recorded operation. Its `seq` is the tick at which it was recorded, so a node always has a higher
number than the nodes it depends on: taking pending nodes from a heap, highest number first, is a reverse topological
order, found without a first pass over the graph.

The engine, not the rules, owns what every rule would otherwise repeat: summing a cotangent to the shape of a broadcast
input, casting it to the input's dtype, skipping inputs that need none, accumulation, hooks, and freeing saved values.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any, ClassVar

import numpy as np

from retrograd.autograd.modes import set_grad_enabled, state
from retrograd.autograd.rows import Rows, Waiting
from retrograd.autograd.tensor import Tensor, clock, make, namespace
from retrograd.backends import backend_of_array

__all__ = ["AccumulateGrad", "Hook", "Node", "RemovableHandle", "backward", "grad", "sum_to"]

Hook = Callable[[Tensor], Tensor | None]


class Node:
    """One operation of the graph: who its inputs are, what it saved, and how a cotangent passes through it.

    Each primitive has a subclass of its own with a slot for every value that its rule names.
    """

    __slots__ = ("__weakref__", "dtype", "hooks", "parents", "seq", "shape", "trace")

    saves: ClassVar[tuple[str, ...]] = ()
    """Names of the slots that hold saved values."""

    seq: int
    shape: tuple[int, ...]
    dtype: Any
    parents: tuple[Node | None, ...]
    hooks: list[Hook] | None
    trace: str
    """The line of the forward call, set only in anomaly mode."""

    def backward(self, g: Any, xp: Any, keep: bool) -> Sequence[Any]:
        """Cotangents of the inputs, from the output's; saved values are dropped unless `keep`."""
        raise NotImplementedError

    def backward_recorded(self, g: Tensor, xp: Any, keep: bool) -> Sequence[Any]:
        """The same with Tensors, so that the result has a graph itself."""
        raise NotImplementedError

    def name(self) -> str:
        """As PyTorch shows it: MulBackward0."""
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """The nodes of the inputs, each with the number of its output that was used."""
        return tuple((n.source, n.index) if isinstance(n, Pick) else (n, 0) for n in self.parents)

    def add_hook(self, hook: Hook) -> RemovableHandle:
        """Calls `hook(grad)` with the gradient of this node's output before its rule; it may return another."""
        if self.hooks is None:
            self.hooks = []
        self.hooks.insert(len(self.hooks) - sum(isinstance(h, RetainGrad) for h in self.hooks), hook)
        return RemovableHandle(self.hooks, hook)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


accumulating = threading.RLock()
"""Held while a leaf's gradient changes: two threads may reach the same leaf."""


class AccumulateGrad(Node):
    """The node of a leaf that requires a gradient: the cotangent that arrives is added to the leaf's `.grad`."""

    __slots__ = ("after", "leaf")

    after: list[Callable[[Tensor], None]] | None

    def __init__(self, leaf: Tensor) -> None:
        self.seq = next(clock)
        self.shape, self.dtype = leaf.shape, leaf.dtype
        self.parents, self.hooks, self.after = (), None, None
        self.leaf = weakref.ref(leaf)

    @property
    def variable(self) -> Tensor | None:
        """The leaf, or None when nobody holds it any more."""
        return self.leaf()

    def accumulate(self, g: Any, owned: bool) -> None:
        """`leaf.grad += g`; the first arrival becomes the gradient itself when nobody else holds it."""
        leaf = self.leaf()
        if leaf is None or leaf._node is None:  # nobody holds it any more, or it has ceased to require a gradient
            return
        with accumulating:
            old = getattr(leaf, "_grad", None)
            if isinstance(g, Tensor):
                ops = namespace_of_tensors()
                leaf._grad = ops.copy(g) if old is None else ops.add(old, g)
            elif old is None and g.__class__ is Rows:
                leaf._grad = Waiting.of(g)
            elif old is None:
                leaf._grad = make(g if owned else backend_of_array[g.__class__].copy(g))
            elif old._node is None and (
                isinstance(old._array, np.generic) or getattr(old._array.flags, "writeable", True)
            ):
                old._array += g
                old._stamp[0] = next(clock)
            else:
                leaf._grad = make(backend_of_array[g.__class__].add(old._array, g))
        for hook in list(self.after or ()):
            hook(leaf)


class RetainGrad:
    """The hook that keeps a non-leaf's gradient."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = weakref.ref(tensor)

    def __call__(self, g: Tensor) -> None:
        tensor = self.tensor()
        if tensor is not None:
            old = getattr(tensor, "_grad", None)
            ops = namespace_of_tensors()
            tensor._grad = ops.copy(g) if old is None else ops.add(old, g)  # others see g too


class Pick(Node):
    """One output of a node that has several; its cotangent reaches the node as a Parts."""

    __slots__ = ("index", "source")

    def __init__(self, source: Node, index: int, array: Any) -> None:
        self.seq = next(clock)
        self.shape, self.dtype = array.shape, array.dtype
        self.parents, self.hooks = (source,), None
        self.source, self.index = source, index

    def backward(self, g: Any, xp: Any, keep: bool) -> Sequence[Any]:
        return (Parts({self.index: g}, self.source),)

    backward_recorded = backward

    def name(self) -> str:
        return self.source.name()

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        return self.source.next_functions


class Parts:
    """Cotangents of some of the outputs of a node, by number; two of them add up."""

    __slots__ = ("dtype", "of", "shape")
    base = None  # nobody else holds it

    def __init__(self, of: dict[int, Any], node: Node) -> None:
        self.of, self.shape, self.dtype = of, node.shape, node.dtype

    def __add__(self, other: Parts) -> Parts:
        for index, g in other.of.items():
            self.of[index] = self.of[index] + g if index in self.of else g
        return self

    __iadd__ = __add__

    def all(self, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[Any]) -> list[Any]:
        """A cotangent for every output, zeros where none arrived."""
        some = next(iter(self.of.values()))
        xp = backend_of_array[some.__class__]
        return [
            self.of[i] if i in self.of else xp.astype(xp.new_zeros(some, shape=shape), dtype=dtype)
            for i, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
        ]


class RemovableHandle:
    """What registering a hook returns; `remove()` takes the hook away, also at the end of a `with` block."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self.hooks, self.hook = hooks, hook

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        if self.hook in self.hooks:
            self.hooks.remove(self.hook)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def namespace_of_tensors() -> Any:
    """`autograd.ops`: the contract's names, acting on Tensors."""
    return backend_of_array[Tensor]


def sum_to(xp: Any, g: Any, shape: tuple[int, ...]) -> Any:
    """Sums g to a shape that broadcasts to g's: the transpose of broadcasting."""
    lead = len(g.shape) - len(shape)
    axes = tuple(range(lead)) + tuple(lead + i for i, n in enumerate(shape) if n == 1 and g.shape[lead + i] != 1)
    if axes:
        g = xp.sum(g, axis=axes, keepdims=True)
    return xp.reshape(g, shape=shape) if g.shape != shape else g


def run(
    roots: Sequence[tuple[Node, Any]],
    keep: bool,
    recorded: bool,
    only: set[int] | None = None,
    wanted: dict[int, Any] | None = None,
    beyond: bool = True,
) -> None:
    """Replays the graph from the roots, each with its cotangent: the heart of the library.

    `only` restricts it to the nodes with these numbers. What arrives at a node in `wanted` is stored there, and no leaf
    is touched; the replay goes on from such a node to others that are wanted, unless it is not to go `beyond`.
    """
    pending: dict[int, Any] = {}  # cotangent that has arrived so far, by the number of its node
    heap: list[tuple[int, Node]] = []  # the nodes that wait, highest number first
    summed: set[int] = set()  # pending cotangents that are sums made here: they may be added to in place
    shared: set[int] = set()  # pending cotangents that somebody else also holds
    for node, g in roots:
        seq = node.seq
        if only is not None and seq not in only:
            continue
        if seq in pending:
            pending[seq] = pending[seq] + g
        else:
            pending[seq] = g
            shared.add(seq)
            heappush(heap, (-seq, node))
    anomaly = state.check_nan
    while heap:
        negative, node = heappop(heap)
        seq = -negative
        g = pending.pop(seq)
        if node.hooks is not None:
            g = run_hooks(node, g, recorded)
            shared.add(seq)
        if wanted is not None and seq in wanted:
            own = recorded or (seq not in shared and g.base is None)
            wanted[seq] = g if own else backend_of_array[g.__class__].copy(g)
            if not (beyond and leads_to(node, only)):
                continue  # what the node has saved stays for a later pass
        if node.__class__ is AccumulateGrad:
            if wanted is None:
                node.accumulate(g, not recorded and seq not in shared and g.base is None)
            continue
        xp = backend_of_array.get(g.__class__)
        gs = node.backward_recorded(g, xp, keep) if recorded else node.backward(g, xp, keep)
        if anomaly:
            check_for_nan(node, gs)
        for parent, gp in zip(node.parents, gs):
            if parent is None or gp is None:
                continue
            if gp.shape != parent.shape:
                gp = fit(gp, parent, node)
            if gp.dtype is not parent.dtype and gp.dtype != parent.dtype:
                gp = backend_of_array[gp.__class__].astype(gp, dtype=parent.dtype)
            above = parent.seq
            if above in pending:
                if not recorded and (above in summed or (above not in shared and pending[above].base is None)):
                    pending[above] += gp
                else:
                    pending[above] = pending[above] + gp
                    summed.add(above)
                    shared.discard(above)
            elif only is None or above in only:
                pending[above] = gp
                if gp is g:
                    shared.add(above)
                heappush(heap, (-above, parent))


def leads_to(node: Node, only: set[int] | None) -> bool:
    """Whether a parent of the node is among these."""
    return only is None or any(p is not None and p.seq in only for p in node.parents)


def fit(g: Any, parent: Node, node: Node) -> Any:
    """A cotangent whose shape is not the input's: sums over what was broadcast, or says whose rule is wrong."""
    try:
        return sum_to(backend_of_array[g.__class__], g, parent.shape)
    except (ValueError, IndexError, RuntimeError):
        raise RuntimeError(
            f"{node.name()} returned a gradient of shape {g.shape} for an input of shape {parent.shape}."
        ) from None


def run_hooks(node: Node, g: Any, recorded: bool) -> Any:
    """Lets the hooks see, and replace, the cotangent that arrived at a node."""
    for hook in list(node.hooks or ()):
        result = hook(g if recorded else make(g))
        if result is None:
            continue
        if not isinstance(result, Tensor):
            raise TypeError(f"a hook must return a Tensor or None, got {type(result).__name__}")
        if (result.shape, result.dtype) != (node.shape, node.dtype):
            raise RuntimeError(
                f"a hook must not change the gradient's shape and dtype: they were {node.shape} {node.dtype}, "
                f"it returned {result.shape} {result.dtype}"
            )
        g = result if recorded else result._array
    return g


def check_for_nan(node: Node, gs: Iterable[Any]) -> None:
    """Raises when a rule has yielded NaN (anomaly mode)."""
    for i, g in enumerate(gs):
        array = getattr(g, "_array", g)
        if array is None or isinstance(array, Parts) or array.dtype.kind not in "fc":
            continue
        xp = backend_of_array[array.__class__]
        if bool(xp.any(xp.isnan(array))):
            line = getattr(node, "trace", "outside detect_anomaly, so its line is unknown")
            raise RuntimeError(f"{node.name()} returned NaN as the gradient of input {i}; its forward call was {line}")


def seed(output: Tensor, gradient: Any) -> Any:
    """The cotangent that backward starts with at an output, as a Tensor."""
    if output._node is None:
        raise RuntimeError(
            "backward of a tensor that does not require grad and has no grad_fn; "
            "did an input need requires_grad=True, or is this inside no_grad()?"
        )
    if gradient is None:
        if output._array.size != 1:
            raise RuntimeError(
                f"grad can be implicitly created only for scalar outputs, not for shape {output.shape}; pass gradient="
            )
        xp = namespace(output)
        return make(
            xp.ones(output.shape, dtype=output.dtype) if output.shape else xp.asarray(1, dtype=output.dtype)[()]
        )
    if not isinstance(gradient, Tensor):
        raise TypeError(f"gradient must be a Tensor or None, got {type(gradient).__name__}")
    if gradient.shape != output.shape:
        raise RuntimeError(f"gradient has shape {gradient.shape}, but its tensor has {output.shape}")
    if gradient.dtype != output.dtype:
        gradient = namespace_of_tensors().astype(gradient, dtype=output.dtype)
    return gradient


def start(outputs: Sequence[Tensor], gradients: Sequence[Any], recorded: bool) -> list[tuple[Node, Any]]:
    """Pairs of (node, cotangent) to start from."""
    if len(outputs) != len(gradients):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(gradients)} gradients; give each tensor one, or None")
    seeds = [seed(output, gradient) for output, gradient in zip(outputs, gradients)]
    return [(o._node, s if recorded else s._array) for o, s in zip(outputs, seeds)]  # type: ignore[misc]


def listed(tensors: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    several = (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)
    for tensor in several:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"expected Tensors to differentiate, got {type(tensor).__name__}")
    return several


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Adds to the `.grad` of every leaf the gradient of the tensors' sum (weighted by `grad_tensors`).

    The graph's saved values are dropped on the way unless `retain_graph` (by default `create_graph`). With `inputs`
    only those tensors receive a gradient, leaves or not.
    """
    outputs = listed(tensors)
    gradients = (
        [None] * len(outputs)
        if grad_tensors is None
        else ([grad_tensors] if isinstance(grad_tensors, Tensor) else list(grad_tensors))
    )
    keep = create_graph if retain_graph is None else retain_graph
    targets = None if inputs is None else {node_of(t).seq: t for t in listed(inputs)}
    if targets is not None and not targets:
        raise RuntimeError("inputs argument to backward cannot be empty")
    wanted: dict[int, Any] | None = None if targets is None else dict.fromkeys(targets)
    only = None if targets is None else between(outputs, set(targets))
    before, state.grad = state.grad, create_graph
    try:
        run(start(outputs, gradients, create_graph), keep, create_graph, only, wanted)
        for seq, tensor in (targets or {}).items():
            if wanted is not None and wanted[seq] is not None:
                give(tensor, wanted[seq])
    finally:
        state.grad = before


def give(tensor: Tensor, g: Any) -> None:
    """Adds a gradient to a tensor's `.grad`, unless a hook that retains it has done so."""
    node = node_of(tensor)
    if isinstance(node, AccumulateGrad):
        node.accumulate(g, owned=True)
    elif not any(isinstance(hook, RetainGrad) for hook in node.hooks or ()):
        RetainGrad(tensor)(g if isinstance(g, Tensor) else make(g))


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """Gradients of the outputs' sum (weighted by `grad_outputs`) with respect to the inputs; no `.grad` changes.

    An input that the outputs do not depend on raises, unless `allow_unused` (its gradient is then None) or
    `materialize_grads` (zeros). With `create_graph` the gradients can be differentiated again, to any order.

    >>> import retrograd as rg
    >>> x = rg.tensor(3.0, requires_grad=True)
    >>> (first,) = rg.autograd.grad(x ** 3, x, create_graph=True)
    >>> rg.autograd.grad(first, x)
    (tensor(18.),)
    """
    if only_inputs is not True:
        raise NotImplementedError("grad: only_inputs=False; backward() accumulates into all leaves")
    if is_grads_batched:
        raise NotImplementedError("grad: is_grads_batched=True; loop over grad_outputs, or use rg.func.vmap")
    outs, ins = listed(outputs), listed(inputs)
    if not ins:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    gradients = (
        [None] * len(outs)
        if grad_outputs is None
        else ([grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs))
    )
    if materialize_grads and allow_unused is False:
        raise ValueError("grad: materialize_grads=True needs allow_unused to be True or None")
    keep = create_graph if retain_graph is None else retain_graph
    wanted: dict[int, Any] = {node_of(t).seq: None for t in ins}
    with set_grad_enabled(create_graph):
        run(start(outs, gradients, create_graph), keep, create_graph, between(outs, set(wanted)), wanted)
    results: list[Tensor | None] = []
    for t in ins:
        g = wanted[node_of(t).seq]
        if g is not None:
            results.append(g if isinstance(g, Tensor) else make(g))
        elif materialize_grads:
            results.append(make(namespace(t).zeros(t.shape, dtype=t.dtype)))
        elif allow_unused:
            results.append(None)
        else:
            raise RuntimeError(
                f"grad: the input of shape {t.shape} was not used to compute the outputs; "
                "allow_unused=True gives None for it."
            )
    return tuple(results)


def node_of(tensor: Tensor) -> Node:
    if tensor._node is None:
        raise RuntimeError(
            f"grad: the input of shape {tensor.shape} does not require a gradient; call requires_grad_() first."
        )
    return tensor._node


def between(outputs: Sequence[Tensor], targets: set[int]) -> set[int]:
    """Numbers of the nodes on a path from the outputs to a target (targets included)."""
    seen: dict[int, Node] = {}
    stack = [o._node for o in outputs if o._node is not None]
    while stack:
        node = stack.pop()
        if node.seq not in seen:
            seen[node.seq] = node
            stack += [p for p in node.parents if p is not None]
    found: set[int] = set()
    for seq in sorted(seen):  # a node comes after all that it depends on
        if seq in targets or any(p is not None and p.seq in found for p in seen[seq].parents):
            found.add(seq)
    return found
