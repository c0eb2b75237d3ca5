"""Attention, one pair of a query's and a key's matrix at a time, products included (`autograd/ops/attention.py`).

Queries, keys and values come with their heads first, (heads, batch, length, numbers): in that order arrays are not in
one piece, however they are stored, so that loops are compiled once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.numba.blas import available, product
from retrograd.backends.numba.jit import FLOATS, compiled, suited
from retrograd.backends.numba.runs import total as sum_of
from retrograd.backends.numba.softmax import largest, powers_in_place
from retrograd.backends.threads import share

__all__ = ["attend", "attention_gradients"]

Array = Any
GRAIN = 2**16
"""Scores that are worth a thread."""


@compiled(reassociate=True)
def attend_matrices(
    q: Array, k: Array, v: Array, scale: Any, bias: Array, steps: Any, factors: Array, weights: Array, total: Array,
    shift: Array, out: Array, start: int, stop: int,
) -> None:  # fmt: skip
    """`bias`, if it is not None, is flat, with the steps from head to head, sample to sample and query to query."""
    heads, (queries, keys) = q.shape[0], weights.shape[1:]
    dropped: Array = None if factors is None else np.empty((queries, keys), q.dtype)
    for m in range(start, stop):
        head, sample, matrix = m % heads, m // heads, weights[m]
        product(matrix, q[head, sample], k[head, sample].T, False)
        for i in range(queries):
            row = matrix[i]
            if bias is None:
                for j in range(row.size):
                    row[j] *= scale
            else:
                at = head * steps[0] + sample * steps[1] + i * steps[2]
                extra = bias[at : at + keys]
                for j in range(row.size):
                    row[j] = row[j] * scale + extra[j]
            most = largest(row)
            most = q.dtype.type(0) if most == -np.inf else most
            shift[m, i] = most
            for j in range(row.size):
                row[j] -= most
        powers_in_place(weights, m, m + 1)
        if factors is None:
            product(out[m], matrix, v[head, sample], False)
        else:
            multiply(matrix, factors[m], dropped)
            product(out[m], dropped, v[head, sample], False)
        for i in range(queries):
            whole = q.dtype.type(sum_of(weights, m, i))
            total[m, i] = whole = q.dtype.type(1) if whole == 0 else whole
            row, inverse = out[m, i], 1 / whole
            for j in range(row.size):
                row[j] *= inverse


@compiled(reassociate=True)
def differentiate_matrices(
    g: Array, q: Array, k: Array, v: Array, out: Array, weights: Array, total: Array, scale: Any, factors: Array,
    g_q: Array, g_k: Array, g_v: Array, start: int, stop: int,
) -> None:  # fmt: skip
    heads, (queries, keys) = q.shape[0], weights.shape[1:]
    slope, slopes = np.empty(g.shape[1:], g.dtype), np.empty((queries, keys), g.dtype)
    dropped: Array = None if factors is None else np.empty((queries, keys), g.dtype)
    inner = np.empty(queries, g.dtype)
    for m in range(start, stop):
        head, sample, matrix = m % heads, m // heads, weights[m]
        for i in range(queries):
            given, row, result, inverse, part = g[m, i], slope[i], out[m, i], 1 / total[m, i], g.dtype.type(0)
            for j in range(row.size):
                row[j] = value = given[j] * inverse
                part += value * result[j]
            inner[i] = part
        product(slopes, slope, v[head, sample].T, False)
        if factors is None:
            product(g_v[m], matrix.T, slope, False)
        else:
            multiply(matrix, factors[m], dropped)
            product(g_v[m], dropped.T, slope, False)
            multiply(slopes, factors[m], slopes)
        for i in range(queries):
            row, weight, part = slopes[i], matrix[i], inner[i]
            for j in range(row.size):
                row[j] = (row[j] - part) * weight[j] * scale
        product(g_q[m], slopes, k[head, sample], False)
        product(g_k[m], slopes.T, q[head, sample], False)


@compiled
def multiply(x: Array, y: Array, out: Array) -> None:
    for i in range(x.shape[0]):
        row, factors, result = x[i], y[i], out[i]
        for j in range(row.size):
            result[j] = row[j] * factors[j]


def attend(xp: Any, q: Array, k: Array, v: Array, scale: float, bias: Array | None, factors: Array | None) -> Any:
    lead, kind = q.shape[:-2], q.dtype.type
    shape = (*lead, q.shape[-2], k.shape[-2])
    if not fits(lead, q, k, v) or not alike(q, bias, factors):
        return NotImplemented
    steps = (0, 0, 0)
    if bias is not None:
        bias = np.ascontiguousarray(np.broadcast_to(bias, (*bias.shape[:-1], shape[-1])))
        sample, head, query = (s // bias.itemsize for s in four(np.broadcast_to(bias, shape)).strides[:3])
        bias, steps = bias.reshape(-1), (head, sample, query)
    n = four(q).shape[0] * four(q).shape[1]
    weights, out = np.empty(shape, q.dtype), np.empty((*shape[:-1], v.shape[-1]), q.dtype)
    total, shift = np.empty((*shape[:-1], 1), q.dtype), np.empty((*shape[:-1], 1), q.dtype)
    factors = factors_of(factors, shape)
    results = [x.reshape(n, *x.shape[-2:]) for x in (weights, out)]
    arrays = [heads_first(x) for x in (q, k, v)]
    sums = total.reshape(n, -1), shift.reshape(n, -1)

    def task(start: int, stop: int) -> None:
        attend_matrices(*arrays, kind(scale), bias, steps, factors, results[0], *sums, results[1], start, stop)

    share(task, n, max(1, GRAIN * n // weights.size), products=True)
    return out, weights, total, shift


def attention_gradients(
    xp: Any, g: Array, q: Array, k: Array, v: Array, out: Array, weights: Array, total: Array, scale: float,
    factors: Array | None,
) -> Any:  # fmt: skip
    lead = weights.shape[:-2]
    if not fits(lead, q, k, v) or not alike(q, g, factors) or not suited(out, weights, total):
        return NotImplemented
    n = four(q).shape[0] * four(q).shape[1]
    factors = factors_of(factors, weights.shape)
    slope, result, matrices = (x.reshape(n, *x.shape[-2:]) for x in (np.ascontiguousarray(g), out, weights))
    gradients = [np.empty(x.shape, q.dtype) for x in (q, k, v)]
    filled = [x.reshape(n, *x.shape[-2:]) for x in gradients]
    arrays, sums, factor = [heads_first(x) for x in (q, k, v)], total.reshape(n, -1), q.dtype.type(scale)

    def task(start: int, stop: int) -> None:
        differentiate_matrices(slope, *arrays, result, matrices, sums, factor, factors, *filled, start, stop)

    share(task, n, max(1, GRAIN * n // weights.size), products=True)
    return tuple(gradients)


def fits(lead: tuple[int, ...], *arrays: Array) -> bool:
    """Whether they are batches of as many matrices, none of them empty."""
    return available and alike(*arrays) and len(lead) <= 2 and all(x.shape[:-2] == lead and x.size for x in arrays)


def alike(*arrays: Array | None) -> bool:
    """Whether they are NumPy's, of one dtype (float32 or float64); None is left out."""
    kinds = {x.dtype if type(x) is np.ndarray else None for x in arrays if x is not None}
    return len(kinds) == 1 and kinds <= set(FLOATS)


def factors_of(factors: Array | None, shape: tuple[int, ...]) -> Array | None:
    return None if factors is None else np.ascontiguousarray(np.broadcast_to(factors, shape)).reshape(-1, *shape[-2:])


def four(x: Array) -> Array:
    """With axes for a batch and heads."""
    return x.reshape((1,) * (4 - x.ndim) + x.shape)


def heads_first(x: Array) -> Array:
    """Rows of matrices must be runs of memory."""
    size, (apart, step) = x.itemsize, x.strides[-2:]
    in_rows = step == size and apart % size == 0 and apart >= size * x.shape[-1]
    return four(x if in_rows else np.ascontiguousarray(x)).swapaxes(0, 1)
