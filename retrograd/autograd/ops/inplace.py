"""What in-place writing means to the graph: a value, or a region of one, is replaced."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.ops.elementwise import constant
from retrograd.autograd.primitive import primitive
from retrograd.autograd.view import Steps, replay


@primitive(name="Copy", promotes=())
def replace(xp: Any, old: Any, value: Any) -> Any:
    """The value, broadcast to the shape of the old one and in its dtype."""
    return xp.astype(xp.broadcast_to(value, old.shape), old.dtype)


replace.vjps(old=lambda xp, g: constant(xp, g), value=lambda xp, g: g)


@primitive(name="CopySlices")
def write_view(xp: Any, base: Any, value: Any, *, steps: Steps) -> Any:
    """The base after a view of it has taken the value; the storage has it already."""
    return base


write_view.vjps(
    base=lambda xp, g, steps: xp.where(region(g, steps), 0.0, g),
    value=lambda xp, g, steps: replay(g, steps),
)


def region(g: Any, steps: Steps) -> Any:
    """True at the elements of the base that the view shows (an array also for a Tensor g)."""
    from retrograd.autograd.tensor import Tensor, make
    from retrograd.backends import backend_of_array

    array = g._array if isinstance(g, Tensor) else g
    xp = backend_of_array[array.__class__]
    size = 1
    for n in array.shape:
        size *= n
    positions = xp.reshape(xp.arange(size), array.shape)
    seen = xp.zeros((size,), dtype=bool)
    xp.setitem(seen, xp.reshape(replay(positions, steps), (-1,)), True)
    seen = xp.reshape(seen, array.shape)
    return make(seen) if isinstance(g, Tensor) else seen
