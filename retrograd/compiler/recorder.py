"""The memory of a recording: which array is which value, and the operations so far.

Values are known by the identity of their arrays, as long as these live. An array comes from an argument, from an
operation that was heard, or from a Tensor that existed before (then it is read again in every replay); one that comes
from nowhere else cannot be replayed.
"""

from __future__ import annotations

import gc
import itertools
import types
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from retrograd.autograd.ops.indexing import Places
from retrograd.autograd.rows import Waiting
from retrograd.autograd.tensor import Tensor
from retrograd.backends import Device, backend_of_array
from retrograd.compiler.operations import Argument, Array, Built, GiveUp, Made, Operation, Value

__all__ = ["Recorder", "is_array"]

PLAIN = (bool, int, float, complex, str, bytes, type(None), type, np.dtype, type(...), types.ModuleType, Device)
"""Types whose objects hold no arrays."""


class Recorder:
    """Values and operations, in the order in which they were heard."""

    def __init__(self, arguments: Sequence[Tensor]) -> None:
        self.operations: list[Operation] = []
        self.reason: GiveUp | None = None
        self.arguments = {id(t): i for i, t in reversed(list(enumerate(arguments)))}
        self.fresh: dict[int, weakref.ref[Tensor]] = {}
        """Tensors that the step has made."""
        self.seen: dict[int, Tensor] = {}
        """Those that were there before, and have come by."""
        self.given = list(arguments)
        self.read: dict[int, tuple[Tensor, Any, bool]] = {}
        self.by_id: dict[int, Value] = {}
        self.watched: dict[tuple[str, int], Any] = {}
        self.places: dict[int, Array] = {}
        self.reads: dict[Array, Value] = {}
        self.memories: dict[int, int] = {}
        self.regions = itertools.count(1)
        self.count = 0
        self.inputs = [self.read_array(Array(Argument(self.arguments[id(t)]), False), t._array) for t in arguments]

    # ---- Tensors

    def made(self, tensor: Tensor) -> None:
        """The step has made a Tensor."""
        key = id(tensor)
        self.fresh[key] = weakref.ref(tensor, lambda _: self.fresh.pop(key, None))

    def see(self, tensor: Any) -> None:
        """A Tensor comes by: it, or its gradient, may be where an array comes from."""
        if isinstance(tensor, Tensor) and id(tensor) not in self.fresh and id(tensor) not in self.arguments:
            self.seen[id(tensor)] = tensor

    # ---- values

    def value(self, array: Any, owned: bool = False) -> Value:
        """A new value for an array, or for an object that is to be known again."""
        self.count += 1
        if not is_array(array):
            value = Value(self.count, None, None, self.count)
        else:
            key = self.memory_of(array)
            value = Value(
                self.count,
                tuple(array.shape),
                array.dtype,
                key,
                array.ndim == 0 or bool(array.flags.c_contiguous),
                array.size > 1 and not any(array.strides),
                owned,
                backend_of_array[array.__class__],
                tuple(array.strides),
            )
        self.by_id[id(array)] = value
        self.watch("value", array, self.by_id)
        return value

    def memory_of(self, array: Any) -> int:
        """The number of an array's memory, and of all that shows it."""
        owner = memory(array)
        if id(owner) not in self.memories:
            self.memories[id(owner)] = next(self.regions)
            self.watch("memory", owner, self.memories)
        return self.memories[id(owner)]

    def watch(self, what: str, thing: Any, table: dict[int, Any]) -> None:
        """Forgets what a table says of a thing when that is gone; what cannot tell is kept (NumPy's scalars)."""
        key = id(thing)

        def gone(_: Any) -> None:
            table.pop(key, None)
            self.watched.pop((what, key), None)

        try:
            self.watched[what, key] = weakref.ref(thing, gone)
        except TypeError:
            self.watched[what, key] = thing

    def derived(self, shape: tuple[int, ...], dtype: Any, like: Value | None = None) -> Value:
        """A new value that no array stands for: new memory, or perhaps that of another value."""
        self.count += 1
        return Value(self.count, shape, dtype, -self.count if like is None else like.memory, like is None, False, True)

    def find(self, array: Any) -> Value | None:
        """The value of an array; None for one from nowhere."""
        value = self.by_id.get(id(array))
        if value is not None:
            return value
        place = self.place(array)
        if place is not None:
            return self.reads.get(place) or self.read_array(place, array)
        base = getattr(array, "base", None)
        if base is not None and same_view(array, base):  # NumPy makes new objects of the same memory, by x[()]
            return self.find(base)
        return None

    def place(self, array: Any) -> Array | None:
        """The Tensor whose array, or gradient's array, this is."""
        place = self.places.get(id(array))
        if place is None or current(place, self.given) is not array:
            self.places = {}
            for tensor in [*self.seen.values(), *self.given]:
                own: Any = Argument(self.arguments[id(tensor)]) if id(tensor) in self.arguments else tensor
                self.places.setdefault(id(array_of(tensor)), Array(own, False))
                grad = getattr(tensor, "_grad", None)
                if grad is not None:
                    self.places[id(array_of(grad))] = Array(own, True)
            place = self.places.get(id(array))
        return place

    def read_array(self, place: Array, array: Any) -> Value:
        """An operation that reads a Tensor's array."""
        value = self.value(array)
        value.owned = False
        del self.by_id[id(array)]  # an effect may give the Tensor another array
        self.reads[place] = value
        if isinstance(place.tensor, Argument):
            self.by_id[id(array)] = value
        elif not place.gradient:
            self.read.setdefault(id(place.tensor), (place.tensor, array, place.tensor._node is not None))
        self.operations.append(Operation(None, "read", (place,), outs=value))
        return value

    def rename(self, array: Any, value: Value) -> None:
        """Lets an array stand for a value from now on."""
        self.by_id[id(array)] = value
        owner = memory(array)
        self.memories[id(owner)] = value.memory
        self.watch("memory", owner, self.memories)
        self.watch("value", array, self.by_id)

    def forget(self, array: Any) -> None:
        """An array that now belongs to a Tensor is read from there."""
        self.by_id.pop(id(array), None)

    # ---- operations

    def emit(self, operation: Operation) -> Operation:
        """Appends an operation; after an effect, Tensors are read again."""
        self.operations.append(operation)
        if operation.effect:
            self.reads = {p: v for p, v in self.reads.items() if isinstance(p.tensor, Argument) and not p.gradient}
        return operation

    def bind(self, nest: Any, what: str) -> Any:
        """A nest of arguments with Values in the places of arrays, and program's Tensors in those of Tensors."""
        if isinstance(nest, PLAIN):
            return nest
        if isinstance(nest, Tensor):
            return self.bind_tensor(nest, what)
        if is_array(nest):
            value = self.find(nest)
            if value is None:
                raise GiveUp(f"{what} takes an array that comes from outside the recorded operations")
            return value
        if isinstance(nest, Places):
            if what == "pick" and any(is_array(part) and part.dtype.kind == "b" for part in nest.parts):
                raise GiveUp("the shape of what a mask picks depends on values")
            parts = self.bind(nest.parts, what)
            return nest if parts is nest.parts else Built(Places, (parts,))
        if isinstance(nest, slice):
            return slice(*(self.bind(part, what) for part in (nest.start, nest.stop, nest.step)))
        if isinstance(nest, (tuple, list)):
            parts = [self.bind(part, what) for part in nest]
            return nest if all(a is b for a, b in zip(parts, nest)) else rebuilt(nest, parts)
        if isinstance(nest, dict):
            items = {key: self.bind(part, what) for key, part in nest.items()}
            return nest if all(items[key] is nest[key] for key in nest) else items
        if isinstance(nest, Iterator):
            raise GiveUp(f"{what} takes an iterator, which can be read only once")
        if id(nest) in self.by_id:
            return self.by_id[id(nest)]
        if self.holds_values(nest, 3):
            raise GiveUp(f"{what} holds a value of this call within a {type(nest).__name__}")
        return nest

    def bind_tensor(self, tensor: Tensor, what: str) -> Any:
        """An argument, a Tensor that existed before, or one made around a value."""
        if id(tensor) in self.arguments:
            return Argument(self.arguments[id(tensor)])
        place = self.place(tensor._array)
        if place is not None and place.gradient:
            return place
        if id(tensor) not in self.fresh:
            self.see(tensor)
            return tensor
        value = self.find(tensor._array)
        if value is None:
            raise GiveUp(f"{what} takes a Tensor of shape {tensor.shape} made outside the recorded operations")
        return Made(value)

    def holds_values(self, thing: Any, depth: int) -> bool:
        """Whether an object, a closure say, holds an array or a Tensor that this call has made."""
        if isinstance(thing, PLAIN) or depth < 0:
            return False
        if isinstance(thing, Tensor):
            return id(thing) in self.fresh
        if is_array(thing):
            return id(thing) in self.by_id
        if isinstance(thing, types.FunctionType):
            parts: Any = [*(thing.__closure__ or ()), *(thing.__defaults__ or ())]
        elif isinstance(thing, types.BuiltinFunctionType):
            return False
        else:
            parts = gc.get_referents(thing)
        return any(self.holds_values(part, depth - 1) for part in parts)

    def outs(self, result: Any, given: Sequence[int] = ()) -> Any:
        """New values for the arrays of a result, in its form."""
        if isinstance(result, (tuple, list)):
            return tuple(self.outs(part, given) for part in result)
        if isinstance(result, Tensor):
            return self.outs(result._array, given)
        if is_array(result):
            return self.value(result, owned=getattr(result, "base", None) is None and id(result) not in given)
        return None if isinstance(result, PLAIN) else self.value(result)


