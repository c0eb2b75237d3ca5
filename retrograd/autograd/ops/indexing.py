"""Indexing primitives: reading, and adding into, parts of an array."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.primitive import primitive


@primitive(name="Select")
def take_along_axis(xp: Any, x: Any, indices: Any, *, axis: int) -> Any:
    """x at the indices along one axis."""
    return xp.take_along_axis(x, indices, axis=axis)


take_along_axis.vjps(
    x=lambda xp, g, indices, axis, x_shape: xp.add_along_axis(xp.new_zeros(g, shape=x_shape), indices, g, axis=axis)
)


@primitive(name="ScatterAdd")
def add_along_axis(xp: Any, x: Any, indices: Any, values: Any, *, axis: int) -> Any:
    """A copy of x with values added at the indices along one axis, duplicates added up."""
    return xp.add_along_axis(x, indices, values, axis=axis)


add_along_axis.vjps(
    x=lambda xp, g: g,
    values=lambda xp, g, indices, axis: xp.take_along_axis(g, indices, axis=axis),
)
