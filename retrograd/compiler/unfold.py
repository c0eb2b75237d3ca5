"""Taking rules and forwards apart: `g * (1 - out * out)` as the three NumPy functions that it calls.

A rule is called once with symbols in the places of arrays. Symbols know shape and dtype, and note every function that
is called on them. A rule that asks for one that is not known here, or for a value, stays one call.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from retrograd.backends.kernels import get_kernels
from retrograd.backends.numpy_activations import _EXP_LIMIT, _ONE
from retrograd.compiler.operations import Operation, Value

__all__ = ["LARGE", "keep", "transposed", "unfolded"]

LARGE = 1 << 18
"""Elements from which on arrays are worth going through in blocks."""


class Untraceable(Exception):
    """A rule asks for more than symbols know."""


def keep(x: Any, condition: Any, out: Any = None) -> Any:
    """The backend's `keep`, which can also write into an array."""
    bits = BITS[x.dtype.char]
    if out is None:
        return np.multiply(x.view(bits), condition).view(x.dtype)
    np.multiply(x.view(bits), condition, out.view(bits))
    return out


def transposed(x: Any) -> Any:
    """An array's axes in reverse."""
    return x.T


BITS = {"e": np.dtype(np.int16), "f": np.dtype(np.int32), "d": np.dtype(np.int64)}


class Symbol:
    """Stands for an array while a rule is taken apart; `dummy` is a tiny array of its dtype."""

    __array_ufunc__ = None

    def __init__(self, trace: Trace, value: Value, dummy: Any) -> None:
        self.trace, self.value, self.dummy = trace, value, dummy

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape or ()

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def T(self) -> Symbol:
        return self.trace.view(transposed, self)

    def __bool__(self) -> bool:
        raise Untraceable

    __iter__ = __len__ = __getitem__ = __bool__
    __hash__ = object.__hash__

    def __neg__(self) -> Symbol:
        return self.trace.call(np.negative, self)

    def __pow__(self, exponent: Any) -> Symbol:
        return self.trace.call(operator.pow, self, exponent)

    def __rpow__(self, base: Any) -> Symbol:
        return self.trace.call(operator.pow, base, self)


OPERATORS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal, "and": np.bitwise_and,
    "or": np.bitwise_or,
}  # fmt: skip


def _attach(name: str, function: Any) -> None:
    setattr(Symbol, f"__{name}__", lambda self, other: self.trace.call(function, self, other))
    if name in ("add", "sub", "mul", "truediv", "and", "or"):
        setattr(Symbol, f"__r{name}__", lambda self, other: self.trace.call(function, other, self))


for _name, _function in OPERATORS.items():
    _attach(_name, _function)


class Trace:
    """The calls that symbols have noted."""

    def __init__(self, numbers: Iterator[int]) -> None:
        self.numbers = numbers
        self.operations: list[Operation] = []

    def symbol(self, value: Value) -> Symbol:
        return Symbol(self, value, np.ones((1,) * len(value.shape or ()), value.dtype)[()])

    def view(self, function: Any, x: Symbol, **static: Any) -> Symbol:
        """Notes a call that shows the same memory another way."""
        shape = function(np.broadcast_to(np.zeros((), np.bool_), x.shape), **static).shape
        return self.noted(function, (x,), static, shape, like=x.value)

    def noted(
        self, function: Any, args: tuple[Symbol, ...], static: dict[str, Any], shape: Any, like: Value | None = None
    ) -> Symbol:
        """Notes a call whose result has this shape and the dtype of its arguments."""
        if any(a.dtype != args[0].dtype for a in args) or args[0].dtype.kind != "f":
            raise Untraceable
        number = next(self.numbers)
        own, dense = like is None, function is not transposed and (like is None or like.dense)
        value = Value(number, tuple(shape), args[0].dtype, -number if like is None else like.memory, dense, owned=own)
        given = tuple(a.value for a in args)
        self.operations.append(Operation(function, function.__name__, given, static, value))
        return self.symbol(value)

    def call(self, function: Any, *args: Any, **static: Any) -> Symbol:
        """Notes an elementwise call."""
        symbols = [a for a in args if isinstance(a, Symbol)]
        if not symbols or any(not isinstance(a, (Symbol, int, float, np.generic, np.ndarray)) for a in args):
            raise Untraceable
        with np.errstate(all="ignore"):
            dummy = function(*[a.dummy if isinstance(a, Symbol) else a for a in args], **static)
        shape = np.broadcast_shapes(*[s.shape for s in symbols])
        number = next(self.numbers)
        value = Value(number, shape, dummy.dtype, -number, owned=True)
        given = tuple(a.value if isinstance(a, Symbol) else a for a in args)
        self.operations.append(Operation(function, function.__name__, given, static, value))
        return Symbol(self, value, dummy)


