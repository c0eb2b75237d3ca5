"""The arithmetic of windows that slide over an axis: shared by convolution, pooling, unfolding and receptive fields.

Along one axis a window is `size` elements that lie `dilation` apart; it moves by `stride` over the input, which has
`padding` elements more on either side. Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning".
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from retrograd.autograd.tensor import Tensor

__all__ = [
    "Moves",
    "Windows",
    "extent",
    "output_length",
    "overlaps",
    "per_axis",
    "sliding",
    "transposed_length",
]

Shape = tuple[int, ...]


def per_axis(function: str, name: str, value: Any, rank: int, least: int = 1) -> tuple[int, ...]:
    """An integer, or one for each of `rank` axes, as a tuple; those below `least` raise RuntimeError."""
    values = (value,) * rank if isinstance(value, int) or hasattr(value, "__index__") else tuple(value)
    if len(values) == 1:
        values *= rank
    if len(values) != rank:
        raise RuntimeError(f"{function}: {name} must be an integer or {rank} of them, got {value!r}.")
    if any(isinstance(v, (float, str, Tensor)) and not hasattr(v, "__index__") for v in values):
        raise TypeError(f"{function}: {name} must be an integer or {rank} of them, got {value!r}.")
    integers = tuple(int(v) for v in values)
    if min(integers, default=least) < least:
        raise RuntimeError(f"{function}: {name} must be at least {least}, got {value!r}.")
    return integers


def extent(size: int, dilation: int = 1) -> int:
    """How many elements a window spans: (size − 1)·dilation + 1."""
    return (size - 1) * dilation + 1


def output_length(
    length: int, size: int, stride: int = 1, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """How many windows fit: ⌊(length + 2·padding − extent)/stride⌋ + 1; zero or less where none does.

    With `ceil_mode` the last one may reach past the end, provided that it starts on the input or its left padding.
    """
    room = length + 2 * padding - extent(size, dilation)
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= length + padding else count


def transposed_length(
    length: int, size: int, stride: int = 1, padding: int = 0, dilation: int = 1, output_padding: int = 0
) -> int:
    """The length whose windows are `length` in number, plus `output_padding`: the inverse of `output_length`."""
    return (length - 1) * stride - 2 * padding + extent(size, dilation) + output_padding


def sliding(xp: Any, x: Any, size: Sequence[int], stride: Sequence[int], dilation: Sequence[int] | None = None) -> Any:
    """View of every window over the last axes of an array: (..., *counts, *size). Nothing is padded or copied."""
    rank = len(size)
    dilation = dilation or (1,) * rank
    axes = tuple(range(x.ndim - rank, x.ndim))
    view = xp.sliding_window_view(x, tuple(map(extent, size, dilation)), axes)
    return view[(..., *(slice(None, None, s) for s in stride), *(slice(None, None, d) for d in dilation))]


Moves = list[tuple[slice, slice]]
"""Along one axis: slices of the result, and the slices of the input that go there."""


class Windows(NamedTuple):
    """Windows over the last axes of an array: each field has a number per axis."""

    lengths: Shape
    """Of the axes."""
    counts: Shape
    """How many windows there are."""
    size: Shape
    stride: Shape
    padding: Shape
    dilation: Shape

    def axes(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Every axis, counted from the end, with its numbers."""
        rank = len(self.size)
        return zip(range(-rank, 0), zip(*self, strict=True))


@functools.lru_cache(4096)
def overlaps(length: int, count: int, size: int, stride: int, padding: int, dilation: int) -> Moves:
    """For every offset in a window: the windows in which it falls on the input, and where it falls."""
    found = []
    for offset in range(-padding, size * dilation - padding, dilation):
        first = max(0, -(offset // stride))
        last = min(count - 1, (length - 1 - offset) // stride)
        start = first * stride + offset
        stop = last * stride + offset + 1
        found.append((slice(first, last + 1), slice(start, stop, stride)) if last >= first else (slice(0), slice(0)))
    return found
