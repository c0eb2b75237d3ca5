"""What a recording does with everything that it hears while a step runs for the first time.

Heard are the kernels of primitives, the backend's functions where they are called outside of kernels, the rules that
backward runs, where backward starts and what it adds to leaves, and functions with effects of their own, which are
replayed as they are: optimizers, schedulers, draws of random numbers. Whatever runs inside one of these is not heard.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from retrograd.autograd import graph, promotion, view
from retrograd.autograd.graph import AccumulateGrad, Node
from retrograd.autograd.methods import conversion, creation, data, indexing
from retrograd.autograd.modes import set_grad_enabled, state
from retrograd.autograd.primitive import REGISTRY, Primitive
from retrograd.autograd.rows import Waiting
from retrograd.autograd.tensor import Tensor, make
from retrograd.backends import FUNCTIONS, backend_of_array
from retrograd.backends.generator import Generator
from retrograd.compiler.backward import HearsBackward
from retrograd.compiler.decisions import decided, decision, undecided
from retrograd.compiler.functions import DECIDING, READING, WHOLE, effects
from retrograd.compiler.listening import Original, heard
from retrograd.compiler.operations import GiveUp, Operation
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


class Hearing(HearsBackward):
    """The listener."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.modules: dict[int, tuple[Module, dict[str, Any]]] = {}
        self.written: set[int] = set()
        self.replaced: list[tuple[dict[str, Any], Any]] = []

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
        making = dict.fromkeys((data.host_array, creation.tensor, indexing._number), self.constant)
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
        observers = {name: s for name, s in static.items() if callable(s) and not isinstance(s, type)}
        if observers:
            return self.observed(p, kernel, arrays, static, observers)
        xp = next((backend_of_array[a.__class__] for a in arrays if is_array(a)), None)
        operation = self.noting(self.bound, kernel, p.name, arrays, static)
        result = distinct(self.muted(kernel, [undecided(a) for a in arrays], static))
        if operation is not None:
            operation.xp, operation.primitive = xp, p
            self.noting(self.finished, operation, result, arrays)
        return result

    def observed(self, p: Primitive, kernel: Original, arrays: Any, static: Any, observers: dict[str, Any]) -> Any:
        """A primitive tells values that it computes to functions, running statistics say: heard one after the other."""
        ((name, observe),) = observers.items()
        rest = {key: s for key, s in static.items() if key != name}
        result, told = self.kernel(p, telling(kernel, name), arrays, rest)
        observe(*told)
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
            elif is_array(operand) and not isinstance(operand, np.generic):
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


def telling(kernel: Any, name: str) -> Any:
    """A kernel that gives what it would tell an observer besides its result."""

    @functools.wraps(kernel)
    def run(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        told: list[Any] = []
        result = kernel(*args, **kwargs, **{name: lambda *values: told.extend(values)})
        return result, tuple(told)

    return run


def copy_of(array: Any) -> Any:
    return array.copy()


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
