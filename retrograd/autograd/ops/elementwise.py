"""Elementwise primitives: one line each, forward (the backend's function of that name) and
rule.

In a rule g is the cotangent of the result; the names after it are what is saved. Derivatives of the elementary functions:
Abramowitz & Stegun 1964, chapters 4 and 7. Where a function has no derivative the rule gives PyTorch's subgradient.
"""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd.primitive import elementwise, nondifferentiable, primitive


def constant(xp: Any, g: Any) -> Any:
    """The gradient of a function that is constant almost everywhere."""
    return xp.new_zeros(g, shape=g.shape)


# ---- arithmetic
add = elementwise("add", x=lambda xp, g: g, y=lambda xp, g: g)
subtract = elementwise("subtract", x=lambda xp, g: g, y=lambda xp, g: -g, backward="Sub")
multiply = elementwise("multiply", x=lambda xp, g, y: g * y, y=lambda xp, g, x: g * x, backward="Mul")
divide = elementwise(
    "divide", x=lambda xp, g, y: g / y, y=lambda xp, g, y, out: -g * (out / y), backward="Div", floating=True
)
negative = elementwise("negative", lambda xp, g: -g, backward="Neg")
remainder = elementwise(
    "remainder", x=lambda xp, g: g, y=lambda xp, g, x, y: -g * xp.floor(x / y), backward="Remainder"
)
fmod = elementwise("fmod", x=lambda xp, g: g, y=lambda xp, g, x, y: -g * xp.trunc(x / y))
floor_divide = elementwise("floor_divide", x=lambda xp, g: constant(xp, g), y=lambda xp, g: constant(xp, g))


def power_base(xp: Any, g: Any, x: Any, y: Any) -> Any:
    """y xʸ⁻¹; 0 where y is 0, so that 0⁰ has the gradient 0 and not NaN."""
    return g * xp.where(y == 0, 0.0, y * x ** xp.where(y == 0, 1.0, y - 1))


def power_exponent(xp: Any, g: Any, x: Any, y: Any, out: Any) -> Any:
    """xʸ ln x; 0 where x is 0 and y is not negative."""
    vanishes = (x == 0) & (y >= 0)
    return g * xp.where(vanishes, 0.0, out * xp.log(xp.where(vanishes, 1.0, x)))


power = elementwise("power", x=power_base, y=power_exponent, backward="Pow")


@primitive(name="Pow")
def power_number(xp: Any, x: Any, *, exponent: float) -> Any:
    """x to a power that is a Python number."""
    return xp.square(x) if exponent == 2 else x**exponent


@power_number.vjp
def _(xp: Any, g: Any, x: Any, exponent: float) -> Any:
    if exponent == 0:
        return constant(xp, g)
    return g * (exponent * x if exponent == 2 else exponent * x ** (exponent - 1))


abs = elementwise("abs", lambda xp, g, x: g * xp.sign(x))
sign = elementwise("sign", constant)
square = elementwise("square", lambda xp, g, x: g * (2 * x), backward="Pow")
reciprocal = elementwise("reciprocal", lambda xp, g, out: -g * out * out, floating=True)

# ---- powers and logarithms
exp = elementwise("exp", lambda xp, g, out: g * out, floating=True)
exp2 = elementwise("exp2", lambda xp, g, out: g * out * math.log(2), floating=True)
expm1 = elementwise("expm1", lambda xp, g, out: g * (out + 1), floating=True)
log = elementwise("log", lambda xp, g, x: g / x, floating=True)
log2 = elementwise("log2", lambda xp, g, x: g / (x * math.log(2)), floating=True)
log10 = elementwise("log10", lambda xp, g, x: g / (x * math.log(10)), floating=True)
log1p = elementwise("log1p", lambda xp, g, x: g / (x + 1), floating=True)
sqrt = elementwise("sqrt", lambda xp, g, out: g / (2 * out), floating=True)


@primitive(floating=True)
def rsqrt(xp: Any, x: Any) -> Any:
    """1/√x."""
    return xp.reciprocal(xp.sqrt(x))


rsqrt.vjp(lambda xp, g, out: -0.5 * g * out * out * out)

# ---- trigonometric and hyperbolic
sin = elementwise("sin", lambda xp, g, x: g * xp.cos(x), floating=True)
cos = elementwise("cos", lambda xp, g, x: -g * xp.sin(x), floating=True)
tan = elementwise("tan", lambda xp, g, out: g * (1 + out * out), floating=True)
asin = elementwise("asin", lambda xp, g, x: g / xp.sqrt(1 - x * x), floating=True)
acos = elementwise("acos", lambda xp, g, x: -g / xp.sqrt(1 - x * x), floating=True)
atan = elementwise("atan", lambda xp, g, x: g / (1 + x * x), floating=True)
sinh = elementwise("sinh", lambda xp, g, x: g * xp.cosh(x), floating=True)
cosh = elementwise("cosh", lambda xp, g, x: g * xp.sinh(x), floating=True)
tanh = elementwise("tanh", lambda xp, g, out: g * (1 - out * out), floating=True)
asinh = elementwise("asinh", lambda xp, g, x: g / xp.sqrt(x * x + 1), floating=True)
acosh = elementwise("acosh", lambda xp, g, x: g / (xp.sqrt(x - 1) * xp.sqrt(x + 1)), floating=True)
atanh = elementwise("atanh", lambda xp, g, x: g / (1 - x * x), floating=True)
atan2 = elementwise(
    "atan2",
    x=lambda xp, g, x, y: g * y / (x * x + y * y),
    y=lambda xp, g, x, y: -g * x / (x * x + y * y),
    floating=True,
)
hypot = elementwise(
    "hypot",
    x=lambda xp, g, x, out: g * xp.where(out == 0, 0.0, x / xp.where(out == 0, 1.0, out)),
    y=lambda xp, g, y, out: g * xp.where(out == 0, 0.0, y / xp.where(out == 0, 1.0, out)),
    floating=True,
)

