"""Weighted sums of picked pixels and their derivatives, without arrays of what is picked (`autograd/ops/sampling.py`).

Pixels are (batch, channels, pixels), weights and indices (batch, taps, points), values (batch, channels, points).
Threads share out the images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.backends.numba.jit import compiled, suited
from retrograd.backends.threads import share

__all__ = ["compare_samples", "sample", "spread_samples"]

Array = Any
GRAIN = 2**16
"""Weighted pixels that are worth a thread."""


@compiled
def gather(pixels: Array, weights: Array, index: Array, out: Array) -> None:
    for n in range(out.shape[0]):
        for c in range(out.shape[1]):
            source, total = pixels[n, c], out[n, c]
            for k in range(index.shape[1]):
                places, shares = index[n, k], weights[n, k]
                for m in range(total.size):
                    part = source[np.uint64(places[m])] * shares[m]
                    total[m] = total[m] + part if k else part


@compiled
def scatter(values: Array, weights: Array, index: Array, out: Array) -> None:
    for n in range(out.shape[0]):
        for c in range(out.shape[1]):
            total, given = out[n, c], values[n, c]
            for k in range(index.shape[1]):
                places, shares = index[n, k], weights[n, k]
                for m in range(given.size):
                    total[np.uint64(places[m])] += given[m] * shares[m]


@compiled
def compare(pixels: Array, values: Array, index: Array, out: Array) -> None:
    for n in range(out.shape[0]):
        for c in range(pixels.shape[1]):
            source, given = pixels[n, c], values[n, c]
            for k in range(index.shape[1]):
                places, total = index[n, k], out[n, k]
                for m in range(given.size):
                    total[m] += source[np.uint64(places[m])] * given[m]


def sample(xp: Any, pixels: Array, weights: Array, index: Array) -> Any:
    if not fits(index, pixels, weights):
        return NotImplemented
    return by_images(gather, pixels, weights, index, np.empty((*pixels.shape[:2], index.shape[2]), pixels.dtype))


def spread_samples(xp: Any, values: Array, weights: Array, index: Array, *, pixels: int) -> Any:
    if not fits(index, values, weights):
        return NotImplemented
    return by_images(scatter, values, weights, index, np.zeros((*values.shape[:2], pixels), values.dtype))


def compare_samples(xp: Any, pixels: Array, values: Array, index: Array) -> Any:
    if not fits(index, pixels, values):
        return NotImplemented
    return by_images(compare, pixels, values, index, np.zeros(index.shape, pixels.dtype))


def fits(index: Any, *arrays: Any) -> bool:
    return (
        suited(*arrays)
        and type(index) is np.ndarray
        and index.dtype == np.int64
        and index.flags.c_contiguous
        and index.size > 0
    )


def by_images(loops: Callable[..., None], first: Array, second: Array, index: Array, out: Array) -> Array:
    grain = GRAIN // (first.shape[1] * index.shape[1] * index.shape[2] or 1)
    arrays = (first, second, index, out)
    share(lambda start, stop: loops(*[array[start:stop] for array in arrays]), len(out), grain)
    return out
