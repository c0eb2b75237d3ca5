"""Elementwise primitives: one line each, forward (the backend's function of that name) and rule.

In a rule g is the cotangent of the result; the names after it are what is saved. Derivatives of the elementary
functions: Abramowitz & Stegun 1964, chapters 4 and 7. Where a function has no derivative the rule gives PyTorch's
subgradient.
"""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd.primitive import elementwise, nondifferentiable, primitive
from retrograd.autograd.promotion import floating, promote_difference


def constant(xp: Any, g: Any) -> Any:
    """The gradient of a function that is constant almost everywhere."""
    return xp.new_zeros(g, shape=g.shape)


def indicator(xp: Any, condition: Any, like: Any) -> Any:
    """1 where the condition holds, else 0, in the dtype of another array."""
    return xp.astype(condition, dtype=like.dtype)


def sign_of(xp: Any, x: Any) -> Any:
    """±1, and 0 for zero and, as in PyTorch, for NaN."""
    return indicator(xp, x > 0, x) - indicator(xp, x < 0, x)


# ---- arithmetic
add = elementwise("add", x=lambda xp, g: g, y=lambda xp, g: g)
subtract = elementwise("subtract", x=lambda xp, g: g, y=lambda xp, g: -g, backward="Sub")
subtract.primitive.scope["promote"] = promote_difference
multiply = elementwise("multiply", x=lambda xp, g, y: g * y, y=lambda xp, g, x: g * x, backward="Mul")
divide = elementwise(
    "divide", x=lambda xp, g, y: g / y, y=lambda xp, g, x, y: -g * (x / y / y), backward="Div", floating=True
)
negative = elementwise("negative", lambda xp, g: -g, backward="Neg")


def check_divisor(xp: Any, x: Any, y: Any) -> None:
    """Integers have no infinity to answer with."""
    kind = (y if hasattr(y, "dtype") else x).dtype.kind
    if kind == "b":
        raise TypeError("the dtype is bool")
    if kind in "iu" and not bool(xp.all(y) if hasattr(y, "dtype") else y):
        raise RuntimeError("ZeroDivisionError: integer division or modulo by zero")


@primitive(promotes=("x", "y"))
def remainder(xp: Any, x: Any, y: Any) -> Any:
    """x - y ⌊x / y⌋, with the sign of y."""
    check_divisor(xp, x, y)
    return xp.remainder(x, y)


@primitive(promotes=("x", "y"))
def fmod(xp: Any, x: Any, y: Any) -> Any:
    """x - y trunc(x / y), with the sign of x."""
    check_divisor(xp, x, y)
    return xp.fmod(x, y)


@primitive(promotes=("x", "y"))
def floor_divide(xp: Any, x: Any, y: Any) -> Any:
    """⌊x / y⌋."""
    check_divisor(xp, x, y)
    return xp.floor_divide(x, y)


remainder.vjps(x=lambda xp, g: g, y=lambda xp, g, x, y: -g * xp.floor_divide(x, y))
fmod.vjps(x=lambda xp, g: g, y=lambda xp, g, x, y: -g * xp.trunc(x / y))
floor_divide.vjps(x=constant, y=constant)


def power_base(xp: Any, g: Any, x: Any, y: Any) -> Any:
    """y xʸ⁻¹; 0 where y is 0, so that 0⁰ has the gradient 0 and not NaN."""
    if not hasattr(y, "dtype"):
        return constant(xp, g) if y == 0 else g * (y * x ** (y - 1))
    return g * xp.where(y == 0, 0.0, y * x ** xp.where(y == 0, 1.0, y - 1))


def power_exponent(xp: Any, g: Any, x: Any, y: Any, out: Any) -> Any:
    """xʸ ln x; 0 where x is 0 and y is not negative."""
    if not hasattr(x, "dtype"):
        x = xp.new_zeros(y, shape=()) + x
    vanishes = (x == 0) & (y >= 0)
    return g * xp.where(vanishes, 0.0, out * xp.log(xp.where(vanishes, 1.0, x)))


@primitive(name="Pow", promotes=("x", "y"))
def power(xp: Any, x: Any, y: Any) -> Any:
    """x to the power y."""
    kind = (y if hasattr(y, "dtype") else x).dtype.kind
    if kind == "b":
        raise TypeError("the dtype is bool")
    return integer_power(xp, x, y) if kind == "i" else xp.power(x, y)


def integer_power(xp: Any, x: Any, y: Any) -> Any:
    """Integers to integer powers; a negative power of a base other than ±1 has the integer part 0."""
    negative = y < 0
    raised = xp.power(x, xp.where(negative, y & 1, y))
    return xp.where(negative & (x * x != 1), xp.new_zeros(raised, shape=()), raised)


power.vjps(x=power_base, y=power_exponent)


