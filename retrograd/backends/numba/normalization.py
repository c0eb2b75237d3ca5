"""Batch and group normalisation, one channel or group at a time: it stays in the cache for all that is asked of it
(`autograd/ops/normalization_kernels.py`).

Statistics are of deviations from a first mean, which is not exact: their own mean, the `rest`, is what it missed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.numba.jit import compiled, suited
from retrograd.backends.numba.runs import affine, moments, products, slopes, total
from retrograd.backends.threads import share

__all__ = ["channel_gradients", "group_gradients", "normalized_by_channels", "normalized_by_groups"]

Array = Any
GRAIN = 2**19
"""Elements that are worth a thread."""
SHORT = 16
"""Places of a channel from which on they are worth a loop of their own."""


# ---- channels: (batch, channels, places), statistics over batch and places


@compiled
def normalize_channels(
    x: Array, weight: Array, bias: Array, eps: float, out: Array, mean: Array, variance: Array, start: int, stop: int
) -> None:
    kind, batch, count = x.dtype.type, x.shape[0], x.shape[0] * x.shape[2]
    for c in range(start, stop):
        value, first, second = 0.0, 0.0, 0.0
        for n in range(batch):
            value += total(x, n, c)
        near = kind(value / count)
        for n in range(batch):
            one, two = moments(x, n, c, near)
            first += one
            second += two
        rest = first / count
        spread = max(second / count - rest * rest, 0.0)
        scale = weight[c] / np.sqrt(spread + eps)
        mean[c], variance[c] = near + rest, spread
        for n in range(batch):
            affine(x, n, c, near, kind(scale), kind(bias[c] - rest * scale), out)


@compiled
def differentiate_channels(
    g: Array, x: Array, weight: Array, mean: Array, rstd: Array, dx: Array, dweight: Array, dbias: Array, start: int,
    stop: int,
) -> None:  # fmt: skip
    kind, batch, count = x.dtype.type, x.shape[0], x.shape[0] * x.shape[2]
    for c in range(start, stop):
        first, second = 0.0, 0.0
        for n in range(batch):
            one, two = products(g, x, n, c, mean[c])
            first += one
            second += two
        dbias[c], dweight[c] = first, second * rstd[c]
        scale = rstd[c] * weight[c]
        shift, tilt = kind(first / count * scale), kind(second * rstd[c] * rstd[c] / count * scale)
        for n in range(batch):
            slopes(g, x, n, c, mean[c], scale, shift, tilt, dx)


def normalized_by_channels(xp: Any, x: Array, weight: Array | None, bias: Array | None, eps: float) -> Any:
    if not suited(x, weight, bias) or x.shape[2] < SHORT:
        return NotImplemented
    channels = x.shape[1]
    gamma, beta = given(weight, x, (channels,), 1), given(bias, x, (channels,), 0)
    out, mean, variance = np.empty_like(x), np.empty(channels, x.dtype), np.empty(channels, x.dtype)

    def task(start: int, stop: int) -> None:
        normalize_channels(x, gamma, beta, eps, out, mean, variance, start, stop)

    share(task, channels, grain(x, channels))
    return out, mean, variance


def channel_gradients(xp: Any, g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array) -> Any:
    if not suited(x, g, weight, mean, rstd) or x.shape[2] < SHORT:
        return NotImplemented
    channels = x.shape[1]
    gamma = given(weight, x, (channels,), 1)
    dx, dweight, dbias = np.empty_like(x), np.empty(channels, x.dtype), np.empty(channels, x.dtype)

    def task(start: int, stop: int) -> None:
        differentiate_channels(g, x, gamma, mean, rstd, dx, dweight, dbias, start, stop)

    share(task, channels, grain(x, channels))
    return dx, dweight, dbias


# ---- groups: (batch · groups, channels, places), statistics over channels and places, γ and β (groups, channels)


@compiled
def normalize_groups(
    x: Array, weight: Array, bias: Array, eps: float, out: Array, mean: Array, variance: Array, start: int, stop: int
) -> None:
    kind, channels, count = x.dtype.type, x.shape[1], x.shape[1] * x.shape[2]
    for n in range(start, stop):
        value, first, second, group = 0.0, 0.0, 0.0, n % len(weight)
        for c in range(channels):
            value += total(x, n, c)
        near = kind(value / count)
        for c in range(channels):
            one, two = moments(x, n, c, near)
            first += one
            second += two
        rest = first / count
        spread = max(second / count - rest * rest, 0.0)
        rstd = 1 / np.sqrt(spread + eps)
        mean[n], variance[n] = near + rest, spread
        for c in range(channels):
            scale = rstd * weight[group, c]
            affine(x, n, c, near, kind(scale), kind(bias[group, c] - rest * scale), out)


@compiled
def differentiate_groups(
    g: Array, x: Array, weight: Array, mean: Array, rstd: Array, dx: Array, sums: Array, start: int, stop: int
) -> None:
    """`sums` (batch · groups, 2, channels): those of g (x − μ)/σ and of g, for each channel of a group."""
    kind, channels, count = x.dtype.type, x.shape[1], x.shape[1] * x.shape[2]
    for n in range(start, stop):
        first, second, scale, group = 0.0, 0.0, rstd[n], n % len(weight)
        for c in range(channels):
            one, two = products(g, x, n, c, mean[n])
            sums[n, 0, c], sums[n, 1, c] = two * scale, one
            first += one * weight[group, c]
            second += two * weight[group, c]
        shift, tilt = kind(first / count * scale), kind(second * scale * scale / count * scale)
        for c in range(channels):
            slopes(g, x, n, c, mean[n], scale * weight[group, c], shift, tilt, dx)


def normalized_by_groups(xp: Any, x: Array, weight: Array | None, bias: Array | None, eps: float) -> Any:
    if not suited(x, weight, bias) or x.shape[3] < SHORT:
        return NotImplemented
    batch, groups, *run = x.shape
    n, shape = batch * groups, (groups, run[0])
    values, gamma, beta = x.reshape(n, *run), given(weight, x, shape, 1), given(bias, x, shape, 0)
    out, mean, variance = np.empty_like(values), np.empty(n, x.dtype), np.empty(n, x.dtype)

    def task(start: int, stop: int) -> None:
        normalize_groups(values, gamma, beta, eps, out, mean, variance, start, stop)

    share(task, n, grain(x, n))
    return out.reshape(x.shape), *(s.reshape(batch, groups, 1, 1) for s in (mean, variance))


def group_gradients(xp: Any, g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array) -> Any:
    if not suited(x, g, weight, mean, rstd) or x.shape[3] < SHORT:
        return NotImplemented
    batch, groups, *run = x.shape
    n = batch * groups
    slope, values, gamma = g.reshape(n, *run), x.reshape(n, *run), given(weight, x, (groups, run[0]), 1)
    dx, sums = np.empty_like(values), np.empty((n, 2, run[0]), x.dtype)
    statistics = mean.reshape(n), rstd.reshape(n)

    def task(start: int, stop: int) -> None:
        differentiate_groups(slope, values, gamma, *statistics, dx, sums, start, stop)

    share(task, n, grain(x, n))
    dweight, dbias = sums.reshape(batch, groups, 2, run[0]).sum(axis=0).swapaxes(0, 1)
    return dx.reshape(x.shape), dweight.reshape(-1), dbias.reshape(-1)


# ---- what both need


def given(values: Array | None, x: Array, shape: tuple[int, ...], default: float) -> Array:
    """Values of this shape, or what stands for them: a loop for each choice would have to be compiled."""
    return np.full(shape, default, x.dtype) if values is None else values.reshape(shape)


def grain(x: Array, rows: int) -> Any:
    """How many of the rows that x has are worth a thread."""
    return max(1, GRAIN * rows // max(x.size, 1))
