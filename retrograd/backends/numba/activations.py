"""Activations in one pass (`backends/numpy_activations.py`, GELU of `backends/numpy_special.py`, `ops/choice.py`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.backends.numba.exponential import exp
from retrograd.backends.numba.jit import compiled, suited
from retrograd.backends.numpy_special import GELU_END, GELU_P, GELU_Q
from retrograd.backends.threads import share

__all__ = ["gelu", "relu", "relu_gradient", "sigmoid"]

Array = Any
GRAIN = 2**17
"""Elements that are worth a thread."""
LIGHT = 2**20
"""The same where almost nothing is computed."""
FEW = 2**11
"""Elements up to which NumPy's calls are over sooner."""

P0, P1, P2 = map(np.float32, GELU_P)
Q0, Q1, Q2 = map(np.float32, GELU_Q)
END, HALF, ONE, HEIGHT = map(np.float32, (GELU_END, 0.5, 1.0, math.sqrt(0.5 / math.pi)))


@compiled(reassociate=True)
def gelu_of_range(x: Array, out: Array, slope: Array) -> None:
    for i in range(x.size):
        value = x[i]
        size = abs(value)
        size = END if size > END else size
        density = exp(-HALF * size * size) * HEIGHT
        tail = density * ((P0 * size + P1) * size + P2) / (((size + Q0) * size + Q1) * size + Q2)
        below = tail if value < 0 else ONE - tail
        out[i] = value * below
        slope[i] = below + density * (size if value > 0 else -size)


@compiled
def relu_of_range(x: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = x.dtype.type(0) if x[i] <= 0 else x[i]


@compiled
def relu_slopes(g: Array, y: Array, out: Array) -> None:
    for i in range(g.size):
        out[i] = g.dtype.type(0) if y[i] <= 0 else g[i]


@compiled
def sigmoid_of_range(x: Array, out: Array) -> None:
    one = x.dtype.type(1)
    for i in range(x.size):
        out[i] = one / (one + exp(-x[i]))


def gelu(x: Array) -> Any:
    return by_elements(gelu_of_range, 2, x) if suited(x) and x.dtype == np.float32 else NotImplemented


def relu(x: Array) -> Any:
    return by_elements(relu_of_range, 1, x, grain=LIGHT)[0] if suited(x) and x.size > FEW else NotImplemented


def relu_gradient(xp: Any, g: Array, out: Array) -> Any:
    return by_elements(relu_slopes, 1, g, out, grain=LIGHT)[0] if suited(g, out) and g.size > FEW else NotImplemented


def sigmoid(x: Array) -> Any:
    return by_elements(sigmoid_of_range, 1, x)[0] if suited(x) and x.size > FEW else NotImplemented


def by_elements(loops: Callable[..., None], results: int, *arrays: Array, grain: int = GRAIN) -> tuple[Array, ...]:
    """The arrays that loops over elements fill."""
    out = tuple(np.empty(arrays[0].shape, arrays[0].dtype) for _ in range(results))
    flat = [array.reshape(-1) for array in (*arrays, *out)]
    share(lambda start, stop: loops(*[array[start:stop] for array in flat]), flat[0].size, grain)
    return out
