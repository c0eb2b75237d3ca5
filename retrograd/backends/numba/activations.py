"""GELU and its slope in one pass (`backends/numpy_special.py`)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.backends.numba.exponential import exp
from retrograd.backends.numba.jit import compiled, suited
from retrograd.backends.numpy_special import GELU_END, GELU_P, GELU_Q
from retrograd.backends.threads import share

__all__ = ["gelu"]

Array = Any
GRAIN = 2**17
"""Elements that are worth a thread."""

P0, P1, P2 = map(np.float32, GELU_P)
Q0, Q1, Q2 = map(np.float32, GELU_Q)
END, HALF, ONE, HEIGHT = map(np.float32, (GELU_END, 0.5, 1.0, math.sqrt(0.5 / math.pi)))


@compiled(reassociate=True)
def gelu_of_range(x: Array, out: Array, slope: Array) -> None:
    for i in range(x.size):
        value = x[i]
        size = abs(value)
        size = END if size > END else size
        density = exp(-HALF * size * size) * HEIGHT
        tail = density * ((P0 * size + P1) * size + P2) / (((size + Q0) * size + Q1) * size + Q2)
        below = tail if value < 0 else ONE - tail
        out[i] = value * below
        slope[i] = below + density * (size if value > 0 else -size)


def gelu(x: Array) -> Any:
    if not suited(x) or x.dtype != np.float32:
        return NotImplemented
    out, slope = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    flat = [array.reshape(-1) for array in (x, out, slope)]
    share(lambda start, stop: gelu_of_range(*[array[start:stop] for array in flat]), x.size, GRAIN)
    return out, slope
