"""Primitives of cross-entropies: one node each, their gradients in the closed forms that do not overflow."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor


@primitive(name="NllLoss", residuals=("p",))
def softmax_cross_entropy(xp: Any, x: Any, chosen: Any, *, reduction: str) -> Any:
    """−log softmax(x) at the chosen class of each row: logits (n, classes), chosen the same with one True per row.

    Gives (n,), its mean, or its sum.
    """
    shifted = x - xp.max(x, axis=1, keepdims=True)
    e = xp.exp(shifted)
    total = xp.sum(e, axis=1, keepdims=True)
    right = xp.where(chosen, shifted, 0.0)
    if reduction == "none":
        return xp.reshape(xp.log(total), (-1,)) - xp.sum(right, axis=1), e / total
    loss = xp.sum(xp.log(total)) - xp.sum(right)
    return loss / len(x) if reduction == "mean" else loss, e / total


@softmax_cross_entropy.vjp
def _(xp: Any, g: Any, x: Any, chosen: Any, reduction: str, p: Any) -> Any:
    """softmax(x) − one-hot: Bishop 2006, eq. 4.109."""
    if isinstance(g, Tensor):  # the gradient is recorded, so it must depend on x
        e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
        p = e / xp.sum(e, axis=1, keepdims=True)
    weight = xp.reshape(g, shape=(-1, 1)) if reduction == "none" else g
    return (p - xp.astype(chosen, dtype=p.dtype)) * (weight / p.shape[0] if reduction == "mean" else weight), None


@primitive
def binary_cross_entropy(xp: Any, x: Any, target: Any) -> Any:
    """−t log x − (1 − t) log(1 − x), both logarithms held above −100 so that 0 and 1 stay finite, as in PyTorch."""
    return (target - 1) * xp.clip(xp.log1p(-x), -100.0, None) - target * xp.clip(xp.log(x), -100.0, None)


binary_cross_entropy.vjps(
    x=lambda xp, g, x, target: g * (x - target) / xp.clip((1 - x) * x, min=1e-12),
    target=lambda xp, g, x: g * (xp.clip(xp.log1p(-x), min=-100.0) - xp.clip(xp.log(x), min=-100.0)),
)


@primitive(name="BinaryCrossEntropyWithLogits")
def binary_cross_entropy_with_logits(xp: Any, x: Any, target: Any) -> Any:
    """−t log σ(x) − (1 − t) log σ(−x), without overflow."""
    return xp.clip(x, 0, None) - x * target + xp.log1p(xp.exp(-xp.abs(x)))


binary_cross_entropy_with_logits.vjps(
    x=lambda xp, g, x, target: g * (xp.sigmoid(x) - target), target=lambda xp, g, x: -g * x
)
