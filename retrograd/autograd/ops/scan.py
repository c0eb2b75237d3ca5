"""Scans and order along one axis of an array that has at least one."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.primitive import nondifferentiable, primitive
from retrograd.autograd.view import apply
from retrograd.backends.kernels import fusable


@primitive
def shifted(xp: Any, x: Any, *, by: int, axis: int) -> Any:
    """x moved `by` places towards the start of an axis (towards its end, where negative), with zeros following."""
    out = xp.new_zeros(x, shape=x.shape)
    lead = (slice(None),) * axis
    front, back = lead + (slice(None, -abs(by)),), lead + (slice(abs(by), None),)
    if by > 0:
        xp.setitem(out, front, x[back])
    else:
        xp.setitem(out, back, x[front])
    return out


shifted.vjp(lambda xp, g, by, axis: apply(shifted.primitive, g, by=-by, axis=axis))


def backwards(xp: Any, x: Any, axis: int) -> Any:
    return xp.flip(x, axis=axis)


@primitive(name="Cumsum")
def cumulative_sum(xp: Any, x: Any, *, axis: int) -> Any:
    """Sum of the elements up to each place."""
    return xp.cumulative_sum(x, axis=axis)


@cumulative_sum.vjp
def _(xp: Any, g: Any, axis: int) -> Any:
    return backwards(xp, xp.cumulative_sum(backwards(xp, g, axis), axis=axis), axis)


@primitive(name="Cumprod")
def cumulative_prod(xp: Any, x: Any, *, axis: int) -> Any:
    """Product of the elements up to each place."""
    return xp.cumulative_prod(x, axis=axis)


def products_before(xp: Any, x: Any, axis: int) -> Any:
    """Product of the elements before each place; 1 at the first."""
    ones = xp.new_zeros(x, shape=x.shape) + 1
    first = ones - apply(shifted.primitive, ones, by=-1, axis=axis)
    return apply(shifted.primitive, xp.cumulative_prod(x, axis=axis), by=-1, axis=axis) + first


def products_of_others(xp: Any, x: Any, axis: int) -> Any:
    """Product of all elements but the one at each place, without a division."""
    axis %= len(x.shape)
    after = backwards(xp, products_before(xp, backwards(xp, x, axis), axis), axis)
    return products_before(xp, x, axis) * after


@cumulative_prod.vjp
def _(xp: Any, g: Any, x: Any, out: Any, axis: int) -> Any:
    """∂out_i/∂x_k = Π_{j≤i, j≠k} x_j for i ≥ k.

    Without zeros that is out_i / x_k. With them it is Π_{j<k} x_j · r_k, where r_k = Σ_{i≥k} g_i Π_{k<j≤i} x_j follows
    r_k = g_k + x_{k+1} r_{k+1}.
    """
    axis %= len(x.shape)
    if bool(xp.all(x != 0)):
        return backwards(xp, xp.cumulative_sum(backwards(xp, g * out, axis), axis=axis), axis) / x
    return products_before(xp, x, axis) * recurrence(g, apply(shifted.primitive, x, by=1, axis=axis), axis)


def recurrence(g: Any, factor: Any, axis: int) -> Any:
    """The r with r_k = g_k + factor_k r_{k+1}, by doubling (Blelloch 1990, "Prefix sums", 1.4)."""
    total, step = g, 1
    while step < g.shape[axis]:
        total = total + factor * apply(shifted.primitive, total, by=step, axis=axis)
        factor = factor * apply(shifted.primitive, factor, by=step, axis=axis)
        step *= 2
    return total


@primitive(name="Logcumsumexp")
@fusable
def logcumsumexp(xp: Any, x: Any, *, axis: int) -> Any:
    """log of the running sum of exponentials, by doubling, so that every sum is shifted by its own maximum."""
    out, step = x, 1
    lead = (slice(None),) * (axis % len(x.shape))
    while step < x.shape[axis]:
        later, earlier = lead + (slice(step, None),), lead + (slice(None, -step),)
        summed = xp.copy(out)
        xp.setitem(summed, later, xp.logaddexp(out[later], out[earlier]))
        out, step = summed, 2 * step
    return xp.copy(x) if out is x else out


@logcumsumexp.vjp
def _(xp: Any, g: Any, x: Any, out: Any, axis: int) -> Any:
    """Σ_{i≥k} g_i exp(x_k - out_i) = exp(x_k - out_k) r_k with r_k = g_k + exp(out_k - out_{k+1}) r_{k+1}."""
    axis %= len(x.shape)
    falling = out - apply(shifted.primitive, out, by=1, axis=axis)
    factor = xp.exp(xp.where(falling > 0, 0.0, falling))  # positive at the last place alone, where r_{k+1} is 0
    return xp.exp(x - out) * recurrence(g, factor, axis)


# ---- elements at places of which none occurs twice: the gradient is written there, which is faster than adding it


@primitive(name="Gather")
def picked(xp: Any, x: Any, places: Any, *, axis: int) -> Any:
    """x at different indices along one axis."""
    return xp.take_along_axis(x, places, axis=axis)


@primitive(name="Scatter")
def put_back(xp: Any, x: Any, places: Any, *, shape: tuple[int, ...], axis: int) -> Any:
    """Zeros of a shape, with x at different indices along one axis."""
    return xp.put_along_axis(xp.new_zeros(x, shape=shape), places, x, axis=axis)


picked.vjps(x=lambda xp, g, places, x_shape, axis: apply(put_back.primitive, g, places, shape=x_shape, axis=axis))
put_back.vjps(x=lambda xp, g, places, axis: apply(picked.primitive, g, places, axis=axis))

# ---- where: indices, without gradient


@nondifferentiable
def cumulative_max_places(xp: Any, x: Any, *, axis: int) -> Any:
    """Index of the last place up to here that reached the running maximum; NaN is greatest."""
    return xp.cumulative_max(x, axis=axis)[1]


@nondifferentiable
def argsort(xp: Any, x: Any, *, axis: int = -1, descending: bool = False, first: int | None = None) -> Any:
    """The indices that sort x (or the first so many), of equal elements the first first; NaN is greatest."""
    return xp.argsort(x, axis=axis, descending=descending, first=first)
