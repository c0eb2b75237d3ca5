"""Scattering with a reduction other than a sum: several values meet at one element, and it takes their product or
extremum. `positions` are places in x counted in memory order; x and the values are one-dimensional.
"""

from __future__ import annotations

from typing import Any

from retrograd.autograd.primitive import primitive
from retrograd.autograd.view import apply


@primitive(name="ScatterReduce")
def scatter_extremum(xp: Any, x: Any, positions: Any, values: Any, *, largest: bool) -> Any:
    """x with the largest (or smallest) of itself and the values at the positions."""
    if hasattr(xp, "reduce_at"):  # a GPU has no order in which duplicates meet
        return xp.reduce_at(xp.maximum if largest else xp.minimum, x, positions, values)
    # Of duplicates the last that is written stays: NaN, which is sorted behind all, or the extremum.
    mirrored = not largest and values.dtype.kind == "f"
    order = xp.argsort(-values) if mirrored else xp.argsort(values, descending=not largest)
    out = xp.copy(x)
    xp.setitem(out, (xp.getitem(positions, order),), xp.getitem(values, order))
    return (xp.maximum if largest else xp.minimum)(x, out)


@scatter_extremum.vjp
def _(xp: Any, g: Any, x: Any, positions: Any, values: Any, out: Any) -> Any:
    """All that reach the extremum share the gradient equally, as in PyTorch."""
    mine, theirs = x == out, values == xp.take_along_axis(out, positions, axis=0)
    ones, hits = xp.astype(mine, dtype=g.dtype), xp.astype(theirs, dtype=g.dtype)
    share = g / xp.add_along_axis(ones, positions, hits, axis=0)
    return share * ones, None, xp.take_along_axis(share, positions, axis=0) * hits


@primitive(name="ScatterReduce")
def scatter_product(xp: Any, x: Any, positions: Any, values: Any) -> Any:
    """x multiplied by the values at the positions."""
    if hasattr(xp, "reduce_at"):
        return xp.reduce_at(xp.multiply, x, positions, values)
    out = xp.copy(x)
    order = xp.argsort(positions)
    places, factors = xp.getitem(positions, order), xp.getitem(values, order)
    while places.shape[0]:  # the first factor of every place at once, then the second ...
        first = xp.not_equal(places, xp.roll(places, 1, axis=0))
        xp.setitem(first, (slice(0, 1),), True)
        here = xp.getitem(places, first)
        xp.setitem(out, (here,), xp.multiply(xp.getitem(out, (here,)), xp.getitem(factors, first)))
        rest = xp.logical_not(first)
        places, factors = xp.getitem(places, rest), xp.getitem(factors, rest)
    return out


@scatter_product.vjp
def _(xp: Any, g: Any, x: Any, positions: Any, values: Any) -> Any:
    """The product of the other factors: by division, and where one factor alone is zero, without that one."""
    zero_x, zero_v = x == 0, values == 0
    kept_x, kept_v = xp.where(zero_x, 1.0, x), xp.where(zero_v, 1.0, values)
    product = apply(scatter_product.primitive, kept_x, positions, kept_v)  # of all that are not zero
    zeros = xp.add_along_axis(xp.astype(zero_x, dtype=g.dtype), positions, xp.astype(zero_v, dtype=g.dtype), axis=0)
    none, one = xp.where(zeros == 0, g * product, 0.0), xp.where(zeros == 1, g * product, 0.0)
    g_x = xp.where(zero_x, one, none / kept_x)
    one_v, none_v = (xp.take_along_axis(part, positions, axis=0) for part in (one, none))
    return g_x, None, xp.where(zero_v, one_v, none_v / kept_v)
