"""Layer and root-mean-square normalisation, one row at a time (`autograd/ops/normalization_kernels.py`).

A row is the only run of a (rows, 1, features) array. Statistics are as in `normalization.py`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from retrograd.backends.numba.jit import compiled, suited
from retrograd.backends.numba.normalization import given, grain
from retrograd.backends.numba.runs import moments, total, weighted_products
from retrograd.backends.threads import share

__all__ = ["normalized_by_rows", "row_gradients"]

Array = Any
ROWS = 64
"""Rows whose shares in the gradients of γ and β are added in their own dtype."""


@compiled
def normalize_rows(
    x: Array, weight: Array, bias: Array, eps: float, centre: bool, out: Array, mean: Array, variance: Array,
    start: int, stop: int,
) -> None:  # fmt: skip
    kind, share_of_one = x.dtype.type, 1 / x.shape[2]
    for n in range(start, stop):
        near = kind(total(x, n, 0) * share_of_one) if centre else kind(0)
        first, second = moments(x, n, 0, near)
        rest = first * share_of_one if centre else 0.0
        spread = max(second * share_of_one - rest * rest, 0.0)
        rstd = 1 / np.sqrt(spread + eps)
        mean[n], variance[n] = near + rest, spread
        scale, shift = kind(rstd), kind(-rest * rstd)
        row, result = x[n, 0], out[n, 0]
        for i in range(row.size):
            result[i] = ((row[i] - near) * scale + shift) * weight[i] + bias[i]


@compiled
def differentiate_rows(
    g: Array, x: Array, weight: Array, mean: Array, rstd: Array, centre: bool, dx: Array, sums: Array,
    start: int, stop: int,
) -> None:  # fmt: skip
    """`sums` (2, features), in float64: dγ and dβ are added to them."""
    kind, count, share_of_one = x.dtype.type, x.shape[2], 1 / x.shape[2]
    for block in range(start, stop, ROWS):
        weight_part, bias_part = np.zeros(count, x.dtype), np.zeros(count, x.dtype)
        for n in range(block, min(block + ROWS, stop)):
            middle, scale = mean[n], rstd[n]
            first, second = weighted_products(g, x, weight, n, 0, middle)
            shift = kind(first * share_of_one * scale) if centre else kind(0)
            tilt = kind(second * share_of_one * scale * scale * scale)
            row, slope, result = x[n, 0], g[n, 0], dx[n, 0]
            for i in range(row.size):
                d = row[i] - middle
                result[i] = slope[i] * weight[i] * scale - shift - d * tilt
                weight_part[i] += slope[i] * d * scale
                bias_part[i] += slope[i]
        for i in range(count):
            sums[0, i] += weight_part[i]
            sums[1, i] += bias_part[i]


def normalized_by_rows(
    xp: Any, x: Array, weight: Array | None, bias: Array | None, eps: float, subtract_mean: bool
) -> Any:
    if not suited(x, weight, bias):
        return NotImplemented
    n, count = x.shape
    values, gamma, beta = x.reshape(n, 1, count), given(weight, x, (count,), 1), given(bias, x, (count,), 0)
    out, mean, variance = np.empty_like(values), np.empty(n, x.dtype), np.empty(n, x.dtype)

    def task(start: int, stop: int) -> None:
        normalize_rows(values, gamma, beta, eps, subtract_mean, out, mean, variance, start, stop)

    share(task, n, grain(x, n))
    return out.reshape(n, count), mean.reshape(n, 1) if subtract_mean else None, variance.reshape(n, 1)


def row_gradients(xp: Any, g: Array, x: Array, weight: Array | None, mean: Array | None, rstd: Array) -> Any:
    if not suited(x, g, weight, mean, rstd):
        return NotImplemented
    n, count = x.shape
    slope, values, gamma = g.reshape(n, 1, count), x.reshape(n, 1, count), given(weight, x, (count,), 1)
    statistics = given(mean, x, (n,), 0), rstd.reshape(n)
    dx, parts = np.empty_like(values), {}

    def task(start: int, stop: int) -> None:
        parts[start] = sums = np.zeros((2, count))
        differentiate_rows(slope, values, gamma, *statistics, mean is not None, dx, sums, start, stop)

    share(task, n, grain(x, n))
    sums = functools.reduce(np.add, [parts[start] for start in sorted(parts)]).astype(x.dtype)
    return dx.reshape(n, count), sums[0], sums[1]
