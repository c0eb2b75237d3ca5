"""Reductions by PyTorch's names: sums, means, spread, extrema, truth."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import checked_dtype, dimension
from retrograd.autograd.methods.registry import public
from retrograd.autograd.methods.results import result
from retrograd.autograd.tensor import Tensor

__all__ = ["axes"]

_ops: Any = ops
Dims = int | Sequence[int] | None


def axes(dim: Any, ndim: int) -> Any:
    """The axis argument for PyTorch's dim: None for all (also for an empty tuple), an integer, or a tuple.

    IndexError for a dimension that does not exist, RuntimeError for one that is given twice.
    """
    if dim is None:
        return None
    if isinstance(dim, (tuple, list)):
        found = tuple(dimension(operator.index(d), ndim) for d in dim)
        if len(set(found)) < len(found):
            raise RuntimeError(f"dim {tuple(dim)}: a dimension appears multiple times in the list of dims")
        return found if found and ndim else None
    found_one = dimension(_integer(dim), ndim)
    return found_one if ndim else None


def _integer(dim: Any) -> int:
    if dim is True or dim is False:  # keepdim in the place of dim
        raise TypeError(f"dim must be an integer or a tuple of integers, got {dim}.")
    try:
        return operator.index(dim)
    except TypeError:
        raise TypeError(f"dim must be an integer or a tuple of integers, got {type(dim).__name__} {dim!r}.") from None


def cast(input: Tensor, dtype: Any) -> Tensor:
    """The input in the dtype that was asked for, if any."""
    return input if dtype is None else _ops.astype(input, dtype=checked_dtype(dtype))


def floating_only(name: str, input: Tensor, advice: str = "cast it to a floating dtype") -> None:
    if input.dtype.kind != "f":
        raise RuntimeError(f"{name}: only floating point dtypes are supported, got {input.dtype}; {advice}.")


def nonempty(name: str, input: Tensor, axis: Any, error: type[Exception] = RuntimeError) -> None:
    """An extremum of nothing does not exist."""
    if input._array.size:
        return
    if axis is None:
        raise error(f"{name}: expected reduction dim to be specified for an input without elements, {input.shape}.")
    for a in axis if isinstance(axis, tuple) else (axis,):
        if not input.shape[a]:
            raise IndexError(f"{name}: expected reduction dim {a} to have non-zero size, shape {input.shape}.")


# ---- sums, means, products


def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum over all elements, or over dimensions; integers and truth values are summed in int64.

    dim: an integer, a tuple, or None for all; keepdim keeps reduced dimensions with length 1; dtype is that of the
    result, to which the input is cast first. IndexError for a dimension that does not exist.

    >>> import retrograd as rg
    >>> x = rg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> rg.sum(x), x.sum(0), x.sum(-1, keepdim=True)
    (tensor(10.), tensor([4., 6.]), tensor([[3.],
            [7.]]))
    """
    return _ops.sum(cast(input, dtype), axis=axes(dim, input.ndim), keepdims=keepdim)  # type: ignore[no-any-return]


def nansum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum in which NaN counts as 0; arguments as for `sum`.

    >>> import retrograd as rg
    >>> rg.nansum(rg.tensor([1.0, float("nan")]))
    tensor(1.)
    """
    return sum(_without_nan(input), dim, keepdim, dtype=dtype)


def mean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Mean over all elements, or over dimensions; NaN of nothing. RuntimeError for integers without a dtype.

    >>> import retrograd as rg
    >>> rg.tensor([[1.0, 2.0], [3.0, 4.0]]).mean(dim=1)
    tensor([1.5000, 3.5000])
    """
    input = cast(input, dtype)
    floating_only("mean", input, "cast it, or pass dtype=rg.float32")
    return _ops.mean(input, axis=axes(dim, input.ndim), keepdims=keepdim)  # type: ignore[no-any-return]


def nanmean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Mean of what is not NaN; NaN where nothing is left.

    >>> import retrograd as rg
    >>> rg.nanmean(rg.tensor([1.0, 3.0, float("nan")]))
    tensor(2.)
    """
    input = cast(input, dtype)
    floating_only("nanmean", input)
    count = sum(_ops.logical_not(_ops.isnan(input)), dim, keepdim)
    return _ops.divide(nansum(input, dim, keepdim), _ops.astype(count, dtype=input.dtype))  # type: ignore[no-any-return]


def _without_nan(input: Tensor) -> Tensor:
    if input.dtype.kind != "f":
        return input
    return _ops.keep(input, _ops.logical_not(_ops.isnan(input)))  # type: ignore[no-any-return]


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Product of all elements, or over one dimension; integers in int64. Its gradient is right where factors are 0.

    >>> import retrograd as rg
    >>> rg.tensor([[1.0, 2.0], [3.0, 4.0]]).prod(dim=0)
    tensor([3., 8.])
    """
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"prod: dim must be one integer or None, got {dim!r}; call it once for each dimension.")
    return _ops.prod(cast(input, dtype), axis=axes(dim, input.ndim), keepdims=keepdim)  # type: ignore[no-any-return]


