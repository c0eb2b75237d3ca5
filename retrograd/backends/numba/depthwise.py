"""Convolution of every channel by itself: too few sums for a product of matrices, so that each tap of the kernel is a
pass over a plane in the nearest cache (`convolution.py`).

A plane is laid out with its padding, in phases (down · stride, rows · wide) where windows move by more than one, and an
output as wide as these, so that a tap adds one run of memory to another. What runs over behind a row is not read. Taps
are (phase, offset of the run). Shapes and numbers of axes are those of `convolution.py`, with one channel to a group.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.numba.jit import compiled

__all__ = ["MAPS", "as_kernels", "as_matrices", "new_total", "where"]

Array = Any
Shape = tuple[int, ...]
BLOCK = 2048
"""Products that are added up before they are added to the rest."""


@compiled
def exchange(x: Array, planes: Array, axes: Any, wide: int, back: bool) -> None:
    """A plane x to its phases, with zeros for the padding, or back."""
    (height, _, _, down, above, _), (length, _, _, stride, padding, _) = axes
    if not back:
        planes[:] = 0
    for phase in range(down * stride):
        run, y, c = planes[phase], (phase // stride - above) % down, (phase % stride - padding) % stride
        top, left = (y + above) // down, (c + padding) // stride
        rows = min((height - y + down - 1) // down, run.size // wide - top)
        columns = min((length - c + stride - 1) // stride, wide - left)
        for r in range(rows):
            to, of = (top + r) * wide + left, (y + r * down) * length + c
            if back:
                for k in range(columns):
                    x[np.uint64(of + k * stride)] = run[np.uint64(to + k)]
            elif stride == 1:
                for k in range(columns):
                    run[np.uint64(to + k)] = x[np.uint64(of + k)]
            elif stride == 2:
                for k in range(columns):
                    run[np.uint64(to + k)] = x[np.uint64(of + 2 * k)]
            else:
                for k in range(columns):
                    run[np.uint64(to + k)] = x[np.uint64(of + k * stride)]


@compiled
def widen(y: Array, run: Array, width: int, wide: int) -> None:
    """Rows of outputs, with zeros behind each."""
    run[:] = 0
    for r in range(y.size // width):
        for c in range(width):
            run[np.uint64(r * wide + c)] = y[np.uint64(r * width + c)]


@compiled(reassociate=True)
def from_windows(
    x: Array,
    weight: Array,
    bias: Array,
    y: Array,
    axes: Any,
    taps: Array,
    shape: tuple[int, int, int],
    first: int,
    last: int,
) -> None:
    width, (phases, rows, wide) = axes[1][1], shape
    planes, run = np.empty((phases, rows * wide), x.dtype), np.empty(axes[0][1] * wide, x.dtype)
    reach = run.size - wide + width
    for n in range(first, last):
        for group in range(x.shape[1]):
            exchange(x[n, group, 0], planes, axes, wide, False)
            for o in range(y.shape[2]):
                run[:] = bias[group, o] if bias is not None else x.dtype.type(0)
                for tap in range(len(taps)):
                    plane, value, at = planes[taps[tap, 0]], weight[group, o, tap], taps[tap, 1]
                    for k in range(reach):
                        run[k] += value * plane[np.uint64(k + at)]
                out = y[n, group, o]
                for r in range(axes[0][1]):
                    for c in range(width):
                        out[np.uint64(r * width + c)] = run[np.uint64(r * wide + c)]


@compiled(reassociate=True)
def to_windows(y: Array, weight: Array, x: Array, axes: Any, taps: Array, shape: tuple[int, int, int]) -> None:
    width, (phases, rows, wide) = axes[1][1], shape
    planes, run = np.empty((phases, rows * wide), x.dtype), np.empty(axes[0][1] * wide, x.dtype)
    reach = run.size - wide + width
    for n in range(len(x)):
        for group in range(x.shape[1]):
            planes[:] = 0
            for o in range(y.shape[2]):
                widen(y[n, group, o], run, width, wide)
                for tap in range(len(taps)):
                    plane, value, at = planes[taps[tap, 0]], weight[group, o, tap], taps[tap, 1]
                    for k in range(reach):
                        plane[np.uint64(k + at)] += value * run[k]
            x[n, group] = 0
            exchange(x[n, group, 0], planes, axes, wide, True)


@compiled(reassociate=True)
def pair_windows(
    x: Array, y: Array, total: Array, axes: Any, taps: Array, shape: tuple[int, int, int], first: int, last: int
) -> None:
    """To `total` (groups, outputs, taps) what pairs windows with outputs; a row of sums at a time."""
    width, (phases, rows, wide) = axes[1][1], shape
    planes, run = np.empty((phases, rows * wide), x.dtype), np.empty(axes[0][1] * wide, x.dtype)
    reach = run.size - wide + width
    for n in range(first, last):
        for group in range(x.shape[1]):
            exchange(x[n, group, 0], planes, axes, wide, False)
            for o in range(y.shape[2]):
                widen(y[n, group, o], run, width, wide)
                for tap in range(len(taps)):
                    plane, at = planes[taps[tap, 0]], taps[tap, 1]
                    for begin in range(0, reach, BLOCK):
                        part = x.dtype.type(0)
                        for k in range(begin, min(begin + BLOCK, reach)):
                            part += run[np.uint64(k)] * plane[np.uint64(k + at)]
                        total[group, o, tap] += part


MAPS = from_windows, to_windows, pair_windows


# ---- what they are told: a kernel is (groups, outputs, 1, tall, size)


def where(axes: Any, kernel: Shape) -> tuple[int, tuple[Any, ...]]:
    """One band to a sample, and the axes, the taps, and the shape of a plane laid out: (phases, rows, wide)."""
    (_, count, tall, down, _, apart), (_, width, size, stride, _, dilation) = axes
    wide, rows = width + (size - 1) * dilation // stride, count + (tall - 1) * apart // down
    taps = [
        (i * apart % down * stride + j * dilation % stride, i * apart // down * wide + j * dilation // stride)
        for i in range(tall)
        for j in range(size)
    ]
    return 1, (axes, np.array(taps), (down * stride, rows, wide))


def as_matrices(weight: Array) -> Array:
    """A kernel as (groups, outputs, taps)."""
    return np.ascontiguousarray(weight).reshape(*weight.shape[:2], -1)


def new_total(kernel: Shape, dtype: Any) -> Array:
    """Zeros (groups, outputs, taps)."""
    return np.zeros((*kernel[:2], kernel[3] * kernel[4]), dtype)


def as_kernels(total: Array, kernel: Shape) -> Array:
    """The same as a kernel."""
    return total.reshape(kernel)
