"""Losses of numbers: functions of the residual input − target, and likelihoods of what was counted or measured."""

from __future__ import annotations

import math
import warnings

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.nn.functional.losses.reduction import check_reduction, reduced, refuse_legacy, weighted

__all__ = ["gaussian_nll_loss", "huber_loss", "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss"]


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input − target)²; the mean divides by the number of residuals, or by the sum of their weights.

    Warns where input and target broadcast. Raises ValueError for a weight of another shape, NotImplementedError for
    integers.
    """
    refuse_legacy(size_average, reduce)
    errors = residuals(input, target, "mse_loss")
    if weight is None and reduction in ("mean", "sum") and errors._array.size:
        return ops.sum_of_squares(errors, mean=reduction == "mean")
    return weighted(ops.square(errors), weight, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input − target|."""
    refuse_legacy(size_average, reduce)
    return weighted(ops.abs(residuals(input, target, "l1_loss", floating=False)), weight, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """r²/(2 beta) for residuals |r| below beta, else |r| − beta/2 (Girshick 2015, eq. 3).

    Raises RuntimeError for a negative beta.
    """
    refuse_legacy(size_average, reduce)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}.")
    r = residuals(input, target, "smooth_l1_loss")
    if beta == 0:
        return reduced(ops.abs(r), reduction)
    losses = ops.huber(r, delta=beta)
    return reduced(losses if beta == 1 else losses / beta, reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """r²/2 for residuals |r| below delta, else delta (|r| − delta/2) (Huber 1964).

    Raises RuntimeError unless delta is positive.
    """
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}.")
    return weighted(ops.huber(residuals(input, target, "huber_loss"), delta=delta), weight, reduction)


def residuals(input: Tensor, target: Tensor, name: str, floating: bool = True) -> Tensor:
    """input − target; a warning where they broadcast, which is seldom meant."""
    if input._array.shape != target._array.shape:
        warnings.warn(
            f"{name}: target {target.shape} differs from input {input.shape}, so they broadcast; make them the same.",
            UserWarning,
            stacklevel=3,
        )
    r = input - target
    if floating and r._array.dtype.kind != "f":
        raise NotImplementedError(f"{name}: not for {r.dtype}; convert the input, e.g. input.float().")
    return r


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: None = None,
    eps: float = 1e-8,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """−log of the Poisson probability of the counts `target`, whose rate is exp(input), or input unless `log_input`.

    Without its part log(target!) unless `full`, which adds Stirling's approximation of it for counts above 1:
    t log t − t + log(2πt)/2. `eps` keeps log(input) finite. The shapes broadcast.
    """
    refuse_legacy(size_average, reduce)
    check_reduction(reduction)
    losses = ops.exp(input) - target * input if log_input else input - target * ops.log(input + eps)
    if full:
        many = target > 1
        t = ops.where(many, target, 1.0)
        stirling = t * ops.log(t) - t + 0.5 * ops.log(2 * math.pi * t)
        losses = losses + ops.where(many, stirling, 0.0)
    return reduced(losses, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """−log of the normal density of `target`, of mean `input` and variance `var` (Nix & Weigend 1994).

    var: a number, of the input's shape, or one for each row: (*, 1), or the input's shape without its last axis. It is
    held above `eps`; the gradient is that of the variance itself. The constant log(2π)/2 comes with `full`.
    Raises ValueError for a negative variance or one of another shape.
    """
    if not isinstance(var, Tensor):
        if not isinstance(var, float):
            raise TypeError(f"gaussian_nll_loss: var must be a Tensor or a float, got {type(var).__name__}.")
        if var < 0:
            raise ValueError(f"gaussian_nll_loss: var has negative entries, {var}.")
        var = make(namespace(input).new_zeros(input._array, shape=input.shape) + var)
    elif bool(namespace(var).any(var._array < 0)):
        raise ValueError("gaussian_nll_loss: var has negative entries; give variances, e.g. log_var.exp().")
    check_reduction(reduction)
    var = fitting(var, input)
    variance = var + make(namespace(var).clip(eps - var._array, 0, None))  # the gradient is the variance's own
    losses = 0.5 * (ops.log(variance) + ops.square(input - target) / variance)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


def fitting(var: Tensor, input: Tensor) -> Tensor:
    """The variances in a shape that broadcasts to the input's."""
    if var.shape == input.shape:
        return var
    if var.shape == input.shape[:-1] and input.ndim:
        return ops.expand_dims(var, axis=-1)
    shared = [mine for n, mine in zip(input.shape, var.shape) if n != mine]
    if var.ndim == input.ndim and sum(shared) == 1:
        return var
    raise ValueError(
        f"gaussian_nll_loss: var is of incorrect size {var.shape} for input {input.shape}; give the input's shape, "
        f"{(*input.shape[:-1], 1)} or {input.shape[:-1]}."
    )
