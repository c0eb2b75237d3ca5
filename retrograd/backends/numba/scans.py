"""Running sums, products and extrema, one pass over the elements (`backends/numpy.py`, `autograd/ops/scan.py`).

All arrays are (outer, length, inner), with the axis of the scan in the middle; threads share out the outer axis. What
is running has a row of its own, in float64 where it is a sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.backends.numba.jit import compiled, suited
from retrograd.backends.threads import share

__all__ = ["cumulative_max", "cumulative_prod", "cumulative_sum", "logcumsumexp"]

Array = Any
GRAIN = 2**16
"""Elements that are worth a thread."""


@compiled
def combined(total: float, value: float, product: Any) -> float:
    return total + value if product is None else total * value


@compiled
def accumulate(x: Array, out: Array, product: Any) -> None:
    first = 0.0 if product is None else 1.0
    for o in range(x.shape[0]):
        if x.shape[2] == 1:  # what is running stays in a register
            total = first
            for k in range(x.shape[1]):
                total = combined(total, x[o, k, 0], product)
                out[o, k, 0] = total
        else:
            totals = np.full(x.shape[2], first)
            for k in range(x.shape[1]):
                for i in range(x.shape[2]):
                    totals[i] = combined(totals[i], x[o, k, i], product)
                    out[o, k, i] = totals[i]


def cumulative_sum(x: Array, *, axis: int, dtype: Any = None) -> Any:
    return accumulated(x, axis, dtype, None)


def cumulative_prod(x: Array, *, axis: int, dtype: Any = None) -> Any:
    return accumulated(x, axis, dtype, True)


def accumulated(x: Array, axis: int, dtype: Any, product: Any) -> Any:
    if type(x) is np.ndarray and x.strides and not x.flags.c_contiguous:  # from its end, for a gradient
        x = np.ascontiguousarray(x)
    if dtype is not None or not scannable(x, axis):
        return NotImplemented
    return scanned(lambda x, out: accumulate(x, out, product), axis, x, np.empty_like(x))[1]


@compiled
def highest(x: Array, values: Array, places: Array) -> None:
    """A NaN is greater than all, and the last one the greatest."""
    for o in range(x.shape[0]):
        if x.shape[2] == 1:
            highest_of_row(x[o, :, 0], values[o, :, 0], places[o, :, 0])
            continue
        best, place = x[o, 0].copy(), np.zeros(x.shape[2], np.int64)
        for k in range(x.shape[1]):
            for i in range(x.shape[2]):
                reached = x[o, k, i] >= best[i] or x[o, k, i] != x[o, k, i]
                best[i] = x[o, k, i] if reached else best[i]
                place[i] = k if reached else place[i]
                values[o, k, i], places[o, k, i] = best[i], place[i]


@compiled
def highest_of_row(x: Array, values: Array, places: Array) -> None:
    best, place, k = x[0], 0, 0
    while k < x.size and x[k] == x[k]:
        best = x[k] if x[k] > best else best  # the one thing that a step waits for
        place = k if x[k] >= best else place
        values[k], places[k] = best, place
        k += 1
    while k < x.size:  # from the first NaN on
        place = place if x[k] == x[k] else k
        values[k], places[k] = np.nan, place
        k += 1


def cumulative_max(x: Array, *, axis: int) -> Any:
    if not scannable(x, axis) or not x.size:
        return NotImplemented
    return scanned(highest, axis, x, np.empty_like(x), np.empty(x.shape, np.int64))[1:]


@compiled
def log_sums(x: Array, out: Array) -> None:
    """m + log s, of the running maximum m and the running sum s of exponentials, from which exp m is taken out."""
    for o in range(x.shape[0]):
        m, s = np.full(x.shape[2], -np.inf), np.zeros(x.shape[2])
        for k in range(x.shape[1]):
            for i in range(x.shape[2]):
                value = np.float64(x[o, k, i])
                if value <= m[i]:
                    s[i] += 1.0 if value == m[i] else np.exp(value - m[i])
                else:
                    s[i] = s[i] * np.exp(m[i] - value) + 1.0 if k else 1.0
                    m[i] = value
                out[o, k, i] = m[i] + np.log(s[i])


def logcumsumexp(xp: Any, x: Array, *, axis: int) -> Any:
    if not scannable(x, axis):
        return NotImplemented
    return scanned(log_sums, axis, x, np.empty_like(x))[1]


def scannable(x: Any, axis: int) -> bool:
    return suited(x) and -x.ndim <= axis < x.ndim


def scanned(loops: Callable[..., None], axis: int, *arrays: Array) -> tuple[Array, ...]:
    """The arrays, once the loops have gone over them."""
    shape = arrays[0].shape
    axis %= len(shape)
    outer, rest = math.prod(shape[:axis]), math.prod(shape[axis:])
    parts = [a.reshape(outer, shape[axis], math.prod(shape[axis + 1 :])) for a in arrays]
    if arrays[0].size:
        share(lambda start, stop: loops(*[part[start:stop] for part in parts]), outer, GRAIN // rest)
    return arrays
