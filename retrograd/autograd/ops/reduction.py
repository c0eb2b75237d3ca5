"""Reductions: primitives that fold axes. `axis` is None for all, an integer, or a tuple; a 0-d array takes None."""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd.ops.elementwise import indicator
from retrograd.autograd.ops.scan import products_of_others
from retrograd.autograd.primitive import nondifferentiable, primitive
from retrograd.backends.shapes import elements_along


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes that are reduced, counted from 0."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim if ndim else 0 for a in (axis if isinstance(axis, tuple) else (axis,)))


def kept(xp: Any, reduced: Any, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Any:
    """A reduced value with the reduced axes as axes of length 1, so that it broadcasts against what was reduced."""
    if keepdims or not reduced.shape:
        return reduced
    axes = axes_of(axis, len(shape))
    return xp.reshape(reduced, shape=tuple(1 if i in axes else n for i, n in enumerate(shape)))


def spread(xp: Any, g: Any, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Any:
    """A reduced cotangent broadcast back over the reduced axes."""
    if g.shape == shape:
        return g
    return xp.broadcast_to(kept(xp, g, shape, axis, keepdims), shape=shape)


# ---- sums and products


@primitive
def sum(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Σ x over the axes."""
    return xp.sum(x, axis=axis, keepdims=keepdims)


sum.vjp(lambda xp, g, x_shape, axis, keepdims: spread(xp, g, x_shape, axis, keepdims))


@primitive
def mean(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Mean of x over the axes."""
    return xp.mean(x, axis=axis, keepdims=keepdims)


@mean.vjp
def _(xp: Any, g: Any, x_shape: tuple[int, ...], axis: Any, keepdims: bool) -> Any:
    count = math.prod(x_shape[a] for a in axes_of(axis, len(x_shape)))
    return spread(xp, g / count if count else g, x_shape, axis, keepdims)


@primitive
def prod(xp: Any, x: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Π x over one axis, or all."""
    return xp.prod(x, axis=axis, keepdims=keepdims)


@prod.vjp
def _(xp: Any, g: Any, x: Any, out: Any, axis: int | None, keepdims: bool) -> Any:
    """The product of the other factors: Π x / x, or, where a factor is 0, multiplied out."""
    g = kept(xp, g, x.shape, axis, keepdims)
    if bool(xp.all(x != 0)):
        return g * kept(xp, out, x.shape, axis, keepdims) / x
    if axis is not None:
        return g * products_of_others(xp, x, axis)
    others = products_of_others(xp, xp.reshape(x, shape=(math.prod(x.shape),)), 0)
    return g * xp.reshape(others, shape=x.shape)


# ---- spread of values


def deviations(xp: Any, x: Any, axis: Any) -> Any:
    return x - xp.mean(x, axis=axis, keepdims=True)


def divisor(shape: tuple[int, ...], axis: Any, correction: float) -> float:
    """Number of elements less the correction, not below 0."""
    left = elements_along(shape, axis) - correction
    return left if left > 0 else 0


@primitive
def var(xp: Any, x: Any, *, axis: Any = None, correction: float = 1, keepdims: bool = False) -> Any:
    """Σ (x - mean)² / (N - correction), in two passes; NaN where nothing is left to divide by."""
    if x.dtype.char == "e":
        wide = var.primitive.forward(
            xp, xp.astype(x, dtype="float32"), axis=axis, correction=correction, keepdims=keepdims
        )
        return xp.astype(wide, dtype=x.dtype)
    total = xp.sum(xp.square(deviations(xp, x, axis)), axis=axis, keepdims=keepdims)
    return total / divisor(x.shape, axis, correction)


@primitive
def std(xp: Any, x: Any, *, axis: Any = None, correction: float = 1, keepdims: bool = False) -> Any:
    """The square root of `var`; where it is 0 its gradient is 0."""
    return xp.sqrt(var.primitive.forward(xp, x, axis=axis, correction=correction, keepdims=keepdims))


def var_gradient(xp: Any, g: Any, x: Any, axis: Any, correction: float, keepdims: bool) -> Any:
    left = divisor(x.shape, axis, correction)
    return kept(xp, g, x.shape, axis, keepdims) * deviations(xp, x, axis) * (2 / left if left else math.inf)


var.vjp(lambda xp, g, x, axis, correction, keepdims: var_gradient(xp, g, x, axis, correction, keepdims))


@std.vjp
def _(xp: Any, g: Any, x: Any, out: Any, axis: Any, correction: float, keepdims: bool) -> Any:
    g = xp.keep(g / (2 * xp.where(out == 0, 1.0, out)), out != 0)
    return var_gradient(xp, g, x, axis, correction, keepdims)


@primitive(floating=True)
def logsumexp(xp: Any, x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """log Σ exp x, shifted by the maximum so that nothing overflows."""
    if not elements_along(x.shape, axis):
        return xp.log(xp.sum(x, axis=axis, keepdims=keepdims))
    top = xp.max(x, axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, xp.astype(top * 0 == 1, dtype=x.dtype))  # else ∞ - ∞
    total = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else xp.sum(total, axis=axis)


@logsumexp.vjp
def _(xp: Any, g: Any, x: Any, out: Any, axis: Any, keepdims: bool) -> Any:
    out = kept(xp, out, x.shape, axis, keepdims)
    return kept(xp, g, x.shape, axis, keepdims) * xp.exp(x - out)


# ---- extrema: all that reach one share the gradient evenly


def shared(xp: Any, g: Any, x: Any, out: Any, axis: Any, keepdims: bool) -> Any:
    g, out = kept(xp, g, x.shape, axis, keepdims), kept(xp, out, x.shape, axis, keepdims)
    reached = (x == out) | ((x != x) & (out != out))
    count = xp.sum(indicator(xp, reached, g), axis=axis, keepdims=True)
    return xp.keep(xp.broadcast_to(g / count, shape=x.shape), reached)


@primitive(name="Amax")
def max(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The greatest element; NaN if one is."""
    return xp.max(x, axis=axis, keepdims=keepdims)


@primitive(name="Amin")
def min(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest element; NaN if one is."""
    return xp.min(x, axis=axis, keepdims=keepdims)


@primitive
def median(xp: Any, x: Any, *, ignore_nan: bool = False) -> Any:
    """The lower median of all elements of a 1-d array; NaN if one is, unless these are ignored."""
    size = x.shape[0]
    valid = size if x.dtype.kind != "f" else size - int(xp.count_nonzero(x != x))
    place = size - 1 if (valid < size and not ignore_nan) or not valid else (valid - 1) // 2
    ordered = xp.partition(x, place) if hasattr(xp, "partition") else xp.sort(x, axis=0)  # a GPU sorts as fast
    return xp.reshape(ordered[place : place + 1], ())


max.vjp(lambda xp, g, x, out, axis, keepdims: shared(xp, g, x, out, axis, keepdims))
min.vjp(lambda xp, g, x, out, axis, keepdims: shared(xp, g, x, out, axis, keepdims))
median.vjp(lambda xp, g, x, out: shared(xp, g, x, out, None, False))

# ---- without gradient


@nondifferentiable
def all(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all elements differ from 0."""
    return xp.all(x, axis=axis, keepdims=keepdims)


@nondifferentiable
def any(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether an element differs from 0."""
    return xp.any(x, axis=axis, keepdims=keepdims)


@nondifferentiable
def count_nonzero(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """How many elements differ from 0."""
    return xp.count_nonzero(x, axis=axis, keepdims=keepdims)


@nondifferentiable
def argmax(xp: Any, x: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Index of the first greatest element, or NaN."""
    return xp.argmax(x, axis=axis, keepdims=keepdims)


@nondifferentiable
def argmin(xp: Any, x: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Index of the first smallest element, or NaN."""
    return xp.argmin(x, axis=axis, keepdims=keepdims)
