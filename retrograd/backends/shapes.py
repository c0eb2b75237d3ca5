"""What both backends need to know about shapes and indices, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from retrograd.backends.contract import Axis

__all__ = ["elements_along", "normalized_axis", "split_index", "window_layout"]


def normalized_axis(axis: int, ndim: int) -> int:
    """An axis counted from the front. Raises ValueError when there is no such axis; a 0-d array has axis 0."""
    rank = ndim or 1
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is out of range for an array with {ndim} dimensions.")
    return axis % rank


def elements_along(shape: tuple[int, ...], axis: Axis) -> int:
    """How many elements a reduction over `axis` takes together."""
    if axis is None or not shape:
        return math.prod(shape)
    if isinstance(axis, int):
        return shape[axis]
    return math.prod(shape[a] for a in axis)


def window_layout(
    shape: tuple[int, ...], strides: tuple[int, ...], window: tuple[int, ...], axes: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides of the view that shows every window; the window's axes come last."""
    places = list(shape)
    for length, axis in zip(window, axes, strict=True):
        places[axis] -= length - 1
        if length < 1 or places[axis] < 1:
            raise ValueError(f"sliding_window_view: window {window} does not fit shape {shape} on axes {axes}.")
    return (*places, *window), (*strides, *(strides[axis] for axis in axes))


def split_index(index: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """An index in two steps: integers, slices and new axes first (a view), arrays on what remains.

    NumPy takes an integer beside an array for a 0-d array, which can move axes: x[0, :, i] has i's axes first. In two
    steps they stay where they are, as in PyTorch.
    """
    view: list[Any] = []
    rest: list[Any] = []
    for part in index:
        if part is None or part is Ellipsis or isinstance(part, slice):
            view.append(part)
            rest.append(part if part is Ellipsis else slice(None))
        elif isinstance(part, int) or getattr(part, "ndim", 1) == 0:
            view.append(part)
        else:
            is_mask = getattr(part, "dtype", None) == "bool"
            view += [slice(None)] * (part.ndim if is_mask else 1)
            rest.append(part)
    return tuple(view), tuple(rest)
