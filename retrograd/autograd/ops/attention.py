"""Scaled dot-product attention as one node (Vaswani et al. 2017, eq. 1), its gradient in closed form."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.ops.linalg import mT
from retrograd.autograd.ops.loss import total as row_total
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor


@primitive(name="ScaledDotProductAttention", residuals=("weights", "total", "shift"), heavy=("bias", "factors"))
def attention(xp: Any, q: Any, k: Any, v: Any, *, scale: float, bias: Any = None, factors: Any = None) -> Any:
    """softmax(scale · q kᵀ + bias) v: queries (*, L, d), keys (*, S, d), values (*, S, e), result (*, L, e).

    `bias` and `factors` are constant arrays that broadcast to the scores (*, L, S), or None: what is added to them (−∞
    where nothing may be seen), and what dropout multiplies the probabilities by. A query that sees nothing gives 0.

    The probabilities are kept as weights exp(score − shift) and their total: it is the few results that are divided.
    """
    weights = xp.matmul(q * scale, mT(xp, k))
    if bias is not None:
        weights += bias
    shift = xp.max(weights, axis=-1, keepdims=True) if weights.size else xp.new_zeros(weights, shape=(1,))
    if bias is not None:
        shift = xp.where(shift == -float("inf"), 0.0, shift)
    weights -= shift
    weights = xp.exp(weights)
    total = safe(xp, row_total(xp, weights, -1))
    out = xp.matmul(weights if factors is None else weights * factors, v)
    out /= total
    return out, weights, total, shift


@attention.vjp
def _(
    xp: Any, g: Any, q: Any, k: Any, v: Any, out: Any, scale: float, bias: Any, factors: Any,
    weights: Any, total: Any, shift: Any,
) -> Any:  # fmt: skip
    """With p = softmax(s) and out = p v, the gradient of s is p ∘ (g vᵀ − Σ g ∘ out): Dao et al. 2022, appendix B.2."""
    recorded = isinstance(g, Tensor)
    if recorded:  # the gradient must depend on q and k; a softmax does not depend on the shift
        scores = xp.matmul(q * scale, mT(xp, k))
        weights = xp.exp((scores if bias is None else scores + bias) - shift)
        total = safe(xp, row_total(xp, weights, -1))
    g = g / total
    g_v = xp.matmul(mT(xp, weights if factors is None else weights * factors), g)
    g_scores = xp.matmul(g, mT(xp, v))
    if factors is not None:
        g_scores = g_scores * factors
    inner = row_total(xp, g * out, -1)
    if recorded:
        g_scores = weights * (g_scores - inner)
    else:
        g_scores -= inner
        g_scores *= weights
    return xp.matmul(g_scores, k) * scale, xp.matmul(mT(xp, g_scores), q) * scale, g_v


def safe(xp: Any, total: Any) -> Any:
    """The divisor of a row: 1 where nothing is seen, so that the probabilities there are 0."""
    return xp.where(total == 0, 1.0, total)
