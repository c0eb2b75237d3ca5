"""Primitives of losses: those that need care with large numbers."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.primitive import primitive


@primitive(floating=True)
def log_softmax(xp: Any, x: Any, *, axis: int) -> Any:
    """log(exp x / Σ exp x), shifted by the maximum so that nothing overflows."""
    shifted = x - xp.max(x, axis=axis, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


log_softmax.vjp(lambda xp, g, out, axis: g - xp.exp(out) * xp.sum(g, axis=axis, keepdims=True))


@primitive(floating=True)
def softmax(xp: Any, x: Any, *, axis: int) -> Any:
    """exp x / Σ exp x, shifted by the maximum so that nothing overflows."""
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


softmax.vjp(lambda xp, g, out, axis: out * (g - xp.sum(g * out, axis=axis, keepdims=True)))
