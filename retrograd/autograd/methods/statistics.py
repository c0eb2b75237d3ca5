"""Statistics of samples: covariances, histograms, the commonest value; integrals over samples."""

from __future__ import annotations

import operator
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.reduction import nonempty, picked, squeezed
from retrograd.autograd.methods.registry import public
from retrograd.autograd.methods.results import result
from retrograd.autograd.tensor import Tensor, make, namespace

__all__: list[str] = []

_ops: Any = ops


def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariance matrix of variables in rows, observations in columns; of one row its variance.

    `fweights` counts how often each observation was seen, `aweights` weighs it; the sum of weights is lessened by
    `correction`. RuntimeError for more than two dimensions and for weights that do not fit.

    >>> import retrograd as rg
    >>> rg.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]).cov()
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.ndim > 2:
        raise RuntimeError(f"cov: expected an input of two or fewer dimensions, got {input.ndim}.")
    x = _ops.reshape(input, shape=(1, -1)) if input.ndim < 2 else input
    count = x.shape[1]
    for name, weights, kinds in (("fweights", fweights, "iu"), ("aweights", aweights, "f")):
        if weights is None:
            continue
        if weights.shape != (count,):
            raise RuntimeError(f"cov: {name} must have one element for each of {count} columns, got {weights.shape}.")
        if weights.dtype.kind not in kinds:
            raise RuntimeError(f"cov: {name} must be {'integers' if kinds == 'iu' else 'floats'}, got {weights.dtype}.")
    given = [w for w in (fweights, aweights) if w is not None]
    if not given:
        centred = x - _ops.mean(x, axis=1, keepdims=True)
        product = _ops.matmul(centred, _ops.permute_dims(centred, axes=(1, 0)))
        found = product / max(count - correction, 0)
    else:
        weights = given[0] if len(given) == 1 else given[0] * given[1]
        total = _ops.sum(weights)
        centred = x - _ops.sum(x * weights, axis=1, keepdims=True) / total
        product = _ops.matmul(centred * weights, _ops.permute_dims(centred, axes=(1, 0)))
        if aweights is not None and correction:
            total = total - correction * _ops.sum(weights * aweights) / total
        else:
            total = total - correction
        found = product / _ops.clip(total, min=0)
    return _ops.reshape(found, shape=()) if input.ndim < 2 else found  # type: ignore[no-any-return]