@primitive(name="Pow")
def power_number(xp: Any, x: Any, *, exponent: Any) -> Any:
    """x to a power that is a Python number; the usual ones without a logarithm."""
    if x.dtype.kind != "f":
        if isinstance(exponent, float):
            x = floating(x)
        elif exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed; use a float exponent.")
        elif x.dtype.kind == "b":
            x = xp.astype(x, dtype="int64")
    if exponent == 2:
        return xp.square(x)
    if exponent == 3:
        return x * x * x
    if exponent == 0.5:
        return xp.sqrt(x)
    if exponent == -1:
        return xp.reciprocal(x)
    return xp.power(x, exponent)


@power_number.vjp
def _(xp: Any, g: Any, x: Any, exponent: float) -> Any:
    if exponent == 0:
        return constant(xp, g)
    if exponent == 1:
        return g
    return g * (exponent * x if exponent == 2 else exponent * x ** (exponent - 1))


@primitive(name="Abs")
def abs(xp: Any, x: Any) -> Any:
    """|x|; its gradient at 0 is 0."""
    if x.dtype.kind == "b":
        raise TypeError("the dtype is bool")
    return xp.abs(x)


@primitive(name="Sign")
def sign(xp: Any, x: Any) -> Any:
    """±1, and 0 for zero and for NaN."""
    return sign_of(xp, x) if x.dtype.kind == "f" else xp.copy(x) if x.dtype.kind == "b" else xp.sign(x)


abs.vjp(lambda xp, g, x: g * sign_of(xp, x))
sign.vjp(constant)
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


def inverse_square_norm(xp: Any, x: Any, y: Any) -> Any:
    """1 / (x² + y²); anything finite at the origin, where atan2's gradient is to be 0."""
    square = x * x + y * y
    return 1 / xp.where(square == 0, 1.0, square)


atan2 = elementwise(
    "atan2",
    x=lambda xp, g, x, y: g * y * inverse_square_norm(xp, x, y),
    y=lambda xp, g, x, y: -g * x * inverse_square_norm(xp, x, y),
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
    x=lambda xp, g, x, y: g * xp.sigmoid(x - y),
    y=lambda xp, g, x, y: g * xp.sigmoid(y - x),
    floating=True,
)

# ---- rounding: constant almost everywhere
floor = elementwise("floor", constant)
ceil = elementwise("ceil", constant)
round = elementwise("round", constant)
trunc = elementwise("trunc", constant)


# ---- of more than two inputs, or of static numbers
@primitive(promotes=("start", "end", "weight"))
def lerp(xp: Any, start: Any, end: Any, weight: Any) -> Any:
    """start + weight (end - start), computed from the nearer end so that both ends are exact."""
    step = end - start
    if not hasattr(weight, "dtype"):
        return start + weight * step if -0.5 < weight < 0.5 else end - step * (1 - weight)
    return xp.where(xp.abs(weight) < 0.5, start + weight * step, end - step * (1 - weight))


lerp.vjps(
    start=lambda xp, g, weight: g * (1 - weight),
    end=lambda xp, g, weight: g * weight,
    weight=lambda xp, g, start, end: g * (end - start),
)


@primitive
def frac(xp: Any, x: Any) -> Any:
    """x less its integer part."""
    if x.dtype.kind != "f":
        raise TypeError("the dtype is not floating")
    return x - xp.trunc(x)


frac.vjp(lambda xp, g: g)


@primitive
def nan_to_num(xp: Any, x: Any, *, nan: float, posinf: float, neginf: float) -> Any:
    """x with NaN and the infinities replaced."""
    x = xp.where(x != x, nan, x)
    return xp.where(x == math.inf, posinf, xp.where(x == -math.inf, neginf, x))


nan_to_num.vjp(lambda xp, g, x: xp.keep(g, xp.isfinite(x)))


@primitive(floating=True)
def logit(xp: Any, x: Any, *, eps: float | None = None) -> Any:
    """log(x / (1 - x)), x being held eps away from 0 and 1."""
    x = x if eps is None else xp.clip(x, eps, 1 - eps)
    return xp.log(x / (1 - x))


@logit.vjp
def _(xp: Any, g: Any, x: Any, eps: float | None) -> Any:
    if eps is None:
        inside = (x >= 0) & (x <= 1)
        return g / xp.where(inside, x * (1 - x), math.nan)
    inside = (x >= eps) & (x <= 1 - eps)
    return xp.keep(g / xp.where(inside, x * (1 - x), 1.0), inside)


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


@primitive(promotes=("x", "y"), floating=True)
def copysign(xp: Any, x: Any, y: Any) -> Any:
    """|x| with the sign of y; the gradient at 0 is 0."""
    return xp.copysign(x, y)


copysign.vjps(x=lambda xp, g, x, out: xp.keep(g * xp.sign(x) * xp.sign(out), x != 0), y=constant)


@nondifferentiable
def new_zeros(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    """Zeros of a shape, with x's dtype, on x's device."""
    return xp.new_zeros(x, shape=shape)
