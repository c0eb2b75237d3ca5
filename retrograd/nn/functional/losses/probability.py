"""Losses of probabilities: binary cross-entropies, and the divergence of two distributions."""

from __future__ import annotations

import warnings

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor, namespace
from retrograd.nn.functional.losses.reduction import check_reduction, reduced, refuse_legacy

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"]


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """−t log p − (1 − t) log(1 − p) of probabilities p, the logarithms held above −100: finite at 0 and 1.

    Raises ValueError unless input and target have the same shape, RuntimeError for an input outside of [0, 1].
    """
    refuse_legacy(size_average, reduce)
    check_reduction(reduction)
    if input._array.shape != target._array.shape:
        raise ValueError(
            f"binary_cross_entropy: the target's shape {target.shape} must be the input's, {input.shape}; "
            "reshape one of them, e.g. target.view_as(input)."
        )
    if input.dtype != target.dtype:
        raise RuntimeError(
            f"binary_cross_entropy: input {input.dtype} and target {target.dtype} must have the same dtype; "
            "convert one, e.g. target.to(input.dtype)."
        )
    xp = namespace(input)
    if input._array.size and not (xp.min(input._array) >= 0 and xp.max(input._array) <= 1):
        raise RuntimeError("binary_cross_entropy: the input must lie between 0 and 1; for logits use ..._with_logits.")
    losses = ops.binary_cross_entropy(input, target)
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of σ(input), without overflow. pos_weight: a factor for the positive class."""
    refuse_legacy(size_average, reduce)
    check_reduction(reduction)
    if input._array.shape != target._array.shape:
        raise ValueError(f"Target size {target.shape} must be the same as input size {input.shape}")
    if pos_weight is None:
        losses = ops.binary_cross_entropy_with_logits(input, target)
    else:
        positive = (pos_weight - 1) * target + 1
        losses = (1 - target) * input - positive * ops.log_sigmoid(input)
    return reduced(losses if weight is None else losses * weight, reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """t (log t − input), input being log-probabilities; `log_target` says that the target is too.

    reduction="batchmean" divides the sum by the batch: the Kullback–Leibler divergence.
    """
    refuse_legacy(size_average, reduce)
    if input.dtype.kind != "f" or target.dtype.kind != "f":
        raise RuntimeError(f"kl_div: expected floats, got input {input.dtype} and target {target.dtype}.")
    if log_target:
        losses = ops.exp(target) * (target - input)
    else:
        safe = ops.where(target == 0, 1.0, target)  # 0 log 0 = 0
        losses = target * ops.log(safe) - target * input
    if reduction == "batchmean":
        return ops.sum(losses) / input.shape[0] if input.ndim else ops.sum(losses)
    if reduction == "mean":
        warnings.warn(
            "kl_div: reduction='mean' divides by all elements; 'batchmean' gives the divergence.", stacklevel=2
        )
    return reduced(losses, reduction)
