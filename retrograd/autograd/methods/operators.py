"""Python's operators on Tensors. Those that compute are the primitives themselves: no frame of ours in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor
from retrograd.backends import backend_of_array

__all__: list[str] = []

Operator = Callable[[Tensor, Any], Tensor]


def reflected(function: Operator) -> Operator:
    """The operator for `other op tensor`."""

    def operator(self: Tensor, other: Any) -> Tensor:
        return function(other, self)

    return operator


def comparing(function: Operator) -> Operator:
    """A comparison for which what is neither number nor array is not equal, as for Python's own numbers."""

    def operator(self: Tensor, other: Any) -> Tensor:
        if isinstance(other, (Tensor, bool, int, float, complex, np.generic)) or other.__class__ in backend_of_array:
            return function(self, other)
        return NotImplemented  # type: ignore[no-any-return]  # Python's own protocol

    return operator


def power(self: Tensor, other: Any) -> Tensor:
    """x ** y; a Python number is faster, because no logarithm is needed for its own gradient."""
    if other.__class__ is int or other.__class__ is float:
        return ops.power_number(self, exponent=other)
    return ops.power(self, other)


def invert(self: Tensor) -> Tensor:
    """~x: the complement of truth values and of bits."""
    if self.dtype.kind == "f":
        raise TypeError(f"~ is defined for integers and truth values, got {self.dtype}; use -x, or 1 - x.")
    return ops.bitwise_invert(self)


_primitives: Any = ops
for names, function in {
    ("__add__", "__radd__"): _primitives.add,
    ("__sub__",): _primitives.subtract,
    ("__mul__", "__rmul__"): _primitives.multiply,
    ("__truediv__",): _primitives.divide,
    ("__floordiv__",): _primitives.floor_divide,
    ("__mod__",): _primitives.remainder,
    ("__matmul__",): _primitives.matmul,
    ("__and__", "__rand__"): _primitives.bitwise_and,
    ("__or__", "__ror__"): _primitives.bitwise_or,
    ("__xor__", "__rxor__"): _primitives.bitwise_xor,
    ("__lshift__",): _primitives.bitwise_left_shift,
    ("__rshift__",): _primitives.bitwise_right_shift,
    ("__lt__",): _primitives.less,
    ("__le__",): _primitives.less_equal,
    ("__gt__",): _primitives.greater,
    ("__ge__",): _primitives.greater_equal,
    ("__neg__",): _primitives.negative,
    ("__abs__",): _primitives.abs,
    ("__invert__",): invert,
    ("__rsub__",): reflected(_primitives.subtract),
    ("__rtruediv__",): reflected(_primitives.divide),
    ("__rfloordiv__",): reflected(_primitives.floor_divide),
    ("__rmod__",): reflected(_primitives.remainder),
    ("__rpow__",): reflected(_primitives.power),
    ("__rmatmul__",): reflected(_primitives.matmul),
    ("__rlshift__",): reflected(_primitives.bitwise_left_shift),
    ("__rrshift__",): reflected(_primitives.bitwise_right_shift),
    ("__eq__",): comparing(_primitives.equal),
    ("__ne__",): comparing(_primitives.not_equal),
    ("__pow__",): power,
}.items():
    for name in names:
        setattr(Tensor, name, function)


def _positive(self: Tensor) -> Tensor:
    if self.dtype.kind == "b":
        raise RuntimeError("+x is not defined for truth values; use x.long() for 0 and 1.")
    return self


setattr(Tensor, "__pos__", _positive)  # noqa: B010  # the stub declares it, so that mypy refuses an assignment
