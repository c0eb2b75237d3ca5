"""Which pixels of an image the points of a grid take, and how much of each (`autograd/ops/sampling.py`).

Tables are (dimensions, taps, points) or, of all combinations of taps, (taps, points); an index of −1 is a pixel
outside. Taps along a dimension: 1 nearest, 2 linear, 4 cubic.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.numba.jit import compiled

__all__ = ["PADDINGS", "TAPS", "digit", "multiply", "tables"]

Array = Any
TAPS = {"nearest": 1, "bilinear": 2, "bicubic": 4}
ZEROS, BORDER, REFLECTION = 0, 1, 2
PADDINGS = {"zeros": ZEROS, "border": BORDER, "reflection": REFLECTION}


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
