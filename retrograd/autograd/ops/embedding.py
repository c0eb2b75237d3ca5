"""Rows of a table by their numbers, as words are looked up: Mikolov et al. 2013 and all since."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.primitive import nondifferentiable, primitive
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
    gradient = apply(
        embedding_gradient.primitive, g, indices, rows=weight_shape[0], padding=padding, by_frequency=by_frequency
    )
    return gradient, None


@embedding_gradient.vjp
def _(xp: Any, g: Any, indices: Any, rows: int, padding: int | None, by_frequency: bool) -> tuple[Any, None]:
    picked = apply(embedding.primitive, g, indices)
    if padding is not None or by_frequency:
        picked = picked * apply(
            row_factors.primitive, indices, dtype=g.dtype, rows=rows, padding=padding, by_frequency=by_frequency
        )
    return picked, None
