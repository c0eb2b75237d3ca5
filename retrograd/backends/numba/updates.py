"""The steps of optimizers, one pass over the parameters and their states (`backends/numpy_updates.py`).

What a step leaves out is None: for each such choice numba compiles a loop that does not ask for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.numba.jit import compiled, suited

__all__ = ["adam_step", "sgd_step"]

Array = Any
FEW = 2**12
"""Elements up to which NumPy's few calls for SGD are over sooner."""


@compiled
def sgd(
    p: Array, g: Array, b: Array, first: bool, momentum: Any, new: Any, sign: Any, decay: Any, nesterov: Any, lr: Any
) -> None:
    for i in range(p.size):
        slope = g[i] * sign
        if decay is not None:
            slope = slope + decay * p[i]
        if b is not None:
            b[i] = slope if first else b[i] * momentum + slope * new
            slope = slope + b[i] * momentum if nesterov is not None else b[i]
        p[i] = p[i] - slope * lr


def sgd_step(
    param: Array,
    grad: Array,
    momentum_buffer: Array | None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
    first: bool = False,
) -> Any:
    buffer = momentum_buffer if momentum else None
    if param.size <= FEW or not suited(param, grad, buffer):
        return NotImplemented
    kind = param.dtype.type
    numbers = (kind(momentum), kind(1.0 - dampening), kind(-1.0 if maximize else 1.0))
    choices = (kind(weight_decay) if weight_decay else None, True if nesterov else None, kind(lr))
    sgd(flat(param), flat(grad), flat(buffer), first, *numbers, *choices)
    return None


@compiled
def adam(
    p: Array, g: Array, m: Array, v: Array, largest: Array, rest1: Any, beta2: Any, rest2: Any, eps: Any, lr: Any,
    sign: Any, decay: Any, shrink: Any,
) -> None:  # fmt: skip
    for i in range(p.size):
        value, slope = p[i], g[i] * sign
        if decay is not None:
            slope = slope + decay * value
        if shrink is not None:
            value = value * shrink
        v[i] = second = v[i] * beta2 + slope * slope * rest2
        m[i] = moment = m[i] + (slope - m[i]) * rest1
        if largest is not None:
            largest[i] = second = max(largest[i], second)
        p[i] = value - moment / (np.sqrt(second) + eps) * lr


def adam_step(
    param: Array,
    grad: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    max_exp_avg_sq: Array | None,
    *,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
) -> Any:
    arrays = (param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq)
    if not suited(*arrays):
        return NotImplemented
    root = (1.0 - beta2**step) ** 0.5
    kind = param.dtype.type
    numbers = (1.0 - beta1, beta2, 1.0 - beta2, eps * root, lr * root / (1.0 - beta1**step), -1.0 if maximize else 1.0)
    decay = kind(weight_decay) if weight_decay and not decoupled else None
    shrink = kind(1.0 - lr * weight_decay) if weight_decay and decoupled else None
    adam(*map(flat, arrays), *map(kind, numbers), decay, shrink)
    return None


def flat(array: Array | None) -> Array | None:
    return None if array is None else array.reshape(-1)
