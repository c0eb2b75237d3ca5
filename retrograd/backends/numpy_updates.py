"""The steps of optimizers on the host: one pass over a flat buffer, in pieces that stay in the cache, all in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["adam_step", "sgd_step"]

Array = Any

_PIECE = 1 << 14  # elements: five float32 buffers of this length fit a second-level cache of 512 KiB


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
    for p, g, b in _pieces(param, grad, momentum_buffer):
        if maximize:
            g = np.negative(g)
        if weight_decay:
            g = g + weight_decay * p
        if b is not None and momentum:
            if first:
                b[...] = g
            else:
                b *= momentum
                b += g if not dampening else (1.0 - dampening) * g
            g = g + momentum * b if nesterov else b
        p += np.multiply(g, -lr)


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
    step_size = -lr / (1.0 - beta1**step)
    root_of_correction = (1.0 - beta2**step) ** 0.5
    for p, g, m, v, largest in _pieces(param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq):
        if maximize:
            g = np.negative(g)
        if weight_decay:
            if decoupled:
                p *= 1.0 - lr * weight_decay
            else:
                g = g + weight_decay * p
        scratch = np.subtract(g, m)
        scratch *= 1.0 - beta1
        m += scratch
        v *= beta2
        np.multiply(g, g, scratch)
        scratch *= 1.0 - beta2
        v += scratch
        second = v if largest is None else np.maximum(largest, v, out=largest)
        np.sqrt(second, scratch)
        scratch /= root_of_correction
        scratch += eps
        np.divide(m, scratch, scratch)
        scratch *= step_size
        p += scratch


def _pieces(*buffers: Array | None) -> Iterator[tuple[Any, ...]]:
    """The same stretch of every buffer in turn; buffers that are not all contiguous come whole."""
    size = buffers[0].size  # type: ignore[union-attr]  # the parameters are never None
    if size <= _PIECE or not all(b is None or b.flags.c_contiguous for b in buffers):
        yield buffers
        return
    flat = [None if b is None else b.reshape(-1) for b in buffers]
    for start in range(0, size, _PIECE):
        yield tuple(None if b is None else b[start : start + _PIECE] for b in flat)
