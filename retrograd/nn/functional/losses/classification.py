"""Losses of one class out of many: cross-entropy and negative log-likelihood."""

from __future__ import annotations

from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.backends import backend_of_array, device_of
from retrograd.nn.functional.linear import linear
from retrograd.nn.functional.losses.reduction import check_reduction, reduced, refuse_legacy

__all__ = ["cross_entropy", "linear_cross_entropy", "nll_loss"]


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
    ignore_index: this target counts nothing. label_smoothing: this share of the target is spread over all classes
    (Szegedy et al. 2016, section 7).
    Raises IndexError for a class that does not exist, RuntimeError or ValueError for shapes that do not fit.
    """
    refuse_legacy(size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    axis = class_axis(input)
    if target.dtype.kind == "f":
        return probability_cross_entropy(input, target, weight, reduction, label_smoothing, axis)
    logits, classes = batched(input, target, axis)
    index, mask = known_classes(classes, logits._array.shape[1], ignore_index)
    if weight is None or not label_smoothing:
        factors, divisor = factors_of(logits, index, mask, weight, reduction)
        losses = ops.softmax_cross_entropy(
            logits,
            index=index,
            factors=factors,
            mask=mask,
            divisor=divisor,
            smoothing=float(label_smoothing),
            reduced=reduction != "none",
        )
        return losses if losses._array.shape == target._array.shape or not losses.ndim else losses[0]
    return class_losses(ops.log_softmax(logits, axis=1), index, mask, weight, reduction, label_smoothing, target)


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
    log_p, classes = batched(input, target, class_axis(input))
    index, mask = known_classes(classes, log_p.shape[1], ignore_index)
    return class_losses(log_p, index, mask, weight, reduction, 0.0, target)


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: None = None,
) -> Tensor:
    """`cross_entropy` of logits that are an affine map of the input.

    input: (features,) or (batch, features). linear_weight: (classes, *, features). linear_bias: (classes, *).
    target: as for logits (batch, classes, *). `options`, PyTorch's ways to chunk, are not supported.
    Raises RuntimeError for shapes that do not fit, and for an ignore_index beside probabilities.
    """
    if options is not None:
        raise NotImplementedError("linear_cross_entropy: options is not supported; leave it out.")
    if input.ndim not in (1, 2):
        raise RuntimeError(f"linear_cross_entropy: expected an input of 1 or 2 dimensions, got shape {input.shape}")
    if linear_weight.ndim < 2 or linear_weight.shape[-1] != input.shape[-1]:
        raise RuntimeError(
            f"linear_cross_entropy: expected linear_weight (classes, *, {input.shape[-1]}), got {linear_weight.shape}"
        )
    classes = linear_weight.shape[:-1]
    if linear_bias is not None and linear_bias.shape != classes:
        raise RuntimeError(f"linear_cross_entropy: expected linear_bias {classes}, got {linear_bias.shape}")
    if len(classes) > 1 and input.ndim == 1:
        raise RuntimeError(f"linear_cross_entropy: classes {classes} need a batched input, got shape {input.shape}")
    shape = (*input.shape[:-1], *classes)
    if target.shape == shape and ignore_index is not None:
        raise RuntimeError("linear_cross_entropy: ignore_index cannot be given where the target holds probabilities")
    bias = None if linear_bias is None else ops.reshape(linear_bias, shape=(-1,))
    logits = linear(input, ops.reshape(linear_weight, shape=(-1, input.shape[-1])), bias)
    return cross_entropy(
        ops.reshape(logits, shape=shape),
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


# ---- parts


def class_axis(input: Tensor) -> int:
    """Where the classes are."""
    if input._array.ndim == 0:
        raise ValueError("expected an input with classes, (classes,), (batch, classes) or (batch, classes, *); got ()")
    return 0 if input._array.ndim == 1 else 1


def batched(input: Tensor, target: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Input (batch, classes, *) and target (batch, *), checked to fit."""
    shape, wanted = input._array.shape, target._array.shape
    if backend_of_array[type(input._array)] is not backend_of_array[type(target._array)]:
        place = device_of(input._array)
        raise RuntimeError(
            f"input on {place} {shape} and target on {device_of(target._array)} {wanted}; move one, "
            f'e.g. target.to("{place}").'
        )
    if shape[:axis] + shape[axis + 1 :] != wanted:
        raise (ValueError if len(shape) == 2 > len(wanted) else RuntimeError)(
            f"input {shape} and {target.dtype} target {wanted} do not fit: expected class indices of shape "
            f"{shape[:axis] + shape[axis + 1 :]}, or probabilities (floating) of the input's shape."
        )
    if target._array.dtype.kind not in "iu":
        raise RuntimeError(f"expected a target of integers (class indices) or floats, got {target.dtype}")
    if axis:
        return input, target
    return ops.expand_dims(input, axis=0), ops.expand_dims(target, axis=0)


