"""Losses that ask a score to lead by a margin (hinge losses), and their smooth forms."""

from __future__ import annotations

from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.nn.functional.losses.reduction import check_reduction, reduced, refuse_legacy

__all__ = [
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
]


def hinge(x: Tensor) -> Tensor:
    """max(x, 0), whose gradient at 0 is 1: PyTorch's clamp_min."""
    return ops.clip(x, min=0)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """input where the target is 1, max(0, margin − input) where it is −1; both where it is neither."""
    refuse_legacy(size_average, reduce)
    near = ops.where(target != -1, input, 0.0)
    far = ops.where(target != 1, hinge(margin - input), 0.0)
    return reduced(near + far, reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin − target (input1 − input2)): target 1 says that input1 ranks higher, −1 the contrary.

    Raises RuntimeError unless all three have the same number of dimensions.
    """
    refuse_legacy(size_average, reduce)
    check_reduction(reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss: all must have the same number of dimensions, got shapes "
            f"{input1.shape}, {input2.shape} and {target.shape}."
        )
    return reduced(hinge(margin - target * (input1 - input2)), reduction)


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: None = None, reduce: None = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(−target · input)), for targets 1 and −1."""
    refuse_legacy(size_average, reduce)
    return reduced(-ops.log_sigmoid(target * input), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """Binary cross-entropy of logits (*, classes), averaged over the classes; weight: (classes,)."""
    refuse_legacy(size_average, reduce)
    check_reduction(reduction)
    if input.ndim == 0:
        raise IndexError("multilabel_soft_margin_loss: expected an input (*, classes), got ().")
    losses = -(target * ops.log_sigmoid(input) + (1 - target) * ops.log_sigmoid(-input))
    return reduced(ops.mean(losses if weight is None else losses * weight, axis=-1), reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """Σ max(0, margin − x[target] + x[i])ᵖ / classes over the wrong classes i (Crammer & Singer 2001).

    input: (batch, classes) or (classes,); target: class indices (batch,) or (). weight: (classes,), for the right one.
    Raises ValueError for p other than 1 and 2, RuntimeError for shapes that do not fit, IndexError (a RuntimeError in
    PyTorch too) for a class that does not exist.
    """
    refuse_legacy(size_average, reduce)
    check_reduction(reduction)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: only p = 1 and p = 2 are supported, got {p}.")
    if weight is not None and weight.shape != input.shape[-1:]:
        raise RuntimeError(f"multi_margin_loss: expected a weight {input.shape[-1:]}, got {weight.shape}.")
    scores, _ = rows(input, "multi_margin_loss")
    if target._array.size != len(scores) or target.ndim > 1:
        raise RuntimeError(
            f"multi_margin_loss: expected a target {(len(scores),)} for input {input.shape}, got {target.shape}."
        )
    check_classes(target, "multi_margin_loss")
    xp, count = namespace(scores), scores.shape[1]
    index = xp.reshape(target._array, (-1, 1))
    check_range(xp, index, 0, count, "multi_margin_loss")
    right = ops.take_along_axis(scores, make(index), axis=1)
    terms = strict_hinge(margin - right + scores)
    if p == 2:
        terms = ops.square(terms)
    if weight is not None:
        terms = terms * make(weight._array[index])
    wrong = xp.astype(xp.not_equal(index, xp.arange(count)), scores.dtype)
    losses = ops.sum(terms * make(wrong), axis=1) / count
    return reduced(losses if target.ndim else losses[0], reduction)


def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: None = None, reduce: None = None, reduction: str = "mean"
) -> Tensor:
    """Σ max(0, 1 − x[j] + x[i]) / classes over the right classes j and the wrong ones i.

    input: (batch, classes) or (classes,); target: integers of the same shape, the right classes of a row before its
    first −1. Raises RuntimeError for shapes and classes that do not fit.
    """
    refuse_legacy(size_average, reduce)
    check_reduction(reduction)
    scores, single = rows(input, "multilabel_margin_loss")
    if target.shape != input.shape:
        raise RuntimeError(f"multilabel_margin_loss: expected a target {input.shape}, got {target.shape}.")
    check_classes(target, "multilabel_margin_loss")
    xp, count = namespace(scores), scores.shape[1]
    named = xp.reshape(target._array, scores.shape)
    check_range(xp, named, -1, count, "multilabel_margin_loss")
    before = xp.cumulative_sum(xp.astype(named < 0, "int64"), axis=1) == 0
    named = xp.where(before, named, 0)
    matches = before[:, :, None] & (named[:, :, None] == xp.arange(count))
    wrong = xp.logical_not(xp.any(matches, axis=1))
    right = ops.take_along_axis(scores, make(named), axis=1)
    pairs = xp.astype(before[:, :, None] & wrong[:, None, :], scores.dtype)
    leads = strict_hinge(1 - ops.expand_dims(right, axis=2) + ops.expand_dims(scores, axis=1))
    losses = ops.sum(leads * make(pairs), axis=(1, 2)) / count
    return reduced(losses[0] if single else losses, reduction)


# ---- parts


def strict_hinge(x: Tensor) -> Tensor:
    """max(x, 0), whose gradient at 0 is 0."""
    return ops.relu(x)


def rows(input: Tensor, name: str) -> tuple[Tensor, bool]:
    """The scores as (batch, classes), and whether they were those of one sample."""
    if input.ndim > 2 or input.shape[1:] == (0,) or input.shape == (0,):
        raise RuntimeError(f"{name}: expected an input (batch, classes) or (classes,), got {input.shape}.")
    single = input.ndim < 2
    return ops.reshape(input, shape=(1, -1)) if single else input, single


def check_classes(target: Tensor, name: str) -> None:
    """RuntimeError unless the target holds integers."""
    if target.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: expected a target of integers (class indices), got {target.dtype}.")


def check_range(xp: Any, index: Any, low: int, high: int, name: str) -> None:
    """RuntimeError for a class that there is not."""
    if bool(xp.any((index < low) | (index >= high))):
        raise RuntimeError(f"{name}: a target is out of range; there are {high} classes, 0 to {high - 1}.")
