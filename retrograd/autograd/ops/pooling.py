"""Pooling: the maximum, or the sum, of every window over the last axes.

A window is visited offset by offset: the elements that stand at one offset of all windows are a strided slice of the
input, so a pass over k offsets does what a pass over all windows would, in whole-array operations. Maximum and sum are
separable: they run along one axis after the other. Padding is never laid out; an offset that would reach into it
leaves the windows concerned out.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from retrograd.autograd.ops.shape import along
from retrograd.autograd.primitive import nondifferentiable, primitive
from retrograd.autograd.view import apply
from retrograd.autograd.windows import Moves, Windows, overlaps

Shape = tuple[int, ...]


def flat_places(xp: Any, lengths: Shape, counts: Shape, steps: Shape, starts: Shape) -> Any:
    """Places, counted in memory order of axes with these lengths, of a lattice of points."""
    places = xp.zeros((), dtype="int64")
    for length, count, step, start in zip(lengths, counts, steps, starts, strict=True):
        places = xp.expand_dims(places * length, axis=-1) + (xp.arange(count, dtype="int64") * step + start)
    return places


# ---- the maximum


@primitive(name="MaxPoolWithIndices", residuals=("maxima",))
def max_pool(xp: Any, x: Any, *, windows: Windows) -> Any:
    """The maximum of every window; NaN where there is one. The rule has maxima of its own: nn.ReLU(inplace=True) may
    follow, and changes the result."""
    for axis, numbers in windows.axes():
        x = running_maximum(xp, x, axis, numbers)
    return x, xp.copy(x)


def running_maximum(xp: Any, x: Any, axis: int, numbers: tuple[int, ...]) -> Any:
    """The maximum of every window along one axis."""
    moves = overlaps(*numbers)
    out, rest = begun(xp, x, axis, numbers[1], moves, lowest(x.dtype))
    for taken, seen in rest:
        part = out[along(axis, x.ndim, taken)]
        xp.maximum(part, x[along(axis, x.ndim, seen)], out=part)
    return out


def begun(xp: Any, x: Any, axis: int, length: int, moves: Moves, neutral: Any) -> tuple[Any, Moves]:
    """A result, `length` along an axis: a copy of the first slice that fills it, or neutral; and what is left to do."""
    for i, (target, source) in enumerate(moves):
        if target == slice(0, length):
            return xp.copy(x[along(axis, x.ndim, source)]), moves[:i] + moves[i + 1 :]
    shape = (*x.shape[:axis], length, *x.shape[x.ndim + axis + 1 :])
    return xp.full(shape, neutral, dtype=x.dtype), moves


def lowest(dtype: Any) -> Any:
    """What no number of a dtype is below."""
    if dtype.kind == "f":
        return -math.inf
    return -(2 ** (8 * dtype.itemsize - 1)) if dtype.kind == "i" else 0


@nondifferentiable
def places_of_maxima(xp: Any, x: Any, out: Any, *, windows: Windows) -> Any:
    """Where in the input the first maximum (or the first NaN) of every window stands, counted over the pooled axes."""
    rank = len(windows.size)
    if windows.size == windows.lengths and not any(windows.padding):  # one window, the plane
        flat = xp.reshape(x, (*x.shape[:-rank], math.prod(x.shape[-rank:])))
        return xp.reshape(xp.argmax(flat, axis=-1), out.shape)
    offsets = list(itertools.product(*(overlaps(*numbers) for _, numbers in windows.axes())))
    code = "uint8" if len(offsets) < 2**8 else "uint16" if len(offsets) < 2**16 else "uint32"
    none = 2 ** int(code[4:]) - 1  # all bits: what an offset without the maximum counts as
    bound = xp.where(xp.isnan(out), math.inf, out) if x.dtype.kind == "f" else out
    first = xp.full(out.shape, none, dtype=code)
    for number, axes in enumerate(offsets):
        taken, seen = ((..., *slices) for slices in zip(*axes, strict=True))
        below = xp.astype(xp.less(x[seen], bound[taken]), dtype=code)
        part = first[taken]
        xp.minimum(part, xp.bitwise_or(below * none, number), out=part)
    within = flat_places(xp, windows.lengths, windows.size, windows.dilation, (0,) * rank)
    corners = flat_places(xp, windows.lengths, windows.counts, windows.stride, tuple(-p for p in windows.padding))
    return xp.getitem(xp.reshape(within, (-1,)), (first,)) + corners


@max_pool.vjp
def _(xp: Any, g: Any, x: Any, maxima: Any, x_shape: Shape, windows: Windows) -> Any:
    """All of the gradient goes to the maximum."""
    places = apply(places_of_maxima.primitive, x, maxima, windows=windows)
    return apply(add_at_places.primitive, g, places, shape=x_shape, rank=len(windows.size))


# ---- elements of planes: places count over the last axes of an array, and every plane of these has its own


def across_planes(xp: Any, places: Any, shape: Shape, rank: int) -> Any:
    """Places in the planes of an array with this shape as places in its memory, in one dimension."""
    planes = math.prod(shape[: len(shape) - rank])
    starts = xp.arange(planes, dtype="int64") * math.prod(shape[len(shape) - rank :])
    rows = xp.reshape(places, (planes, math.prod(places.shape[places.ndim - rank :])))
    return xp.reshape(rows + xp.expand_dims(starts, axis=-1), (-1,))


@primitive(name="MaxPoolWithIndicesBackward")
def add_at_places(xp: Any, x: Any, places: Any, *, shape: Shape, rank: int) -> Any:
    """Zeros of a shape with x added at places in its planes."""
    size = math.prod(shape)
    total = xp.index_sum(xp.reshape(x, (-1,)), (across_planes(xp, places, shape, rank),), shape=(size,))
    return xp.reshape(total, shape)


@primitive(name="MaxUnpool")
def put_at_places(xp: Any, x: Any, places: Any, *, shape: Shape, rank: int) -> Any:
    """Zeros of a shape with x written at places in its planes, of several values the last."""
    flat = xp.new_zeros(x, shape=(math.prod(shape),))
    xp.setitem(flat, (across_planes(xp, places, shape, rank),), xp.reshape(x, (-1,)))
    return xp.reshape(flat, shape)


@primitive(name="Gather")
def take_at_places(xp: Any, x: Any, places: Any, *, rank: int) -> Any:
    """The elements of x at places in its planes."""
    flat = xp.reshape(x, (-1,))
    return xp.reshape(xp.getitem(flat, (across_planes(xp, places, x.shape, rank),)), places.shape)


add_at_places.vjps(x=lambda xp, g, places, rank: apply(take_at_places.primitive, g, places, rank=rank))
put_at_places.vjps(x=lambda xp, g, places, rank: apply(take_at_places.primitive, g, places, rank=rank))
take_at_places.vjps(
    x=lambda xp, g, places, rank, x_shape: apply(add_at_places.primitive, g, places, shape=x_shape, rank=rank)
)


# ---- the sum


@primitive(name="AvgPool")
def sum_pool(xp: Any, x: Any, *, windows: Windows) -> Any:
    """The sum of every window."""
    for axis, numbers in windows.axes():
        x = accumulated(xp, x, axis, numbers[1], overlaps(*numbers))
    return x


@primitive(name="AvgPoolBackward")
def spread_pool(xp: Any, x: Any, *, windows: Windows) -> Any:
    """The transposed of that: for every element the sum of the values of all windows that it is in."""
    for axis, numbers in windows.axes():
        x = accumulated(xp, x, axis, numbers[0], [(seen, taken) for taken, seen in overlaps(*numbers)])
    return x


sum_pool.vjp(lambda xp, g, windows: apply(spread_pool.primitive, g, windows=windows))
spread_pool.vjp(lambda xp, g, windows: apply(sum_pool.primitive, g, windows=windows))


def accumulated(xp: Any, x: Any, axis: int, length: int, moves: Moves) -> Any:
    """Zeros, `length` along an axis, to which slices of x have been added."""
    out, rest = begun(xp, x, axis, length, moves, 0)
    for target, source in rest:
        xp.add_into(out[along(axis, x.ndim, target)], x[along(axis, x.ndim, source)])
    return out
