"""Primitives of cross-entropies: one node each, their gradients in the closed forms that do not overflow."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.ops.parts import SIMPLE, by_rows
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor, make
from retrograd.backends import backend_of_array
from retrograd.backends.kernels import fusable


@primitive(name="NllLoss", residuals=("e", "sums"), heavy=("index", "factors", "mask", "divisor"))
def softmax_cross_entropy(
    xp: Any, x: Any, *, index: Any, factors: Any, mask: Any, divisor: Any, smoothing: float, reduced: bool
) -> Any:
    """−log softmax(x) at an index of axis 1: logits (n, classes, *), index (n, 1, *) of integers.

    `smoothing` is the share of the target that is spread over all classes. `factors`, of the index's shape, multiply
    the losses (None: 1), `mask` says which count (None: all). Gives (n, *), or their sum if `reduced`, over `divisor`
    unless that is None.
    """
    losses, e, sums = cross_entropies(xp, x, index, smoothing)
    if mask is not None:  # what does not count may be infinite
        losses = xp.where(mask, losses, 0.0)
    if factors is not None:
        losses = losses * factors
    if not reduced:
        return xp.squeeze(losses, axis=1), e, sums
    loss = xp.sum(losses)
    return loss if divisor is None else loss / divisor, e, sums


@softmax_cross_entropy.vjp
def _(
    xp: Any, g: Any, x: Any, index: Any, factors: Any, mask: Any, divisor: Any, smoothing: float, reduced: bool,
    e: Any, sums: Any,
) -> Any:  # fmt: skip
    """softmax(x) minus the target's distribution, times the loss's factor: Bishop 2006, eq. 4.109."""
    weight = g if reduced else xp.expand_dims(g, axis=1)
    if divisor is not None:
        weight = weight / divisor
    if factors is not None:
        weight = weight * factors
    if mask is not None:  # where nothing counts, the mean divides by 0
        weight = xp.where(mask, weight, 0.0)
    if isinstance(g, Tensor):  # the gradient is recorded, so it must depend on x
        e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
        p = e / xp.sum(e, axis=1, keepdims=True)
        return (p - one_hot(index, x._array, smoothing)) * weight
    return cross_entropy_gradient(xp, e, sums, index, weight, smoothing)


@fusable
def cross_entropies(xp: Any, x: Any, index: Any, smoothing: float) -> tuple[Any, Any, Any]:
    """The losses, of the index's shape, with exp(x − max x) and its sums over axis 1."""
    e, shift, sums = (xp.empty(s, dtype=x.dtype) for s in (x.shape, index.shape, index.shape))

    def kernel(x: Any, e: Any, shift: Any, sums: Any) -> None:
        shift[...] = xp.max(x, axis=1, keepdims=True)
        xp.subtract(x, shift, out=e)
        xp.exp(e, out=e)
        sums[...] = xp.sum(e, axis=1, keepdims=True)

    by_rows(xp, kernel, x, e, shift, sums, grain=SIMPLE, products=True)
    right = x[places(xp, index)]
    losses = xp.log(sums) + shift - (right * (1 - smoothing) if smoothing else right)
    if smoothing:
        losses -= smoothing * xp.mean(x, axis=1, keepdims=True)
    return losses, e, sums


@fusable
def cross_entropy_gradient(xp: Any, e: Any, sums: Any, index: Any, weight: Any, smoothing: float) -> Any:
    """(softmax − the target's distribution) · weight, a number or one for each loss."""
    out = xp.empty(e.shape, dtype=e.dtype)
    by_rows(xp, lambda e, w, out: xp.multiply(e, w, out=out), e, weight / sums, out, grain=SIMPLE)
    if smoothing:
        out -= weight * (smoothing / e.shape[1])
    at = places(xp, index)
    xp.setitem(out, at, out[at] - weight * (1 - smoothing))
    return out


def places(xp: Any, index: Any) -> Any:
    """What indexes an array (n, classes, *) by class indices (n, 1, *)."""
    ndim = len(index.shape)
    return tuple(
        index if axis == 1 else xp.reshape(xp.arange(n), tuple(n if i == axis else 1 for i in range(ndim)))
        for axis, n in enumerate(index.shape)
    )


def one_hot(index: Any, x: Any, smoothing: float) -> Any:
    """The target's distribution over axis 1, of x's shape, as a constant."""
    xp = backend_of_array[type(x)]
    numbers = xp.reshape(xp.arange(x.shape[1]), (-1, *[1] * (x.ndim - 2)))
    return make(xp.astype(numbers == index, x.dtype) * (1 - smoothing) + smoothing / x.shape[1])


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
