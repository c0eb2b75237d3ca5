"""The two sides of the matrix product that a convolution is: copies of the input before it, sums of parts after it.

Laid out, an array is (groups, *places, channels of a group, samples, *lattice), where places are those of a window, and
the lattice are the positions at which the product is taken. `laid_out` copies an array once for every place along some
axes, moved; `collect`, its adjoint, sums over them.

A run of memory costs its start, so runs are made long: all rows are moved as if they were one, and what runs over from
one into the next is cleared. A stride is met by parting an axis into its phases (every second element, and those in
between): windows move over each by single steps. Padding is never laid out.
"""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd.ops.shape import along
from retrograd.autograd.windows import Moves, Windows, overlaps

__all__ = ["by_group", "collect", "laid_out"]

Shape = tuple[int, ...]


def by_group(xp: Any, x: Any, groups: int) -> Any:
    """(samples, channels, *positions) as a view (groups, channels of a group, samples, *positions)."""
    samples, channels, *positions = x.shape
    parted = xp.reshape(x, (samples, groups, channels // groups, *positions))
    return xp.permute_dims(parted, (1, 2, 0, *range(3, x.ndim + 1)))


def moves_along(axis: int, windows: Windows, transposed: bool) -> tuple[Moves, int]:
    """For every place in the window the slices of an axis it moves to and from, and the axis' length thereafter."""
    moves = overlaps(*(numbers[axis] for numbers in windows))
    if transposed:
        return [(seen, taken) for taken, seen in moves], windows.lengths[axis]
    return moves, windows.counts[axis]


def in_phase(part: slice, step: int) -> tuple[int, slice]:
    """A slice with a step as one of a phase: which phase, and where in it."""
    start = part.start or 0
    return start % step, slice(start // step, start // step - (start - part.stop) // step)


# ---- copies


def laid_out(xp: Any, x: Any, groups: int, axes: Shape, windows: Windows, transposed: bool) -> Any:
    """x (samples, channels, *positions) copied once for every place in the window along the axes, as a matrix.

    Transposed, x has windows for positions, and each stands where its places fall on the input.
    """
    rank = len(windows.size)
    x = by_group(xp, xp.ascontiguousarray(x), groups)
    shrinks = max(windows.stride) > 1 and not transposed
    for axis in axes if shrinks else axes[::-1]:  # what shrinks does so in long runs first
        x = copies(xp, x, x.ndim - rank - 2 if shrinks else 1, axis, windows, transposed)
    return xp.reshape(x, (groups, math.prod(x.shape[1 : -rank - 1]), math.prod(x.shape[-rank - 1 :])))


def copies(xp: Any, x: Any, at: int, axis: int, windows: Windows, transposed: bool) -> Any:
    """x once for every place along an axis, moved; the places are a new axis, `at`."""
    moves, length = moves_along(axis, windows, transposed)
    shape = [*x.shape[:at], len(moves), *x.shape[at:]]
    shape[axis] = length
    out = xp.empty(tuple(shape), dtype=x.dtype)
    step = 1 if transposed else windows.stride[axis]
    phases = [x[along(axis, x.ndim, slice(phase, None, step))] for phase in range(step)]
    in_rows = axis == -1 and len(windows.size) > 1 and (not transposed or windows.stride[-1] == 1)
    if in_rows and len(moves) > step > 1:
        phases = [xp.ascontiguousarray(phase) for phase in phases]
    elif step > 1:
        in_rows = False
    for place, (target, source) in enumerate(moves):
        phase, source = in_phase(source, step)
        copy = out[(*[slice(None)] * at, place)]
        if in_rows and target.stop and phases[phase].shape[-1] == length:
            put_rows(xp, copy, target, source, phases[phase])
        else:
            put(xp, copy, axis, target, phases[phase][along(axis, x.ndim, source)])
    return out


def put(xp: Any, out: Any, axis: int, target: slice, part: Any) -> None:
    """Writes a part to a slice of an axis, and zeros to the rest of it."""
    if target.step in (None, 1):
        clear(xp, out, axis, target)
    else:
        xp.setitem(out, ..., 0)
    xp.setitem(out[along(axis, out.ndim, target)], ..., part)


def put_rows(xp: Any, out: Any, target: slice, source: slice, x: Any) -> None:
    """Writes a slice of the last axis of x to one of `out`, which is as long, and zeros to the rest of it: all rows of
    an image as one."""
    long, wide = ((*a.shape[:-2], a.shape[-2] * a.shape[-1]) for a in (out, x))
    shift = (target.start or 0) - (source.start or 0)
    into, of = slice(max(shift, 0), long[-1] + min(shift, 0)), slice(max(-shift, 0), long[-1] - max(shift, 0))
    xp.setitem(xp.reshape(out, long)[..., into], ..., xp.reshape(x, wide)[..., of])
    clear(xp, out, -1, target)


def clear(xp: Any, out: Any, axis: int, but: slice) -> None:
    """Writes zeros before and behind a slice of an axis."""
    for gap in (slice(0, but.start or 0), slice(but.stop, out.shape[axis])):
        if gap.start < gap.stop:
            xp.setitem(out[along(axis, out.ndim, gap)], ..., 0)


# ---- sums


def collect(
    xp: Any, out: Any, y: Any, axes: Shape, windows: Windows, transposed: bool, bias: Any | None = None
) -> None:
    """Writes to `out`, grouped, the sum over the places along the axes of a product y, plus a bias. y is used up."""
    for axis in axes:
        moves, length = moves_along(axis, windows, transposed)
        y = xp.ascontiguousarray(y)
        if transposed and windows.stride[axis] > 1:
            total = out
            if axis != axes[-1]:
                shape = [y.shape[0], *y.shape[2:]]
                shape[axis] = length
                total = xp.empty(tuple(shape), dtype=y.dtype)
            put_phases(xp, total, y, axis, moves, windows.stride[axis])
            y = total
        else:
            y = sum_of(xp, y[:, 0], [(y[:, place], *move) for place, move in enumerate(moves)], axis, length)
    if bias is not None:
        xp.add(y, bias, out=out)
    elif y is not out:
        xp.setitem(out, ..., y)


def put_phases(xp: Any, out: Any, y: Any, axis: int, moves: Moves, step: int) -> None:
    """Writes to `out` the sum over the places of y along an axis on which they move to every step-th element."""
    phases: list[Parts] = [[] for _ in range(step)]
    for place, (target, source) in enumerate(moves):
        phase, target = in_phase(target, step)
        phases[phase].append((y[:, place], target, source))
    for phase, parts in enumerate(phases):
        part = out[along(axis, out.ndim, slice(phase, None, step))]
        xp.setitem(part, ..., sum_of(xp, part, parts, axis, part.shape[axis]) if parts else 0)


Parts = list[tuple[Any, slice, slice]]
"""What is added up: an array, the slice of the sum it goes to, and the slice of its own that goes there."""


def sum_of(xp: Any, like: Any, parts: Parts, axis: int, length: int) -> Any:
    """The sum, of this length along an axis. It stands in the first part that fills it, if there is one."""
    parts = [(part, target, source) for part, target, source in parts if target.stop]
    for total, target, first in parts:
        if target.start == 0 and target.stop == length and first.step in (None, 1):
            for part, target, source in parts:
                if part is not total:
                    add_rows(xp, total, part, axis, source.start - target.start - first.start)
            return total[along(axis, total.ndim, slice(first.start, first.stop))]
    shape = list(like.shape)
    shape[axis] = length
    total = xp.zeros(tuple(shape), dtype=like.dtype)
    for part, target, source in parts:
        xp.add_into(total[along(axis, total.ndim, target)], part[along(axis, total.ndim, source)])
    return total


def add_rows(xp: Any, total: Any, part: Any, axis: int, shift: int) -> None:
    """Adds to every element of `total` that of a part so far behind it along an axis: all rows as one."""
    length = part.shape[axis]
    clear(xp, part, axis, slice(max(shift, 0), length + min(shift, 0)))
    groups, elements = part.shape[0], math.prod(part.shape[1:])
    behind = shift * math.prod(part.shape[part.ndim + axis + 1 :])
    into, of = (slice(max(move, 0), elements + min(move, 0)) for move in (-behind, behind))
    xp.add_into(xp.reshape(total, (groups, elements))[:, into], xp.reshape(part, (groups, elements))[:, of])
