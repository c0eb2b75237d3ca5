"""Softmax, its logarithm and cross-entropy of rows (`autograd/ops/loss.py`, `autograd/ops/entropy.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.backends.numba.jit import compiled, suited
from retrograd.backends.numba.runs import total
from retrograd.backends.numba.softmax import BLOCK, exponentials, powers
from retrograd.backends.threads import share

__all__ = [
    "cross_entropies",
    "cross_entropy_gradient",
    "log_softmax_along",
    "log_softmax_gradient",
    "softmax_along",
    "softmax_gradient",
]

Array = Any
GRAIN = 2**18
"""Elements that are worth a thread."""


@compiled(reassociate=True)
def softmax_rows(x: Array, out: Array, shift: Array, sums: Array, start: int, stop: int) -> None:
    exponentials(x, out, shift, sums, start, stop)
    for n in range(start, stop):
        row, factor = out[n, 0], 1 / sums[n]
        for i in range(row.size):
            row[i] *= factor


@compiled(reassociate=True)
def softmax_slopes(g: Array, p: Array, dx: Array, start: int, stop: int) -> None:
    """p (g − Σ g p)."""
    for n in range(start, stop):
        slope, row, result, inner = g[n, 0], p[n, 0], dx[n, 0], p.dtype.type(0)
        for i in range(row.size):
            inner += slope[i] * row[i]
        for i in range(row.size):
            result[i] = (slope[i] - inner) * row[i]


@compiled
def log_softmax_rows(x: Array, out: Array, shift: Array, sums: Array, start: int, stop: int) -> None:
    exponentials(x, out, shift, sums, start, stop)
    for n in range(start, stop):
        row, result, most, rest = x[n, 0], out[n, 0], shift[n], np.log(sums[n])
        for i in range(row.size):
            result[i] = (row[i] - most) - rest


@compiled
def log_softmax_slopes(g: Array, log_p: Array, dx: Array, start: int, stop: int) -> None:
    """g − p Σ g."""
    step = max(1, BLOCK // g.shape[2])
    for first in range(start, stop, step):
        last = min(first + step, stop)
        powers(log_p, first, last, dx)
        for n in range(first, last):
            slope, result, whole = g[n, 0], dx[n, 0], g.dtype.type(total(g, n, 0))
            for i in range(slope.size):
                result[i] = slope[i] - result[i] * whole


def softmax_along(xp: Any, x: Array, axis: int) -> Any:
    return of_rows(softmax_rows, axis, x, statistics=True)


def softmax_gradient(xp: Any, g: Array, out: Array, axis: int) -> Any:
    return of_rows(softmax_slopes, axis, g, out)


def log_softmax_along(xp: Any, x: Array, axis: int) -> Any:
    return of_rows(log_softmax_rows, axis, x, statistics=True)


def log_softmax_gradient(xp: Any, g: Array, out: Array, axis: int) -> Any:
    return of_rows(log_softmax_slopes, axis, g, out)


def of_rows(loops: Callable[..., None], axis: int, *arrays: Array, statistics: bool = False) -> Any:
    """The array that the loops fill, for `statistics` with the help of two numbers a row."""
    first = arrays[0]
    if not suited(*arrays) or not first.size or axis not in (-1, first.ndim - 1):
        return NotImplemented
    numbers = first.shape[-1]
    out = np.empty_like(first)
    rows = [array.reshape(-1, 1, numbers) for array in (*arrays, out)]
    n = len(rows[0])
    helpers = [np.empty(n, first.dtype) for _ in range(2 * statistics)]
    share(lambda start, stop: loops(*rows, *helpers, start, stop), n, max(1, GRAIN // numbers))
    return out


# ---- cross-entropy: logits (rows, classes), an index for each row


@compiled
def entropies_of_rows(
    x: Array, index: Array, smoothing: float, e: Array, shift: Array, sums: Array, losses: Array, start: int, stop: int
) -> None:
    exponentials(x, e, shift, sums, start, stop)
    classes = x.shape[2]
    for n in range(start, stop):
        if not 0 <= index[n] < classes:
            raise IndexError("cross_entropy: there is no such class.")
        losses[n] = np.log(sums[n]) + shift[n] - x[n, 0, index[n]] * (1 - smoothing)
        if smoothing:
            losses[n] -= total(x, n, 0) / classes * smoothing


@compiled
def entropy_slopes(
    e: Array, sums: Array, index: Array, weight: Array, smoothing: float, dx: Array, start: int, stop: int
) -> None:
    kind, classes = e.dtype.type, e.shape[2]
    for n in range(start, stop):
        row, result, scale, spread = e[n, 0], dx[n, 0], weight[n] / sums[n], kind(weight[n] * smoothing / classes)
        for i in range(row.size):
            result[i] = row[i] * scale - spread
        result[index[n]] -= weight[n] * kind(1 - smoothing)


def cross_entropies(xp: Any, x: Array, index: Array, smoothing: float) -> Any:
    if not suited(x) or x.ndim != 2 or not x.size or not whole(index):
        return NotImplemented
    n, classes = x.shape
    losses, sums, shift, e = (np.empty(shape, x.dtype) for shape in ((n, 1), (n, 1), n, x.shape))
    logits, powers = x.reshape(n, 1, classes), e.reshape(n, 1, classes)
    flat = index.reshape(n), smoothing, powers, shift, sums.reshape(n), losses.reshape(n)
    share(lambda start, stop: entropies_of_rows(logits, *flat, start, stop), n, max(1, GRAIN // classes))
    return losses, e, sums


def cross_entropy_gradient(xp: Any, e: Array, sums: Array, index: Array, weight: Array, smoothing: float) -> Any:
    if not suited(e, sums) or e.ndim != 2 or not e.size or not whole(index):
        return NotImplemented
    n, classes = e.shape
    dx = np.empty_like(e)
    factors = np.full(n, weight, e.dtype) if np.ndim(weight) == 0 else weight.reshape(n).astype(e.dtype, copy=False)
    flat = sums.reshape(n), index.reshape(n), factors, smoothing, dx.reshape(n, 1, classes)
    rows = e.reshape(n, 1, classes)
    share(lambda start, stop: entropy_slopes(rows, *flat, start, stop), n, max(1, GRAIN // classes))
    return dx


def whole(index: Any) -> bool:
    """Whether it is an array of indices in one piece."""
    return type(index) is np.ndarray and index.dtype == np.int64 and index.flags.c_contiguous
