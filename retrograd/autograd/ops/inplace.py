"""What in-place writing means to the graph: a value, or the region of it that a view shows, is replaced."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.ops.elementwise import constant
from retrograd.autograd.primitive import primitive
from retrograd.autograd.view import Steps, apply, replay


@primitive(name="Copy")
def replaced(xp: Any, old: Any, value: Any) -> Any:
    """The value, broadcast to the shape of the old one and in its dtype."""
    return xp.astype(xp.broadcast_to(value, shape=old.shape), dtype=old.dtype)


replaced.vjps(old=constant, value=lambda xp, g: g)


@primitive(name="CopySlices")
def write_view(xp: Any, base: Any, value: Any, *, steps: Steps) -> Any:
    """The base after a view of it has taken the value; the storage has it already."""
    return base


@primitive(name="Zero")
def cleared(xp: Any, x: Any, *, steps: Steps) -> Any:
    """A copy of x with zeros where the view shows it."""
    out = xp.copy(xp.asarray(x))  # NumPy gives scalars for 0-d results
    xp.setitem(xp.writable(replay(out, steps)), ..., 0)
    return out


cleared.vjp(lambda xp, g, steps: apply(cleared.primitive, g, steps=steps))
write_view.vjps(
    base=lambda xp, g, steps: apply(cleared.primitive, g, steps=steps),
    value=lambda xp, g, steps: replay(g, steps),
)
