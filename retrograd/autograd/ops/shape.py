"""Shape primitives: what moves elements without computing. Most give views."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.primitive import primitive


@primitive(name="View", view=True)
def reshape(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    """The same elements in another shape; a view where the layout allows it."""
    return xp.reshape(x, shape)


reshape.vjp(lambda xp, g, x_shape: xp.reshape(g, shape=x_shape))


@primitive(name="Permute", view=True)
def permute_dims(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    """The axes in another order."""
    return xp.permute_dims(x, axes)


@permute_dims.vjp
def _(xp: Any, g: Any, axes: tuple[int, ...]) -> Any:
    inverse = sorted(range(len(axes)), key=lambda i: axes[i] % len(axes))
    return xp.permute_dims(g, axes=tuple(inverse))


@primitive(name="Expand", view=True)
def broadcast_to(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    """x repeated along new axes and axes of length 1, without copying."""
    return xp.broadcast_to(x, shape)


broadcast_to.vjp(lambda xp, g: g)  # the engine sums a cotangent to the shape of its input
