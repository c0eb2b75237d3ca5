"""Pooling: the maximum, or the sum, of every window over the last axes.

A window is visited offset by offset: the elements that stand at one offset of all windows are a strided slice of the
input, so a pass over k offsets does what a pass over all windows would, in whole-array operations. Maximum and sum are
separable: they run along one axis after the other. Padding is never laid out; an offset that would reach into it
leaves the windows concerned out.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator
from typing import Any

from retrograd.autograd.ops.parts import by_rows
from retrograd.autograd.ops.shape import along
from retrograd.autograd.primitive import nondifferentiable, primitive
from retrograd.autograd.view import apply
from retrograd.autograd.windows import Moves, Windows, extent, overlaps
from retrograd.backends.kernels import fusable

Shape = tuple[int, ...]
GRAIN = 200_000
"""Elements of the input that are worth a thread of their own."""
FEW = 9
"""Elements of a window up to which a pass for each of them costs less than an index for every window."""


def flat_places(xp: Any, lengths: Shape, counts: Shape, steps: Shape, starts: Shape) -> Any:
    """Places, counted in memory order of axes with these lengths, of a lattice of points."""
    places = xp.zeros((), dtype="int64")
    for length, count, step, start in zip(lengths, counts, steps, starts, strict=True):
        places = xp.expand_dims(places * length, axis=-1) + (xp.arange(count, dtype="int64") * step + start)
    return places


# ---- the maximum


@primitive(name="MaxPoolWithIndices", residuals=("offsets",))
def max_pool(xp: Any, x: Any, *, windows: Windows) -> Any:
    """The maximum of every window; NaN where there is one."""
    return maxima(xp, x, windows)


@nondifferentiable
def places_of_maxima(xp: Any, x: Any, *, windows: Windows) -> Any:
    """Where in the input the first maximum (or the first NaN) of every window stands, counted over the pooled axes."""
    return places_in_planes(xp, maxima(xp, x, windows)[1], windows)


@nondifferentiable
def places_of_offsets(xp: Any, offsets: Any, *, windows: Windows) -> Any:
    """The same of any offset in every window."""
    return places_in_planes(xp, offsets, windows)


def places_in_planes(xp: Any, offsets: Any, windows: Windows) -> Any:
    """Offsets in windows as places in their planes."""
    within = flat_places(xp, windows.lengths, windows.size, windows.dilation, (0,) * len(windows.size))
    corners = flat_places(xp, windows.lengths, windows.counts, windows.stride, tuple(-p for p in windows.padding))
    return xp.getitem(xp.reshape(within, (-1,)), (offsets,)) + corners


@fusable
def maxima(xp: Any, x: Any, windows: Windows) -> tuple[Any, Any]:
    """The maximum of every window, and the offset of the first: its number among the elements of a window."""
    rank, elements = len(windows.size), math.prod(windows.size)
    code = "uint8" if elements <= 2**8 else "uint16" if elements <= 2**16 else "int32"
    shape = (*x.shape[:-rank], *windows.counts)
    if windows.size == windows.lengths and not any(windows.padding) and max(windows.dilation) == 1:  # the whole plane
        flat = xp.reshape(x, (*x.shape[:-rank], elements))
        first = xp.argmax(flat, axis=-1, keepdims=True)
        largest = xp.take_along_axis(flat, first, axis=-1)
        return xp.reshape(largest, shape), xp.reshape(xp.astype(first, dtype=code), shape)
    out, offsets = xp.empty(shape, dtype=x.dtype), xp.empty(shape, dtype=code)

    def kernel(x: Any, out: Any, offsets: Any) -> None:
        largest, first, weight = x, None, 1
        for axis, numbers in reversed(list(windows.axes())):
            largest, first = running_maximum(xp, largest, first, axis, numbers, weight, code)
            weight *= windows.size[axis]
        xp.setitem(out, ..., largest)
        xp.setitem(offsets, ..., first)

    by_rows(xp, kernel, x, out, offsets, grain=GRAIN)
    return out, offsets


def running_maximum(
    xp: Any, x: Any, offsets: Any | None, axis: int, numbers: tuple[int, ...], weight: int, code: str
) -> tuple[Any, Any]:
    """The maximum of every window along one axis, and the offset of the first.

    `offsets` are those of x along the axes behind, on which this axis' own add `weight` each.
    """
    moves, shape = overlaps(*numbers), (*x.shape[:axis], numbers[1], *x.shape[x.ndim + axis + 1 :])

    def moved(array: Any, offset: int, neutral: Any) -> Any:
        """For every window the element at an offset."""
        taken, seen = moves[offset]
        out = xp.empty(shape, dtype=array.dtype)
        for gap in (slice(0, taken.start or 0), slice(taken.stop, numbers[1])):
            if gap.start < gap.stop:
                xp.setitem(out[along(axis, x.ndim, gap)], ..., neutral)
        xp.setitem(out[along(axis, x.ndim, taken)], ..., array[along(axis, x.ndim, seen)])
        return out

    def numbered(offset: int) -> Any:
        return offset * weight if offsets is None else moved(offsets, offset, 0) + offset * weight

    neutral = lowest(x.dtype)
    largest, first = moved(x, 0, neutral), xp.zeros(shape, dtype=code) + numbered(0)
    if moves[0][0] != slice(0, numbers[1]):  # windows begin in the padding: with their first element on the input
        for offset, (taken, _) in reversed(list(enumerate(moves))):
            begun = along(axis, x.ndim, taken)
            xp.setitem(first[begun], ..., (xp.zeros(shape, dtype=code) + numbered(offset))[begun])
    for offset in range(1, len(moves)):
        values, number = moved(x, offset, neutral), numbered(offset)
        after = xp.maximum(largest, values)
        better = xp.not_equal(largest, after)
        if x.dtype.kind == "f":
            better = xp.logical_and(better, xp.equal(largest, largest))  # no number follows NaN
        xp.maximum(first, xp.astype(better, dtype=code) * number, out=first)
        largest = after
    return largest, first


def lowest(dtype: Any) -> Any:
    """What no number of a dtype is below."""
    if dtype.kind == "f":
        return -math.inf
    return -(2 ** (8 * dtype.itemsize - 1)) if dtype.kind == "i" else 0


@max_pool.vjp
def _(xp: Any, g: Any, x_shape: Shape, offsets: Any, windows: Windows) -> Any:
    """All of the gradient goes to the maximum."""
    if math.prod(windows.size) <= FEW:
        return apply(add_at_offsets.primitive, g, offsets, windows=windows)
    places = apply(places_of_offsets.primitive, offsets, windows=windows)
    return apply(add_at_places.primitive, g, places, shape=x_shape, rank=len(windows.size))


# ---- elements of windows: an offset counts over the elements of one, and every window has its own


@primitive(name="MaxPoolWithIndicesBackward")
def add_at_offsets(xp: Any, x: Any, offsets: Any, *, windows: Windows) -> Any:
    """Zeros, to which every window's x is added at its offset."""
    return add_to_maxima(xp, x, offsets, windows)