# ---- of probability
sigmoid = elementwise("sigmoid", lambda xp, g, out: g * (out * (1 - out)), floating=True)
erf = elementwise("erf", lambda xp, g, x: g * (2 / math.sqrt(math.pi)) * xp.exp(-(x * x)), floating=True)
erfc = elementwise("erfc", lambda xp, g, x: g * (-2 / math.sqrt(math.pi)) * xp.exp(-(x * x)), floating=True)
logaddexp = elementwise(
    "logaddexp",
    x=lambda xp, g, x, out: g * xp.exp(x - out),
    y=lambda xp, g, y, out: g * xp.exp(y - out),
    floating=True,
)

# ---- rounding: constant almost everywhere
floor = elementwise("floor", constant)
ceil = elementwise("ceil", constant)
round = elementwise("round", constant)
trunc = elementwise("trunc", constant)


# ---- choosing: where both are equal each gets half, as in PyTorch
def chosen(xp: Any, g: Any, wins: Any, ties: Any) -> Any:
    return g * xp.where(ties, 0.5, xp.where(wins, 1.0, 0.0))


maximum = elementwise(
    "maximum",
    x=lambda xp, g, x, y: chosen(xp, g, x > y, x == y),
    y=lambda xp, g, x, y: chosen(xp, g, y > x, x == y),
)
minimum = elementwise(
    "minimum",
    x=lambda xp, g, x, y: chosen(xp, g, x < y, x == y),
    y=lambda xp, g, x, y: chosen(xp, g, y < x, x == y),
)
fmax = elementwise(
    "fmax",
    x=lambda xp, g, x, y: xp.where((x >= y) | (y != y), g, 0.0),
    y=lambda xp, g, x, y: xp.where((x >= y) | (y != y), 0.0, g),
)
fmin = elementwise(
    "fmin",
    x=lambda xp, g, x, y: xp.where((x <= y) | (y != y), g, 0.0),
    y=lambda xp, g, x, y: xp.where((x <= y) | (y != y), 0.0, g),
)


@primitive(promotes=("x", "y"))
def where(xp: Any, condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, else y."""
    return xp.where(condition, x, y)


where.vjps(
    x=lambda xp, g, condition: xp.where(condition, g, 0.0),
    y=lambda xp, g, condition: xp.where(condition, 0.0, g),
)


@primitive(name="Clamp")
def clip(xp: Any, x: Any, *, min: Any = None, max: Any = None) -> Any:
    """x held between two numbers; the gradient passes where it was not held (its ends included)."""
    return xp.clip(x, min, max)


@clip.vjp
def _(xp: Any, g: Any, x: Any, min: Any, max: Any) -> Any:
    inside = True
    if min is not None:
        inside = x >= min
    if max is not None:
        inside = (x <= max) if inside is True else inside & (x <= max)
    return xp.where(inside, g, 0.0)


@primitive
def relu(xp: Any, x: Any) -> Any:
    """max(x, 0); its gradient at 0 is 0."""
    return xp.maximum(x, 0)


relu.vjp(lambda xp, g, out: g * (out > 0))


@primitive(name="ToCopy")
def astype(xp: Any, x: Any, *, dtype: Any) -> Any:
    """x in another dtype; the gradient comes back in x's own."""
    return xp.astype(x, dtype)


astype.vjp(lambda xp, g, x_dtype: xp.astype(g, dtype=x_dtype))


@primitive(name="Clone")
def copy(xp: Any, x: Any) -> Any:
    """x in a storage of its own."""
    return xp.copy(x)


copy.vjp(lambda xp, g: g)

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


@primitive(promotes=("x", "y"), floating=True)
def copysign(xp: Any, x: Any, y: Any) -> Any:
    """|x| with the sign of y; the gradient at 0 is 0."""
    return xp.copysign(x, y)


copysign.vjps(
    x=lambda xp, g, x, out: xp.where(x == 0, 0.0, g * xp.sign(x) * xp.sign(out)), y=lambda xp, g: constant(xp, g)
)


@nondifferentiable
def new_zeros(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    """Zeros of a shape, with x's dtype, on x's device."""
    return xp.new_zeros(x, shape=shape)
