"""Losses. `reduction` is "mean" (over all elements), "sum" or "none"."""

from __future__ import annotations

import math
import warnings
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.backends import backend_of_array, device_of

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
]


# ---- classes


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """−log softmax(input)[target]: logits against class indices, or against probabilities.

    input: (classes,), (batch, classes) or (batch, classes, *). target: integers () / (batch,) / (batch, *), or
    floating of the input's shape. weight: (classes,), a factor for each class; the mean is then weighted.
    ignore_index: this target counts nothing. label_smoothing: this share of the target is spread over all classes.
    Raises IndexError for a class that does not exist, RuntimeError or ValueError for shapes that do not fit.
    """
    refuse_legacy(size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    axis = class_axis(input)
    if target.dtype.kind == "f":
        return probability_cross_entropy(input, target, weight, reduction, label_smoothing, axis)
    rows, classes = class_rows(input, target, axis)
    count = rows._array.shape[1]
    if weight is None and not label_smoothing and not 0 <= ignore_index < count and rows._array.size:
        xp, array = namespace(rows), classes._array
        chosen = xp.reshape(array, (-1, 1)) == xp.arange(count)
        if xp.count_nonzero(chosen) == array.size:  # so every target is a class that exists
            if reduction == "none":
                return as_shape(ops.softmax_cross_entropy(rows, make(chosen), reduction="none"), target)
            check_reduction(reduction)
            return ops.softmax_cross_entropy(rows, make(chosen), reduction=reduction)
    mask = known_classes(classes, count, ignore_index)
    log_p = ops.log_softmax(rows, axis=1)
    return class_losses(log_p, classes, mask, weight, reduction, label_smoothing, target)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """−input[target]: log-probabilities against class indices; arguments as in `cross_entropy`."""
    refuse_legacy(size_average, reduce)
    if target.dtype.kind not in "iu":
        raise RuntimeError(f"nll_loss: expected a target of integers (class indices), got {target.dtype}")
    rows, classes = class_rows(input, target, class_axis(input))
    mask = known_classes(classes, rows.shape[1], ignore_index)
    return class_losses(rows, classes, mask, weight, reduction, 0.0, target)


def class_axis(input: Tensor) -> int:
    """Where the classes are."""
    if input._array.ndim == 0:
        raise ValueError("expected an input with classes, (classes,), (batch, classes) or (batch, classes, *); got ()")
    return 0 if input._array.ndim == 1 else 1


def class_rows(input: Tensor, target: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Input as (rows, classes) and target as (rows,)."""
    shape, wanted = input._array.shape, target._array.shape
    if backend_of_array[type(input._array)] is not backend_of_array[type(target._array)]:
        place = device_of(input._array)
        raise RuntimeError(
            f"input on {place} {shape} and target on {device_of(target._array)} {wanted}; move one, "
            f'e.g. target.to("{place}").'
        )
    if shape[:axis] + shape[axis + 1 :] != wanted:
        raise (RuntimeError if len(shape) > 2 else ValueError)(
            f"input {shape} and target {wanted} do not fit: expected class indices of shape "
            f"{shape[:axis] + shape[axis + 1 :]}, or probabilities (floating) of the input's shape."
        )
    if target._array.dtype.kind not in "iu":
        raise RuntimeError(f"expected a target of integers (class indices) or floats, got {target.dtype}")
    if len(shape) == 2:
        return input, target
    if len(shape) > 2:
        input = ops.permute_dims(input, axes=(0, *range(2, len(shape)), 1))
    return ops.reshape(input, shape=(-1, shape[axis])), ops.reshape(target, shape=(-1,))


def known_classes(classes: Tensor, count: int, ignore_index: int) -> Any:
    """True where a target counts, or None where all do. IndexError for a class that does not exist."""
    xp, array = namespace(classes), classes._array
    if not 0 <= ignore_index < count and bool(xp.all((array >= 0) & (array < count))):
        return None
    mask = array != ignore_index
    outside = mask & ((array < 0) | (array >= count))
    if bool(xp.any(outside)):
        worst = int(xp.to_host(array[outside])[0])
        raise IndexError(f"Target {worst} is out of bounds: there are {count} classes, 0 to {count - 1}.")
    return mask


def class_losses(
    log_p: Tensor, classes: Tensor, mask: Any, weight: Tensor | None, reduction: str, smoothing: float, target: Tensor
) -> Tensor:
    """Weighted −log p of the right class of each row, some rows masked out, smoothed over all classes."""
    xp, index = namespace(log_p), classes._array
    if weight is not None and weight.shape != log_p.shape[1:]:
        raise RuntimeError(
            f"weight tensor should be defined for all {log_p.shape[1]} classes, got shape {weight.shape}"
        )
    if mask is not None:
        index = xp.where(mask, index, 0)
    index = xp.astype(index, dtype="int64")
    counts = xp.astype(index == index if mask is None else mask, dtype=log_p.dtype)
    factors = counts if weight is None else counts * weight._array[index]
    column = make(xp.reshape(index, (-1, 1)))
    losses = -ops.reshape(ops.take_along_axis(log_p, column, axis=1), shape=(-1,))
    if mask is not None:  # a row that does not count may hold infinities
        losses = ops.where(make(mask), losses, 0.0)
    losses = losses * make(factors)
    if smoothing:
        spread = -ops.sum(log_p if weight is None else log_p * weight, axis=1)
        if mask is not None:
            spread = ops.where(make(mask), spread, 0.0)
        losses = (1 - smoothing) * losses + (smoothing / log_p.shape[1]) * spread
    if reduction == "mean":
        return ops.sum(losses) / make(xp.sum(factors))
    return reduced(as_shape(losses, target), reduction)


def probability_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float, axis: int
) -> Tensor:
    """−Σ target · log softmax(input) over the classes."""
    if target.shape != input.shape:
        raise RuntimeError(f"input {input.shape} and probabilities {target.shape} must have the same shape.")
    count = input.shape[axis]
    if smoothing:
        target = target * (1 - smoothing) + smoothing / count
    terms = ops.log_softmax(input, axis=axis) * target
    if weight is not None:
        if weight.shape != (count,):
            raise RuntimeError(f"weight tensor should be defined for all {count} classes, got shape {weight.shape}")
        terms = terms * ops.reshape(weight, shape=(count, *[1] * (input.ndim - 1 - axis)))
    losses = -ops.sum(terms, axis=axis)
    return reduced(losses, reduction)


def as_shape(losses: Tensor, target: Tensor) -> Tensor:
    """Losses of rows in the target's shape."""
    if losses._array.shape == target._array.shape:
        return losses
    return ops.reshape(losses, shape=target._array.shape)


# ---- probabilities


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
    if input._array.shape != target._array.shape:
        raise ValueError(
            f"binary_cross_entropy: the target's shape {target.shape} must be the input's, {input.shape}; "
            "reshape one of them, e.g. target.view_as(input)."
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


# ---- residuals


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input − target)²; the mean divides by the number of residuals."""
    refuse_legacy(size_average, reduce)
    return weighted(ops.square(residuals(input, target, "mse_loss")), weight, reduction)


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
    return weighted(ops.abs(residuals(input, target, "l1_loss")), weight, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """r²/(2 beta) for residuals |r| below beta, else |r| − beta/2 (Girshick 2015, eq. 3)."""
    refuse_legacy(size_average, reduce)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}.")
    r = ops.abs(residuals(input, target, "smooth_l1_loss"))
    if beta == 0:
        return reduced(r, reduction)
    return reduced(ops.where(r < beta, ops.square(r) * (0.5 / beta), r - 0.5 * beta), reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """r²/2 for residuals |r| below delta, else delta (|r| − delta/2) (Huber 1964)."""
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}.")
    r = ops.abs(residuals(input, target, "huber_loss"))
    return weighted(ops.where(r < delta, 0.5 * ops.square(r), delta * (r - 0.5 * delta)), weight, reduction)


def residuals(input: Tensor, target: Tensor, name: str) -> Tensor:
    """input − target; a warning where they broadcast, which is seldom meant."""
    if input._array.shape != target._array.shape:
        warnings.warn(
            f"{name}: target {target.shape} differs from input {input.shape}, so they broadcast; make them the same.",
            UserWarning,
            stacklevel=3,
        )
    return input - target


# ---- parts


def check_reduction(reduction: str) -> None:
    """ValueError for a reduction that there is not."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}.")


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """Mean, sum, or the losses themselves."""
    check_reduction(reduction)
    if reduction == "mean":
        return ops.mean(losses) if losses._array.size else ops.sum(losses) * math.nan
    if reduction == "sum":
        return ops.sum(losses)
    return losses


def weighted(losses: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """The reduction of losses with a factor each; a mean divides by the sum of the factors."""
    if weight is None:
        return reduced(losses, reduction)
    if weight.shape != losses.shape:
        raise ValueError(f"weights {weight.shape} and inputs {losses.shape} must have the same size.")
    if reduction == "mean":
        return ops.sum(losses * weight) / ops.sum(weight)
    return reduced(losses * weight, reduction)


def refuse_legacy(size_average: Any, reduce: Any) -> None:
    """PyTorch's arguments from before `reduction`."""
    if size_average is not None or reduce is not None:
        raise NotImplementedError('size_average and reduce are not supported; use reduction="mean", "sum" or "none"')