@fusable
def add_to_maxima(xp: Any, x: Any, offsets: Any, windows: Windows) -> Any:
    """The same on arrays; every offset is on the input, as those of maxima are."""
    apart = all(map(operator.ge, windows.stride, map(extent, windows.size, windows.dilation)))
    out = xp.new_zeros(x, shape=(*x.shape[: -len(windows.size)], *windows.lengths))

    def kernel(out: Any, x: Any, offsets: Any) -> None:
        for number, taken, seen in slices_of(windows):
            values = xp.keep(x[taken], xp.equal(offsets[taken], number))
            if apart:
                xp.setitem(out[seen], ..., values)
            else:
                xp.add_into(out[seen], values)

    by_rows(xp, kernel, out, x, offsets, grain=GRAIN)
    return out


@primitive(name="Gather")
def take_at_offsets(xp: Any, x: Any, offsets: Any, *, windows: Windows) -> Any:
    """The element of x at every window's offset."""
    out = xp.new_zeros(x, shape=offsets.shape)
    for number, taken, seen in slices_of(windows):
        xp.add_into(out[taken], xp.keep(x[seen], xp.equal(offsets[taken], number)))
    return out


add_at_offsets.vjps(x=lambda xp, g, offsets, windows: apply(take_at_offsets.primitive, g, offsets, windows=windows))
take_at_offsets.vjps(x=lambda xp, g, offsets, windows: apply(add_at_offsets.primitive, g, offsets, windows=windows))


