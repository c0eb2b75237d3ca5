"""What a recording does with everything that it hears while a step runs for the first time.

Heard are the kernels of primitives, the backend's functions where they are called outside of kernels, the rules that
backward runs, where backward starts and what it adds to leaves, and functions with effects of their own, which are
replayed as they are: optimizers, schedulers, draws of random numbers. Whatever runs inside one of these is not heard.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from retrograd.autograd import graph, promotion, view
from retrograd.autograd.graph import AccumulateGrad, Node, Parts, Pick
from retrograd.autograd.methods import conversion, creation, data
from retrograd.autograd.modes import set_grad_enabled, state
from retrograd.autograd.primitive import REGISTRY, Primitive
from retrograd.autograd.rows import Waiting
from retrograd.autograd.taps import Taps
from retrograd.autograd.tensor import Tensor, make
from retrograd.autograd.trace import user_line
from retrograd.backends import FUNCTIONS, backend_of_array
from retrograd.backends.generator import Generator
from retrograd.compiler.decisions import decided, decision, undecided
from retrograd.compiler.functions import DECIDING, READING, WHOLE, effects
from retrograd.compiler.operations import GiveUp, Operation, Value
from retrograd.compiler.recorder import Recorder, array_of, is_array, memory
from retrograd.nn import uninitialized
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter

__all__ = ["Hearing"]

WRITING = frozenset({"setitem", "add_into"})
"""Functions of a backend that write into their first argument."""
REFUSED = {
    "to_host": "the step reads a value on the host",
    "nonzero": "the shape of a result depends on values",
    "unique": "the shape of a result depends on values",
}
"""Functions of a backend that cannot be replayed."""
Original = Callable[..., Any]
Key = int | tuple[int, int]
"""Of what a cotangent belongs to: a node's number, and which of its outputs where there are several."""