def known_classes(classes: Tensor, count: int, ignore_index: int) -> tuple[Any, Any]:
    """Class indices (batch, 1, *), and where they count (None: everywhere). IndexError for a class there is not."""
    xp = namespace(classes)
    array = xp.expand_dims(xp.astype(classes._array, dtype="int64"), axis=1)
    known = (array >= 0) & (array < count)
    if not 0 <= ignore_index < count and bool(xp.all(known)):
        return array, None
    mask = array != ignore_index
    outside = mask & xp.logical_not(known)
    if bool(xp.any(outside)):
        worst = int(xp.to_host(array[outside])[0])
        raise IndexError(f"Target {worst} is out of bounds: there are {count} classes, 0 to {count - 1}.")
    return xp.where(mask, array, 0), mask


def factors_of(logits: Tensor, index: Any, mask: Any, weight: Tensor | None, reduction: str) -> tuple[Any, Any]:
    """The factor of every loss (None: 1), and what their sum is divided by (None: nothing)."""
    check_reduction(reduction)
    xp, factors = namespace(logits), None
    if weight is not None:
        check_weight(weight, logits.shape[1])
        factors = weight._array[index]
    if mask is not None:
        factors = xp.astype(mask, dtype=logits._array.dtype) if factors is None else xp.where(mask, factors, 0.0)
    if reduction != "mean":
        return factors, None
    return factors, index.size or xp.sum(xp.astype(index, logits._array.dtype)) if factors is None else xp.sum(factors)


def check_weight(weight: Tensor, count: int) -> None:
    """RuntimeError unless there is a weight for every class."""
    if weight.shape != (count,):
        raise RuntimeError(f"weight tensor should be defined for all {count} classes, got shape {weight.shape}")


def class_losses(
    log_p: Tensor, index: Any, mask: Any, weight: Tensor | None, reduction: str, smoothing: float, target: Tensor
) -> Tensor:
    """Weighted −log p of the right classes, some masked out, smoothed over all classes: the fused loss in parts."""
    factors, divisor = factors_of(log_p, index, mask, weight, reduction)
    losses = -ops.take_along_axis(log_p, make(index), axis=1)
    if mask is not None:  # what does not count may be infinite
        losses = ops.where(make(mask), losses, 0.0)
    if factors is not None:
        losses = losses * make(factors)
    if smoothing:
        scaled = log_p if weight is None else log_p * per_class(weight, log_p)
        spread = -ops.sum(scaled, axis=1, keepdims=True)
        if mask is not None:
            spread = ops.where(make(mask), spread, 0.0)
        losses = (1 - smoothing) * losses + (smoothing / log_p.shape[1]) * spread
    if reduction == "none":
        return ops.reshape(losses, shape=target.shape)
    total = ops.sum(losses)
    return total if divisor is None else total / (divisor if isinstance(divisor, int) else make(divisor))


def per_class(weight: Tensor, input: Tensor) -> Tensor:
    """A weight for each class, in a shape that broadcasts to (batch, classes, *)."""
    return ops.reshape(weight, shape=(-1, *[1] * (input.ndim - 2)))


def probability_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float, axis: int
) -> Tensor:
    """−Σ target · log softmax(input) over the classes; the mean is over the batch and all that follows the classes."""
    if target.shape != input.shape:
        raise RuntimeError(
            f"input {input.shape} and {target.dtype} target {target.shape} do not fit: class indices are integers, "
            "see target.long(); probabilities have the input's shape."
        )
    count = input.shape[axis]
    if smoothing:
        target = target * (1 - smoothing) + smoothing / count
    terms = ops.log_softmax(input, axis=axis) * target
    if weight is not None:
        check_weight(weight, count)
        terms = terms * (per_class(weight, input) if axis else weight)
    return reduced(-ops.sum(terms, axis=axis), reduction)
