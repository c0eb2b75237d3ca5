"""Losses of pairs and triplets of vectors: what belongs together is to be close."""

from __future__ import annotations

from collections.abc import Callable

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor
from retrograd.nn.functional.losses.margin import hinge
from retrograd.nn.functional.losses.reduction import check_reduction, reduced, refuse_legacy

__all__ = ["cosine_embedding_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss"]


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 − cos(input1, input2) where the target is 1, max(0, cos − margin) where it is −1, else 0.

    input1, input2: (batch, features) or (features,); target: (batch,) or (). RuntimeError for other shapes.
    """
    refuse_legacy(size_average, reduce)
    check_reduction(reduction)
    if target.ndim > 1 or not input1.ndim == input2.ndim == target.ndim + 1:
        raise RuntimeError(
            f"cosine_embedding_loss: a target {target.shape} needs inputs of one dimension more (at most 2), "
            f"got {input1.shape} and {input2.shape}."
        )
    tiny = 1e-12  # keeps the cosine of a zero vector finite, as PyTorch does
    lengths = (ops.sum(ops.square(input1), axis=-1) + tiny) * (ops.sum(ops.square(input2), axis=-1) + tiny)
    cosine = ops.sum(input1 * input2, axis=-1) / ops.sqrt(lengths)
    together = ops.where(target == 1, 1 - cosine, 0.0)
    apart = ops.where(target == -1, hinge(cosine - margin), 0.0)
    return reduced(together + apart, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + d(anchor, positive) − d(anchor, negative)), d being the p-norm of the difference (+ eps).

    Shapes (batch, features) or (features,). `swap` takes d(positive, negative) if smaller (Balntas et al. 2016, 2.2).
    Raises ValueError unless the margin is positive, RuntimeError for different numbers of dimensions.
    """
    refuse_legacy(size_average, reduce)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return ops.vector_norm(x - y + eps, ord=p, axis=-1)

    return triplets(distance, anchor, positive, negative, margin, swap, reduction, "triplet_margin_loss")


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` of any distance of two batches; the Euclidean one unless given."""
    name = "triplet_margin_with_distance_loss"
    if distance_function is None:
        return triplets(euclidean, anchor, positive, negative, margin, swap, reduction, name)
    return triplets(distance_function, anchor, positive, negative, margin, swap, reduction, name)


def euclidean(x: Tensor, y: Tensor) -> Tensor:
    """The distance of rows, never 0."""
    return ops.vector_norm(x - y + 1e-6, ord=2, axis=-1)


def triplets(
    distance: Callable[[Tensor, Tensor], Tensor],
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float,
    swap: bool,
    reduction: str,
    name: str,
) -> Tensor:
    """The loss of triplets by a distance."""
    check_reduction(reduction)
    if margin <= 0:
        raise ValueError(f"{name}: the margin must be greater than 0, got {margin}.")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            f"{name}: anchor {anchor.shape}, positive {positive.shape} and negative {negative.shape} must have the "
            "same number of dimensions."
        )
    far = distance(anchor, negative)
    if swap:
        far = ops.minimum(far, distance(positive, negative))
    return reduced(hinge(margin + distance(anchor, positive) - far), reduction)