def heard(method: Any) -> Any:
    """A listener's method: inside something heard already, and after giving up, the original alone runs."""

    @functools.wraps(method)
    def hear(self: Hearing, original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.deaf:
            return original(*args, **kwargs)
        return method(self, original, args, kwargs)

    return hear


class Hearing:
    """The listener."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.taps = Taps()
        self.deaf = 0
        self.modules: dict[int, tuple[Module, dict[str, Any]]] = {}
        self.used: dict[int, Node] = {}
        self.passes: list[Pass] = []
        self.written: set[int] = set()
        self.replaced: list[tuple[dict[str, Any], Any]] = []
        self.grad = state.grad

    def __enter__(self) -> Hearing:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Puts everything back."""
        self.taps.close()
        for scope, new in self.replaced:
            scope["new"] = new

    def open(self) -> None:
        taps = self.taps
        taps.kernels(self.kernel)
        taps.recorders(self.recorded)
        for p in REGISTRY.values():
            new = p.scope["new"]
            self.replaced.append((p.scope, new))
            p.scope["new"] = self.making_new(new)
        taps.function(make, self.make)
        taps.function(vars(Waiting)["of"].__func__, self.make)
        taps.function(vars(Tensor)["grad"].fget, self.grad_of)
        taps.function(Parameter.__init__, self.refused("makes a Parameter"))
        taps.rules(self.rule)
        for xp in {id(xp): xp for kind, xp in backend_of_array.items() if not issubclass(kind, Tensor)}.values():
            taps.backend(xp, FUNCTIONS, self.function)
        engine = {graph.run: self.run, AccumulateGrad.accumulate: self.accumulate, Module.__call__: self.call}
        converting: dict[Any, Original] = {promotion.promote: self.promote, promotion.promote_difference: self.promote}
        converting |= {promotion.floating: self.promote, promotion.coerce: self.coerce, conversion.cast: self.cast}
        making = {data.host_array: self.constant, creation.tensor: self.constant}
        changing = {view.touch: self.touch, view._keep_saved: self.keep_saved, vars(Tensor)["array"].fget: self.array}
        for function, hear in {**engine, **converting, **making, **changing}.items():
            taps.function(function, hear)
        for function in dict.fromkeys(getattr(Tensor, name) for name in READING if hasattr(Tensor, name)):
            taps.function(function, self.reading)
        for function in WHOLE:
            taps.function(function, functools.partial(self.whole, function))
        for function in DECIDING:
            taps.function(function, functools.partial(self.deciding, function))
        for function in effects():
            taps.function(function, functools.partial(self.effect, function))
        for function in (Tensor.requires_grad_, Tensor.detach_):
            taps.function(function, functools.partial(self.flag, function))
        taps.function(creation.one_hot, self.one_hot)
        taps.function(Generator.set_state, self.refused("sets the state of a generator"))
        taps.function(
            uninitialized.Uninitialized.materialize, self.refused("gives a lazy module its shape", again=True)
        )

    # ---- giving up

    def give_up(self, reason: str, again: bool = False) -> None:
        """The step cannot be compiled: the rest of it is not heard."""
        if self.recorder.reason is None:
            self.recorder.reason = GiveUp(f"{reason} ({user_line()})", again)
        self.deaf += 1

    def noting(self, note: Callable[..., Any], *args: Any) -> Any:
        """Notes something; what cannot be noted ends the recording, not the step."""
        try:
            return note(*args)
        except GiveUp as reason:
            self.give_up(str(reason), reason.again)
        except Exception as error:
            self.give_up(f"it could not be recorded: {type(error).__name__}: {error}")
        return None

    def muted(self, function: Original, args: Any, kwargs: Any) -> Any:
        """Runs a function, and hears nothing of it."""
        self.deaf += 1
        try:
            return function(*args, **kwargs)
        finally:
            self.deaf -= 1

    def refused(self, what: str, again: bool = False) -> Original:
        """A listener that gives up."""

        def hear(original: Original, args: Any, kwargs: Any) -> Any:
            if not self.deaf:
                self.give_up(f"the step {what}", again)
            return original(*args, **kwargs)

        return hear

    # ---- Tensors

    def making_new(self, new: Any) -> Original:
        """What recorders make Tensors with."""

        def made(kind: Any) -> Any:
            tensor = new(kind)
            if self.taps.hears():
                self.recorder.made(tensor)
            return tensor

        return made

    def make(self, original: Original, args: Any, kwargs: Any) -> Any:
        """A Tensor is made around an array."""
        tensor = original(*args, **kwargs)
        self.recorder.made(tensor)
        return tensor

    def grad_of(self, original: Original, args: Any, kwargs: Any) -> Any:
        """The gradient of a Tensor is asked for."""
        self.recorder.see(args[0])
        return original(*args, **kwargs)

    def recorded(self, p: Primitive, run: Original, args: Any, kwargs: Any) -> Any:
        """A primitive is called with Tensors."""
        if not self.deaf:
            for tensor in args:
                self.recorder.see(tensor)
        return run(*args, **kwargs)

    # ---- operations

    def kernel(self, p: Primitive, kernel: Original, arrays: tuple[Any, ...], static: dict[str, Any]) -> Any:
        """A primitive computes."""
        if self.deaf:
            return kernel(*arrays, **static)
        if p.rules:
            self.taps.rule(p.node, self.rule)
        xp = next((backend_of_array[a.__class__] for a in arrays if is_array(a)), None)
        effect = any(callable(s) and not isinstance(s, type) for s in static.values())
        operation = self.noting(self.bound, kernel, p.name, arrays, static)
        result = distinct(self.muted(kernel, [undecided(a) for a in arrays], static))
        if operation is not None:
            operation.xp, operation.primitive, operation.effect = xp, p, effect
            self.noting(self.finished, operation, result, arrays)
        return result

    @heard
    def function(self, original: Original, args: Any, kwargs: Any) -> Any:
        """The library calls a function of the backend itself."""
        name = getattr(original, "__name__", "function")
        if name in REFUSED:
            self.give_up(REFUSED[name])
            return original(*args, **kwargs)
        if name == "in_ranges":  # a kernel, to be run by several threads: a program decides for itself
            return args[0](*args[1:])
        target = kwargs.get("out") if "out" in kwargs else args[0] if name in WRITING else None
        if target is not None:
            operation = self.noting(self.bound, original, name, args, kwargs)
        else:
            operation = self.tried(original, name, args, kwargs)  # perhaps a check, whose result nobody uses
        result = decision(self.muted(original, args, kwargs), self)
        if operation is None:
            return result
        if target is not None:
            self.written.add(id(memory(target)))
            operation.effect = True
            self.recorder.emit(operation)
        elif arrays_in(result):
            self.noting(self.finished, operation, result, args)
        return result

    def tried(self, function: Any, name: str, args: Any, kwargs: Any) -> Operation | None:
        """A call whose arrays are all known, else None."""
        try:
            return self.bound(function, name, args, kwargs)
        except GiveUp:
            return None

    def bound(self, function: Any, name: str, args: Any, kwargs: Any) -> Operation:
        bind = self.recorder.bind
        return Operation(
            function, name, tuple(bind(a, name) for a in args), {k: bind(a, name) for k, a in kwargs.items()}
        )

    def finished(self, operation: Operation, result: Any, given: Any = ()) -> None:
        operation.outs = self.recorder.outs(result, [id(a) for a in given])
        if isinstance(result, Tensor) or (isinstance(result, tuple) and any(isinstance(r, Tensor) for r in result)):
            operation.function = unwrapped(operation.function)
        self.recorder.emit(operation)

    def effect(self, function: Any, original: Original, args: Any, kwargs: Any) -> Any:
        """A function that is replayed as it is."""
        if self.deaf:
            return original(*args, **kwargs)
        if any(callable(a) and not isinstance(a, (Tensor, Module, type)) for a in (*args[1:], *kwargs.values())):
            self.give_up(f"{function.__qualname__} is given a function")
            return original(*args, **kwargs)
        args = tuple([list(a) if isinstance(a, Iterator) else a for a in args])  # `model.parameters()` is read once
        kwargs = {name: list(a) if isinstance(a, Iterator) else a for name, a in kwargs.items()}
        operation = self.noting(self.bound, function, function.__name__, args, kwargs)
        result = self.muted(original, args, kwargs)
        if operation is not None:
            operation.effect = True
            if state.grad != self.grad:
                operation.function = set_grad_enabled_around(function, state.grad)
            known = id(getattr(result, "_array", None)) in self.recorder.by_id
            self.noting(self.finished, operation, None if known else result, args)
        return result

    def whole(self, function: Any, original: Original, args: Any, kwargs: Any) -> Any:
        """A function without effects that is replayed as it is."""
        if self.deaf:
            return original(*args, **kwargs)
        operation = self.noting(self.bound, function, function.__name__, args, kwargs)
        result = self.muted(original, args, kwargs)
        if operation is not None:
            self.noting(self.finished, operation, result, args)
        return result

    def one_hot(self, original: Original, args: Any, kwargs: Any) -> Any:
        """A function whose result has the shape that values say, unless `num_classes` is given."""
        if self.deaf:
            return original(*args, **kwargs)
        if (args[1] if len(args) > 1 else kwargs.get("num_classes", -1)) == -1:
            self.give_up("one_hot takes the number of classes from the values; give num_classes")
        return self.effect(creation.one_hot, original, args, kwargs)

    def deciding(self, function: Any, original: Original, args: Any, kwargs: Any) -> Any:
        """A function that returns None in some places, depending on values."""
        result = self.whole(function, original, args, kwargs)
        if not self.deaf:
            last = self.recorder.operations[-1]
            last.function, last.decides = decided(function, [part is None for part in result]), True
        return result

    def flag(self, function: Any, original: Original, args: Any, kwargs: Any) -> Any:
        """`requires_grad_` and `detach_` matter to a replay only on Tensors that outlive the step."""
        if self.deaf or not isinstance(self.noting(self.recorder.bind_tensor, args[0], function.__name__), Tensor):
            return original(*args, **kwargs)
        return self.effect(function, original, args, kwargs)

    @heard
    def constant(self, original: Original, args: Any, kwargs: Any) -> Any:
        """A Tensor or an array is made from Python's numbers."""
        given = args[0] if args else next(iter(kwargs.values()), None)
        if isinstance(given, Tensor):
            return original(*args, **kwargs)
        operation = self.noting(self.bound, original, original.__name__, args, kwargs)
        result = self.muted(original, args, kwargs)
        if operation is not None:
            self.noting(self.finished, operation, result)
        return result

    @heard
    def reading(self, original: Original, args: Any, kwargs: Any) -> Any:
        """A value goes to Python."""
        self.give_up(f"the step reads a value by {original.__name__}, and Python may decide by it")
        return original(*args, **kwargs)

    @heard
    def call(self, original: Original, args: Any, kwargs: Any) -> Any:
        """A module is called."""
        module = args[0]
        if id(module) not in self.modules:
            self.modules[id(module)] = module, dict(vars(module))
            for value in vars(module).values():
                self.recorder.see(value)
        return original(*args, **kwargs)

    # ---- conversions that recorders make before their kernels

    @heard
    def promote(self, original: Original, args: Any, kwargs: Any) -> Any:
        result = self.muted(original, args, kwargs)
        for before, after in zip(args, (result,) if len(args) == 1 else result):
            if after is not before:
                self.noting(self.converted, before, after)
        return result

    @heard
    def coerce(self, original: Original, args: Any, kwargs: Any) -> Any:
        _, arrays, kernel = result = self.muted(original, args, kwargs)
        if kernel is None:
            self.give_up(f"an operand of {args[0].name} answers for itself")
            return result
        for operand, array in zip(args[1:], arrays):
            if isinstance(operand, Tensor):
                if array is not operand._array:
                    self.noting(self.converted, operand._array, array)
            elif is_array(operand):
                self.noting(self.recorder.bind, operand, args[0].name)
            elif is_array(array):  # a number, made an array
                self.noting(self.finished, Operation(array.copy, "number", ()), array)
        return result

    def converted(self, before: Any, after: Any) -> None:
        if not is_array(after) or self.recorder.find(after) is not None:
            return
        xp = backend_of_array[after.__class__]
        if is_array(before):
            function = getattr(xp.astype, "original", xp.astype)
            operation = self.bound(function, "astype", (before,), {"dtype": after.dtype})
            operation.xp = xp
        else:
            operation = Operation(after.copy, "number", ())
        self.finished(operation, after)

    @heard
    def cast(self, original: Original, args: Any, kwargs: Any) -> Any:
        """Floats become integers outside of a primitive: the backend's `astype` is heard."""
        return original(*args, **kwargs)

    # ---- backward

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

    # ---- changes in place

    @heard
    def touch(self, original: Original, args: Any, kwargs: Any) -> Any:
        """A Tensor's memory has been written."""
        tensor, who = args
        if id(memory(array_of(tensor))) not in self.written:
            self.give_up(f"{who} changes a Tensor in a way that is not recorded")
        result = original(*args, **kwargs)
        self.noting(self.touched, getattr(tensor, "_whole", tensor), who)
        return result

    def touched(self, tensor: Tensor, who: str) -> None:
        target = self.recorder.bind_tensor(tensor, who)
        if isinstance(target, Tensor) or hasattr(target, "place"):
            self.recorder.emit(Operation(view.touch, "touch", (target, who), effect=True))

    @heard
    def keep_saved(self, original: Original, args: Any, kwargs: Any) -> Any:
        """What nodes have saved of a value is copied before the value is overwritten."""
        before = saved_arrays(args[0], args[2])
        result = original(*args, **kwargs)
        for old, new in zip(before, saved_arrays(args[0], args[2])):
            if new is not old:
                self.noting(self.copied, old, new)
        return result

    def copied(self, old: Any, new: Any) -> None:
        self.finished(self.bound(copy_of, "copy", (old,), {}), new)

    @heard
    def array(self, original: Original, args: Any, kwargs: Any) -> Any:
        """A Tensor's array is asked for: by the library, or by the user, who may read it."""
        (tensor,) = args
        self.recorder.see(tensor)
        before = tensor._array
        after = original(tensor)
        if after is not before:
            value = self.noting(self.recorder.find, before)
            if value is not None:
                self.recorder.rename(after, value)
        if not sys._getframe(4).f_globals.get("__name__", "").startswith("retrograd."):
            self.give_up("the step reads the array of a Tensor")
        return after


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


def copy_of(array: Any) -> Any:
    return array.copy()


def unwrapped(function: Any) -> Any:
    """The function, which gives arrays instead of Tensors."""

    @functools.wraps(function)
    def giving(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        return result._array if isinstance(result, Tensor) else tuple([getattr(r, "_array", r) for r in result])

    return giving


def set_grad_enabled_around(function: Any, enabled: bool) -> Any:
    """The function, called with the grad mode that it had."""

    @functools.wraps(function)
    def switched(*args: Any, **kwargs: Any) -> Any:
        with set_grad_enabled(enabled):
            return function(*args, **kwargs)

    return switched


def distinct(result: Any) -> Any:
    """A result whose arrays are known by their identity: NumPy has only one True and one False."""
    if isinstance(result, np.bool_):
        return np.asarray(result)
    return result


def arrays_in(result: Any) -> bool:
    """Whether a result has an array in it."""
    if isinstance(result, (tuple, list)):
        return any(map(arrays_in, result))
    return is_array(result)


def saved_arrays(last: Node | None, since: int) -> list[Any]:
    """What the nodes above a tick hold, those that lead to a node."""
    found: list[Any] = []
    pending: list[Any] = [last]
    seen: set[int] = set()
    while pending:
        node = pending.pop()
        if node is None or node.seq <= since or node.seq in seen:
            continue
        seen.add(node.seq)
        pending += node.parents
        for name in node.saves:
            value = getattr(node, name, None)
            found += value if isinstance(value, list) else [value]
    return found
