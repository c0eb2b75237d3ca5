"""exp and tanh for compiled loops, which run on vectors where they call these: the machine has none, and NumPy's are
passes of their own.

With x = n log 2 + r, |r| ≤ log(2)/2, exp x is 2ⁿ times the Taylor series of exp r, whose rest is far below a unit in
the last place: Muller 2016, "Elementary Functions", section 11. tanh x = (e − 1)/(e + 1) with e = exp 2x, and of e − 1
nothing is lost near 0: it is 2ⁿ (exp r − 1) + (2ⁿ − 1).
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numba
import numpy as np
from numba.extending import overload, register_jitable

__all__ = ["exp", "tanh"]


def exp(x: Any) -> Any:
    """exp(x) of a float32 or float64, to one unit in the last place; NaN, infinities and underflow as in NumPy."""
    raise TypeError("exp is called by compiled loops alone")


def tanh(x: Any) -> Any:
    """tanh(x) of a float32 or float64, to three units in the last place; NaN and infinities as in NumPy."""
    raise TypeError("tanh is called by compiled loops alone")


def of(
    kind: Any, integer: Any, mantissa: int, least: float, most: float, full: float, high: float, degree: int
) -> tuple[Any, Any]:
    """exp and tanh for one dtype: exp is 0 below `least`, infinite above `most`; tanh is 1 above `full`; n · `high` is
    exact."""
    least, most, full, high, low = (
        kind(least),
        kind(most),
        kind(full),
        kind(high),
        kind(Decimal(2).ln() - Decimal(high)),
    )
    inverse, zero, one, two, bias = kind(1 / math.log(2)), kind(0), kind(1), kind(2), integer(np.finfo(kind).maxexp - 1)
    series = tuple(kind(1 / math.factorial(i)) for i in range(degree, 1, -1))
    shift, half = integer(mantissa), integer(1)

    @register_jitable
    def reduced(x: Any) -> Any:
        """n and exp(r) - 1."""
        n = np.rint(x * inverse)
        r = x - n * high
        r = r - n * low
        value = zero
        for coefficient in series:
            value = value * r + coefficient
        return integer(np.int32(n)), value * r * r + r

    @register_jitable
    def power(n: Any) -> Any:
        """2ⁿ."""
        return integer((n + bias) << shift).view(kind)

    def exp(x: Any) -> Any:
        vanishes = x < least  # asked apart, because products below the smallest number are slow
        x = zero if vanishes else x
        x = most if x > most else x
        n, value = reduced(x)
        first = n >> half  # two factors: 2ⁿ itself may be beyond the dtype's range
        value = (value + one) * power(first) * power(n - first)
        return zero if vanishes else value

    def tanh(x: Any) -> Any:
        x = -full if x < -full else x
        x = full if x > full else x
        n, value = reduced(x + x)
        whole = power(n)
        value = value * whole + (whole - one)
        return value / (value + two)

    return exp, tanh


EXP32, TANH32 = of(np.float32, np.int32, 23, -104.0, 89.0, 9.1, 0.693359375, 7)
EXP64, TANH64 = of(np.float64, np.int64, 52, -746.0, 710.0, 19.1, 0.693145751953125, 13)
OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}}


@overload(exp, jit_options=OPTIONS, inline="never")
def _(x: Any) -> Any:
    return {numba.types.float32: EXP32, numba.types.float64: EXP64}.get(x)


@overload(tanh, jit_options=OPTIONS, inline="never")
def _(x: Any) -> Any:
    return {numba.types.float32: TANH32, numba.types.float64: TANH64}.get(x)
