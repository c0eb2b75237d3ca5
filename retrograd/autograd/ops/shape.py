"""Shape primitives: what moves elements without computing. Most give views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retrograd.autograd.ops.indexing import slice_view
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor
from retrograd.autograd.view import apply, as_views


@primitive(name="View", view="unless it had to copy")
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


@primitive(name="Unsqueeze", view=True)
def expand_dims(xp: Any, x: Any, *, axis: int | tuple[int, ...]) -> Any:
    """New axes of length 1 at these places of the result."""
    return xp.expand_dims(x, axis=axis)


expand_dims.vjp(lambda xp, g, axis: xp.squeeze(g, axis=axis))


@primitive(name="Squeeze", view=True)
def squeeze(xp: Any, x: Any, *, axis: int | tuple[int, ...]) -> Any:
    """Without these axes, which have length 1 and are counted from the front."""
    return xp.squeeze(x, axis)


squeeze.vjp(lambda xp, g, axis: xp.expand_dims(g, axis=axis))


# ---- diagonals


@primitive(name="Diagonal", view=True)
def diagonal(xp: Any, x: Any, *, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Any:
    """A diagonal of two axes, as the last axis."""
    return xp.diagonal(x, offset=offset, axis1=axis1, axis2=axis2)


@diagonal.vjp
def _(xp: Any, g: Any, x_shape: tuple[int, ...], offset: int, axis1: int, axis2: int) -> Any:
    return apply(on_diagonal.primitive, g, shape=x_shape, offset=offset, axis1=axis1, axis2=axis2)


@primitive(name="DiagonalBackward")
def on_diagonal(xp: Any, x: Any, *, shape: tuple[int, ...], offset: int, axis1: int, axis2: int) -> Any:
    """Zeros of a shape with x on a diagonal of two axes."""
    out = xp.new_zeros(x, shape=shape)
    across = xp.permute_dims(
        out, (*(i for i in range(len(shape)) if i not in (axis1 % len(shape), axis2 % len(shape))), axis1, axis2)
    )
    steps = xp.arange(x.shape[-1])
    xp.setitem(across, (..., steps + max(-offset, 0), steps + max(offset, 0)), x)
    return out


on_diagonal.vjp(lambda xp, g, offset, axis1, axis2: xp.diagonal(g, offset=offset, axis1=axis1, axis2=axis2))


@primitive
def tril(xp: Any, x: Any, *, k: int = 0) -> Any:
    """The lower triangle, zeros above diagonal k."""
    return xp.tril(x, k=k)


tril.vjp(lambda xp, g, k: xp.tril(g, k=k))


@primitive
def triu(xp: Any, x: Any, *, k: int = 0) -> Any:
    """The upper triangle, zeros below diagonal k."""
    return xp.triu(x, k=k)


triu.vjp(lambda xp, g, k: xp.triu(g, k=k))


# ---- joining


def along(axis: int, ndim: int, part: Any) -> tuple[Any, ...]:
    """The basic index that takes a part of one axis."""
    return (*[slice(None)] * (axis % ndim), part, ...)


@primitive(name="Cat", promotes=("arrays",))
def concat(xp: Any, *arrays: Any, axis: int = 0) -> Any:
    """The arrays one after the other along an axis."""
    return xp.concat(arrays, axis=axis)


@concat.vjp
def _(xp: Any, g: Any, axis: int, shapes: list[tuple[int, ...]], needs: tuple[bool, ...]) -> list[Any]:
    gs: list[Any] = []
    start = 0
    for shape, needed in zip(shapes, needs, strict=True):
        stop = start + shape[axis]
        part = along(axis, len(shape), slice(start, stop))
        gs.append(apply(slice_view.primitive, g, index=part) if needed else None)
        start = stop
    return gs


@primitive(promotes=("arrays",))
def stack(xp: Any, *arrays: Any, axis: int = 0) -> Any:
    """The arrays as slices of a new axis."""
    return xp.stack(arrays, axis=axis)


@stack.vjp
def _(xp: Any, g: Any, axis: int, needs: tuple[bool, ...]) -> list[Any]:
    ndim = len(g.shape)
    return [
        apply(slice_view.primitive, g, index=along(axis, ndim, i)) if needed else None for i, needed in enumerate(needs)
    ]


# ---- parting: one node with many outputs, so that their gradients are joined once and not summed one by one


@primitive(name="Split", outputs=True)
def pieces(xp: Any, x: Any, *, bounds: tuple[tuple[int, int], ...], axis: int) -> Any:
    """Stretches of an axis, without gaps between them."""
    return tuple(x[along(axis, x.ndim, slice(*bound))] for bound in bounds)


pieces.vjp(lambda xp, g, axis: concat(*g, axis=axis) if isinstance(g[0], Tensor) else xp.concat(g, axis=axis))


@primitive(name="Unbind", outputs=True)
def slices(xp: Any, x: Any, *, axis: int) -> Any:
    """All slices of an axis."""
    return tuple(x[along(axis, x.ndim, i)] for i in range(x.shape[axis]))


slices.vjp(lambda xp, g, axis: stack(*g, axis=axis) if isinstance(g[0], Tensor) else xp.stack(g, axis=axis))


def split(x: Tensor, bounds: Sequence[tuple[int, int]], axis: int) -> tuple[Tensor, ...]:
    """Stretches (start, stop) of an axis, which follow each other and cover it, as views."""
    outs: tuple[Tensor, ...] = pieces(x, bounds=tuple(bounds), axis=axis)
    steps = [along(axis, x.ndim, slice(*bound)) for bound in bounds]
    as_views(x, outs, [(slice_view.primitive, {"index": step}) for step in steps])
    return outs


def unbind(x: Tensor, axis: int) -> tuple[Tensor, ...]:
    """All slices of an axis, as views."""
    if not x.shape[axis]:
        return ()
    outs: tuple[Tensor, ...] = slices(x, axis=axis)
    as_views(x, outs, [(slice_view.primitive, {"index": along(axis, x.ndim, i)}) for i in range(x.shape[axis])])
    return outs


# ---- reordering, as copies


@primitive
def flip(xp: Any, x: Any, *, axis: int | tuple[int, ...]) -> Any:
    """A copy with the order of the axes reversed."""
    return xp.copy(xp.flip(x, axis=axis))


flip.vjp(lambda xp, g, axis: xp.flip(g, axis=axis))


@primitive
def roll(xp: Any, x: Any, *, shift: Any, axis: Any = None) -> Any:
    """A copy shifted along axes; what leaves at one end comes back at the other."""
    return xp.roll(x, shift, axis=axis)


@roll.vjp
def _(xp: Any, g: Any, shift: Any, axis: Any) -> Any:
    back = tuple(-s for s in shift) if isinstance(shift, tuple) else -shift
    return xp.roll(g, shift=back, axis=axis)


@primitive(name="ConstantPadNd")
def pad(xp: Any, x: Any, *, widths: tuple[tuple[int, int], ...], value: float = 0) -> Any:
    """A copy with a number of elements before and after every axis."""
    shape = tuple(n + before + after for n, (before, after) in zip(x.shape, widths))
    out = xp.full(shape, value, dtype=x.dtype)
    xp.setitem(out, inside(x.shape, widths), x)
    return out


@pad.vjp
def _(xp: Any, g: Any, x_shape: tuple[int, ...], widths: tuple[tuple[int, int], ...]) -> Any:
    return apply(slice_view.primitive, g, index=inside(x_shape, widths))


def inside(shape: tuple[int, ...], widths: tuple[tuple[int, int], ...]) -> tuple[Any, ...]:
    """Where the original stands in a padded array."""
    return (*(slice(before, before + n) for n, (before, _) in zip(shape, widths)), ...)


# ---- windows


@primitive(name="Unfold", view=True)
def unfold(xp: Any, x: Any, *, axis: int, size: int, step: int) -> Any:
    """Windows of an axis, every `step` elements; the window is the new last axis."""
    return xp.sliding_window_view(x, (size,), (axis,))[along(axis, x.ndim, slice(None, None, step))]


@unfold.vjp
def _(xp: Any, g: Any, x_shape: tuple[int, ...], axis: int, size: int, step: int) -> Any:
    return apply(fold.primitive, g, axis=axis, size=size, step=step, length=x_shape[axis])


@primitive(name="UnfoldBackward")
def fold(xp: Any, x: Any, *, axis: int, size: int, step: int, length: int) -> Any:
    """The sum of windows laid where they were cut from an axis of that length."""
    ndim, count = x.ndim - 1, x.shape[axis]
    out = xp.new_zeros(x, shape=(*x.shape[:axis], length, *x.shape[axis + 1 : -1]))
    for i in range(size):
        place = out[along(axis, ndim, slice(i, i + (count - 1) * step + 1, step))]
        xp.setitem(place, ..., xp.add(place, x[..., i]))
    return out


fold.vjp(lambda xp, g, axis, size, step: apply(unfold.primitive, g, axis=axis, size=size, step=step))
