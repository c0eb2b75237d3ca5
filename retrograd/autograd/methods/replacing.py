"""Copies with a part replaced: a slice, a diagonal, slices that are combined, slices of bounded norm."""

from __future__ import annotations

from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.indexing import index_select, scatter_reduce
from retrograd.autograd.methods.norms import vector_norm
from retrograd.autograd.methods.registry import in_place, method, public
from retrograd.autograd.tensor import Tensor

__all__: list[str] = []

_ops: Any = ops


def _replaced(name: str, copy: Tensor, part: Tensor, src: Tensor) -> Tensor:
    """The copy, once the source is written to a part of it, which is a view."""
    if part.shape != src.shape:
        raise RuntimeError(f"{name}: the source {src.shape} must have the shape of what it replaces, {part.shape}.")
    part.copy_(src)
    return copy


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of input in which `out.select(dim, index)` is src. RuntimeError for a source of another shape.

    >>> import retrograd as rg
    >>> rg.zeros(2, 2).select_scatter(rg.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    copy = input.clone()
    return _replaced("select_scatter", copy, copy.select(dim, index), src)


def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of input in which the slice start:end:step of a dimension is src.

    >>> import retrograd as rg
    >>> rg.zeros(4).slice_scatter(rg.ones(2), start=1, end=3)
    tensor([0., 1., 1., 0.])
    """
    copy = input.clone()
    part = copy[(slice(None),) * dimension(dim, input.ndim) + (slice(start, end, step),)]
    return _replaced("slice_scatter", copy, part, src)


def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of input in which `out.diagonal(offset, dim1, dim2)` is src.

    >>> import retrograd as rg
    >>> rg.zeros(2, 2).diagonal_scatter(rg.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    copy = input.clone()
    return _replaced("diagonal_scatter", copy, copy.diagonal(offset, dim1, dim2), src)


def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`narrow`, in memory of its own."""
    return input.narrow(dim, start, length).clone()


def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy of input whose slices named by `index` are combined with source's; reduce: prod, mean, amax or amin.

    >>> import retrograd as rg
    >>> rg.ones(2).index_reduce(0, rg.tensor([0, 0]), rg.tensor([2.0, 3.0]), "prod")
    tensor([6., 1.])
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce: reduce must be prod, mean, amax or amin, got {reduce}.")
    axis = dimension(dim, input.ndim)
    chosen = index_select(input, axis, index)  # checks the index
    if chosen.shape != source.shape:
        raise RuntimeError(f"index_reduce: the source {source.shape} must have the shape {chosen.shape}.")
    shape = [1] * input.ndim
    shape[axis] = -1
    places = index.reshape(shape).expand(source.shape)
    return scatter_reduce(input, axis, places, source, reduce, include_self=include_self)


def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """A copy whose slices along a dimension have a p-norm of at most maxnorm; the longer ones are shortened.

    RuntimeError for a p that is not positive, a negative maxnorm and for fewer than two dimensions.

    >>> import retrograd as rg
    >>> rg.tensor([[3.0, 4.0], [0.3, 0.4]]).renorm(2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if p <= 0:
        raise RuntimeError(f"renorm: non-positive-norm not supported, got p={p}.")
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim}.")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0, got {maxnorm}.")
    axis = dimension(dim, input.ndim)
    norms = vector_norm(input, p, [d for d in range(input.ndim) if d != axis], True)
    return input * _ops.where(_ops.greater(norms, maxnorm), maxnorm / (norms + 1e-7), 1.0)  # type: ignore[no-any-return]


def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The sum over the dimensions that broadcasting `size` to this shape would have added or stretched."""
    if not size:
        raise TypeError("sum_to_size: give the size to sum to.")
    shape = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    added = self.ndim - len(shape)
    if added < 0 or any(n not in (1, m) for n, m in zip(shape, self.shape[added:])):
        raise RuntimeError(f"sum_to_size: size {shape} is not expandable to {self.shape}.")
    stretched = tuple(i for i, m in enumerate(self.shape) if i < added or (shape[i - added] == 1 and m != 1))
    summed = _ops.sum(self, axis=stretched, keepdims=True) if stretched else self
    return _ops.reshape(summed, shape=shape) if added else summed


for _function in (select_scatter, slice_scatter, diagonal_scatter, narrow_copy, index_reduce, renorm):
    public(_function)
in_place(index_reduce)
in_place(renorm)
method(sum_to_size)
