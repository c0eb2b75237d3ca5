"""Kernels that numba compiles, each for a function of the same name that is marked `fusable` (`backends/kernels.py`).

A kernel has two parts: `@compiled` loops over elements, one pass over memory; and a function with the plain one's name
and arguments, which checks that they are NumPy's arrays as the loops want them, and calls these, in ranges shared out
among threads where that pays. Every loop computes in the dtype of the plain function, and in its order but for sums
and exponentials (`jit.py`, `exponential.py`), which are as accurate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from retrograd.backends.numba import (
    activations,
    attention,
    convolution,
    ctc,
    indexing,
    normalization,
    pairwise,
    pooling,
    random_numbers,
    recurrent,
    resampling,
    row_normalization,
    rows,
    sampling,
    scans,
    updates,
)

__all__ = ["KERNELS"]

ROOMS = (
    activations,
    attention,
    convolution,
    ctc,
    indexing,
    normalization,
    pairwise,
    pooling,
    random_numbers,
    recurrent,
    resampling,
    row_normalization,
    rows,
    sampling,
    scans,
    updates,
)
KERNELS: dict[str, Callable[..., Any]] = {name: getattr(room, name) for room in ROOMS for name in room.__all__}
