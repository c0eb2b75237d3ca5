"""Weighted sums of a few elements along one axis (`autograd/ops/resampling.py`), in one pass.

Arrays are (outer, length, inner), with that axis in the middle; threads share out the outer one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.backends.numba.jit import compiled, suited
from retrograd.backends.threads import share

__all__ = ["resample"]

Array = Any
GRAIN = 2**17
"""Products that are worth a thread."""


@compiled
def weigh(x: Array, sources: Array, weights: Array, out: Array) -> None:
    results, taps = sources.shape
    for o in range(len(x)):
        if x.shape[2] == 1:
            row, sums = x[o, :, 0], out[o, :, 0]
            for r in range(results):
                total = row[sources[r, 0]] * weights[r, 0]
                for k in range(1, taps):
                    total += row[sources[r, k]] * weights[r, k]
                sums[r] = total
            continue
        for r in range(results):
            sums = out[o, r]
            for k in range(taps):
                part, weight = x[o, sources[r, k]], weights[r, k]
                for i in range(sums.size):
                    sums[i] = sums[i] + part[i] * weight if k else part[i] * weight


def resample(xp: Any, x: Array, *, axis: int, taps: Any) -> Any:
    if taps.weights is None or not suited(x) or not x.size or not taps.sources.size:
        return NotImplemented
    before, after = x.shape[:axis], x.shape[x.ndim + axis + 1 :]
    outer, inner, count = math.prod(before), math.prod(after), len(taps.sources)
    source, out = x.reshape(outer, taps.length, inner), np.empty((outer, count, inner), x.dtype)
    sources, weights = np.ascontiguousarray(taps.sources, np.int64), np.ascontiguousarray(taps.weights, x.dtype)

    def task(start: int, stop: int) -> None:
        weigh(source[start:stop], sources, weights, out[start:stop])

    share(task, outer, GRAIN // (inner * sources.size))
    return out.reshape(*before, count, *after)