# ---- variance


def _variance_arguments(name: str, input: Tensor, dim: Any, unbiased: Any, correction: Any) -> tuple[Any, float]:
    """Axes and correction, from PyTorch's two ways to say it."""
    floating_only(name, input)
    if isinstance(dim, bool):
        if unbiased is not None:
            raise TypeError(f"{name}: dim must be integers, got {dim}.")
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{name}: give unbiased or correction, not both.")
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    return axes(dim, input.ndim), correction


def var(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """Variance Σ (x - mean)² / (N - correction) over all elements, or over dimensions.

    correction is 1 by default; unbiased=True means 1 and False 0, and it may stand alone: `x.var(False)`. The result is
    NaN where N - correction is not positive. RuntimeError for integers.

    >>> import retrograd as rg
    >>> rg.tensor([1.0, 3.0]).var(), rg.tensor([1.0, 3.0]).var(correction=0)
    (tensor(2.), tensor(1.))
    """
    axis, correction = _variance_arguments("var", input, dim, unbiased, correction)
    return _ops.var(input, axis=axis, correction=correction, keepdims=keepdim)  # type: ignore[no-any-return]


def std(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """Standard deviation, the root of `var`; arguments as there. Its gradient is 0 where it is 0.

    >>> import retrograd as rg
    >>> rg.tensor([1.0, 3.0]).std(correction=0)
    tensor(1.)
    """
    axis, correction = _variance_arguments("std", input, dim, unbiased, correction)
    return _ops.std(input, axis=axis, correction=correction, keepdims=keepdim)  # type: ignore[no-any-return]


def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """The variance and the mean; arguments as for `var`.

    >>> import retrograd as rg
    >>> rg.var_mean(rg.tensor([1.0, 3.0]))
    (tensor(2.), tensor(2.))
    """
    axis, correction = _variance_arguments("var_mean", input, dim, unbiased, correction)
    variance = _ops.var(input, axis=axis, correction=correction, keepdims=keepdim)
    return variance, _ops.mean(input, axis=axis, keepdims=keepdim)


def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """The standard deviation and the mean; arguments as for `var`.

    >>> import retrograd as rg
    >>> rg.std_mean(rg.tensor([1.0, 3.0]), correction=0)
    (tensor(1.), tensor(2.))
    """
    axis, correction = _variance_arguments("std_mean", input, dim, unbiased, correction)
    deviation = _ops.std(input, axis=axis, correction=correction, keepdims=keepdim)
    return deviation, _ops.mean(input, axis=axis, keepdims=keepdim)


# ---- extrema


def amax(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The greatest element of all, or over dimensions; all that are equal to it share its gradient evenly.

    RuntimeError, or IndexError for a given dimension, where there is no element.

    >>> import retrograd as rg
    >>> rg.tensor([[1.0, 2.0], [3.0, 0.0]]).amax(dim=1)
    tensor([2., 3.])
    """
    axis = axes(dim, input.ndim)
    nonempty("amax", input, axis)
    return _ops.max(input, axis=axis, keepdims=keepdim)  # type: ignore[no-any-return]


def amin(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The smallest element of all, or over dimensions; else as `amax`.

    >>> import retrograd as rg
    >>> rg.tensor([[1.0, 2.0], [3.0, 0.0]]).amin(dim=1)
    tensor([1., 0.])
    """
    axis = axes(dim, input.ndim)
    nonempty("amin", input, axis)
    return _ops.min(input, axis=axis, keepdims=keepdim)  # type: ignore[no-any-return]


_aminmax = result("aminmax", "min", "max")


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the greatest element: a named tuple (min, max).

    >>> import retrograd as rg
    >>> rg.aminmax(rg.tensor([3, 1, 2])).max
    tensor(3)
    """
    everywhere: Any = () if dim is None else dim
    return _aminmax(amin(input, everywhere, keepdim), amax(input, everywhere, keepdim))


def picked(input: Tensor, places: Tensor, axis: int) -> Tensor:
    """The elements at different indices along an axis; a 0-d tensor has one."""
    return _ops.picked(input, places, axis=axis) if input.ndim else _ops.copy(input)  # type: ignore[no-any-return]


def squeezed(x: Tensor, axis: int, keepdim: bool) -> Tensor:
    """x without the axis, unless it is to be kept."""
    return x if keepdim or not x.ndim else _ops.squeeze(x, axis=axis)


def _extremum(name: str, elementwise: Callable[..., Tensor], whole: Any, places: Any) -> Callable[..., Any]:
    """`max` or `min` with its three meanings."""
    results = result(name, "values", "indices")

    def extremum(
        input: Tensor, dim_or_other: Any = None, keepdim: bool = False, *, dim: Any = None, other: Any = None
    ) -> Any:
        if isinstance(dim_or_other, Tensor):
            dim_or_other, other = None, dim_or_other
        dim = dim_or_other if dim is None else dim
        if other is not None:
            if dim is not None:
                raise TypeError(f"{name}: give dim or other, not both.")
            return elementwise(input, other)
        if dim is None:
            if keepdim:
                raise TypeError(f"{name}: keepdim=True needs a dim; a{name} has it without.")
            nonempty(name, input, None)
            return whole(input)
        axis = dimension(_integer(dim), input.ndim)
        nonempty(name, input, axis)
        index = places(input, axis=axis if input.ndim else None, keepdims=True)
        return results(squeezed(picked(input, index, axis), axis, keepdim), squeezed(index, axis, keepdim))

    extremum.__name__ = extremum.__qualname__ = name
    return extremum


max = _extremum("max", _ops.maximum, _ops.max, _ops.argmax)
max.__doc__ = """The greatest element; with dim a named tuple (values, indices); with a second Tensor, `maximum`.

`max(input)` shares its gradient evenly among equal elements, `max(input, dim, keepdim=False)` gives it to the element
at the index, the first of equal ones. RuntimeError, or IndexError with dim, where there is no element.

>>> import retrograd as rg
>>> x = rg.tensor([[1.0, 2.0], [3.0, 0.0]])
>>> rg.max(x), x.max(dim=1).indices
(tensor(3.), tensor([1, 0]))
"""
min = _extremum("min", _ops.minimum, _ops.min, _ops.argmin)
min.__doc__ = """The smallest element; with dim a named tuple (values, indices); with a second Tensor, `minimum`.

Else as `max`.

>>> import retrograd as rg
>>> x = rg.tensor([[1.0, 2.0], [3.0, 0.0]])
>>> rg.min(x), x.min(dim=1).indices
(tensor(0.), tensor([0, 1]))
"""


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the greatest element (the first of equal ones), of all elements in a row or along a dimension.

    int64. IndexError where there is no element; RuntimeError for truth values.

    >>> import retrograd as rg
    >>> rg.tensor([[1.0, 2.0], [3.0, 0.0]]).argmax(), rg.tensor([[1.0, 2.0], [3.0, 0.0]]).argmax(dim=1)
    (tensor(2), tensor([1, 0]))
    """
    return _arg("argmax", input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the smallest element, as in `argmax`.

    >>> import retrograd as rg
    >>> rg.tensor([[1.0, 2.0], [3.0, 0.0]]).argmin(dim=1)
    tensor([0, 1])
    """
    return _arg("argmin", input, dim, keepdim)


def _arg(name: str, input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    if input.dtype.kind == "b":
        raise RuntimeError(f"{name}: does not support bool input; cast it, e.g. x.int().")
    axis = None if dim is None else axes(_integer(dim), input.ndim)
    nonempty(name, input, axis, IndexError)
    return getattr(_ops, name)(input, axis=axis, keepdims=keepdim)  # type: ignore[no-any-return]


# ---- logarithms


def logsumexp(input: Tensor, dim: int | Sequence[int], keepdim: bool = False) -> Tensor:
    """log Σ exp(x) over dimensions, without overflow; integers in the default float dtype.

    >>> import retrograd as rg
    >>> rg.logsumexp(rg.tensor([100.0, 100.0]), dim=0)
    tensor(100.6931)
    """
    return _ops.logsumexp(input, axis=axes(dim, input.ndim), keepdims=keepdim)  # type: ignore[no-any-return]


# ---- truth and counts


def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether all elements differ from 0: of all, or over dimensions. The result is boolean (uint8 for uint8).

    >>> import retrograd as rg
    >>> rg.tensor([[True, False], [True, True]]).all(dim=1)
    tensor([False,  True])
    """
    return _truth(_ops.all, input, dim, keepdim)


def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether an element differs from 0; else as `all`.

    >>> import retrograd as rg
    >>> rg.tensor([[True, False], [False, False]]).any(dim=1)
    tensor([ True, False])
    """
    return _truth(_ops.any, input, dim, keepdim)


def _truth(primitive: Any, input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    axis = () if isinstance(dim, (tuple, list)) and not dim else axes(dim, input.ndim)
    truth = primitive(input, axis=axis, keepdims=keepdim)
    return _ops.astype(truth, dtype=input.dtype) if input.dtype == "uint8" else truth  # type: ignore[no-any-return]


def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many elements differ from 0: of all, or over dimensions. int64.

    >>> import retrograd as rg
    >>> rg.count_nonzero(rg.tensor([[1, 0], [2, 3]]), dim=1)
    tensor([1, 2])
    """
    return _ops.count_nonzero(input, axis=axes(dim, input.ndim))  # type: ignore[no-any-return]


for _function in (
    sum, nansum, mean, nanmean, prod, var, std, var_mean, std_mean, amax, amin, aminmax, max, min, argmax, argmin,
    logsumexp, all, any, count_nonzero,
):  # fmt: skip
    public(_function)
