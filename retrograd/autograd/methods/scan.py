"""Running sums, products and extrema along a dimension, and differences."""

from __future__ import annotations

import operator
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.reduction import cast
from retrograd.autograd.methods.registry import public
from retrograd.autograd.methods.results import result
from retrograd.autograd.tensor import Tensor

__all__: list[str] = []

_ops: Any = ops


def _scanned(primitive: Any, input: Tensor, dim: int) -> Tensor:
    """A scan; a 0-d tensor is one element."""
    axis = dimension(operator.index(dim), input.ndim)
    if input.ndim:
        return primitive(input, axis=axis)  # type: ignore[no-any-return]
    return _ops.reshape(primitive(_ops.reshape(input, shape=(1,)), axis=0), shape=())  # type: ignore[no-any-return]


def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sum along a dimension; integers and truth values in int64, or in `dtype`.

    IndexError for a dimension that does not exist.

    >>> import retrograd as rg
    >>> rg.tensor([1.0, 2.0, 3.0]).cumsum(0)
    tensor([1., 3., 6.])
    """
    return _scanned(_ops.cumulative_sum, cast(input, dtype), dim)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running product along a dimension, as `cumsum`. Its gradient is right where factors are 0.

    >>> import retrograd as rg
    >>> rg.tensor([1.0, 2.0, 3.0]).cumprod(0)
    tensor([1., 2., 6.])
    """
    return _scanned(_ops.cumulative_prod, cast(input, dtype), dim)


def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log of the running sum of exponentials, without overflow. NotImplementedError for integers.

    >>> import retrograd as rg
    >>> rg.tensor([100.0, 100.0]).logcumsumexp(0)
    tensor([100.0000, 100.6931])
    """
    if input.dtype.kind != "f":
        raise NotImplementedError(f"logcumsumexp: not possible for {input.dtype}; cast it to a floating dtype.")
    return _scanned(_ops.logcumsumexp, input, dim)


_cummax, _cummin = result("cummax", "values", "indices"), result("cummin", "values", "indices")


def _reached(input: Tensor, places: Tensor, dim: int) -> Tensor:
    """The elements at the places of running extrema, where one element may stand several times."""
    if not input.ndim:
        return _ops.copy(input)  # type: ignore[no-any-return]
    return _ops.take_along_axis(input, places, axis=dimension(dim, input.ndim))  # type: ignore[no-any-return]


def cummax(input: Tensor, dim: int) -> Any:
    """Running maximum along a dimension: a named tuple (values, indices), of equal elements the last. NaN stays.

    >>> import retrograd as rg
    >>> rg.tensor([1.0, 3.0, 2.0]).cummax(0).values
    tensor([1., 3., 3.])
    """
    places = _scanned(_ops.cumulative_max_places, input, dim)
    return _cummax(_reached(input, places, dim), places)


def cummin(input: Tensor, dim: int) -> Any:
    """Running minimum along a dimension; else as `cummax`.

    >>> import retrograd as rg
    >>> rg.tensor([2.0, 3.0, 1.0]).cummin(0).indices
    tensor([0, 0, 2])
    """
    mirrored = -input.detach() if input.dtype.kind == "f" else ~input
    places = _scanned(_ops.cumulative_max_places, mirrored, dim)
    return _cummin(_reached(input, places, dim), places)


def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """n-th difference of neighbours along a dimension, after joining `prepend` and `append` to its ends.

    Truth values differ where they are unequal. RuntimeError for a negative n and for a 0-d tensor.

    >>> import retrograd as rg
    >>> rg.tensor([1, 4, 9, 16]).diff(), rg.tensor([1, 4, 9, 16]).diff(n=2)
    (tensor([3, 5, 7]), tensor([2, 2]))
    """
    if not input.ndim:
        raise RuntimeError("diff: expected an input with at least one dimension, got a 0-d tensor.")
    if n < 0:
        raise RuntimeError(f"diff: n must be at least 0, got {n}.")
    axis = dimension(dim, input.ndim)
    parts = [part for part in (prepend, input, append) if part is not None]
    joined = _ops.concat(*parts, axis=axis) if len(parts) > 1 else input
    difference = _ops.not_equal if joined.dtype.kind == "b" else _ops.subtract
    lead = (slice(None),) * axis
    for _ in range(min(n, joined.shape[axis])):
        joined = difference(joined[lead + (slice(1, None),)], joined[lead + (slice(None, -1),)])
    return joined if n else _ops.copy(joined)


for _function in (cumsum, cumprod, logcumsumexp, cummax, cummin, diff):
    public(_function)
