"""Rows of a table by their numbers, as words are looked up: Mikolov et al. 2013 and all since."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.graph import AccumulateGrad
from retrograd.autograd.primitive import nondifferentiable, primitive
from retrograd.autograd.rows import numpy as host
from retrograd.autograd.rows import waiting_sums
from retrograd.autograd.view import apply


@nondifferentiable
def row_factors(xp: Any, indices: Any, *, dtype: Any, rows: int, padding: int | None, by_frequency: bool) -> Any:
    """By what the gradient of each place is multiplied: 0 where it is padding, 1/(times its row occurs) if asked."""
    if by_frequency:
        ones = xp.astype(indices == indices, dtype)
        counts = xp.index_sum(ones, (indices,), shape=(rows,))
        factors = 1 / xp.getitem(counts, (indices,))
    else:
        factors = xp.astype(indices == indices, dtype)
    if padding is not None:
        factors = xp.keep(factors, indices != padding)
    return xp.reshape(factors, shape=(*indices.shape, 1))


@primitive
def embedding(xp: Any, weight: Any, indices: Any, *, padding: int | None = None, by_frequency: bool = False) -> Any:
    """weight[indices]: weight (rows, features), indices of any shape; its gradient leaves the row `padding` alone."""
    return xp.getitem(weight, (indices,))


@primitive(name="EmbeddingDenseBackward")
def embedding_gradient(xp: Any, g: Any, indices: Any, *, rows: int, padding: int | None, by_frequency: bool) -> Any:
    """Zeros (rows, features) with every g added at the row it came from."""
    if padding is not None or by_frequency:
        g = g * apply(
            row_factors.primitive, indices, dtype=g.dtype, rows=rows, padding=padding, by_frequency=by_frequency
        )
    features = g.shape[-1]
    flat = xp.reshape(g, (indices.size, features))
    return xp.index_sum(flat, (xp.reshape(indices, (-1,)),), shape=(rows, features))


@embedding.vjp
def _(
    xp: Any, g: Any, weight_shape: tuple[int, ...], indices: Any, padding: int | None, by_frequency: bool
) -> tuple[Any, None]:
    static = {"rows": weight_shape[0], "padding": padding, "by_frequency": by_frequency}
    if xp is waiting_sums:
        return embedding_gradient.primitive.forward(xp, g, indices, **static), None
    return apply(embedding_gradient.primitive, g, indices, **static), None


at_once = embedding.primitive.node.backward
kernels = embedding_gradient.primitive.kernels


def backward(node: Any, g: Any, xp: Any, keep: bool) -> Any:
    """The cotangent of a table that is a leaf without hooks may be nothing but the rows that were looked up.

    Who listens to the kernels of primitives, to profile or to compile a step, hears that of the whole.
    """
    table = node.parents[0]
    unheard = embedding_gradient.primitive.kernels is kernels
    if xp is host and table.__class__ is AccumulateGrad and table.hooks is None and unheard:
        xp, g = waiting_sums, g.copy()  # which others may hold and change
    return at_once(node, g, xp, keep)


embedding.primitive.node.backward = backward


@embedding_gradient.vjp
def _(xp: Any, g: Any, indices: Any, rows: int, padding: int | None, by_frequency: bool) -> tuple[Any, None]:
    picked = apply(embedding.primitive, g, indices)
    if padding is not None or by_frequency:
        picked = picked * apply(
            row_factors.primitive, indices, dtype=g.dtype, rows=rows, padding=padding, by_frequency=by_frequency
        )
    return picked, None
