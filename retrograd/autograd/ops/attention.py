"""Scaled dot-product attention as one node (Vaswani et al. 2017, eq. 1), its gradient in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.autograd.ops.linalg import mT
from retrograd.autograd.ops.parts import by_rows
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor
from retrograd.backends.kernels import fusable


@primitive(name="ScaledDotProductAttention", residuals=("weights", "total", "shift"), heavy=("bias", "factors"))
def attention(xp: Any, q: Any, k: Any, v: Any, *, scale: float, bias: Any = None, factors: Any = None) -> Any:
    """softmax(scale · q kᵀ + bias) v: queries (*, L, d), keys (*, S, d), values (*, S, e), result (*, L, e).

    `bias` and `factors` are constant arrays that broadcast to the scores (*, L, S), or None: what is added to them (−∞
    where nothing may be seen), and what dropout multiplies the probabilities by. A query that sees nothing gives 0.

    The probabilities are kept as weights exp(score − shift) and their total: it is the few results that are divided.
    """
    return attend(xp, q, k, v, scale, bias, factors)


@attention.vjp
def _(
    xp: Any, g: Any, q: Any, k: Any, v: Any, out: Any, scale: float, bias: Any, factors: Any,
    weights: Any, total: Any, shift: Any,
) -> Any:  # fmt: skip
    """With p = softmax(s) and out = p v, the gradient of s is p ∘ (g vᵀ − Σ g ∘ out): Dao et al. 2022, appendix B.2."""
    if isinstance(g, Tensor):  # the gradient must depend on q and k; a softmax does not depend on the shift
        scores = xp.matmul(q * scale, mT(xp, k))
        weights = xp.exp((scores if bias is None else scores + bias) - shift)
        g = g / safe(xp, xp.sum(weights, axis=-1, keepdims=True))
        g_v = xp.matmul(mT(xp, weights if factors is None else weights * factors), g)
        g_p = xp.matmul(g, mT(xp, v))
        g_scores = weights * ((g_p if factors is None else g_p * factors) - xp.sum(g * out, axis=-1, keepdims=True))
        return xp.matmul(g_scores, k) * scale, xp.matmul(mT(xp, g_scores), q) * scale, g_v
    return attention_gradients(xp, g, q, k, v, out, weights, total, scale, factors)


@fusable
def attend(xp: Any, q: Any, k: Any, v: Any, scale: float, bias: Any, factors: Any) -> tuple[Any, Any, Any, Any]:
    """The result, the weights, their total and their shift."""
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    shape = (*lead, q.shape[-2], k.shape[-2])
    bias, factors = (None if x is None else xp.broadcast_to(x, shape=shape) for x in (bias, factors))
    q, k, v = (broadcast(xp, x, lead) for x in (q, k, v))
    weights, total, shift, out = (
        xp.empty((*lead, q.shape[-2], n), dtype=q.dtype) for n in (k.shape[-2], 1, 1, v.shape[-1])
    )

    def kernel(weights: Any, total: Any, shift: Any, out: Any, q: Any, k: Any, v: Any, *constants: Any) -> None:
        of = iter(constants)
        xp.matmul_into(weights, q * scale, mT(xp, k))
        if bias is not None:
            weights += next(of)
        shift[...] = xp.max(weights, axis=-1, keepdims=True) if weights.size else 0
        if bias is not None:
            shift[...] = xp.where(shift == -math.inf, 0.0, shift)
        weights -= shift
        xp.exp(weights, out=weights)
        total[...] = safe(xp, xp.sum(weights, axis=-1, keepdims=True))
        xp.matmul_into(out, weights if factors is None else weights * next(of), v)
        out /= total

    in_parts(xp, kernel, weights, total, shift, out, q, k, v, bias, factors)
    return out, weights, total, shift


@fusable
def attention_gradients(
    xp: Any, g: Any, q: Any, k: Any, v: Any, out: Any, weights: Any, total: Any, scale: float, factors: Any
) -> tuple[Any, Any, Any]:
    """The gradients of queries, keys and values, before those that were broadcast are summed."""
    lead = weights.shape[:-2]
    q, k, v = (broadcast(xp, x, lead) for x in (q, k, v))
    g_q, g_k, g_v = (xp.empty(x.shape, dtype=x.dtype) for x in (q, k, v))
    factors = None if factors is None else xp.broadcast_to(factors, shape=weights.shape)

    def kernel(weights: Any, *parts: Any) -> None:
        g, q, k, v, out, total, g_q, g_k, g_v, *factors = parts
        g = g / total
        xp.matmul_into(g_v, mT(xp, weights * factors[0] if factors else weights), g)
        g_scores = xp.matmul(g, mT(xp, v))
        if factors:
            g_scores *= factors[0]
        g_scores -= xp.sum(g * out, axis=-1, keepdims=True)
        g_scores *= weights
        xp.matmul_into(g_q, g_scores, k)
        g_q *= scale
        xp.matmul_into(g_k, mT(xp, g_scores), q)
        g_k *= scale

    in_parts(xp, kernel, weights, g, q, k, v, out, total, g_q, g_k, g_v, factors)
    return g_q, g_k, g_v


def broadcast(xp: Any, x: Any, lead: tuple[int, ...]) -> Any:
    """A batch of matrices with these axes before the last two."""
    return x if x.shape[:-2] == lead else xp.broadcast_to(x, shape=(*lead, *x.shape[-2:]))


def in_parts(xp: Any, kernel: Callable[..., None], *arrays: Any) -> None:
    """kernel(*arrays), those of them that are not None, by ranges of the batch if there is one."""
    given = [x for x in arrays if x is not None]
    if len(given[0].shape) > 2:
        by_rows(xp, kernel, *given, products=True)
    else:
        kernel(*given)


def safe(xp: Any, total: Any) -> Any:
    """The divisor of a row: 1 where nothing is seen, so that the probabilities there are 0."""
    return xp.where(total == 0, 1.0, total)
