"""Sums along axes on NumPy: by matrix products with ones, where these are faster than `np.add.reduce`.

`np.add.reduce` runs over a short last axis, or one in the middle, in short loops: 16 numbers at a time take ten times
as long as reading them. A product with a vector of ones reads the array once, with all lanes of the processor and on
all threads of BLAS. Partial sums of at most LONG elements keep the rounding error that of pairwise summation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.backends.contract import Array, Axis

__all__ = ["MANY", "sum_many"]

MANY = 2**13
"""Elements from which on products pay."""
WHOLE = 2**16
"""The same for the sum of all elements, which `np.add.reduce` takes in one run."""
LONG = 256
"""Elements that one product may sum: four times as many along the last axis, where it keeps many partial sums."""
MATRIX = 1024
"""Elements that a matrix of a batch must have, as every product of the batch is a call."""

_add_reduce: Callable[..., Any] = np.add.reduce


@functools.lru_cache(256)
def _ones(n: int, dtype: str) -> Array:
    return np.ones(n, dtype)


def sum_many(x: Array, axis: Axis, keepdims: bool) -> Array:
    """The sum of MANY elements and more along axes, as `np.add.reduce` has it."""
    in_one_run = x.size < WHOLE and (axis is None or x.ndim == 1)
    if in_one_run or x.dtype.char not in "fd" or not x.flags.c_contiguous:
        return _add_reduce(x, axis, None, None, keepdims)
    ndim, shape = x.ndim, x.shape
    if axis is None:
        axis = tuple(range(ndim))
    axes = [a + ndim if a < 0 else a for a in (axis if isinstance(axis, tuple) else (axis,))]
    if not all(0 <= a < ndim for a in axes) or len(set(axes)) < len(axes):
        return _add_reduce(x, axis, None, None, keepdims)  # which raises
    out = x
    for first, last in reversed(_runs(axes)):
        out = _sum_run(out, math.prod(shape[:first]), math.prod(shape[first:last]))
    if keepdims:
        return out.reshape([1 if a in axes else n for a, n in enumerate(shape)])
    return out.reshape([n for a, n in enumerate(shape) if a not in axes])[()]


def _runs(axes: list[int]) -> list[tuple[int, int]]:
    """Neighbouring axes as ranges."""
    if len(axes) == 1:
        return [(axes[0], axes[0] + 1)]
    starts = sorted(a for a in axes if a - 1 not in axes)
    stops = sorted(a + 1 for a in axes if a + 1 not in axes)
    return list(zip(starts, stops))


def _sum_run(x: Array, before: int, n: int) -> Array:
    """(before, n, after), as a flat array, summed along n."""
    if x.size < MANY:
        return _add_reduce(x.reshape(before, n, -1), 1)
    after = x.size // (before * n)
    most = LONG if after > 1 else 4 * LONG
    if n > most:
        fewest = -(-n // most)
        parts = next((parts for parts in range(fewest, 2 * fewest) if n % parts == 0), 0)
        if parts:
            return _sum_run(_sum_run(x, before * parts, n // parts), before, parts)
        if before == 1:
            whole, x = n - n % most, x.reshape(n, after)
            return _sum_run(x[:whole], 1, whole).reshape(after) + _sum_run(x[whole:], 1, n - whole).reshape(after)
        return _add_reduce(x.reshape(before, n, after), 1)
    if after == 1:
        return x.reshape(before, n) @ _ones(n, x.dtype.char)
    if before == 1:
        return _ones(n, x.dtype.char) @ x.reshape(n, after)
    if n * after >= MATRIX:
        return np.matmul(_ones(n, x.dtype.char), x.reshape(before, n, after))
    return _add_reduce(x.reshape(before, n, after), 1)
