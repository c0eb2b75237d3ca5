"""Normalisation of arrays by channels, rows and groups, in few passes: what `normalize` computes of arrays.

Each kernel works on a part, of the channels or of the rows, that stays in the cache (`parts.py`).
"""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd.ops.parts import SIMPLE, by_rows
from retrograd.backends.kernels import fusable

__all__ = [
    "channel_gradients",
    "group_gradients",
    "normalized_by_channels",
    "normalized_by_groups",
    "normalized_by_rows",
    "row_gradients",
]

LONG = 1024
"""Elements from which on a run of memory is worth a loop of its own."""
MOST = 512
"""Numbers that are added one after the other, at most."""


# ---- channels: (batch, channels, places), statistics over batch and places


@fusable
def normalized_by_channels(xp: Any, x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    """γ·(x − μ)/√(σ² + eps) + β, with μ and σ², both (channels,): Ioffe & Szegedy 2015, algorithm 1."""
    batch, channels, places = x.shape
    count = batch * places
    out, mean, variance = (xp.empty(s, dtype=x.dtype) for s in (x.shape, (channels,), (channels,)))

    def kernel(x: Any, out: Any, mean: Any, variance: Any, *affine: Any) -> None:
        x, out = in_runs(xp, x), in_runs(xp, out)
        near = sums(xp, x, len(mean)) / count
        xp.subtract(x, spread(xp, near, x), out=out)
        rest = sums(xp, out, len(mean)) / count  # what rounding missed: it matters where all values are equal
        variance[...] = xp.clip(inner(xp, out, out, len(mean)) / count - rest * rest, 0, None)
        mean[...] = near + rest
        scale = 1 / xp.sqrt(variance + eps)
        if weight is not None:
            scale = scale * affine[0]
        shift = -rest * scale
        if bias is not None:
            shift += affine[-1]
        out *= spread(xp, scale, out)
        out += spread(xp, shift, out)

    affine = [p for p in (weight, bias) if p is not None]
    by_rows(
        xp,
        kernel,
        channels_first(xp, x),
        channels_first(xp, out),
        mean,
        variance,
        *affine,
        grain=4 * SIMPLE,
        products=True,
    )
    return out, mean, variance


@fusable
def channel_gradients(xp: Any, g: Any, x: Any, weight: Any, mean: Any, rstd: Any) -> tuple[Any, Any, Any]:
    """Gradients of x, γ and β from that of the result: Ioffe & Szegedy 2015, section 3, simplified."""
    batch, channels, places = x.shape
    count = batch * places
    dx, dweight, dbias = (xp.empty(s, dtype=x.dtype) for s in (x.shape, (channels,), (channels,)))

    def kernel(x: Any, g: Any, dx: Any, dweight: Any, dbias: Any, mean: Any, rstd: Any, *gamma: Any) -> None:
        x, g, dx = (in_runs(xp, part) for part in (x, g, dx))
        xp.subtract(x, spread(xp, mean, x), out=dx)
        dbias[...] = sums(xp, g, len(mean))
        dweight[...] = inner(xp, g, dx, len(mean)) * rstd
        dx *= spread(xp, dweight * rstd / -count, dx)
        dx += g
        dx -= spread(xp, dbias / count, dx)
        dx *= spread(xp, rstd * gamma[0] if gamma else rstd, dx)

    arrays = [channels_first(xp, part) for part in (x, g, dx)]
    gamma = [] if weight is None else [weight]
    by_rows(xp, kernel, *arrays, dweight, dbias, mean, rstd, *gamma, grain=4 * SIMPLE, products=True)
    return dx, dweight, dbias


def channels_first(xp: Any, x: Any) -> Any:
    return xp.permute_dims(x, axes=(1, 0, 2))


def in_runs(xp: Any, x: Any) -> Any:
    """(channels, batch, places) as (batch, channels, places) where these are many, else (batch, channels · places)."""
    x = xp.permute_dims(x, axes=(1, 0, 2))
    return x if x.shape[2] >= LONG else xp.reshape(x, shape=(x.shape[0], x.shape[1] * x.shape[2]))


def spread(xp: Any, values: Any, x: Any) -> Any:
    """A value per channel, to be used beside an array in runs."""
    if len(x.shape) == 3:
        return xp.reshape(values, shape=(-1, 1))
    places = x.shape[1] // len(values)
    return values if places == 1 else xp.repeat(values, places, axis=0)


def sums(xp: Any, x: Any, channels: int) -> Any:
    """The sum of every channel of an array in runs."""
    x = xp.reshape(x, shape=(x.shape[0], -1))
    ones = xp.new_zeros(x, shape=(1, min(len(x), MOST))) + 1
    parts = [xp.matmul(ones[:, : len(x) - i], x[i : i + MOST]) for i in range(0, len(x), MOST)]
    total = parts[0] if len(parts) == 1 else xp.sum(xp.stack(parts), axis=0)
    return xp.sum(xp.reshape(total, shape=(channels, -1)), axis=1)


def inner(xp: Any, x: Any, y: Any, channels: int) -> Any:
    """The sum of the products, for every channel."""
    if len(x.shape) < 3:
        return sums(xp, x * y, channels)
    products = xp.matmul(x[:, :, None, :], y[:, :, :, None])
    return xp.sum(xp.reshape(products, shape=products.shape[:2]), axis=0)


# ---- rows: (rows, features), statistics over the features, each of which has its γ and β


@fusable
def normalized_by_rows(
    xp: Any, x: Any, weight: Any, bias: Any, eps: float, subtract_mean: bool
) -> tuple[Any, Any, Any]:
    """γ·(x − μ)/√(σ² + eps) + β, with μ (None: 0) and σ², both (rows, 1): Ba et al. 2016, section 3."""
    rows, count = x.shape
    out, mean, variance = (xp.empty(s, dtype=x.dtype) for s in (x.shape, (rows, 1), (rows, 1)))

    def kernel(x: Any, out: Any, mean: Any, variance: Any) -> None:
        if subtract_mean:
            near = row_sums(xp, x) / count
            xp.subtract(x, near, out=out)
            rest = row_sums(xp, out) / count
            mean[...] = near + rest
            variance[...] = xp.clip(row_inner(xp, out, out) / count - rest * rest, 0, None)
            rstd = 1 / xp.sqrt(variance + eps)
            if matters(xp, rest * rstd):
                out -= rest
            out *= rstd
        else:
            variance[...] = row_inner(xp, x, x) / count
            xp.multiply(x, 1 / xp.sqrt(variance + eps), out=out)
        if weight is not None:
            tiled(xp.multiply, xp, out, weight, out)
        if bias is not None:
            tiled(xp.add, xp, out, bias, out)

    by_rows(xp, kernel, x, out, mean, variance, grain=SIMPLE, products=True)
    return out, mean if subtract_mean else None, variance


@fusable
def row_gradients(xp: Any, g: Any, x: Any, weight: Any, mean: Any, rstd: Any) -> tuple[Any, Any, Any]:
    """Gradients of x, γ and β from that of the result: dx = (γg − E[γg] − x̂ E[γg x̂])/σ, as for a batch."""
    rows, count = x.shape
    dx = xp.empty(x.shape, dtype=x.dtype)
    found: dict[int, tuple[Any, Any]] = {}

    def kernel(x: Any, g: Any, dx: Any, rstd: Any, where: range, *mean: Any) -> None:
        if mean:
            xp.subtract(x, mean[0], out=dx)
        else:
            dx[...] = x
        product = g * dx
        found[where.start] = xp.matmul(xp.permute_dims(rstd, axes=(1, 0)), product), xp.sum(g, axis=0)
        slope, shift = (
            row_sums(xp, y) if weight is None else xp.matmul(y, xp.reshape(weight, shape=(-1, 1))) for y in (product, g)
        )
        dx *= slope * rstd * rstd / -count
        dx += g if weight is None else tiled(xp.multiply, xp, g, weight, product)
        if mean:
            dx -= shift / count
        dx *= rstd

    by_rows(xp, kernel, x, g, dx, rstd, range(rows), *([] if mean is None else [mean]), grain=SIMPLE, products=True)
    dweight, dbias = (total([found[start][i] for start in sorted(found)]) for i in (0, 1))
    return dx, xp.reshape(dweight, shape=(count,)), dbias


# ---- groups: (batch, groups, channels, places), statistics over the channels of a group and their places


@fusable
def normalized_by_groups(xp: Any, x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    """γ·(x − μ)/√(σ² + eps) + β, γ and β of every channel, with μ and σ², both (batch, groups, 1, 1): Wu & He 2018."""
    count = x.shape[2] * x.shape[3]
    near = group_sums(xp, x) / count
    out = x - near
    rest = group_sums(xp, out) / count
    variance = xp.clip(xp.sum(place_products(xp, out, out), axis=2, keepdims=True) / count - rest * rest, 0, None)
    scale = 1 / xp.sqrt(variance + eps)
    if weight is not None:
        scale = scale * per_channel(xp, weight, x)
    shift = -rest * scale
    if bias is not None:
        shift = shift + per_channel(xp, bias, x)
    out *= scale
    out += shift
    return out, near + rest, variance


@fusable
def group_gradients(xp: Any, g: Any, x: Any, weight: Any, mean: Any, rstd: Any) -> tuple[Any, Any, Any]:
    """Gradients of x, γ and β from that of the result. What is summed over places waits for γ until then."""
    count = x.shape[2] * x.shape[3]
    dx = x - mean
    shifts, slopes = xp.sum(g, axis=3, keepdims=True), place_products(xp, g, dx)
    dweight, dbias = (xp.reshape(xp.sum(part, axis=0), shape=(-1,)) for part in (slopes * rstd, shifts))
    scale = rstd
    if weight is not None:
        gamma = per_channel(xp, weight, x)
        shifts, slopes, scale = shifts * gamma, slopes * gamma, rstd * gamma
    shift, slope = (xp.sum(part, axis=2, keepdims=True) * rstd / count for part in (shifts, slopes))
    dx *= -slope * rstd * rstd
    dx += g * scale
    dx -= shift
    return dx, dweight, dbias


def group_sums(xp: Any, x: Any) -> Any:
    rows = xp.reshape(x, shape=(x.shape[0] * x.shape[1], -1))
    return xp.reshape(row_sums(xp, rows), shape=(*x.shape[:2], 1, 1))


def place_products(xp: Any, x: Any, y: Any) -> Any:
    """Σ x·y over the places, which stay as an axis of length 1."""
    return xp.matmul(x[:, :, :, None, :], y[..., None])[..., 0]


def per_channel(xp: Any, values: Any, x: Any) -> Any:
    return xp.reshape(values, shape=(*x.shape[1:3], 1))


# ---- sums and rows


def total(parts: list[Any]) -> Any:
    """The sum of arrays, in their order."""
    first, *others = parts
    for part in others:
        first += part
    return first


def row_sums(xp: Any, x: Any) -> Any:
    return xp.sum(x, axis=1, keepdims=True)


def row_inner(xp: Any, x: Any, y: Any) -> Any:
    return xp.sum(x * y, axis=1, keepdims=True)


def matters(xp: Any, error: Any) -> bool:
    """Whether an error in units of the standard deviation is worth a pass. A device is not asked: it would wait."""
    return xp.name != "cpu" or bool(xp.max(xp.abs(error)) > 2.0**-21)


def tiled(operation: Any, xp: Any, x: Any, row: Any, out: Any) -> Any:
    """operation(x, row) with a row for several rows at once: NumPy's loops over short rows take twice as long."""
    rows, features = x.shape
    times = math.gcd(rows, 1 << max(0, (LONG // features).bit_length() - 1))
    shape = (rows // times, times * features)
    operation(xp.reshape(x, shape=shape), xp.tile(row, (times,)), out=xp.reshape(out, shape=shape))
    return out
