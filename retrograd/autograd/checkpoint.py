"""Checkpoints: memory for time. A function's intermediate values are dropped, and computed again in backward.

The function is recorded once to learn on which nodes outside it depends (its arguments, parameters that it uses); its
own graph is dropped, and a single node takes its place (Griewank & Walther 2000; Chen et al. 2016).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from retrograd.autograd.graph import AccumulateGrad, Node, Parts, Pick, run
from retrograd.autograd.methods.random import default_generator
from retrograd.autograd.modes import enable_grad, state
from retrograd.autograd.recording import used_twice
from retrograd.autograd.tensor import Tensor, clock, make, namespace
from retrograd.autograd.tree import flatten

__all__ = ["checkpoint", "checkpoint_sequential", "noop_context_fn"]


class Checkpoint(Node):
    """The place of a whole function in the graph: its parents are the nodes outside that it depends on."""

    __slots__ = ("again", "outputs", "watched")

    again: Callable[[], list[Any]]
    """Computes the function's output Tensors once more, recorded."""
    outputs: list[tuple[int, tuple[int, ...], Any]]
    """Place among the function's results, shape and dtype of the outputs that have a gradient."""
    watched: list[tuple[Any, Any]]
    """Stamps of what the function read, and what they said."""

    def name(self) -> str:
        return "CheckpointFunctionBackward"

    def backward(self, g: Any, xp: Any, keep: bool) -> Sequence[Any]:
        return self.replayed(g, keep, recorded=False)

    def backward_recorded(self, g: Any, xp: Any, keep: bool) -> Sequence[Any]:
        return self.replayed(g, keep, recorded=True)

    def replayed(self, g: Any, keep: bool, recorded: bool) -> Sequence[Any]:
        """Computes the function again and sends the cotangents through its graph."""
        again = getattr(self, "again", None)
        if again is None:
            raise used_twice(self)
        for stamp, tick in self.watched:
            if stamp[0] != tick:
                raise RuntimeError(
                    f"checkpoint: an input or parameter was changed in place by {stamp[-1]} since the forward pass, "
                    "so its intermediate values cannot be computed again; clone() it before."
                )
        start = next(clock)
        results = again()
        if not keep:
            del self.again
        outputs = [results[place] for place, _, _ in self.outputs]
        inner, outer = parted([getattr(out, "_node", None) for out in outputs], start)
        wanted: dict[int, Any] = {p.seq: None for p in self.parents if p is not None}
        same = all(
            isinstance(out, Tensor) and (out.shape, out.dtype) == (shape, dtype)
            for out, (_, shape, dtype) in zip(outputs, self.outputs)
        )
        if not same or {p.seq for p in outer} != set(wanted):
            raise RuntimeError(
                "checkpoint: the function did not compute the same outputs from the same inputs a second time; it must "
                "depend on nothing but its arguments and unchanged parameters."
            )
        cotangents = g.of if isinstance(g, Parts) else {0: g}
        roots = [(outputs[number]._node, cotangent) for number, cotangent in cotangents.items()]
        run(roots, recorded, recorded, inner | set(wanted), wanted, beyond=False)
        return list(wanted.values())


def noop_context_fn() -> tuple[Any, Any]:
    """Two contexts that do nothing."""
    return contextlib.nullcontext(), contextlib.nullcontext()


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, whose intermediate values are computed again in backward instead of being kept.

    preserve_rng_state: random draws of the default stream (dropout, say) are the same the second time. context_fn:
    returns two contexts, around the first computation and around the second. One implementation serves both values of
    `use_reentrant`: parameters inside get their gradients, `autograd.grad` and higher orders work. RuntimeError in
    backward when an argument or parameter has been changed in place since; of PyTorch's other arguments
    `determinism_check="default"`, `debug=False` and `early_stop=True` are supported.

    >>> import retrograd as rg
    >>> from retrograd.utils.checkpoint import checkpoint
    >>> x = rg.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda x: x.exp().sin().sum(), x, use_reentrant=False).backward()
    >>> x.grad
    tensor([-2.4784,  3.3129])
    """
    if determinism_check != "default":
        raise NotImplementedError(
            f"checkpoint: determinism_check={determinism_check!r} is not supported; leave it out."
        )
    if debug:
        raise NotImplementedError("checkpoint: debug=True is not supported; leave it out.")
    if not early_stop:
        raise NotImplementedError("checkpoint: early_stop=False is not supported; leave it out.")
    first, second = context_fn()
    if not state.grad:
        with first:
            return function(*args, **kwargs)
    start = next(clock)
    random = default_generator.get_state() if preserve_rng_state else None
    read = [(t._stamp, t._stamp[0]) for t in flatten((args, kwargs))[0] if isinstance(t, Tensor)]
    with first:
        result = function(*args, **kwargs)
    leaves, form = flatten(result)
    inner = [i for i, t in enumerate(leaves) if isinstance(t, Tensor) and t._node is not None and t._node.seq > start]
    if not inner:
        return result

    def again() -> list[Any]:
        kept = default_generator.get_state()
        if random is not None:
            default_generator.set_state(random)
        try:
            with enable_grad(), second:
                return flatten(function(*args, **kwargs))[0]
        finally:
            if random is not None:
                default_generator.set_state(kept)

    node = Checkpoint()
    node.hooks, node.again = None, again
    _, parents = parted([leaves[i]._node for i in inner], start)
    node.parents = tuple(parents)
    parameters = [p.variable for p in parents if isinstance(p, AccumulateGrad)]
    node.watched = [*read, *((p._stamp, p._stamp[0]) for p in parameters if p is not None)]
    node.outputs = [(i, leaves[i].shape, leaves[i].dtype) for i in inner]
    node.shape, node.dtype = (node.outputs[0][1:]) if len(inner) == 1 else ((-1,), None)
    node.seq = next(clock)
    for number, i in enumerate(inner):
        out = leaves[i]
        shared = any(out._stamp is stamp for stamp, _ in read)  # a view of an argument: a copy has a place of its own
        array = namespace(out).copy(out._array) if shared else out._array
        leaves[i] = make(array, node if len(inner) == 1 else Pick(node, number, array))
    return form.built(leaves)


def parted(nodes: Sequence[Node | None], start: int) -> tuple[set[int], list[Node]]:
    """Of all that these nodes depend on: the numbers of the nodes recorded since `start`, and the first ones before."""
    inner: set[int] = set()
    outer: dict[int, Node] = {}
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node is None or node.seq in inner:
            continue
        if node.seq < start:
            outer[node.seq] = node
        else:
            inner.add(node.seq)
            pending += node.parents
    return inner, list(outer.values())


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Applies functions (a list, or an nn.Sequential) one after the other, in `segments` checkpoints.

    The last segment keeps its values, as it is the first that backward needs. Keyword arguments as in `checkpoint`.
    """
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)
    length = len(steps) // segments

    def segment(begin: int, end: int) -> Callable[[Any], Any]:
        def forward(x: Any) -> Any:
            for step in steps[begin:end]:
                x = step(x)
            return x

        return forward

    last = length * (segments - 1)
    for begin in range(0, last, max(length, 1)):
        input = checkpoint(segment(begin, begin + length), input, use_reentrant=use_reentrant, **kwargs)
    return segment(last, len(steps))(input)
