"""Sampling an image at the points of a grid, and its gradients, without arrays of what is picked
(`autograd/ops/sampling.py`).

Blocks of points, whose pixels and weights stay in the cache, go through all channels. Images are (batch, channels,
pixels), grids (batch, points, dimensions). Tables are (dimensions, taps, points) or, of all combinations of taps,
(taps, points); an index of −1 is a pixel outside. Taps along a dimension: 1 nearest, 2 linear, 4 cubic. Threads share
out the images.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.backends.numba.jit import FLOATS, compiled
from retrograd.backends.threads import share

__all__ = ["grid_sample_gradients", "grid_samples"]

Array = Any
GRAIN = 2**16
"""Weighted pixels that are worth a thread."""
BLOCK = 512
TAPS = {"nearest": 1, "bilinear": 2, "bicubic": 4}
ZEROS, BORDER, REFLECTION = 0, 1, 2
PADDINGS = {"zeros": ZEROS, "border": BORDER, "reflection": REFLECTION}


# ---- which pixels, and how much of each


@compiled
def inside(place: Array, rate: Array, length: int, padding: int, align: bool) -> None:
    """Moves places onto the image, and multiplies their rates by those at which they move, 0 at the border."""
    number = place.dtype.type
    most, zero = number(length - 1), number(0)
    if padding == REFLECTION:
        low, span = (zero, most) if align else (number(-0.5), number(length))
        half = number(0.5)
        for m in range(place.size):
            distance = abs(place[m] - low)
            turns = np.floor(distance / span) if span > zero else zero
            rest = distance - turns * span
            even = np.floor(turns * half) == turns * half
            rate[m] = rate[m] if even == (place[m] >= low) else -rate[m]
            place[m] = low + (rest if even else span - rest)
    if padding != ZEROS:
        for m in range(place.size):
            rate[m] = rate[m] if (place[m] > zero) & (place[m] < most) else zero
            place[m] = zero if place[m] < zero else place[m]
            place[m] = most if place[m] > most else place[m]


@compiled
def weigh(taps: int, t: Array, weight: Array, slope: Array) -> None:
    """The weights of the taps around places, t beyond their first pixel, and their slopes. Keys 1981, a = −3/4."""
    number = t.dtype.type
    one, two = number(1), number(2)
    if taps == 1:
        weight[0], slope[0] = one, number(0)
    elif taps == 2:
        for m in range(t.size):
            weight[0, m], weight[1, m] = one - t[m], t[m]
        slope[0], slope[1] = -one, one
    else:
        a, five, eight, ten, three = number(-0.75), number(5), number(8), number(10), number(3)
        for m in range(t.size):
            for k, x, sign in ((0, t[m] + one, one), (3, two - t[m], -one)):
                weight[k, m] = ((x - five) * x + eight) * x * a - number(4) * a
                slope[k, m] = sign * ((three * x - ten) * x + eight) * a
            for k, x, sign in ((1, t[m], one), (2, one - t[m], -one)):
                weight[k, m] = ((a + two) * x - (a + three)) * x * x + one
                slope[k, m] = sign * (three * (a + two) * x - two * (a + three)) * x


@compiled
def neighbours(
    coordinates: Array, length: int, padding: int, align: bool, scratch: Array, index: Array, weight: Array,
    slope: Array,
) -> None:  # fmt: skip
    """Along one dimension, of every point, the pixels, their weights, and the slopes of these with the coordinate."""
    taps, number = len(index), coordinates.dtype.type
    place, rate, t, unused = scratch[0], scratch[1], scratch[2], scratch[3]
    one, two, size, most = number(1), number(2), number(length), number(length - 1)
    scale = number((length - 1) / 2 if align else length / 2)
    for m in range(place.size):
        x = coordinates[m] + one
        place[m] = x / two * most if align else (x * size - one) / two
        rate[m] = scale
    if taps < 4:
        inside(place, rate, length, padding, align)
    for m in range(place.size):
        first = np.rint(place[m]) if taps == 1 else np.floor(place[m])
        t[m], place[m] = place[m] - first, first
    weigh(taps, t, weight, slope)
    for k in range(taps):
        i, w, s = index[k], weight[k], slope[k]
        for m in range(t.size):
            t[m] = place[m] + number(k - (taps == 4))
        if taps == 4:
            inside(t, unused, length, padding, align)
        for m in range(t.size):
            there = (t[m] >= number(0)) & (t[m] <= most)
            i[m] = np.int32(t[m] if there else -one)
            w[m] = w[m] if there else number(0)
            s[m] = s[m] * rate[m] if there else number(0)


@compiled
def combine(lengths: Array, index: Array, weight: Array, at: Array, product: Array) -> None:
    """Of all combinations of taps along the dimensions, the pixels and the products of the weights."""
    for tap in range(len(at)):
        for d in range(len(lengths)):
            k = digit(tap, d, index)
            extend(at[tap], index[d, k], np.int32(lengths[d]), d == 0)
            multiply(product[tap], weight[d, k], d == 0)


@compiled
def digit(tap: int, d: int, table: Array) -> Any:
    """Which tap along a dimension a combination has."""
    return tap // table.shape[1] ** (len(table) - 1 - d) % table.shape[1]


@compiled
def extend(at: Array, index: Array, length: int, first: bool) -> None:
    for m in range(at.size):
        flat = index[m] if first else at[m] * length + index[m]
        at[m] = flat if first | ((at[m] | index[m]) >= 0) else -1


@compiled
def multiply(product: Array, factor: Array, first: bool) -> None:
    for m in range(product.size):
        product[m] = factor[m] if first else product[m] * factor[m]


# ---- sums over these


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
def tables(points: Array, lengths: Array, taps: int, padding: int, align: bool) -> tuple[Array, ...]:
    """Of a block of points, (all taps, points) pixels and weights; (dimensions, taps, points) weights and slopes."""
    dimensions, size, dtype = len(lengths), len(points), points.dtype
    scratch, index = np.empty((4, size), dtype), np.empty((dimensions, taps, size), np.int32)
    weight, slope = np.empty(index.shape, dtype), np.empty(index.shape, dtype)
    for d in range(dimensions):
        coordinates = points[:, dimensions - 1 - d]
        neighbours(coordinates, lengths[d], padding, align, scratch, index[d], weight[d], slope[d])
    at, product = np.empty((taps**dimensions, size), np.int32), np.empty((taps**dimensions, size), dtype)
    combine(lengths, index, weight, at, product)
    return at, product, weight, slope


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
    """Whether arrays are NumPy's, of one dtype (float32 or float64), and not empty; they need not be in one piece."""
    return all(
        type(array) is np.ndarray and array.dtype == arrays[0].dtype and array.dtype in FLOATS and array.size
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
