"""The steps of optimizers on the GPU, all in place: one launch each."""

from __future__ import annotations

from retrograd.backends.contract import Array
from retrograd.backends.cupy_kernels import kernels

__all__ = ["adam_step", "sgd_step"]


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
    if momentum_buffer is None or not momentum:
        kernels["sgd_step"](grad, lr, weight_decay, maximize, param)
        return
    rates = (lr, momentum, dampening, weight_decay, nesterov, maximize, first)
    kernels["sgd_momentum_step"](grad, *rates, param, momentum_buffer)


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
    step_size = -lr / (1.0 - beta1**step)
    root_of_correction = (1.0 - beta2**step) ** 0.5
    decay, coupled = (1.0 - lr * weight_decay, 0.0) if decoupled else (1.0, weight_decay)
    rates = (step_size, root_of_correction, beta1, beta2, eps, decay, coupled, maximize)
    if max_exp_avg_sq is None:
        kernels["adam_step"](grad, *rates, param, exp_avg, exp_avg_sq)
    else:
        kernels["amsgrad_step"](grad, *rates, param, exp_avg, exp_avg_sq, max_exp_avg_sq)