def corrcoef(input: Tensor) -> Tensor:
    """Pearson's correlations of variables in rows, in [-1, 1]; of one row 1.

    >>> import retrograd as rg
    >>> rg.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]).corrcoef()
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.ndim > 2:
        raise RuntimeError(f"corrcoef: expected an input of two or fewer dimensions, got {input.ndim}.")
    c = cov(input)
    if not c.ndim:
        return c / c
    deviation = _ops.sqrt(_ops.diagonal(c, offset=0, axis1=0, axis2=1))
    return _ops.clip(c / deviation[:, None] / deviation, min=-1, max=1)  # type: ignore[no-any-return]


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements fall into each of `bins` equal intervals from min to max (both 0: of the elements).

    Elements outside, and NaN, are left out. Carries no gradient. RuntimeError for a range that is none.

    >>> import retrograd as rg
    >>> rg.tensor([1.0, 2.0, 1.0]).histc(bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    if input.dtype.kind != "f":
        raise NotImplementedError(f"histc: not possible for {input.dtype}; cast it, e.g. x.float().")
    if bins <= 0:
        raise RuntimeError(f"histc: bins must be > 0, got {bins}.")
    xp, array = namespace(input), input.array
    low, high = float(min), float(max)
    if low == high and array.size:
        low, high = float(xp.min(array)), float(xp.max(array))
    if low == high:
        low, high = low - 1, high + 1
    if not (low < high and abs(low) < float("inf") and abs(high) < float("inf")):
        raise RuntimeError(f"histc: range of [{low}, {high}] is not finite, or max is below min.")
    flat = xp.reshape(array, shape=(-1,))
    inside = (flat >= low) & (flat <= high)
    place = xp.astype((xp.where(inside, flat, low) - low) / (high - low) * bins, dtype="int64")
    place = xp.where(place >= bins, bins - 1, place)
    return make(xp.add_along_axis(xp.zeros((bins,), dtype=array.dtype), place, xp.astype(inside, array.dtype), axis=0))


_mode = result("mode", "values", "indices")


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The commonest value along a dimension, the smallest of several, and the index of its last occurrence.

    A named tuple (values, indices). IndexError for a dimension that does not exist or is empty.

    >>> import retrograd as rg
    >>> rg.tensor([3, 1, 1, 2]).mode().values
    tensor(1)
    """
    axis = dimension(dim, input.ndim)
    nonempty("mode", input, axis if input.ndim else None, IndexError)
    if not input.ndim:
        return _mode(input, make(namespace(input).zeros((), dtype="int64")))
    xp, array = namespace(input), input.array
    order = xp.argsort(array, axis=axis)
    ranked = xp.take_along_axis(array, order, axis=axis)
    along = (slice(None),) * axis
    repeats = ranked[(*along, slice(1, None))] == ranked[(*along, slice(0, -1))]
    places = xp.cumulative_sum(xp.ones(array.shape, dtype="int64"), axis=axis) - 1
    begins = xp.where(
        xp.concat((xp.zeros(order[(*along, slice(0, 1))].shape, dtype="bool"), repeats), axis=axis), 0, places
    )
    run = places - xp.cumulative_max(begins, axis=axis)[0]
    last = xp.expand_dims(xp.argmax(run, axis=axis), axis=axis)
    place = make(xp.take_along_axis(order, last, axis=axis))
    return _mode(squeezed(picked(input, place, axis), axis, keepdim), squeezed(place, axis, keepdim))


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral along a dimension by the trapezoidal rule, with samples at x or `dx` apart (1).

    >>> import retrograd as rg
    >>> rg.trapezoid(rg.tensor([1.0, 2.0, 3.0]))
    tensor(4.)
    """
    return _ops.sum(_trapezoids("trapezoid", y, x, dx, dim), axis=dimension(dim, y.ndim))  # type: ignore[no-any-return]


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral up to each sample but the first, as in `trapezoid`.

    >>> import retrograd as rg
    >>> rg.cumulative_trapezoid(rg.tensor([1.0, 2.0, 3.0]))
    tensor([1.5000, 4.0000])
    """
    areas = _trapezoids("cumulative_trapezoid", y, x, dx, dim)
    return _ops.cumulative_sum(areas, axis=dimension(dim, y.ndim))  # type: ignore[no-any-return]


def _trapezoids(name: str, y: Tensor, x: Tensor | None, dx: float | None, dim: int) -> Tensor:
    """The areas between neighbouring samples."""
    axis = dimension(operator.index(dim), y.ndim)
    if x is not None and dx is not None:
        raise TypeError(f"{name}: give x or dx, not both.")
    along = (slice(None),) * axis
    left, right = (*along, slice(0, -1)), (*along, slice(1, None))
    mean = (y[left] + y[right]) / 2
    if x is None:
        return mean * (1.0 if dx is None else dx)
    if x.ndim == 1 and y.ndim > 1:
        if x.shape[0] != y.shape[axis]:
            raise RuntimeError(f"{name}: there must be one x for each of {y.shape[axis]} samples, got {x.shape[0]}.")
        shape = [1] * y.ndim
        shape[axis] = -1
        x = x.reshape(shape)
    return mean * (x[right] - x[left])


for _function in (cov, corrcoef, histc, mode):
    public(_function)
public(trapezoid, method=False)
public(trapezoid, name="trapz", method=False)
public(cumulative_trapezoid, method=False)
