"""What a recording hears of backward: where it starts, the rules that it runs, and what it adds to leaves.

What the engine does between rules follows from the nodes: a node's cotangent is the sum of what arrived, in that order,
each summed to the shape of a broadcast input and in its dtype.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from retrograd.autograd import graph
from retrograd.autograd.graph import Node, Parts, Pick
from retrograd.autograd.primitive import Primitive
from retrograd.autograd.tensor import Tensor
from retrograd.backends import backend_of_array
from retrograd.compiler.listening import Listening, Original, heard
from retrograd.compiler.operations import GiveUp, Operation, Value
from retrograd.compiler.recorder import Recorder, array_of, is_array

__all__ = ["HearsBackward"]

Key = int | tuple[int, int]
"""Of what a cotangent belongs to: a node's number, and which of its outputs where there are several."""


class HearsBackward(Listening):
    """The listener's half for backward."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.passes: list[Pass] = []
        self.used: dict[int, Node] = {}
        """Nodes whose saved values are gone."""

    @heard
    def run(self, original: Original, args: Any, kwargs: Any) -> Any:
        """Backward starts."""
        names = ("roots", "keep", "recorded", "only", "wanted", "beyond")
        given = {"only": None, "wanted": None, **dict(zip(names, args)), **kwargs}
        if given["recorded"]:
            self.noting(self.start_recorded, given["roots"])
            return original(*args, **kwargs)
        now = Pass(given["only"])
        self.passes.append(now)
        try:
            self.noting(self.start, now, given["roots"])
            original(*args, **kwargs)
            if not self.deaf:
                self.noting(self.end, now, given["wanted"] or {})
        finally:
            self.passes.pop()

    def start_recorded(self, roots: Any) -> None:
        for _, g in roots:
            self.seeded(g._array)

    def start(self, now: Pass, roots: Any) -> None:
        for node, g in roots:
            now.arrive(node, self.seeded(g))

    def seeded(self, g: Any) -> Value:
        """The cotangent that backward starts from: the user's, or a one that the engine has made."""
        value = self.recorder.find(g)
        if value is None:
            if g.size != 1 or float(g.reshape(()) if g.ndim else g) != 1.0:
                raise GiveUp("backward starts from a gradient made outside the recorded operations")
            one = isinstance(g, np.generic)  # which nobody can change
            self.finished(Operation(None, "constant", (g,)) if one else Operation(g.copy, "one", ()), g)
            value = self.recorder.by_id[id(g)]
        return value

    def end(self, now: Pass, wanted: dict[int, Any]) -> None:
        for seq, g in wanted.items():
            if g is not None and is_array(g):
                value = self.sum(now, now.keys[seq])
                self.recorder.rename(g, value)
                value.owned = False  # the caller's from now on

    def sum(self, now: Pass, key: Key) -> Value:
        """The cotangents that have arrived, added in the order of their arrival."""
        if key not in now.sums:
            first, *rest = now.arrived.pop(key)
            for other in rest:
                total = self.recorder.derived(first.shape or (), first.dtype)
                xp = now.backends[key]
                self.recorder.emit(
                    Operation(getattr(xp.add, "original", xp.add), "add", (first, other), outs=total, xp=xp)
                )
                first = total
            now.sums[key] = first
        return now.sums[key]

    @heard
    def rule(self, original: Original, args: Any, kwargs: Any) -> Any:
        """A node's rule runs."""
        node, g, xp, keep = args
        if not keep:
            self.used[id(node)] = node
        if isinstance(g, Tensor) or (isinstance(g, Parts) and isinstance(next(iter(g.of.values())), Tensor)):
            return original(*args)  # the gradient is recorded itself: by primitives
        now = self.passes[-1]
        operations = self.noting(self.before_rule, now, node, g, xp)
        gs = original(*args) if operations is None else self.muted(original, args, kwargs)
        if not self.deaf:
            self.noting(self.after_rule, now, node, gs, operations)
        return gs

    def before_rule(self, now: Pass, node: Any, g: Any, xp: Any) -> list[Operation] | None:
        """The calls of the rules, with the values that they take; None for a node that is no primitive's."""
        if node.hooks:
            raise GiveUp(f"a hook, or retain_grad, waits at {node.name()}")
        p = getattr(node, "primitive", None)
        if isinstance(g, Parts):
            cotangent: Any = self.all_parts(now, node, g)
            if p is not None:
                xp = backend_of_array[next(iter(g.of.values())).__class__]
        else:
            cotangent = self.sum(now, node.seq)
            self.recorder.rename(g, cotangent)
        if p is None:
            return None
        bind = functools.partial(self.recorder.bind, what=f"the gradient of {p.name}")
        saved = {name: bind(getattr(node, name)) for name in p.saved}
        saved["needs"] = tuple(parent is not None for parent in node.parents)
        saved["arrived"] = set(g.of) if isinstance(g, Parts) else None
        if p.variadic:
            named = {name: saved[name] for name in p.wanted}
            return [Operation(p.joint, f"{p.name}_vjp", (xp, cotangent), named, primitive=p)]
        if p.joint:
            args = tuple(saved[name] for name in p.needs[p.inputs[0]])
            return [Operation(p.joint, f"{p.name}_vjp", (xp, cotangent, *args), xp=xp, primitive=p)]
        operations = []
        for name, parent in zip(p.inputs, node.parents):
            if name in p.needs and parent is not None:
                args = tuple(saved[n] for n in p.needs[name])
                rule = Operation(p.rules[name], f"{p.name}_vjp_{name}", (xp, cotangent, *args), xp=xp, primitive=p)
                operations.append(rule)
        return operations

    def all_parts(self, now: Pass, node: Any, g: Parts) -> list[Value]:
        """A cotangent for every output of a node with several, zeros where none has arrived."""
        of = {i: self.sum(now, (node.seq, i)) for i in g.of}
        for i, array in g.of.items():
            self.recorder.rename(array, of[i])
        if not hasattr(node, "out_shapes"):
            return []
        some = next(iter(of.values()))
        xp = backend_of_array[next(iter(g.of.values())).__class__]
        found = []
        for i, (shape, dtype) in enumerate(zip(node.out_shapes, node.out_dtypes)):
            if i not in of:
                like = getattr(xp.new_zeros, "original", xp.new_zeros)
                zeros = self.recorder.derived(tuple(shape), some.dtype)
                self.recorder.emit(Operation(like, "new_zeros", (some,), {"shape": tuple(shape)}, zeros))
                of[i] = self.cast_to(xp, zeros, dtype)
            found.append(of[i])
        return found

    def cast_to(self, xp: Any, value: Value, dtype: Any) -> Value:
        if value.dtype == dtype:
            return value
        cast = self.recorder.derived(value.shape or (), dtype)
        function = getattr(xp.astype, "original", xp.astype)
        self.recorder.emit(Operation(function, "astype", (value,), {"dtype": dtype}, cast, xp=xp))
        return cast

    def after_rule(self, now: Pass, node: Any, gs: Any, operations: list[Operation] | None) -> None:
        """The results of the rules go to the parents: summed where the input was broadcast, in the input's dtype."""
        if operations is None:
            values = [None if g is None or isinstance(g, Parts) else self.recorder.bind(g, node.name()) for g in gs]
        else:
            values = self.results(node.primitive, gs, operations)
        for parent, g, value in zip(node.parents, gs, values):
            if parent is None or g is None or (now.only is not None and parent.seq not in now.only):
                continue
            if isinstance(g, Parts) or value is None:
                raise GiveUp(f"{node.name()} hands on several gradients at once")
            if parent.hooks:
                raise GiveUp(f"a hook, or retain_grad, waits at {parent.name()}")
            xp = backend_of_array[g.__class__]
            if tuple(g.shape) != tuple(parent.shape):
                fitted = self.recorder.derived(tuple(parent.shape), g.dtype, like=value)
                self.recorder.emit(Operation(graph.sum_to, "sum_to", (xp, value, tuple(parent.shape)), outs=fitted))
                value = fitted
            now.arrive(parent, self.cast_to(xp, value, parent.dtype))
            now.backends[key_of(parent)] = xp

    def results(self, p: Primitive, gs: Any, operations: list[Operation]) -> list[Value | None]:
        """New values for the cotangents that the rules gave."""
        if p.variadic or p.joint:
            (operation,) = operations
            whole = gs[0] if p.joint and len(p.inputs) == 1 and not p.variadic else gs
            operation.outs = self.recorder.outs(whole)
            self.recorder.emit(operation)
            return list(operation.outs) if isinstance(operation.outs, tuple) else [operation.outs]
        waiting = iter(operations)
        values: list[Value | None] = []
        for name, g in zip(p.inputs, gs):
            if g is None or name not in p.needs:
                values.append(None)
                continue
            operation = next(waiting)
            self.finished(operation, g)
            values.append(operation.outs)
        return values

    @heard
    def accumulate(self, original: Original, args: Any, kwargs: Any) -> Any:
        """A cotangent has reached a leaf."""
        node, g, _ = args
        leaf = node.leaf()
        if leaf is None or leaf._node is None:
            return original(*args)
        if isinstance(g, Tensor):
            self.give_up("backward(create_graph=True) leaves gradients that have a graph; use autograd.grad")
            return original(*args)
        had = getattr(leaf, "_grad", None)
        value = self.noting(self.sum, self.passes[-1], node.seq) if self.passes else None
        result = self.muted(original, args, kwargs)
        if value is not None:
            self.noting(self.accumulated, leaf, had, value)
        return result

    def accumulated(self, leaf: Tensor, had: Tensor | None, value: Value) -> None:
        target = self.recorder.bind_tensor(leaf, "backward")
        if not isinstance(target, tuple) or hasattr(target, "place"):
            self.recorder.emit(Operation(add_to_grad, "accumulate", (target, value), effect=True))
            self.recorder.forget(array_of(leaf._grad))
        elif had is None:
            self.recorder.rename(leaf._grad._array, value)
        else:
            raise GiveUp("a Tensor made in the step gathers several gradients")


class Pass:
    """One run of backward: the cotangents that have arrived, by what they belong to."""

    def __init__(self, only: set[int] | None) -> None:
        self.only = only
        self.arrived: dict[Key, list[Value]] = {}
        self.sums: dict[Key, Value] = {}
        self.keys: dict[int, Key] = {}
        self.backends: dict[Key, Any] = {}

    def arrive(self, node: Node, value: Value) -> None:
        key = key_of(node)
        self.keys[node.seq] = key
        self.arrived.setdefault(key, []).append(value)


def key_of(node: Node) -> Key:
    """What a node's cotangent belongs to."""
    return (node.source.seq, node.index) if isinstance(node, Pick) else node.seq


def add_to_grad(leaf: Tensor, g: Any, owned: bool = False) -> None:
    """What backward does at a leaf."""
    leaf._node.accumulate(g, owned and g.base is None)  # type: ignore[union-attr]  # a guard has seen that it is one
