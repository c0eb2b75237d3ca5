"""exp for compiled loops, which run on vectors where they call this one: the machine has none, and NumPy's is a pass of
its own.

With x = n log 2 + r, |r| ≤ log(2)/2, it is 2ⁿ times the Taylor series of exp r, whose rest is far below a unit in the
last place: Muller 2016, "Elementary Functions", section 11.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numba
import numpy as np
from numba.extending import overload

__all__ = ["exp"]


def exp(x: Any) -> Any:
    """exp(x) of a float32 or float64, to one unit in the last place; NaN, infinities and underflow as in NumPy."""
    raise TypeError("exp is called by compiled loops alone")


def of(kind: Any, integer: Any, mantissa: int, least: float, most: float, high: float, degree: int) -> Any:
    """exp for one dtype; beyond `least` and `most` it is 0 and infinity, n · `high` is exact."""
    least, most, high, low = kind(least), kind(most), kind(high), kind(Decimal(2).ln() - Decimal(high))
    inverse, one, zero, bias = kind(1 / math.log(2)), kind(1), kind(0), integer(np.finfo(kind).maxexp - 1)
    series = tuple(kind(1 / math.factorial(i)) for i in range(degree, 1, -1))
    shift, half = integer(mantissa), integer(1)

    def function(x: Any) -> Any:
        x = least if x < least else x
        x = most if x > most else x
        n = np.rint(x * inverse)
        r = x - n * high
        r = r - n * low
        value = zero
        for coefficient in series:
            value = value * r + coefficient
        value = value * r * r + r + one
        exponent = integer(np.int32(n))
        first = exponent >> half  # two factors: 2ⁿ itself may be beyond the dtype's range
        value = value * integer((first + bias) << shift).view(kind)
        return value * integer((exponent - first + bias) << shift).view(kind)

    return function


FLOAT32 = of(np.float32, np.int32, 23, -104.0, 89.0, 0.693359375, 7)
FLOAT64 = of(np.float64, np.int64, 52, -746.0, 710.0, 0.693145751953125, 13)


def by_dtype(x: Any) -> Any:
    return {numba.types.float32: FLOAT32, numba.types.float64: FLOAT64}.get(x)


overload(exp, jit_options={"error_model": "numpy", "fastmath": {"contract"}})(by_dtype)
