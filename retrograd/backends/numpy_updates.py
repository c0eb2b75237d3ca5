"""The steps of optimizers on the host, all in place; long buffers are best handed over in pieces that fit the cache."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.kernels import fusable

__all__ = ["adam_step", "sgd_step"]

Array = Any


@fusable
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
) -> None:
    """One step of stochastic gradient descent, in place on `param` and `momentum_buffer`.

    The order of operations is PyTorch's. `first` fills the momentum buffer with the gradient, undamped.
    """
    p, g, b, scratch = param, grad, momentum_buffer, np.empty_like(param)
    if maximize:
        g = np.negative(g)
    if weight_decay:
        g = g + weight_decay * p
    if b is not None and momentum:
        if first:
            b[...] = g
        else:
            np.multiply(b, momentum, b)
            np.add(b, np.multiply(g, 1.0 - dampening, scratch) if dampening else g, b)
        g = np.add(g, np.multiply(b, momentum, scratch), scratch) if nesterov else b
    np.subtract(p, np.multiply(g, lr, scratch), p)


@fusable
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
) -> None:
    """One step of Adam (Kingma & Ba 2015, algorithm 1) or, `decoupled`, AdamW (Loshchilov & Hutter 2019, algorithm 2).

    In place on `param` and the moments; `step` counts from 1. `max_exp_avg_sq` switches AMSGrad on (Reddi et al. 2018).
    """
    # The corrections for the moments' start at 0 are folded into the scalars, as in section 2 of the paper.
    root = (1.0 - beta2**step) ** 0.5
    step_size, eps = lr * root / (1.0 - beta1**step), eps * root
    p, g, m, v, largest, scratch = param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq, np.empty_like(param)
    if maximize:
        g = np.negative(g)
    if weight_decay:
        if decoupled:
            np.multiply(p, 1.0 - lr * weight_decay, p)
        else:
            g = g + weight_decay * p
    np.multiply(g, g, scratch)
    np.multiply(scratch, 1.0 - beta2, scratch)
    np.multiply(v, beta2, v)
    np.add(v, scratch, v)
    np.subtract(g, m, scratch)
    np.multiply(scratch, 1.0 - beta1, scratch)
    np.add(m, scratch, m)
    np.sqrt(v if largest is None else np.maximum(largest, v, out=largest), scratch)
    np.add(scratch, eps, scratch)
    np.divide(m, scratch, scratch)
    np.multiply(scratch, step_size, scratch)
    np.subtract(p, scratch, p)
