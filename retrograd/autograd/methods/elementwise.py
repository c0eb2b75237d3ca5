"""Elementwise functions of one Tensor, and of two that broadcast: PyTorch's names for the primitives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.registry import public
from retrograd.autograd.tensor import Tensor

__all__: list[str] = []

_ops: Any = ops


# ---- what has no primitive of its own


def _degrees(x: Tensor) -> Tensor:
    return _ops.multiply(x, 180 / math.pi)  # type: ignore[no-any-return]


def _radians(x: Tensor) -> Tensor:
    return _ops.multiply(x, math.pi / 180)  # type: ignore[no-any-return]


def _itself(x: Tensor) -> Tensor:
    if x.dtype.kind == "b":
        raise RuntimeError("positive: the `+` operator is not supported on a bool tensor; cast it first, e.g. x.int().")
    return x


def _is_positive_infinity(x: Tensor) -> Tensor:
    return _ops.equal(x, math.inf)  # type: ignore[no-any-return]


def _is_negative_infinity(x: Tensor) -> Tensor:
    return _ops.equal(x, -math.inf)  # type: ignore[no-any-return]


def _is_real(x: Tensor) -> Tensor:
    return _ops.equal(x, x) | _ops.isnan(x)  # type: ignore[no-any-return]


def _logaddexp2(x: Tensor, y: Tensor) -> Tensor:
    return _ops.logaddexp(x * math.log(2), y * math.log(2)) / math.log(2)  # type: ignore[no-any-return]


# ---- the tables: names, the primitive, what it is, an example and its result

_FLOAT = "Integers and truth values are computed in the default float dtype."
_SAME = "The result has the input's dtype."
_TRUTH = "The result is boolean and carries no gradient."

UNARY: list[tuple[str, Callable[..., Tensor], str, str, str]] = [
    ("exp", _ops.exp, f"eˣ. {_FLOAT}", "[0.0, 1.0]", "tensor([1.0000, 2.7183])"),
    ("exp2", _ops.exp2, f"2ˣ. {_FLOAT}", "[0.0, 3.0]", "tensor([1., 8.])"),
    ("expm1", _ops.expm1, f"eˣ - 1, accurate near 0. {_FLOAT}", "[0.0, 1.0]", "tensor([0.0000, 1.7183])"),
    ("log", _ops.log, f"Natural logarithm. {_FLOAT}", "[1.0, 2.0]", "tensor([0.0000, 0.6931])"),
    ("log2", _ops.log2, f"Logarithm to base 2. {_FLOAT}", "[1.0, 8.0]", "tensor([0., 3.])"),
    ("log10", _ops.log10, f"Logarithm to base 10. {_FLOAT}", "[1.0, 10.0]", "tensor([0., 1.])"),
    ("log1p", _ops.log1p, f"log(1 + x), accurate near 0. {_FLOAT}", "[0.0, 1.0]", "tensor([0.0000, 0.6931])"),
    ("sqrt", _ops.sqrt, f"Square root; its gradient at 0 is infinite. {_FLOAT}", "[4.0, 9.0]", "tensor([2., 3.])"),
    ("rsqrt", _ops.rsqrt, f"1 / √x. {_FLOAT}", "[4.0, 16.0]", "tensor([0.5000, 0.2500])"),
    ("square", _ops.square, f"x². {_SAME}", "[2.0, -3.0]", "tensor([4., 9.])"),
    ("reciprocal", _ops.reciprocal, f"1 / x. {_FLOAT}", "[2.0, -4.0]", "tensor([ 0.5000, -0.2500])"),
    ("sin", _ops.sin, f"Sine of radians. {_FLOAT}", "[0.0, 1.0]", "tensor([0.0000, 0.8415])"),
    ("cos", _ops.cos, f"Cosine of radians. {_FLOAT}", "[0.0, 1.0]", "tensor([1.0000, 0.5403])"),
    ("tan", _ops.tan, f"Tangent of radians. {_FLOAT}", "[0.0, 1.0]", "tensor([0.0000, 1.5574])"),
    ("asin arcsin", _ops.asin, f"Inverse sine, in radians. {_FLOAT}", "[0.0, 1.0]", "tensor([0.0000, 1.5708])"),
    ("acos arccos", _ops.acos, f"Inverse cosine, in radians. {_FLOAT}", "[1.0, 0.0]", "tensor([0.0000, 1.5708])"),
    ("atan arctan", _ops.atan, f"Inverse tangent, in radians. {_FLOAT}", "[0.0, 1.0]", "tensor([0.0000, 0.7854])"),
    ("sinh", _ops.sinh, f"Hyperbolic sine. {_FLOAT}", "[0.0, 1.0]", "tensor([0.0000, 1.1752])"),
    ("cosh", _ops.cosh, f"Hyperbolic cosine. {_FLOAT}", "[0.0, 1.0]", "tensor([1.0000, 1.5431])"),
    ("tanh", _ops.tanh, f"Hyperbolic tangent. {_FLOAT}", "[0.0, 1.0]", "tensor([0.0000, 0.7616])"),
    ("asinh arcsinh", _ops.asinh, f"Inverse hyperbolic sine. {_FLOAT}", "[0.0, 1.0]", "tensor([0.0000, 0.8814])"),
    ("acosh arccosh", _ops.acosh, f"Inverse hyperbolic cosine. {_FLOAT}", "[1.0, 2.0]", "tensor([0.0000, 1.3170])"),
    ("atanh arctanh", _ops.atanh, f"Inverse hyperbolic tangent. {_FLOAT}", "[0.0, 0.5]", "tensor([0.0000, 0.5493])"),
    ("sigmoid", _ops.sigmoid, f"1 / (1 + e⁻ˣ). {_FLOAT}", "[0.0, 1.0]", "tensor([0.5000, 0.7311])"),
    ("erf", _ops.erf, f"The error function. {_FLOAT}", "[0.0, 1.0]", "tensor([0.0000, 0.8427])"),
    ("erfc", _ops.erfc, f"1 - erf(x), accurate in the tail. {_FLOAT}", "[0.0, 1.0]", "tensor([1.0000, 0.1573])"),
    ("abs absolute", _ops.abs, f"|x|; its gradient at 0 is 0. {_SAME}", "[-2.0, 3.0]", "tensor([2., 3.])"),
    ("neg negative", _ops.negative, f"-x. {_SAME} RuntimeError for bool.", "[1.0, -2.0]", "tensor([-1.,  2.])"),
    ("positive", _itself, "x itself. RuntimeError for bool.", "[1.0, -2.0]", "tensor([ 1., -2.])"),
    ("sign sgn", _ops.sign, f"±1, and 0 for 0 and for NaN. {_SAME}", "[-2.0, 0.0]", "tensor([-1.,  0.])"),
    ("floor", _ops.floor, f"The next integer below. {_SAME}", "[1.5, -1.5]", "tensor([ 1., -2.])"),
    ("ceil", _ops.ceil, f"The next integer above. {_SAME}", "[1.5, -1.5]", "tensor([ 2., -1.])"),
    ("trunc fix", _ops.trunc, f"The next integer towards 0. {_SAME}", "[1.5, -1.5]", "tensor([ 1., -1.])"),
    ("frac", _ops.frac, f"x - trunc(x). {_SAME}", "[1.5, -1.5]", "tensor([ 0.5000, -0.5000])"),
    ("relu", _ops.relu, f"max(x, 0); its gradient at 0 is 0. {_SAME}", "[1.5, -1.5]", "tensor([1.5000, 0.0000])"),
    ("deg2rad", _radians, f"Degrees in radians. {_FLOAT}", "[180.0, 90.0]", "tensor([3.1416, 1.5708])"),
    ("rad2deg", _degrees, f"Radians in degrees. {_FLOAT}", "[0.0, 1.0]", "tensor([ 0.0000, 57.2958])"),
    ("isnan", _ops.isnan, f"Whether it is NaN. {_TRUTH}", "[1.0, float('nan')]", "tensor([False,  True])"),
    ("isinf", _ops.isinf, f"Whether it is infinite. {_TRUTH}", "[1.0, float('inf')]", "tensor([False,  True])"),
    ("isfinite", _ops.isfinite, f"Whether it is finite. {_TRUTH}", "[1.0, float('inf')]", "tensor([ True, False])"),
    ("isposinf", _is_positive_infinity, f"Whether it is +∞. {_TRUTH}", "[1.0, float('inf')]", "tensor([False,  True])"),
    ("isneginf", _is_negative_infinity, f"Whether it is -∞. {_TRUTH}", "[1.0, float('inf')]", "tensor([False, False])"),
    ("isreal", _is_real, f"Whether it is a real number: always. {_TRUTH}", "[1.0, 2.0]", "tensor([True, True])"),
    ("signbit", _ops.signbit, f"Whether the sign bit is set. {_TRUTH}", "[1.0, -0.0]", "tensor([False,  True])"),
    ("logical_not", _ops.logical_not, f"Whether it is 0. {_TRUTH}", "[1.0, 0.0]", "tensor([False,  True])"),
    ("bitwise_not", _ops.bitwise_invert, "Every bit turned over: of integers, or bool.", "[1, 0]", "tensor([-2, -1])"),
]  # fmt: skip

BINARY: list[tuple[str, Callable[..., Tensor], str, str, str]] = [
    ("floor_divide", _ops.floor_divide, "⌊x / y⌋. RuntimeError for integers divided by 0.",
     "[7, -7]; [2, 2]", "tensor([ 3, -4])"),
    ("remainder", _ops.remainder, "x - y ⌊x / y⌋, with y's sign. RuntimeError for integers modulo 0.",
     "[7, -7]; [2, 2]", "tensor([1, 1])"),
    ("fmod", _ops.fmod, "x - y trunc(x / y), with x's sign. RuntimeError for integers modulo 0.",
     "[7, -7]; [2, 2]", "tensor([ 1, -1])"),
    ("atan2 arctan2", _ops.atan2, f"Angle of the point (y, x). {_FLOAT}",
     "[0.0, 1.0]; [1.0, 0.0]", "tensor([0.0000, 1.5708])"),
    ("hypot", _ops.hypot, "√(x² + y²); its gradient at the origin is 0.", "[3.0]; [4.0]", "tensor([5.])"),
    ("logaddexp", _ops.logaddexp, "log(eˣ + eʸ), without overflow.", "[0.0]; [0.0]", "tensor([0.6931])"),
    ("logaddexp2", _logaddexp2, "log₂(2ˣ + 2ʸ), without overflow.", "[0.0]; [0.0]", "tensor([1.])"),
    ("copysign", _ops.copysign, f"|x| with y's sign. {_FLOAT}", "[1.0, 2.0]; [-1.0, 0.0]", "tensor([-1.,  2.])"),
    ("maximum", _ops.maximum, "The greater one; NaN if either is; equal ones share the gradient.",
     "[1, 4]; [3, 2]", "tensor([3, 4])"),
    ("minimum", _ops.minimum, "The smaller one; NaN if either is; equal ones share the gradient.",
     "[1, 4]; [3, 2]", "tensor([1, 2])"),
    ("fmax", _ops.fmax, "The greater one; a number rather than NaN.", "[1.0]; [float('nan')]", "tensor([1.])"),
    ("fmin", _ops.fmin, "The smaller one; a number rather than NaN.", "[1.0]; [float('nan')]", "tensor([1.])"),
    ("eq", _ops.equal, f"x = y. {_TRUTH}", "[1, 2]; [1, 3]", "tensor([ True, False])"),
    ("ne not_equal", _ops.not_equal, f"x ≠ y. {_TRUTH}", "[1, 2]; [1, 3]", "tensor([False,  True])"),
    ("lt less", _ops.less, f"x < y. {_TRUTH}", "[1, 2]; [1, 3]", "tensor([False,  True])"),
    ("le less_equal", _ops.less_equal, f"x ≤ y. {_TRUTH}", "[1, 2]; [1, 1]", "tensor([ True, False])"),
    ("gt greater", _ops.greater, f"x > y. {_TRUTH}", "[1, 2]; [1, 1]", "tensor([False,  True])"),
    ("ge greater_equal", _ops.greater_equal, f"x ≥ y. {_TRUTH}", "[1, 2]; [1, 3]", "tensor([ True, False])"),
    ("logical_and", _ops.logical_and, f"Whether both differ from 0. {_TRUTH}",
     "[1, 2]; [0, 3]", "tensor([False,  True])"),
    ("logical_or", _ops.logical_or, f"Whether one differs from 0. {_TRUTH}",
     "[1, 0]; [0, 0]", "tensor([ True, False])"),
    ("logical_xor", _ops.logical_xor, f"Whether just one differs from 0. {_TRUTH}",
     "[1, 2]; [0, 3]", "tensor([ True, False])"),
    ("bitwise_and", _ops.bitwise_and, "Bits set in both, of integers or bool.", "[6, 5]; [3, 3]", "tensor([2, 1])"),
    ("bitwise_or", _ops.bitwise_or, "Bits set in either, of integers or bool.", "[6, 5]; [3, 3]", "tensor([7, 7])"),
    ("bitwise_xor", _ops.bitwise_xor, "Bits set in just one, of integers or bool.", "[6, 5]; [3, 3]", "tensor([5, 6])"),
    ("bitwise_left_shift", _ops.bitwise_left_shift, "x · 2ʸ, of integers.", "[1, 3]; [2, 1]", "tensor([4, 6])"),
    ("bitwise_right_shift", _ops.bitwise_right_shift, "⌊x / 2ʸ⌋, of integers.", "[8, 3]; [2, 1]", "tensor([2, 1])"),
]  # fmt: skip


def of_one(primitive: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
    """The public function of one Tensor."""

    def function(input: Tensor) -> Tensor:
        return primitive(input)

    return function


def of_two(primitive: Callable[..., Tensor]) -> Callable[[Tensor, Any], Tensor]:
    """The public function of two operands."""

    def function(input: Tensor, other: Any) -> Tensor:
        return primitive(input, other)

    return function


def publish(function: Callable[..., Tensor], names: str, what: str, arguments: str, result: str, example: str) -> None:
    """Registers a function under its names, documented with the example, which the doctests run."""
    for name in names.split():
        function.__name__ = function.__qualname__ = names.split()[0]
        function.__doc__ = f"{what}\n\n{arguments}\n\n>>> import retrograd as rg\n>>> {example}\n{result}\n"
        public(function, name=name)
    globals()[names.split()[0]] = function


for _names, _primitive, _what, _values, _result in UNARY:
    _example = f"rg.{_names.split()[0]}(rg.tensor({_values}))"
    publish(of_one(_primitive), _names, _what, "input: a Tensor of any shape.", _result, _example)

for _names, _primitive, _what, _values, _result in BINARY:
    _left, _right = _values.split("; ")
    _example = f"rg.{_names.split()[0]}(rg.tensor({_left}), rg.tensor({_right}))"
    _arguments = "input, other: Tensors whose shapes broadcast, brought to a common dtype; other may be a number."
    publish(of_two(_primitive), _names, _what, _arguments, _result, _example)