# ---- arrays


def is_array(thing: Any) -> bool:
    """Whether an object is an array of a backend."""
    return thing.__class__ in backend_of_array and not isinstance(thing, Tensor)


def array_of(tensor: Tensor) -> Any:
    """Its array; a parameter whose shape is not known yet, and a gradient that waits, have none."""
    if isinstance(tensor, Waiting):
        return None
    try:
        return tensor._array
    except Exception:
        return None


def current(place: Array, given: Sequence[Tensor]) -> Any:
    """The array that is in a place now."""
    tensor = given[place.tensor.place] if isinstance(place.tensor, Argument) else place.tensor
    return array_of(getattr(tensor, "_grad", tensor) if place.gradient else tensor)


def memory(array: Any) -> Any:
    """The array that owns another's memory."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array


def same_view(array: Any, base: Any) -> bool:
    """Whether two NumPy arrays are the same piece of memory, seen the same way."""
    return (
        isinstance(base, np.ndarray)
        and (array.shape, array.strides, array.dtype) == (base.shape, base.strides, base.dtype)
        and array.__array_interface__["data"][0] == base.__array_interface__["data"][0]
    )


def rebuilt(nest: Any, parts: list[Any]) -> Any:
    """A tuple or list of the same kind with other parts."""
    return type(nest)(*parts) if hasattr(nest, "_fields") else type(nest)(parts)
