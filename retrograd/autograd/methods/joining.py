"""Tensors put together: one after the other, as slices of a new dimension, as blocks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.registry import FUNCTIONS, public
from retrograd.autograd.tensor import Tensor

__all__: list[str] = []

xp: Any = ops


def _listed(tensors: Any, who: str) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, (list, tuple)):
        raise TypeError(f"{who}(): argument 'tensors' must be tuple of Tensors, not {type(tensors).__name__}")
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(f"{who}(): expected Tensor as element {i}, but got {type(x).__name__}")
    return list(tensors)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after the other along a dimension, in their common dtype.

    Shapes are equal but for that dimension; vectors without elements are passed over. Raises RuntimeError otherwise.

    >>> import retrograd as rg
    >>> rg.cat([rg.tensor([1, 2]), rg.tensor([3])])
    tensor([1, 2, 3])
    """
    given = _listed(tensors, "cat")
    if not given:
        raise ValueError("cat: expected at least one tensor, got none.")
    shape = given[0].shape
    if len(shape) > 1 and all(x.shape == shape for x in given):
        return xp.concat(*given, axis=dimension(dim, len(shape)))  # type: ignore[no-any-return]
    for i, x in enumerate(given):
        if x.ndim == 0:
            raise RuntimeError(f"cat: tensor {i} is 0-d and has no dimension to join along; use stack().")
    joined = [x for x in given if x.shape != (0,)] or given[:1]
    first = joined[0]
    dim = dimension(dim, first.ndim)
    for i, x in enumerate(joined):
        if x.ndim != first.ndim or x.shape[:dim] + x.shape[dim + 1 :] != first.shape[:dim] + first.shape[dim + 1 :]:
            raise RuntimeError(
                f"cat: shapes {first.shape} (tensor 0) and {x.shape} (tensor {i}) must be equal in every dimension "
                f"but {dim}, along which they are joined."
            )
    if len(joined) < len(given):
        joined = [x if x.shape != (0,) else _emptied(x, first, dim) for x in given]  # they count for the dtype
    return xp.concat(*joined, axis=dim)  # type: ignore[no-any-return]


def _emptied(x: Tensor, like: Tensor, dim: int) -> Tensor:
    return xp.reshape(x, shape=(*like.shape[:dim], 0, *like.shape[dim + 1 :]))  # type: ignore[no-any-return]


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape as the slices of a new dimension, in their common dtype."""
    given = _listed(tensors, "stack")
    if not given:
        raise RuntimeError("stack: expected at least one tensor, got none.")
    for i, x in enumerate(given):
        if x.shape != given[0].shape:
            raise RuntimeError(
                f"stack: all shapes must be equal, got {given[0].shape} (tensor 0) and {x.shape} (tensor {i}); "
                "cat() joins tensors of different lengths."
            )
    return xp.stack(*given, axis=dimension(dim, given[0].ndim + 1))  # type: ignore[no-any-return]


def _with_ndim(x: Tensor, ndim: int) -> Tensor:
    return FUNCTIONS[f"atleast_{ndim}d"](x)  # type: ignore[no-any-return]


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side: along the second dimension, vectors along their only one."""
    given = [_with_ndim(x, 1) for x in _listed(tensors, "hstack")]
    return cat(given, 0 if given and given[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """One below the other: along the first dimension, vectors as rows."""
    return cat([_with_ndim(x, 2) for x in _listed(tensors, "vstack")], 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """One behind the other: along the third dimension."""
    return cat([_with_ndim(x, 3) for x in _listed(tensors, "dstack")], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side, numbers and vectors as columns."""
    given = _listed(tensors, "column_stack")
    return hstack([xp.reshape(x, shape=(x._array.size, 1)) if x.ndim < 2 else x for x in given])


def block_diag(*tensors: Tensor) -> Tensor:
    """Matrices along the diagonal of a matrix of zeros; numbers and vectors count as rows."""
    blocks = [_with_ndim(x, 2) for x in tensors]
    if any(x.ndim > 2 for x in blocks):
        raise RuntimeError(f"block_diag: tensors must have at most 2 dimensions, got {[x.ndim for x in tensors]}")
    width = sum(x.shape[1] for x in blocks)
    before = itertools.accumulate((x.shape[1] for x in blocks), initial=0)
    return cat([xp.pad(x, widths=((0, 0), (n, width - n - x.shape[1]))) for x, n in zip(blocks, before)])


_function: Any
for _function in (cat, stack, hstack, vstack, dstack, column_stack, block_diag):
    public(_function, method=False)
for _name, _given in {"concat": cat, "concatenate": cat, "row_stack": vstack}.items():
    public(_given, name=_name, method=False)
