"""Distances of all pairs of rows and their gradients, without an array of differences (`autograd/ops/pairwise.py`).

Rows are x (batch, n, d) and y (batch, m, d), or y turned to (batch, d, m), along which a processor's lanes run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.numba.jit import compiled, suited
from retrograd.backends.threads import share

__all__ = ["distance_gradients", "distances"]

Array = Any
LONGEST = 256
"""Numbers that are added one after the other, at most."""
GRAIN = 2**18
"""Differences that are worth a thread."""


@compiled
def measure(x: Array, turned: Array, out: Array, p: float) -> None:
    for b in range(x.shape[0]):
        for i in range(x.shape[1]):
            total = out[b, i]
            total[:] = 0
            for k in range(x.shape[2]):
                here, column = x[b, i, k], turned[b, k]
                if p == 2.0:
                    for j in range(total.size):
                        total[j] += (here - column[j]) * (here - column[j])
                else:
                    for j in range(total.size):
                        total[j] += abs(here - column[j])
            if p == 2.0:
                for j in range(total.size):
                    total[j] = np.sqrt(total[j])


@compiled
def pull(g: Array, x: Array, y: Array, out: Array, dx: Array, dy: Array, p: float) -> None:
    """Of a distance, x gets the unit vector to it (or for p = 1 the signs) times g, and y the opposite."""
    for b in range(x.shape[0]):
        for i in range(x.shape[1]):
            here, slope = x[b, i], dx[b, i]
            for j in range(y.shape[1]):
                there, other = y[b, j], dy[b, j]
                if p == 2.0:
                    if out[b, i, j] != 0:
                        weight = g[b, i, j] / out[b, i, j]
                        for k in range(here.size):
                            part = (here[k] - there[k]) * weight
                            slope[k] += part
                            other[k] -= part
                else:
                    for k in range(here.size):
                        part = np.sign(here[k] - there[k]) * g[b, i, j]
                        slope[k] += part
                        other[k] -= part


def distances(xp: Any, x: Array, y: Array, *, p: float) -> Any:
    if not takes(x, y, p):
        return NotImplemented
    rows, others = three(x), three(y)
    turned = np.ascontiguousarray(others.swapaxes(1, 2))
    out = np.empty((*rows.shape[:2], others.shape[1]), x.dtype)
    if len(rows) == 1:  # a part of the only matrix is still in one piece
        grain = GRAIN // turned.size
        share(lambda i, j: measure(rows[:, i:j], turned, out[:, i:j], float(p)), rows.shape[1], grain)
    else:
        grain = GRAIN // (turned[0].size * rows.shape[1])
        share(lambda b, e: measure(rows[b:e], turned[b:e], out[b:e], float(p)), len(rows), grain)
    return out.reshape(*x.shape[:-1], others.shape[1]), None


def distance_gradients(xp: Any, g: Array, x: Array, y: Array, out: Array, apart: Any, p: float) -> Any:
    if not takes(x, y, p) or type(g) is not np.ndarray or not suited(x, out) or g.dtype != x.dtype:
        return NotImplemented
    arrays = [three(array) for array in (np.ascontiguousarray(g), x, y, out)]
    dx, dy = np.zeros(arrays[1].shape), np.zeros(arrays[2].shape)  # long sums, hence float64
    grain = GRAIN // (arrays[1][0].size * y.shape[-2])
    arrays += [dx, dy]
    share(lambda b, e: pull(*[array[b:e] for array in arrays], float(p)), len(dx), grain)
    return dx.astype(x.dtype).reshape(x.shape), dy.astype(y.dtype).reshape(y.shape)


def takes(x: Any, y: Any, p: float) -> bool:
    """Whether these are as many matrices x as y, of which no sum is long, and p is 1 or 2."""
    return (
        p in (1, 2)
        and suited(x, y)
        and x.size > 0
        and y.size > 0
        and x.shape[-1] <= LONGEST
        and x.shape[:-2] == y.shape[:-2]
    )


def three(matrices: Array) -> Array:
    return matrices.reshape(-1, *matrices.shape[-2:])
