"""Weighted sums of picked pixels: what sampling an image at any points is, whatever the kernel.

Over pixels p (batch, channels, pixels), weights w and indices i (batch, taps, points) and values v (batch, channels,
points), the form Σ p[n, c, i[n, k, m]] · w[n, k, m] · v[n, c, m] is linear in each of p, w and v. Its three partial
derivatives are the three primitives here, and so each one's rules are the other two.
"""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd.primitive import primitive
from retrograd.autograd.view import apply
from retrograd.backends.kernels import fusable


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
@fusable
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
@fusable
def spread_samples(xp: Any, values: Any, weights: Any, index: Any, *, pixels: int) -> Any:
    """Zeros (batch, channels, pixels) with the values times the weights added at the index."""
    shape = (*values.shape[:2], pixels)
    shares = xp.expand_dims(values, axis=2) * xp.expand_dims(weights, axis=1)
    places = xp.reshape(across_channels(xp, index, shape), (-1,))
    return xp.reshape(xp.index_sum(xp.reshape(shares, (-1,)), (places,), shape=(math.prod(shape),)), shape)


@primitive(name="GridSamplerBackward")
@fusable
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
