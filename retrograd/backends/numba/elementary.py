"""tanh, written so that compiled loops over it use the processor's vector units; calls of C's library do not.

With n the integer next to x/ln 2, and r = x − n ln 2, so that |r| ≤ ½ ln 2:

    eˣ − 1 = 2ⁿ (eʳ − 1) + (2ⁿ − 1),    tanh x = (e²ˣ − 1) / (e²ˣ − 1 + 2),

where eʳ − 1 is Taylor's series, and ln 2 has two parts, the first of which has so few bits that n times it is exact
(Cody & Waite 1980, chapter 6). The error is below three units in the last place.
"""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from retrograd.backends.numba.jit import compiled

__all__ = ["tanh"]

# float32: 24 bits
LOG2E_32, LN2_HIGH_32, LN2_LOW_32 = np.float32(1.4426950408889634), np.float32(0.693359375), np.float32(-2.12194440e-4)
SERIES_32 = tuple(np.float32(1 / factorial(k)) for k in range(7, 1, -1))
# float64: 53 bits
LOG2E_64, LN2_HIGH_64, LN2_LOW_64 = 1.4426950408889634, 0.6931471803691238, 1.9082149292705877e-10
SERIES_64 = tuple(1 / factorial(k) for k in range(13, 1, -1))


@compiled
def expm1_32(x: Any) -> Any:
    n = np.floor(x * LOG2E_32 + np.float32(0.5))
    r = (x - n * LN2_HIGH_32) - n * LN2_LOW_32
    series = np.float32(0)
    for coefficient in SERIES_32:
        series = series * r + coefficient
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return (series * r * r + r) * power + (power - np.float32(1))


@compiled
def expm1_64(x: Any) -> Any:
    n = np.floor(x * LOG2E_64 + 0.5)
    r = (x - n * LN2_HIGH_64) - n * LN2_LOW_64
    series = 0.0
    for coefficient in SERIES_64:
        series = series * r + coefficient
    power = np.int64((np.int64(n) + 1023) << 52).view(np.float64)
    return (series * r * r + r) * power + (power - 1.0)


def tanh(x: Any) -> Any:
    """Of a float32 or float64; within compiled loops only."""
    raise NotImplementedError


@overload(tanh)
def tanh_of(x: Any) -> Any:
    if x == types.float32:

        def single(x: Any) -> Any:
            e = expm1_32(np.float32(2) * min(max(x, np.float32(-9.1)), np.float32(9.1)))  # beyond, tanh rounds to ±1
            return e / (e + np.float32(2))

        return single
    if x == types.float64:

        def double(x: Any) -> Any:
            e = expm1_64(2.0 * min(max(x, -19.1), 19.1))
            return e / (e + 2.0)

        return double
    return None
