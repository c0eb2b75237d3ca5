"""Sliding windows as columns of a matrix, and back."""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor
from retrograd.autograd.windows import Windows, output_length, per_axis

__all__ = ["fold", "unfold"]

Sizes = Any
"""An integer, or a pair."""
Shape = tuple[int, ...]


def unfold(input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Tensor:
    """Every window of input (N, C, H, W) as a column: (N, C · kernel, number of windows); without N too.

    Raises RuntimeError for another number of dimensions, and where no window fits.
    """
    sizes = checked(function="unfold", kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)
    if input.ndim not in (3, 4) or 0 in input.shape[-3:]:
        raise (IndexError if input.ndim < 3 else RuntimeError)(
            f"unfold: expected (N, C, H, W) or (C, H, W), only N may be 0, got {input.shape}; see Tensor.unfold."
        )
    windows = windows_over("unfold", input.shape[-2:], *sizes)
    x = input if input.ndim == 4 else ops.expand_dims(input, axis=0)
    out: Tensor = ops.columns_of_windows(x, windows=windows)
    return out if x is input else ops.squeeze(out, axis=0)


def fold(
    input: Tensor,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """Columns (N, C · kernel, number of windows) added up where `unfold` takes them from: (N, C, *output_size).

    Raises RuntimeError where the columns are not of that length or number. Without N too.

    >>> import retrograd as rg
    >>> F = rg.nn.functional
    >>> F.fold(F.unfold(rg.ones(1, 1, 3, 3), 2), (3, 3), 2).tolist()  # how many windows hold each element
    [[[[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]]]
    """
    lengths = per_axis("fold", "output_size", output_size, 2)
    sizes = checked(function="fold", kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)
    windows = windows_over("fold", lengths, *sizes)
    window, count = math.prod(windows.size), math.prod(windows.counts)
    if input.ndim not in (2, 3) or not input.shape[-2] or input.shape[-2] % window or input.shape[-1] != count:
        raise RuntimeError(
            f"fold: expected (N, channels·{window}, {count}) or the same without N, for {windows.counts} windows of "
            f"{windows.size} in {lengths}, got {input.shape}."
        )
    x = input if input.ndim == 3 else ops.expand_dims(input, axis=0)
    out: Tensor = ops.windows_of_columns(x, windows=windows)
    return out if x is input else ops.squeeze(out, axis=0)


def checked(function: str, **sizes: Sizes) -> list[Shape]:
    """Pairs of these; only the padding may be 0."""
    return [per_axis(function, name, value, 2, int(name != "padding")) for name, value in sizes.items()]


def windows_over(function: str, lengths: Shape, size: Shape, dilation: Shape, padding: Shape, stride: Shape) -> Windows:
    """The windows of these sizes; RuntimeError where there is none."""
    counts = tuple(map(output_length, lengths, size, stride, padding, dilation))
    if min(counts) < 1:
        raise RuntimeError(
            f"{function}: no window of {size} with dilation {dilation} and padding {padding} fits lengths {lengths}."
        )
    return Windows(tuple(lengths), counts, size, stride, padding, dilation)
