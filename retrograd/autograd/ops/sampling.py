"""Sampling an image at any points: weighted sums of its pixels around each. Jaderberg et al. 2015, section 3.

The pixels that a point takes, and their weights, come from each dimension alone: nearest (1), linear (2) or cubic (4).
Before the first pixel of every dimension stands one that is 0: whatever lies outside of the image points there.

Over pixels p (batch, channels, pixels), weights w and indices i (batch, taps, points) and values v (batch, channels,
points), the form Σ p[n, c, i[n, k, m]] · w[n, k, m] · v[n, c, m] is linear in each of p, w and v. Its three partial
derivatives are three primitives, and so each one's rules are the other two: of these the gradient consists.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from retrograd.autograd.ops.activation import hardtanh
from retrograd.autograd.ops.shape import pad, stack
from retrograd.autograd.primitive import primitive
from retrograd.autograd.view import apply
from retrograd.backends.kernels import fusable

Lengths = tuple[int, ...]


@primitive(name="GridSampler")
@fusable
def grid_samples(xp: Any, image: Any, grid: Any, *, mode: str, padding_mode: str, align_corners: bool) -> Any:
    """The image (batch, channels, *lengths) at the points of a grid (batch, *points, dimensions), as (batch, channels,
    *points); the last coordinate belongs to the first length."""
    each = along_each(xp, image.shape[2:], grid, mode, padding_mode, align_corners, sloped=False)
    weights = products(xp, [one.weight for one in each])
    out = sample.primitive.forward(xp, framed(xp, image), weights, places(xp, each, image.shape[2:]))
    return xp.reshape(out, (*image.shape[:2], *grid.shape[1:-1]))


@grid_samples.vjp
def _(
    xp: Any, g: Any, image: Any, grid: Any, mode: str, padding_mode: str, align_corners: bool, needs: tuple[bool, bool]
) -> Any:
    return grid_sample_gradients(xp, g, image, grid, mode, padding_mode, align_corners, *needs)


@fusable
def grid_sample_gradients(
    xp: Any, g: Any, image: Any, grid: Any, mode: str, padding_mode: str, align_corners: bool,
    for_image: bool, for_grid: bool,
) -> Any:  # fmt: skip
    """The cotangents of the image and of the grid, each None where it is not wanted. That of the grid is 0 where the
    nearest pixel is taken."""
    lengths = image.shape[2:]
    each = along_each(xp, lengths, grid, mode, padding_mode, align_corners, sloped=for_grid)
    index, weights = places(xp, each, lengths), [one.weight for one in each]
    g = xp.reshape(g, shape=(*g.shape[:2], index.shape[2]))
    g_image = g_grid = None
    if for_image:
        shape = (*image.shape[:2], *(n + 1 for n in lengths))
        spread = apply(spread_samples.primitive, g, products(xp, weights), index, pixels=math.prod(shape[2:]))
        g_image = xp.getitem(xp.reshape(spread, shape=shape), (..., *(slice(1, None),) * len(lengths)))
    if for_grid and mode == "nearest":
        g_grid = xp.new_zeros(grid, shape=grid.shape)
    elif for_grid:
        g_weights = apply(compare_samples.primitive, framed(xp, image), g, index)
        factors = [[*weights[:i], one.slope, *weights[i + 1 :]] for i, one in enumerate(each)]
        slopes = [xp.sum(g_weights * products(xp, factor), axis=1) for factor in reversed(factors)]
        g_grid = xp.reshape(apply(stack.primitive, *slopes, axis=2), shape=grid.shape)
    return g_image, g_grid


def framed(xp: Any, image: Any) -> Any:
    """The pixels (batch, channels, pixels) with zeros before the first of every dimension."""
    wide = apply(pad.primitive, image, widths=((0, 0), (0, 0), *((1, 0),) * (len(image.shape) - 2)))
    return xp.reshape(wide, shape=(*wide.shape[:2], math.prod(wide.shape[2:])))


# ---- which pixels, and how much of each


class Neighbours(NamedTuple):
    """Along one dimension, of every point (batch, taps, points): pixels, counted from 1, or 0 where there is none,
    their weights, and the slopes of these, by how much they grow with the coordinate."""

    index: Any
    weight: Any
    slope: Any


def along_each(
    xp: Any, lengths: Lengths, grid: Any, mode: str, padding_mode: str, align_corners: bool, *, sloped: bool
) -> list[Neighbours]:
    """The neighbours along every dimension."""
    shape = (grid.shape[0], math.prod(grid.shape[1:-1]))
    coordinates = [xp.reshape(grid[..., -1 - i], shape=shape) for i in range(len(lengths))]
    return [
        neighbours(xp, coordinate, length, mode, padding_mode, align_corners, sloped)
        for coordinate, length in zip(coordinates, lengths, strict=True)
    ]


def neighbours(
    xp: Any, coordinate: Any, length: int, mode: str, padding_mode: str, align_corners: bool, sloped: bool
) -> Neighbours:
    """Those of points (batch, points), whose coordinates run from −1 to 1; a coordinate that is NaN has none."""
    if align_corners:
        place, scale = (coordinate + 1) / 2 * (length - 1), (length - 1) / 2
    else:
        place, scale = ((coordinate + 1) * length - 1) / 2, length / 2
    one = xp.astype(place == place, dtype=place.dtype)
    rate = one
    if mode != "bicubic":
        place, rate = inside(xp, place, rate, length, padding_mode, align_corners)
    first, offsets, weights, slopes = TAPS[mode](xp, place, one)
    found = apply(stack.primitive, *[first + offset for offset in offsets], axis=1)
    if mode == "bicubic":
        found, _ = inside(xp, found, found, length, padding_mode, align_corners)
    there = (found >= 0) & (found <= length - 1)
    slope = [s * rate * scale for s in slopes] if sloped else None
    return Neighbours(
        xp.astype(xp.keep(found + 1, there), dtype="int64"),
        xp.keep(apply(stack.primitive, *weights, axis=1), there),
        xp.keep(apply(stack.primitive, *slope, axis=1), there) if slope else None,
    )


def inside(xp: Any, place: Any, rate: Any, length: int, padding_mode: str, align_corners: bool) -> tuple[Any, Any]:
    """A place on the image, unless zeros stand outside, and the rate at which it moves, 0 where it stays at the border.
    A reflection is repeated as often as it takes."""
    if padding_mode == "zeros":
        return place, rate
    if padding_mode == "reflection":
        low, span = (0.0, length - 1.0) if align_corners else (-0.5, float(length))
        if span == 0:
            return place * 0, rate * 0
        distance = xp.abs(place - low)
        turns = xp.floor(distance / span)
        rest, even = distance - turns * span, turns % 2 == 0
        rate = xp.where(even == (place >= low), rate, -rate)
        place = low + xp.where(even, rest, span - rest)
    rate = xp.keep(rate, (place > 0) & (place < length - 1))
    return apply(hardtanh.primitive, place, low=0.0, high=length - 1.0), rate


Taps = tuple[Any, Sequence[int], Sequence[Any], Sequence[Any]]
"""A first pixel, the offsets of all from there, their weights, and the slopes of these with the place."""


def nearest(xp: Any, place: Any, one: Any) -> Taps:
    """The one."""
    return xp.round(place), (0,), (one,), (one * 0,)


def linear(xp: Any, place: Any, one: Any) -> Taps:
    """The two around a place."""
    first = xp.floor(place)
    t = place - first
    return first, (0, 1), (1 - t, t), (-one, one)


def cubic(xp: Any, place: Any, one: Any) -> Taps:
    """The four around a place. Keys 1981, eq. 4 with a = −3/4."""
    a = -0.75
    first = xp.floor(place)
    t = place - first
    distances = (t + 1, t, 1 - t, 2 - t)
    near = [((a + 2) * x - (a + 3)) * x * x + 1 for x in distances[1:3]]
    far = [((x - 5) * x + 8) * x * a - 4 * a for x in distances[::3]]
    slopes_near = [(3 * (a + 2) * x - 2 * (a + 3)) * x for x in distances[1:3]]
    slopes_far = [((3 * x - 10) * x + 8) * a for x in distances[::3]]
    slopes = (slopes_far[0], slopes_near[0], -slopes_near[1], -slopes_far[1])
    return first, (-1, 0, 1, 2), (far[0], *near, far[1]), slopes


TAPS = {"nearest": nearest, "bilinear": linear, "bicubic": cubic}


def products(xp: Any, factors: Sequence[Any]) -> Any:
    """The products over all combinations of taps along the dimensions: (batch, all taps, points)."""
    return combined(xp, factors, lambda total, factor, _: total * factor)


def places(xp: Any, each: Sequence[Neighbours], lengths: Lengths) -> Any:
    """The index into the framed pixels of all combinations of neighbours along the dimensions."""
    return combined(xp, [one.index for one in each], lambda total, index, i: total * (lengths[i] + 1) + index)


def combined(xp: Any, parts: Sequence[Any], combine: Any) -> Any:
    """(batch, taps, points) of every dimension, combined: each tap of the first ones with each of the next."""
    total = parts[0]
    for i, part in enumerate(parts[1:], 1):
        batch, taps, points = total.shape
        pairs = combine(xp.expand_dims(total, axis=2), xp.expand_dims(part, axis=1), i)
        total = xp.reshape(pairs, shape=(batch, taps * part.shape[1], points))
    return total


# ---- weighted sums of picked pixels


def picked(xp: Any, pixels: Any, index: Any) -> Any:
    """Pixels (batch, channels, pixels) at an index (batch, points): (batch, channels, points)."""
    return xp.getitem(xp.reshape(pixels, (-1,)), (across_channels(xp, index, pixels.shape),))


def across_channels(xp: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """An index (batch, *places) into the last axis of a shape, for every channel, into its memory."""
    batch, channels, pixels = shape
    ones = (1,) * (index.ndim - 1)
    starts = xp.reshape(xp.arange(batch * channels, dtype="int64") * pixels, (batch, channels, *ones))
    return xp.expand_dims(index, axis=1) + starts


@primitive(name="GridSampler")
def sample(xp: Any, pixels: Any, weights: Any, index: Any) -> Any:
    """Σ over the taps of the pixels at the index times the weights: (batch, channels, points)."""
    total: Any = None
    for tap in range(index.shape[1]):
        part = picked(xp, pixels, index[:, tap])
        part = xp.multiply(part, xp.expand_dims(weights[:, tap], axis=1), out=part)
        if total is None:
            total = part
        else:
            xp.add_into(total, part)
    return total


@primitive(name="GridSamplerBackward")
def spread_samples(xp: Any, values: Any, weights: Any, index: Any, *, pixels: int) -> Any:
    """Zeros (batch, channels, pixels) with the values times the weights added at the index."""
    shape = (*values.shape[:2], pixels)
    shares = xp.expand_dims(values, axis=2) * xp.expand_dims(weights, axis=1)
    places = xp.reshape(across_channels(xp, index, shape), (-1,))
    return xp.reshape(xp.index_sum(xp.reshape(shares, (-1,)), (places,), shape=(math.prod(shape),)), shape)


@primitive(name="GridSamplerBackward")
def compare_samples(xp: Any, pixels: Any, values: Any, index: Any) -> Any:
    """Σ over the channels of the pixels at the index times the values: (batch, taps, points)."""
    taps = [xp.sum(picked(xp, pixels, index[:, tap]) * values, axis=1) for tap in range(index.shape[1])]
    return xp.stack(taps, axis=1)


sample.vjps(
    pixels=lambda xp, g, weights, index, pixels_shape: apply(
        spread_samples.primitive, g, weights, index, pixels=pixels_shape[2]
    ),
    weights=lambda xp, g, pixels, index: apply(compare_samples.primitive, pixels, g, index),
)
spread_samples.vjps(
    values=lambda xp, g, weights, index: apply(sample.primitive, g, weights, index),
    weights=lambda xp, g, values, index: apply(compare_samples.primitive, g, values, index),
)
compare_samples.vjps(
    pixels=lambda xp, g, values, index, pixels_shape: apply(
        spread_samples.primitive, values, g, index, pixels=pixels_shape[2]
    ),
    values=lambda xp, g, pixels, index: apply(sample.primitive, pixels, g, index),
)
