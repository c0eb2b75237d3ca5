"""Elementwise primitives that choose between values, and the truth values they choose by."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.ops.elementwise import indicator
from retrograd.autograd.primitive import elementwise, primitive
from retrograd.backends.kernels import fusable


# ---- the greater, the smaller: where both are equal each gets half, as in PyTorch
def chosen(xp: Any, g: Any, loses: Any, ties: Any) -> Any:
    return xp.keep(g * (1 - 0.5 * indicator(xp, ties, g)), xp.logical_not(loses))


maximum = elementwise(
    "maximum",
    x=lambda xp, g, x, y: chosen(xp, g, x < y, x == y),
    y=lambda xp, g, x, y: chosen(xp, g, y < x, x == y),
)
minimum = elementwise(
    "minimum",
    x=lambda xp, g, x, y: chosen(xp, g, x > y, x == y),
    y=lambda xp, g, x, y: chosen(xp, g, y > x, x == y),
)
fmax = elementwise(
    "fmax",
    x=lambda xp, g, x, y: xp.keep(g, (x >= y) | (y != y)),
    y=lambda xp, g, x, y: xp.keep(g, xp.logical_not((x >= y) | (y != y))),
)
fmin = elementwise(
    "fmin",
    x=lambda xp, g, x, y: xp.keep(g, (x <= y) | (y != y)),
    y=lambda xp, g, x, y: xp.keep(g, xp.logical_not((x <= y) | (y != y))),
)


@primitive
def keep(xp: Any, x: Any, condition: Any) -> Any:
    """x where the condition holds, else 0."""
    return xp.keep(x, condition)


keep.vjps(x=lambda xp, g, condition: xp.keep(g, condition))


@primitive(promotes=("x", "y"))
def where(xp: Any, condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, else y."""
    if condition.dtype.kind != "b":
        if condition.dtype != "uint8":
            raise RuntimeError(
                f"where: expected condition to be a boolean tensor, but got {condition.dtype}; compare it, e.g. != 0."
            )
        condition = condition != 0
    return xp.where(condition, x, y)


where.vjps(
    x=lambda xp, g, condition: xp.keep(g, condition != 0),
    y=lambda xp, g, condition: xp.keep(g, condition == 0),
)


@primitive(name="Clamp")
def clip(xp: Any, x: Any, *, min: Any = None, max: Any = None) -> Any:
    """x held between two numbers; the gradient passes where it was not held (its ends included)."""
    return xp.clip(x, min, max)


@clip.vjp
def _(xp: Any, g: Any, x: Any, min: Any, max: Any) -> Any:
    if min is None:
        return xp.keep(g, x <= max)
    return xp.keep(g, x >= min if max is None else (x >= min) & (x <= max))


@primitive(promotes=("x", "bound"))
def clamp_min(xp: Any, x: Any, bound: Any) -> Any:
    """x held above another array; a tie belongs to x."""
    return xp.maximum(x, bound)


@primitive(promotes=("x", "bound"))
def clamp_max(xp: Any, x: Any, bound: Any) -> Any:
    """x held below another array; a tie belongs to x."""
    return xp.minimum(x, bound)


@primitive(name="Clamp", promotes=("x", "min", "max"))
def clamp_between(xp: Any, x: Any, min: Any, max: Any) -> Any:
    """x held between two arrays; where they contradict each other the maximum wins."""
    return xp.minimum(xp.maximum(x, min), max)


clamp_min.vjps(x=lambda xp, g, x, bound: xp.keep(g, x >= bound), bound=lambda xp, g, x, bound: xp.keep(g, x < bound))
clamp_max.vjps(x=lambda xp, g, x, bound: xp.keep(g, x <= bound), bound=lambda xp, g, x, bound: xp.keep(g, x > bound))
clamp_between.vjps(
    x=lambda xp, g, x, min, max: xp.keep(g, (x >= min) & (x <= max)),
    min=lambda xp, g, x, min, max: xp.keep(g, (x < min) & (min < max)),
    max=lambda xp, g, x, min, max: xp.keep(g, (x > max) | (max < min)),
)


@fusable
def relu_gradient(xp: Any, g: Any, out: Any) -> Any:
    return xp.keep(g, xp.logical_not(out <= 0))


relu = elementwise("relu", lambda xp, g, out: relu_gradient(xp, g, out))


# ---- without gradient: truth values, integers
isnan = elementwise("isnan", constant=True)
isinf = elementwise("isinf", constant=True)
isfinite = elementwise("isfinite", constant=True)
signbit = elementwise("signbit", constant=True)
logical_not = elementwise("logical_not", constant=True)
bitwise_invert = elementwise("bitwise_invert", constant=True)
equal = elementwise("equal", binary=True, constant=True)
not_equal = elementwise("not_equal", binary=True, constant=True)
less = elementwise("less", binary=True, constant=True)
less_equal = elementwise("less_equal", binary=True, constant=True)
greater = elementwise("greater", binary=True, constant=True)
greater_equal = elementwise("greater_equal", binary=True, constant=True)
logical_and = elementwise("logical_and", binary=True, constant=True)
logical_or = elementwise("logical_or", binary=True, constant=True)
logical_xor = elementwise("logical_xor", binary=True, constant=True)
bitwise_and = elementwise("bitwise_and", binary=True, constant=True)
bitwise_or = elementwise("bitwise_or", binary=True, constant=True)
bitwise_xor = elementwise("bitwise_xor", binary=True, constant=True)
bitwise_left_shift = elementwise("bitwise_left_shift", binary=True, constant=True)
bitwise_right_shift = elementwise("bitwise_right_shift", binary=True, constant=True)
