"""The programs on arrays by hand in NumPy: derivatives worked out on paper, buffers reused, passes in place."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.flat import FlatParameters, adamw
from benchmarks.libraries import NO_TWIN, NotApplicable
from benchmarks.libraries.numpy_losses import cross_entropy, mse, sigmoid
from benchmarks.programs import Program, Step
from benchmarks.programs.arrays import ADAMW, SCALE, SHIFT, Data

__all__ = ["program"]


def program(workload: Program) -> Step:
    """Return the step of a program that is written here."""
    if workload.name not in PROGRAMS:
        raise NotApplicable(NO_TWIN)
    return PROGRAMS[workload.name]()


def _elementwise() -> Step:
    """d = e^(−y²) − x with y = t x, t = tanh(s x + c); in blocks of rows that stay in the cache."""
    x = Data.elementwise()
    gradient = np.empty_like(x)
    rows = 16
    t, y, e, d = (np.empty_like(x[:rows]) for _ in range(4))
    scale = np.float32(2 / x.size)

    def step() -> Any:
        total = 0.0
        for start in range(0, len(x), rows):
            block, g = x[start : start + rows], gradient[start : start + rows]
            np.multiply(block, SCALE, out=t)
            np.add(t, SHIFT, out=t)
            np.tanh(t, out=t)
            np.multiply(t, block, out=y)
            np.multiply(y, y, out=e)
            np.negative(e, out=e)
            np.exp(e, out=e)
            np.subtract(e, block, out=d)
            total += np.vdot(d, d)
            np.multiply(d, scale, out=d)  # dL/dd
            np.multiply(y, e, out=e)
            np.multiply(e, -2, out=e)
            np.multiply(e, d, out=e)  # dL/dy
            np.multiply(t, t, out=g)
            np.subtract(1, g, out=g)
            np.multiply(g, block, out=g)
            np.multiply(g, SCALE, out=g)
            np.add(g, t, out=g)  # dy/dx
            np.multiply(g, e, out=g)
            np.subtract(g, d, out=g)
        return total / x.size, gradient

    return step


def _distances() -> Step:
    """|a − b|² = |a|² + |b|² − 2ab, in float64 for it cancels; the gradient: two products, weights 1/|a − b|."""
    a, b = Data.distances()
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    count = len(a) * len(b)

    def step() -> Any:
        squares = wide_a @ wide_b.T
        squares *= -2
        squares += np.einsum("ij,ij->i", wide_a, wide_a)[:, None]
        squares += np.einsum("ij,ij->i", wide_b, wide_b)
        length = np.sqrt(squares, out=squares)
        mean = length.sum() / count
        weight = np.divide(1 / count, length, out=length)
        towards_b = weight.sum(1)[:, None] * wide_a - weight @ wide_b
        towards_a = weight.sum(0)[:, None] * wide_b - weight.T @ wide_a
        return mean, towards_b.astype(np.float32), towards_a.astype(np.float32)

    return step


def _cross_entropy() -> Step:
    logits, targets = Data.cross_entropy()
    scratch, gradient = np.empty_like(logits), np.empty_like(logits)
    loss = cross_entropy(targets, scratch, gradient)

    def step() -> Any:
        np.copyto(scratch, logits)
        return loss(), gradient

    return step


def _embedding() -> Step:
    values, rows, targets = Data.embedding()
    table = values.copy()
    out, gradient = np.empty_like(targets), np.empty_like(targets)
    loss = mse(targets, out, gradient)
    order = np.argsort(rows, kind="stable")
    starts = np.flatnonzero(np.diff(rows[order], prepend=-1))
    places = rows[order][starts]

    def step() -> Any:
        np.take(table, rows, axis=0, out=out, mode="clip")
        value = loss()
        np.multiply(gradient, 100.0, out=gradient)
        table[places] -= np.add.reduceat(gradient[order], starts, axis=0)  # a row may occur more than once
        return value

    return step


def _adamw() -> Step:
    values, gradients = Data.adamw()
    parameters = FlatParameters(values)
    parameters.gather(gradients)
    descend = adamw(parameters, ADAMW["lr"], *ADAMW["betas"], ADAMW["eps"], ADAMW["weight_decay"])

    def step() -> Any:
        descend()
        return parameters.values[0]

    return step


def _inference() -> Step:
    (w1, b1, w2, b2), x = Data.inference()
    hidden, out = np.empty((1, 100), np.float32), np.empty((1, 10), np.float32)

    def step() -> Any:
        np.matmul(x, w1.T, out=hidden)
        np.add(hidden, b1, out=hidden)
        sigmoid(hidden)
        np.matmul(hidden, w2.T, out=out)
        return np.add(out, b2, out=out)

    return step


PROGRAMS: dict[str, Callable[[], Step]] = {
    "elementwise": _elementwise,
    "distances": _distances,
    "cross-entropy": _cross_entropy,
    "embedding": _embedding,
    "adamw": _adamw,
    "inference": _inference,
}
