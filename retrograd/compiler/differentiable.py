"""Compiled functions whose result has a graph that is still to be used: a model, say, whose loss is not compiled.

While the function is recorded, backward is run once through the graph of its results, with cotangents of ones, to hear
which rules it runs. That half becomes a second program, which runs when a cotangent reaches the one node that stands in
the graph for the whole function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retrograd.autograd import graph
from retrograd.autograd.graph import AccumulateGrad, Node, Parts, Pick
from retrograd.autograd.modes import set_grad_enabled
from retrograd.autograd.recording import give_outputs, used_twice
from retrograd.autograd.tensor import Tensor, clock, namespace
from retrograd.compiler.hearing import Hearing
from retrograd.compiler.operations import GiveUp, Operation, Value, values_in

__all__ = ["Backward", "Replay", "halves", "heard_backward"]

HANDOVER = "handover"


class Backward:
    """What was heard of backward: the results that it starts from, the leaves that it reaches, the values of both."""

    def __init__(self, results: list[Tensor], leaves: list[Any], cotangents: list[Value], grads: list[Any]) -> None:
        self.results = {id(t) for t in results}
        self.leaves, self.cotangents, self.grads = leaves, cotangents, grads


def heard_backward(hearing: Hearing, results: list[Tensor]) -> Backward:
    """Runs backward from results, while everything is heard."""
    recorder = hearing.recorder
    nodes = reachable([t._node for t in results if t._node is not None])
    for node in nodes:
        if node.hooks or (isinstance(node, AccumulateGrad) and node.after):
            raise GiveUp(f"a hook, or retain_grad, waits at {node.name()}")
        if not (hasattr(node, "primitive") or isinstance(node, (Pick, AccumulateGrad))):
            raise GiveUp(f"the result has a graph with {node.name()}: compile backward too, or use no_grad")
    tables = [node for node in nodes if isinstance(node, AccumulateGrad)]
    held = [node.leaf() for node in tables]
    leaves = [recorder.bind_tensor(leaf, "the result") for leaf in held if leaf is not None]
    if len(leaves) < len(tables) or any(any(True for _ in values_in(leaf)) for leaf in leaves):
        raise GiveUp("the result depends on a leaf that the step has made")
    values = [recorder.find(t._array) for t in results]
    recorder.operations.append(Operation(None, HANDOVER, tuple(values), effect=True))
    ones = [namespace(t).ones(t.shape, dtype=t.dtype) for t in results]
    cotangents = [recorder.value(one) for one in ones]
    wanted: dict[int, Any] = {node.seq: None for node in tables}
    with set_grad_enabled(False):
        graph.run([(t._node, one) for t, one in zip(results, ones)], True, False, None, wanted)  # type: ignore[misc]
    grads = [None if g is None else recorder.find(g) for g in wanted.values()]
    return Backward(results, leaves, cotangents, grads)


def reachable(roots: list[Node]) -> list[Node]:
    """All nodes that backward would come to."""
    found: dict[int, Node] = {}
    pending = list(roots)
    while pending:
        node = pending.pop()
        if id(node) not in found:
            found[id(node)] = node
            pending += [parent for parent in node.parents if parent is not None]
    return list(found.values())


def halves(operations: list[Operation], grads: Any) -> tuple[list[Operation], list[Operation], list[Value]]:
    """The operations before and after the handover, and the values of the first that the second uses."""
    place = next(i for i, o in enumerate(operations) if o.name == HANDOVER)
    forward, backward = operations[:place], operations[place + 1 :]
    made = {v.number for o in forward for v in o.made()}
    used = {v.number: v for v in (*(v for o in backward for v in o.used()), *values_in(grads))}
    return forward, backward, [v for v in used.values() if v.number in made]


class Replay(Node):
    """The place of a compiled function in the graph."""

    __slots__ = ("out_dtypes", "out_shapes", "program", "values", "watched")

    out_dtypes: list[Any]
    out_shapes: list[tuple[int, ...]]
    program: Any
    values: tuple[Any, ...] | None
    watched: list[tuple[Any, Any]]

    def __init__(self, program: Any, leaves: list[Any], values: Any, outs: tuple[Tensor, ...], watched: Any) -> None:
        self.program, self.values = program, values
        self.watched = [(t._stamp, t._stamp[0]) for t in watched]
        self.parents = tuple([leaf._node for leaf in leaves])
        self.seq, self.hooks = next(clock), None
        if len(outs) > 1:
            give_outputs(self, outs)
        else:
            (out,) = outs
            self.shape, self.dtype, out._node = out.shape, out.dtype, self

    def name(self) -> str:
        return "CompiledFunctionBackward"

    def backward(self, g: Any, xp: Any, keep: bool) -> Sequence[Any]:
        if self.values is None:
            raise used_twice(self)
        for stamp, tick in self.watched:
            if stamp[0] != tick:
                raise RuntimeError(
                    f"a value that the gradient of a compiled function needs was changed in place by {stamp[-1]}.\n"
                    "Use an out-of-place operation there, or call backward first."
                )
        cotangents = g.all(self.out_shapes, self.out_dtypes) if isinstance(g, Parts) else [g]
        grads: Sequence[Any] = self.program(*cotangents, *self.values)
        if not keep:
            self.values = None
        return grads

    def backward_recorded(self, g: Any, xp: Any, keep: bool) -> Sequence[Any]:
        raise RuntimeError(
            "the gradient of a compiled function cannot be differentiated again (create_graph=True).\n"
            "Compile the step that takes both gradients, or call the function uncompiled."
        )
