"""Sampling an image at the points of a grid, and its gradients, without arrays of what is picked
(`autograd/ops/sampling.py`).

Blocks of points, whose tables of pixels and weights (`neighbours.py`) stay in the cache, go through all channels.
Images are (batch, channels, pixels), grids (batch, points, dimensions). Threads share out the images.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.backends.numba.jit import FLOATS, compiled
from retrograd.backends.numba.neighbours import PADDINGS, TAPS, digit, multiply, tables
from retrograd.backends.threads import share

__all__ = ["grid_sample_gradients", "grid_samples"]

Array = Any
GRAIN = 2**16
"""Weighted pixels that are worth a thread."""
BLOCK = 512


@compiled
def harmless(values: Array) -> bool:
    """Whether products with 0 are 0: then pixels outside, whose weight is 0, may as well be the first one. What is
    decided for every pixel takes longer where some, at random, are outside."""
    odd = False
    for m in range(values.size):
        odd |= not np.isfinite(values[m])
    return not odd


@compiled
def pixel(source: Array, i: int) -> Any:
    return source[np.uint64(i)] if i >= 0 else source.dtype.type(0)


@compiled
def gather(source: Array, at: Array, weight: Array, out: Array) -> None:
    """Σ over the taps, four of which are added at once."""
    if len(at) == 1:
        for m in range(out.size):
            out[m] = pixel(source, at[0, m]) * weight[0, m]
    for k in range(0, len(at) // 4 * 4, 4):
        i, j, r, s = at[k], at[k + 1], at[k + 2], at[k + 3]
        a, b, c, d = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
        for m in range(out.size):
            total = pixel(source, i[m]) * a[m]
            total = out[m] + total if k else total
            total += pixel(source, j[m]) * b[m]
            total += pixel(source, r[m]) * c[m]
            out[m] = total + pixel(source, s[m]) * d[m]


@compiled
def spread(at: Array, weight: Array, g: Array, g_source: Array) -> None:
    """Adds the cotangents of a channel's pixels."""
    for k in range(len(at)):
        i, w = at[k], weight[k]
        for m in range(g.size):
            if i[m] >= 0:
                g_source[np.uint64(i[m])] += g[m] * w[m]


@compiled
def compare(source: Array, at: Array, g: Array, g_weight: Array) -> None:
    """Adds the cotangents of the weights."""
    for k in range(len(at)):
        i, total = at[k], g_weight[k]
        for m in range(g.size):
            total[m] += pixel(source, i[m]) * g[m]


@compiled
def spread_and_compare(source: Array, at: Array, weight: Array, g: Array, g_source: Array, g_weight: Array) -> None:
    """Both."""
    for k in range(len(at)):
        i, w, total = at[k], weight[k], g_weight[k]
        for m in range(g.size):
            if i[m] >= 0:
                g_source[np.uint64(i[m])] += g[m] * w[m]
                total[m] += source[np.uint64(i[m])] * g[m]


@compiled
def grid_slopes(weight: Array, slope: Array, g_weight: Array, g_grid: Array) -> None:
    """The cotangent of the coordinates: Σ over the taps of the weight's, times the slope along one dimension and the
    weights along the others."""
    factor, total = np.empty(weight.shape[2], weight.dtype), np.empty(weight.shape[2], weight.dtype)
    for e in range(len(weight)):
        for tap in range(len(g_weight)):
            for d in range(len(weight)):
                k = digit(tap, d, weight)
                multiply(factor, slope[d, k] if d == e else weight[d, k], d == 0)
            for m in range(total.size):
                part = factor[m] * g_weight[tap, m]
                total[m] = total[m] + part if tap else part
        for m in range(total.size):
            g_grid[m, len(weight) - 1 - e] = total[m]


@compiled
def forward(image: Array, grid: Array, lengths: Array, taps: int, padding: int, align: bool, out: Array) -> None:
    for n in range(len(image)):
        for start in range(0, grid.shape[1], BLOCK):
            at, product, _, _ = tables(grid[n, start : start + BLOCK], lengths, taps, padding, align)
            sure = np.maximum(at, np.int32(0))
            for c in range(image.shape[1]):
                chosen = sure if harmless(image[n, c, :1]) else at
                gather(image[n, c], chosen, product, out[n, c, start : start + BLOCK])


