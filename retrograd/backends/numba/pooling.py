"""Pooling: every window once, planes shared out among threads (`ops/pooling.py`).

Planes have two axes here; those of one dimension get a first of length 1, and those of three are left to NumPy. The
numbers of an axis are (length, count, size, stride, padding, dilation); an offset numbers the elements of a window.
Indices are unsigned where they cannot be negative: for others numba asks, and the loop does not run on vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.numba.jit import FLOATS, compiled
from retrograd.backends.threads import share

__all__ = ["add_to_maxima", "maxima", "spread_windows", "sum_windows"]

Array = Any
GRAIN = 100_000
"""Elements of planes that are worth a thread."""


def as_planes(x: Array, windows: Any) -> tuple[Array, Any]:
    """x as (planes, height, width), in one piece, and the numbers of both axes."""
    rank = len(windows.size)
    idle = (1,) * (2 - rank)
    axes = ((1, 1, 1, 1, 0, 1),) * (2 - rank) + tuple(zip(*windows, strict=True))
    return np.ascontiguousarray(x).reshape(-1, *idle, *x.shape[x.ndim - rank :]), axes


def takes(x: Array, windows: Any) -> bool:
    return type(x) is np.ndarray and x.dtype in FLOATS and len(windows.size) <= 2


def by_planes(kernel: Any, x: Array, others: tuple[Array, ...], axes: Any) -> None:
    """kernel(x, *others, axes) for ranges of the planes."""

    def task(start: int, stop: int) -> None:
        kernel(x[start:stop], *[other[start:stop] for other in others], axes)

    elements = max(other.size for other in (x, *others))
    share(task, len(x), max(1, GRAIN * len(x) // max(elements, 1)))


@compiled
def inside(c: int, axis: tuple[int, ...]) -> Any:
    """Where a window begins, and the elements, from the first to before the last, that are on the input."""
    length, _, size, stride, padding, dilation = axis
    start = c * stride - padding
    return start, max(0, -(start // dilation)), min(size, (length - 1 - start) // dilation + 1)


# ---- the maximum


@compiled
def larger(value: Any, best: Any, number: Any, at: Any) -> Any:
    """The larger of two and its number: the first of equal ones, and a NaN stays."""
    better = (best == best) & (not (value <= best))
    return (value if better else best), (number if better else at)


def of_squares(size: int, stride: int) -> Any:
    """Takes the maxima of a row of such windows, neither dilated nor in the padding, the first of which begins at (y,
    x): the compiler needs both numbers as constants to use vectors."""

    @compiled
    def take(plane: Array, y: int, x: int, best: Array, at: Array, first: int, last: int) -> None:
        for column in range(first, last):
            c = np.uint64(column)
            corner = c * np.uint64(stride) + np.uint64(x)
            value, number = plane[np.uint64(y), corner], at.dtype.type(0)
            for i in range(size):
                for j in range(size):
                    other = plane[np.uint64(y + i), corner + np.uint64(j)]
                    value, number = larger(other, value, at.dtype.type(i * size + j), number)
            best[c], at[c] = value, number

    return take


pairs, threes, overlapping_threes = of_squares(2, 2), of_squares(3, 2), of_squares(3, 1)


@compiled
def of_any(plane: Array, r: int, best: Array, at: Array, first: int, last: int, axes: Any) -> None:
    """The same of any windows, in row r."""
    apart, size, dilation = axes[0][5], axes[1][2], axes[1][5]
    y, top, bottom = inside(r, axes[0])
    for c in range(first, last):
        x, left, right = inside(c, axes[1])
        value, number = plane.dtype.type(-np.inf), at.dtype.type(top * size + left)
        for i in range(top, bottom):
            for j in range(left, right):
                other = plane[np.uint64(y + i * apart), np.uint64(x + j * dilation)]
                value, number = larger(other, value, at.dtype.type(i * size + j), number)
        best[c], at[c] = value, number


@compiled
def maximum_of_windows(x: Array, out: Array, offsets: Array, axes: Any) -> None:
    (_, rows, tall, down, _, apart), (length, columns, size, stride, padding, dilation) = axes
    first = min(columns, -(-padding // stride))  # windows from here to before the last lie on the input
    last = max(first, min(columns, (length - 1 + padding - (size - 1) * dilation) // stride + 1))
    square = tall == size and down == stride and apart == dilation == 1
    usual = square and (stride == 1 or stride == 2) and (size == 3 or size == stride == 2)
    for plane in range(len(x)):
        for r in range(rows):
            best, at = out[plane, r], offsets[plane, r]
            y, top, bottom = inside(r, axes[0])
            if not usual or bottom - top < tall:
                of_any(x[plane], r, best, at, 0, columns, axes)
                continue
            if size == 2:
                pairs(x[plane], y, -padding, best, at, first, last)
            elif stride == 2:
                threes(x[plane], y, -padding, best, at, first, last)
            else:
                overlapping_threes(x[plane], y, -padding, best, at, first, last)
            if first > 0 or last < columns:
                of_any(x[plane], r, best, at, 0, first, axes)
                of_any(x[plane], r, best, at, last, columns, axes)


def maxima(xp: Any, x: Array, windows: Any) -> Any:
    if not takes(x, windows):
        return NotImplemented
    planes, axes = as_planes(x, windows)
    elements = axes[0][2] * axes[1][2]
    code = "uint8" if elements <= 2**8 else "uint16" if elements <= 2**16 else "int32"
    shape = (*x.shape[: x.ndim - len(windows.size)], *windows.counts)
    out, offsets = np.empty(shape, x.dtype), np.empty(shape, code)
    by_planes(maximum_of_windows, planes, (as_planes(out, windows)[0], as_planes(offsets, windows)[0]), axes)
    return out, offsets


@compiled
def add_at(x: Array, offsets: Array, out: Array, axes: Any) -> None:
    (height, rows, tall, down, above, apart), (length, columns, size, stride, padding, dilation) = axes
    within = np.empty(tall * size, np.int64)
    for number in range(tall * size):
        within[number] = number // size * apart * length + number % size * dilation
    for plane in range(len(x)):
        total = out[plane].reshape(-1)
        total[:] = 0
        for r in range(rows):
            corner = (r * down - above) * length - padding
            for c in range(columns):
                place = corner + c * stride + within[offsets[plane, r, c]]
                if 0 <= place < height * length:  # always, for offsets of maxima
                    total[np.uint64(place)] += x[plane, r, c]


def add_to_maxima(xp: Any, x: Array, offsets: Array, windows: Any) -> Any:
    if not takes(x, windows):
        return NotImplemented
    planes, axes = as_planes(x, windows)
    out = np.empty((*x.shape[: x.ndim - len(windows.size)], *windows.lengths), x.dtype)
    by_planes(add_at, planes, (as_planes(offsets, windows)[0], as_planes(out, windows)[0]), axes)
    return out


# ---- the sum


@compiled
def sum_of_windows(x: Array, out: Array, axes: Any) -> None:
    apart, dilation = axes[0][5], axes[1][5]
    for plane in range(len(x)):
        for r in range(out.shape[1]):
            y, top, bottom = inside(r, axes[0])
            for c in range(out.shape[2]):
                place, left, right = inside(c, axes[1])
                total = x.dtype.type(0)
                for i in range(top, bottom):
                    for j in range(left, right):
                        total += x[plane, np.uint64(y + i * apart), np.uint64(place + j * dilation)]
                out[plane, r, c] = total


@compiled
def spread_over_windows(x: Array, out: Array, axes: Any) -> None:
    apart, dilation = axes[0][5], axes[1][5]
    for plane in range(len(x)):
        out[plane] = 0
        for r in range(x.shape[1]):
            y, top, bottom = inside(r, axes[0])
            for c in range(x.shape[2]):
                place, left, right = inside(c, axes[1])
                value = x[plane, r, c]
                for i in range(top, bottom):
                    for j in range(left, right):
                        out[plane, np.uint64(y + i * apart), np.uint64(place + j * dilation)] += value


def over_planes(kernel: Any, x: Array, windows: Any, lengths: tuple[int, ...]) -> Any:
    if not takes(x, windows):
        return NotImplemented
    planes, axes = as_planes(x, windows)
    out = np.empty((*x.shape[: x.ndim - len(windows.size)], *lengths), x.dtype)
    by_planes(kernel, planes, (as_planes(out, windows)[0],), axes)
    return out


def sum_windows(xp: Any, x: Array, windows: Any) -> Any:
    return over_planes(sum_of_windows, x, windows, windows.counts)


def spread_windows(xp: Any, x: Array, windows: Any) -> Any:
    return over_planes(spread_over_windows, x, windows, windows.lengths)
