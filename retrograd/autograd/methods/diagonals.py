"""Diagonals and triangles of matrices."""

from __future__ import annotations

import operator
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import built, checked_dtype, dimension
from retrograd.autograd.methods.registry import public
from retrograd.autograd.tensor import Tensor, make

__all__: list[str] = []

xp: Any = ops


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros with the last dimension on a diagonal of two new dimensions, at these places of the result."""
    ndim = input.ndim + 1
    a, b = dimension(dim1, ndim), dimension(dim2, ndim)
    if input.ndim == 0:
        raise IndexError("diag_embed: a 0-dim tensor has no last dimension; use a vector of one element")
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    rest = iter(input.shape[:-1])
    side = input.shape[-1] + abs(offset)
    shape = tuple(side if d in (a, b) else next(rest) for d in range(ndim))
    return xp.on_diagonal(input, shape=shape, offset=offset, axis1=a, axis2=b)  # type: ignore[no-any-return]


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with a vector on its diagonal, or a copy of the diagonal of a matrix."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return xp.copy(xp.diagonal(input, offset=diagonal, axis1=0, axis2=1))  # type: ignore[no-any-return]


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with all elements on its diagonal."""
    return diag_embed(xp.reshape(input, shape=(-1,)), offset)


def _triangle(name: str) -> Any:
    def function(input: Tensor, diagonal: int = 0) -> Tensor:
        if input.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        return getattr(xp, name)(input, k=operator.index(diagonal))  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = name
    where = ("lower", "above") if name == "tril" else ("upper", "below")
    function.__doc__ = f"The {where[0]} triangle of each matrix, zeros {where[1]} the given diagonal."
    return function


def _triangle_indices(name: str) -> Any:
    def function(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
        if row < 0 or col < 0:
            raise RuntimeError(f"{name}_indices: row and col must be non-negative, got {row} and {col}")

        def places(backend: Any) -> Tensor:
            inside = getattr(backend, name)(backend.ones((row, col), dtype=bool), k=offset)
            found = backend.stack(backend.nonzero(inside), axis=0)
            return make(found if dtype is None else backend.astype(found, checked_dtype(dtype)))

        return built(device, places)

    function.__name__ = function.__qualname__ = f"{name}_indices"
    which = "lower" if name == "tril" else "upper"
    function.__doc__ = f"Rows and columns of the {which} triangle of a matrix: shape (2, count)."
    return function


_function: Any
for _function in (diag_embed, diag, diagflat):
    public(_function)
for _name in ("tril", "triu"):
    public(_triangle(_name), name=_name)
    public(_triangle_indices(_name), name=f"{_name}_indices", method=False)
