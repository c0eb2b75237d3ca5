"""Special functions: the gamma function's family and the inverse of the error function.

Written over the contract's elementary functions, so that they run on every backend. Formulas: Abramowitz & Stegun 1964,
chapters 6 (gamma, digamma, polygamma) and 7 (error function).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from retrograd.autograd.primitive import primitive
from retrograd.autograd.view import apply

__all__ = ["digamma", "erfinv", "lgamma", "polygamma"]

SHIFT = 10
"""The asymptotic series are taken at x + 10, where seven terms give float64's accuracy."""

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
"""B₂, B₄, … B₁₄."""


def series(z: Any, coefficients: list[float]) -> Any:
    """Σ cᵢ zⁱ by Horner's rule."""
    total: Any = coefficients[-1]
    for c in coefficients[-2::-1]:
        total = total * z + c
    return total


def in_float64(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The forward, computed in float64: the series cancel near zeros of the functions."""

    @functools.wraps(forward)
    def widened(xp: Any, x: Any, **static: Any) -> Any:
        return xp.astype(forward(xp, xp.astype(x, dtype="float64"), **static), dtype=x.dtype)

    return widened


@primitive(floating=True)
@in_float64
def lgamma(xp: Any, x: Any) -> Any:
    """log |Γ(x)|: Stirling's series (6.1.41) at x + 10, the product (6.1.16) back, reflection (6.1.17) below 0.5."""
    reflected = x < 0.5
    z = xp.where(reflected, 1 - x, x)
    product = z
    for k in range(1, SHIFT):
        product = product * (z + k)
    up = z + SHIFT
    terms = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(BERNOULLI, 1)]
    stirling = (up - 0.5) * xp.log(up) - up + 0.5 * math.log(2 * math.pi) + series(1 / (up * up), terms) / up
    value = xp.where(xp.isinf(z), math.inf, stirling - xp.log(product))
    value = xp.where((z == 1) | (z == 2), 0.0, value)
    sine = xp.abs(xp.sin(math.pi * (x - xp.round(x))))
    return xp.where(reflected, math.log(math.pi) - xp.log(sine) - value, value)


@primitive(floating=True)
@in_float64
def digamma(xp: Any, x: Any) -> Any:
    """Γ′(x)/Γ(x): the series 6.3.18 at x + 10, the recurrence 6.3.6 back, reflection 6.3.7 below 0.

    −∞ at 0, +∞ at −0, NaN at the negative integers, as in PyTorch.
    """
    z = xp.where(x < 0, 1 - x, x)
    down = 1 / z
    for k in range(1, SHIFT):
        down = down + 1 / (z + k)
    up = z + SHIFT
    terms = [b / (2 * k) for k, b in enumerate(BERNOULLI, 1)]
    value = xp.log(up) - 0.5 / up - series(1 / (up * up), terms) / (up * up) - down
    pole = (x < 0) & (x == xp.floor(x))
    below = value - math.pi / xp.tan(math.pi * xp.where(pole, 0.5, x - xp.round(x)))
    below = xp.where(pole, math.nan, below)
    return xp.where(x < 0, below, xp.where(x == 0, xp.copysign(xp.where(x == 0, math.inf, x), -x), value))


@primitive(floating=True)
@in_float64
def polygamma(xp: Any, x: Any, *, n: int) -> Any:
    """The n-th derivative of digamma, n ≥ 1: (−1)ⁿ⁺¹ n! ζ(n+1, x), as digamma by 6.4.11, 6.4.6 and 6.4.7."""
    reflected = x < 0
    z = xp.where(reflected, 1 - x, x)
    total = z ** -(n + 1.0)
    for k in range(1, SHIFT):
        total = total + (z + k) ** -(n + 1.0)
    up = z + SHIFT
    terms, rising = [], float(n + 1)  # s(s+1)…(s+2k−2) with s = n + 1
    for k, b in enumerate(BERNOULLI, 1):
        terms.append(b / math.factorial(2 * k) * rising)
        rising *= (n + 2 * k) * (n + 2 * k + 1)
    tail = up / n + 0.5 + series(1 / (up * up), terms) / up
    value = (-1) ** (n + 1) * math.factorial(n) * (total + tail * up ** -(n + 1.0))
    cotangent = 1 / xp.tan(math.pi * xp.where(reflected, x - xp.round(x), 0.5))
    return xp.where(reflected, (-1) ** n * value - math.pi * series(cotangent, cot_derivative(n)), value)


def cot_derivative(n: int) -> list[float]:
    """Coefficients of dⁿ/dxⁿ cot(πx) as a polynomial in c = cot(πx), from dc/dx = −π (1 + c²); 6.4.7 needs it."""
    p = [0.0, 1.0]
    for _ in range(n):
        slope = [i * c for i, c in enumerate(p)][1:]
        p = [-math.pi * (a + b) for a, b in zip([*slope, 0.0, 0.0], [0.0, 0.0, *slope])]
    return p


@primitive(floating=True)
@in_float64
def erfinv(xp: Any, x: Any) -> Any:
    """The y whose erf is x: Winitzki's closed form (2008) as a start, then Halley's method on erf (or erfc) thrice.

    ±∞ at ±1, NaN beyond.
    """
    logarithm = xp.log1p(-x * x)
    a = 0.147
    middle = 2 / (math.pi * a) + logarithm / 2
    y = xp.sqrt(xp.sqrt(middle * middle - logarithm / a) - middle)
    magnitude = xp.abs(x)
    inside = magnitude < 1
    y = xp.where(inside, y, 0.0)
    for _ in range(3):
        error = xp.where(magnitude < 0.5, xp.erf(y) - magnitude, (1 - magnitude) - xp.erfc(y))
        step = error / (2 / math.sqrt(math.pi) * xp.exp(-y * y))
        y = y - step / (1 + y * step)
    y = xp.where(inside, y, xp.where(magnitude == 1, math.inf, math.nan))
    return xp.copysign(y, x)


lgamma.vjp(lambda xp, g, x: g * apply(digamma.primitive, x))
digamma.vjp(lambda xp, g, x: g * apply(polygamma.primitive, x, n=1))
polygamma.vjp(lambda xp, g, x, n: g * apply(polygamma.primitive, x, n=n + 1))
erfinv.vjp(lambda xp, g, out: g * (math.sqrt(math.pi) / 2 * xp.exp(out * out)))