@compiled
def backward(
    image: Array, grid: Array, lengths: Array, taps: int, padding: int, align: bool, g: Array,
    g_image: Array, g_grid: Array, for_image: bool, for_grid: bool,
) -> None:  # fmt: skip
    for n in range(len(image)):
        for start in range(0, grid.shape[1], BLOCK):
            at, product, weight, slope = tables(grid[n, start : start + BLOCK], lengths, taps, padding, align)
            g_product, sure = np.zeros(product.shape, product.dtype), np.maximum(at, np.int32(0))
            for c in range(image.shape[1]):
                given = g[n, c, start : start + BLOCK]
                chosen = sure if harmless(image[n, c, :1]) and harmless(given) else at
                if for_image and for_grid:
                    spread_and_compare(image[n, c], chosen, product, given, g_image[n, c], g_product)
                elif for_image:
                    spread(chosen, product, given, g_image[n, c])
                else:
                    compare(image[n, c], chosen, given, g_product)
            if for_grid:
                grid_slopes(weight, slope, g_product, g_grid[n, start : start + BLOCK])


# ---- the functions themselves


def grid_samples(xp: Any, image: Array, grid: Array, *, mode: str, padding_mode: str, align_corners: bool) -> Any:
    if not fits(image, grid):
        return NotImplemented
    shape = (*image.shape[:2], *grid.shape[1:-1])
    out = np.empty((*shape[:2], math.prod(shape[2:])), image.dtype)
    on_threads(forward, image, grid, mode, padding_mode, align_corners, out)
    return out.reshape(shape)


def grid_sample_gradients(
    xp: Any, g: Array, image: Array, grid: Array, mode: str, padding_mode: str, align_corners: bool,
    for_image: bool, for_grid: bool,
) -> Any:  # fmt: skip
    if not fits(image, grid, g):
        return NotImplemented
    g_image = np.zeros(image.shape if for_image else (len(image), 0, 0), image.dtype)
    g_grid = np.zeros(grid.shape, grid.dtype)
    by_weights = for_grid and mode != "nearest"
    if for_image or by_weights:
        wanted = functools.partial(backward, for_image=for_image, for_grid=by_weights)
        on_threads(wanted, image, grid, mode, padding_mode, align_corners, flat(g), flat(g_image), flat(g_grid, 1, -1))
    return g_image if for_image else None, g_grid if for_grid else None


def fits(*arrays: Any) -> bool:
    """Whether arrays are NumPy's, of one dtype (float32 or float64), neither empty nor with more pixels than an index
    counts; they need not be in one piece."""
    return all(
        type(array) is np.ndarray
        and array.dtype == arrays[0].dtype
        and array.dtype in FLOATS
        and 0 < array.size < 2**31
        for array in arrays
    )


def on_threads(
    loops: Callable[..., None], image: Array, grid: Array, mode: str, padding_mode: str, align: bool, *others: Array
) -> None:
    """The loops over the images, and all that has as many; the pixels, or the points, are one axis."""
    lengths, taps, padding = np.array(image.shape[2:]), TAPS[mode], PADDINGS[padding_mode]
    pixels, points = flat(image), flat(grid, 1, -1)

    def task(start: int, stop: int) -> None:
        parts = (array[start:stop] for array in others)
        loops(pixels[start:stop], points[start:stop], lengths, taps, padding, align, *parts)

    share(task, len(image), GRAIN // (pixels.shape[1] * taps ** len(lengths) * points.shape[1]))


def flat(array: Array, start: int = 2, stop: int | None = None) -> Array:
    """In one piece, with some axes as one."""
    shape = array.shape
    inner = shape[start:stop]
    return np.ascontiguousarray(array).reshape(*shape[:start], math.prod(inner), *shape[start + len(inner) :])