def slices_of(windows: Windows) -> Iterator[tuple[int, Any, Any]]:
    """For every offset its number, the windows in which it is on the input, and where it falls."""
    for number, axes in enumerate(itertools.product(*(overlaps(*numbers) for _, numbers in windows.axes()))):
        taken, seen = ((..., *slices) for slices in zip(*axes, strict=True))
        yield number, taken, seen


# ---- elements of planes: places count over the last axes of an array, and every plane of these has its own


def across_planes(xp: Any, places: Any, shape: Shape, rank: int) -> Any:
    """Places in the planes of an array with this shape as places in its memory, in one dimension."""
    planes = math.prod(shape[: len(shape) - rank])
    starts = xp.arange(planes, dtype="int64") * math.prod(shape[len(shape) - rank :])
    rows = xp.reshape(places, (planes, math.prod(places.shape[places.ndim - rank :])))
    return xp.reshape(rows + xp.expand_dims(starts, axis=-1), (-1,))


@primitive(name="ScatterAdd")
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
    return sum_windows(xp, x, windows)


@primitive(name="AvgPoolBackward")
def spread_pool(xp: Any, x: Any, *, windows: Windows) -> Any:
    """The transposed of that: for every element the sum of the values of all windows that it is in."""
    return spread_windows(xp, x, windows)


sum_pool.vjp(lambda xp, g, windows: apply(spread_pool.primitive, g, windows=windows))
spread_pool.vjp(lambda xp, g, windows: apply(sum_pool.primitive, g, windows=windows))


@fusable
def sum_windows(xp: Any, x: Any, windows: Windows) -> Any:
    """`sum_pool` on arrays."""
    for axis, numbers in windows.axes():
        x = accumulated(xp, x, axis, numbers[1], overlaps(*numbers))
    return x


@fusable
def spread_windows(xp: Any, x: Any, windows: Windows) -> Any:
    """`spread_pool` on arrays."""
    for axis, numbers in windows.axes():
        x = accumulated(xp, x, axis, numbers[0], [(seen, taken) for taken, seen in overlaps(*numbers)])
    return x


def accumulated(xp: Any, x: Any, axis: int, length: int, moves: Moves) -> Any:
    """Zeros, `length` along an axis, to which slices of x have been added."""
    out, rest = begun(xp, x, axis, length, moves, 0)
    for target, source in rest:
        xp.add_into(out[along(axis, x.ndim, target)], x[along(axis, x.ndim, source)])
    return out


def begun(xp: Any, x: Any, axis: int, length: int, moves: Moves, neutral: Any) -> tuple[Any, Moves]:
    """A result, `length` along an axis: a copy of the first slice that fills it, or neutral; and what is left to do."""
    for i, (target, source) in enumerate(moves):
        if target == slice(0, length):
            return xp.copy(x[along(axis, x.ndim, source)]), moves[:i] + moves[i + 1 :]
    shape = (*x.shape[:axis], length, *x.shape[x.ndim + axis + 1 :])
    return xp.full(shape, neutral, dtype=x.dtype), moves
