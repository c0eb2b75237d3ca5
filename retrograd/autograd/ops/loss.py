"""Primitives of losses: those that need care with large numbers."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.primitive import primitive

ROW = range(8, 513)
"""Lengths of rows that a product with ones sums several times faster than a reduction, and as accurately."""


def total(xp: Any, x: Any, axis: int) -> Any:
    """Σ x along the axis, which stays with length 1."""
    if axis in (-1, len(x.shape) - 1) and len(x.shape) > 1 and x.shape[-1] in ROW and x.dtype.char in "fd":
        return xp.matmul(x, xp.new_zeros(x, shape=(x.shape[-1], 1)) + 1)
    return xp.sum(x, axis=axis, keepdims=True)


@primitive(floating=True)
def log_softmax(xp: Any, x: Any, *, axis: int) -> Any:
    """log(exp x / Σ exp x), shifted by the maximum so that nothing overflows."""
    shifted = x - xp.max(x, axis=axis, keepdims=True)
    return shifted - xp.log(total(xp, xp.exp(shifted), axis))


log_softmax.vjp(lambda xp, g, out, axis: g - xp.exp(out) * total(xp, g, axis))


@primitive(floating=True)
def softmax(xp: Any, x: Any, *, axis: int) -> Any:
    """exp x / Σ exp x, shifted by the maximum so that nothing overflows."""
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / total(xp, e, axis)


softmax.vjp(lambda xp, g, out, axis: out * (g - total(xp, g * out, axis)))


@primitive
def huber(xp: Any, x: Any, *, delta: float) -> Any:
    """x²/2 where |x| is below delta, else delta (|x| − delta/2): Huber 1964."""
    held = xp.clip(x, -delta, delta)
    return held * (x - 0.5 * held)


huber.vjp(lambda xp, g, x, delta: g * xp.clip(x, min=-delta, max=delta))