class Names:
    """The namespace `xp` that a rule is taken apart with."""

    def __init__(self, trace: Trace, xp: Any) -> None:
        self.trace, self.xp = trace, xp

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self.xp, name)
        if isinstance(function, np.ufunc) or name == "where":
            return functools.partial(self.trace.call, function)
        raise Untraceable

    def add_into(self, out: Symbol, x: Any) -> None:
        """In a program of values the sum is a new one."""
        total = self.trace.call(np.add, out, x)
        if not any(out.value is o.outs for o in self.trace.operations) or total.shape != out.shape:
            raise Untraceable
        out.value = total.value

    def matmul(self, x: Symbol, y: Symbol) -> Symbol:
        if x.ndim < 2 or y.ndim < 2:
            raise Untraceable
        shape = (*np.broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1])
        return self.trace.noted(self.xp.matmul, (x, y), {}, shape)

    def sum(self, x: Symbol, *, axis: Any = None, keepdims: bool = False) -> Symbol:
        return self.folded(self.xp.sum, x, axis, keepdims)

    def mean(self, x: Symbol, *, axis: Any = None, keepdims: bool = False) -> Symbol:
        return self.folded(self.xp.mean, x, axis, keepdims)

    def folded(self, function: Any, x: Symbol, axis: Any, keepdims: bool) -> Symbol:
        """A reduction."""
        axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        gone = {a % x.ndim for a in axes} if x.ndim else set()
        shape = [1 if i in gone else n for i, n in enumerate(x.shape) if keepdims or i not in gone]
        return self.trace.noted(function, (x,), {"axis": axis, "keepdims": keepdims}, shape)

    def reshape(self, x: Symbol, shape: tuple[int, ...]) -> Symbol:
        if -1 in shape:
            raise Untraceable
        return x if shape == x.shape else self.trace.noted(self.xp.reshape, (x,), {"shape": shape}, shape, x.value)

    def broadcast_to(self, x: Symbol, shape: tuple[int, ...]) -> Symbol:
        if shape == x.shape:
            return x
        spread = self.trace.view(self.xp.broadcast_to, x, shape=shape)
        spread.value.dense, spread.value.uniform = False, x.size == 1
        return spread

    def permute_dims(self, x: Symbol, axes: tuple[int, ...]) -> Symbol:
        turned = self.trace.view(self.xp.permute_dims, x, axes=axes)
        turned.value.dense = False
        return turned

    def keep(self, x: Any, condition: Any) -> Symbol:
        return self.trace.call(keep, x, condition)

    def astype(self, x: Symbol, dtype: Any) -> Symbol:
        return x if x.dtype == dtype else self.trace.call(self.xp.astype, x, dtype=np.dtype(dtype))

    def clip(self, x: Symbol, min: Any = None, max: Any = None) -> Symbol:
        if min is not None and max is not None:
            raise Untraceable
        return self.trace.call(np.maximum, x, min) if max is None else self.trace.call(np.minimum, x, max)

    def sigmoid(self, x: Symbol) -> Symbol:
        """As the NumPy backend computes it, step by step; numba has a kernel for what is too small for a block."""
        char = x.dtype.char
        if char not in "fd" or (get_kernels() == "numba" and x.size < LARGE):
            raise Untraceable
        limit, one = _EXP_LIMIT[char], _ONE[char]
        bounded = self.trace.call(np.minimum, self.trace.call(np.negative, x), limit)
        return self.trace.call(np.reciprocal, self.trace.call(np.add, self.trace.call(np.exp, bounded), one))


def unfolded(operation: Operation, numbers: itertools.count[int]) -> tuple[list[Operation], Any] | None:
    """The calls that an operation consists of, and the value, among them or its inputs, of its result.

    None for an operation that cannot be taken apart.
    """
    value = operation.outs
    if operation.effect or getattr(operation.xp, "name", "") != "cpu" or not isinstance(value, Value):
        return None
    if isinstance(operation.function, np.ufunc) or value.shape is None:
        return None
    trace = Trace(numbers)
    names = Names(trace, operation.xp)
    lead: tuple[Any, ...] = ()
    function = operation.function
    if isinstance(function, functools.partial):
        function, lead = function.func, (names,)
    elif operation.args and operation.args[0] is operation.xp:
        lead = (names,)
    elif function in (operation.xp.sigmoid, operation.xp.keep):
        function = getattr(names, operation.name)
    else:
        return None
    rest = [a for a in operation.args if a is not operation.xp]
    args = [trace.symbol(a) if isinstance(a, Value) and a.shape is not None else a for a in rest]
    try:
        result = function(*lead, *args, **operation.kwargs)
    except Exception:  # it asked for more than symbols can do
        return None
    if not isinstance(result, Symbol) or (result.shape, result.dtype) != (value.shape, value.dtype):
        return None
    return trace.operations, result.value
