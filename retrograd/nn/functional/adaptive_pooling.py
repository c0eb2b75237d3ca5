"""Pooling to a given number of windows, which cover the input evenly. He et al. 2015 (there: bins).

Shapes: input (batch, channels, *lengths) or (channels, *lengths); the last one, two or three dimensions are pooled.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.ops.resampling import Taps
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.autograd.windows import Windows
from retrograd.nn.functional.pooling import mean_over, of_rank

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
]


def check_adaptive(function: str, input: Tensor, rank: int, channels: bool = True) -> None:
    """The same for pooling to a given size; without `channels` there may be none."""
    if input.ndim not in (rank + 1, rank + 2) or 0 in input.shape[-rank - channels :]:
        raise RuntimeError(
            f"{function}: Expected (batch, channels, *lengths) or (channels, *lengths) with {rank} lengths and "
            f"non-zero size for non-batch dimensions, got {input.shape}."
        )
    if input.dtype.kind != "f":
        raise NotImplementedError(f"{function} is not implemented for {input.dtype}; convert the input, e.g. x.float()")


def output_sizes(function: str, input: Tensor, rank: int, output_size: Any) -> tuple[int, ...]:
    """The lengths asked for; None leaves one as it is."""
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * rank
    if len(given) != rank:
        raise RuntimeError(f"{function}: output_size must be {rank}, an integer or one per dimension: {output_size!r}.")
    if rank == 1 and given[0] is None:
        raise TypeError(f"{function}: output_size must be an integer, got None.")
    lengths = input.shape[-rank:]
    sizes = tuple(n if wanted is None else operator.index(wanted) for n, wanted in zip(lengths, given))
    if min(sizes) < 0:
        raise RuntimeError(f"{function}: elements of output_size must be greater than or equal to 0, got {sizes}.")
    return sizes


def bounds(length: int, count: int) -> list[tuple[int, int]]:
    """Windows that cover an axis evenly: from ⌊i·length/count⌋ to ⌈(i + 1)·length/count⌉."""
    return [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def even_windows(lengths: tuple[int, ...], counts: tuple[int, ...]) -> Windows:
    """Windows side by side that cover lengths which their numbers divide."""
    size = tuple(map(operator.floordiv, lengths, counts))
    return Windows(lengths, counts, size, size, (0,) * len(size), (1,) * len(size))


def adaptive_avg_pool(function: str, rank: int, input: Tensor, output_size: Any) -> Tensor:
    """The means of windows that cover the input evenly, as many as asked for."""
    check_adaptive(function, input, rank, channels=False)
    sizes = output_sizes(function, input, rank, output_size)
    if set(sizes) == {1}:
        return input.mean(tuple(range(-rank, 0)), keepdim=True)
    lengths = input.shape[-rank:]
    if all(n and length % n == 0 for length, n in zip(lengths, sizes)):
        windows = even_windows(lengths, sizes)
        return mean_over(input, windows, math.prod(windows.size))
    for axis, length, n in zip(range(-rank, 0), lengths, sizes):
        if n != length:
            input = ops.resample(input, axis=axis, taps=means_over(length, n))
    return input


@functools.lru_cache(256)
def means_over(length: int, count: int) -> Taps:
    """The table of the means of windows that cover an axis evenly."""
    windows = bounds(length, count)
    longest = max((stop - start for start, stop in windows), default=1)
    sources, weights = np.zeros((count, longest), np.int64), np.zeros((count, longest))
    for row, (start, stop) in enumerate(windows):
        taken = stop - start
        sources[row], weights[row, :taken] = start, 1 / taken
        sources[row, :taken] += range(taken)
    return Taps(length, sources, weights)


def adaptive_max_pool(function: str, rank: int, input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of windows that cover the input evenly, as many as asked for, and where they stand.

    Windows of unequal size are laid out side by side first, the shorter ones with their last element repeated: that
    changes neither a maximum nor the place of the first.
    """
    check_adaptive(function, input, rank)
    sizes = output_sizes(function, input, rank, output_size)
    lengths = input.shape[-rank:]
    if 0 in sizes:
        empty = input.new_zeros((*input.shape[:-rank], *sizes))
        return (empty, empty.long()) if return_indices else empty
    if all(length % n == 0 for length, n in zip(lengths, sizes)):
        windows = even_windows(lengths, sizes)
        out = ops.max_pool(input, windows=windows)
        return (out, ops.places_of_maxima(input, windows=windows)) if return_indices else out
    sources = [laid_out(bounds(length, n)) for length, n in zip(lengths, sizes)]
    spread = input
    for axis, source in zip(range(-rank, 0), sources):
        spread = spread.index_select(axis, index_tensor(input, source))
    windows = even_windows(spread.shape[-rank:], sizes)
    out = ops.max_pool(spread, windows=windows)
    if not return_indices:
        return out
    places = ops.places_of_maxima(spread, windows=windows)
    return out, original_places(places, lengths, sources)


def laid_out(windows: list[tuple[int, int]]) -> list[int]:
    """Indices of the elements of all windows, each as long as the longest, its last element repeated."""
    longest = max(stop - start for start, stop in windows)
    return [min(start + i, stop - 1) for start, stop in windows for i in range(longest)]


def index_tensor(input: Tensor, indices: list[int]) -> Tensor:
    """Indices on the input's device."""
    with input.device:
        return make(namespace(input).asarray(indices, dtype="int64"))


def original_places(places: Tensor, lengths: tuple[int, ...], sources: list[list[int]]) -> Tensor:
    """Places in the laid out windows as places in the input."""
    stride, found = 1, places.new_zeros(places.shape)
    for length, source in zip(reversed(lengths), reversed(sources)):
        found = found + index_tensor(places, source)[places % len(source)] * stride
        places, stride = places // len(source), stride * length
    return found


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = (of_rank(adaptive_avg_pool, r) for r in (1, 2, 3))
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = (of_rank(adaptive_max_pool, r) for r in (1, 2, 3))
adaptive_max_pool1d_with_indices, adaptive_max_pool2d_with_indices, adaptive_max_pool3d_with_indices = (
    of_rank(adaptive_max_pool, rank, return_indices=True) for rank in (1, 2, 3)
)
