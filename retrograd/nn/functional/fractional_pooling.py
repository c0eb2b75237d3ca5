"""Max pooling by a fraction: windows whose steps vary at random between two integers. Graham 2014, section 2.

Shapes: input (batch, channels, *lengths) or (channels, *lengths); the last two or three dimensions are pooled. Every
channel has windows of its own.
"""

from __future__ import annotations

from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.random import rand
from retrograd.autograd.tensor import Tensor
from retrograd.autograd.windows import per_axis
from retrograd.nn.functional.adaptive_pooling import even_windows, index_tensor
from retrograd.nn.functional.pooling import check_planes, of_rank

__all__ = [
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
]


def fractional_max_pool(
    function: str,
    rank: int,
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The maxima of output_size windows at random places, or of output_ratio times as many as the input is long.

    _random_samples (batch, channels, rank), between 0 and 1, decide the places; they are drawn where none are given.
    """
    check_planes(function, input, rank)
    size = per_axis(function, "kernel_size", kernel_size, rank)
    lengths = input.shape[-rank:]
    counts = window_counts(function, lengths, output_size, output_ratio)
    for length, count, reach in zip(lengths, counts, size):
        if count + reach - 1 > length:
            raise RuntimeError(
                f"{function}: kernel_size {size} is too large relative to input {input.shape} for {counts} windows."
            )
    samples = _random_samples
    if samples is None:
        samples = rand(input.shape[0] if input.ndim == rank + 2 else 1, input.shape[-rank - 1], rank, dtype=input.dtype)
        samples = samples.to(input.device)
    check_samples(function, input, rank, samples)
    planes = input.reshape(-1, *lengths)
    spread, sources = planes, []
    for dimension in range(rank):
        sample = samples[..., dimension if rank == 3 else 1 - dimension].reshape(-1, 1)
        source = window_elements(sample[: len(planes)], lengths[dimension], counts[dimension], size[dimension])
        sources.append(source)
        spread = picked(spread, dimension + 1, source)
    windows = even_windows(spread.shape[1:], counts)
    out = ops.max_pool(spread, windows=windows)
    shape = (*input.shape[:-rank], *counts)
    if not return_indices:
        return out.reshape(shape)
    places = ops.places_of_maxima(spread, windows=windows)
    return out.reshape(shape), original_places(places, lengths, sources).reshape(shape)


def window_counts(function: str, lengths: tuple[int, ...], output_size: Any, output_ratio: Any) -> tuple[int, ...]:
    """How many windows are asked for."""
    rank = len(lengths)
    if output_size is not None:
        return per_axis(function, "output_size", output_size, rank, 1)
    if output_ratio is None:
        raise ValueError(f"{function} requires specifying either an output_size or an output_ratio.")
    ratios = tuple(output_ratio)
    if len(ratios) not in (1, rank):
        raise ValueError(f"{function}: output_ratio must be {rank} numbers, got {output_ratio!r}.")
    ratios = ratios * rank if len(ratios) == 1 else ratios
    return tuple(int(length * ratio) for length, ratio in zip(lengths, ratios))


def check_samples(function: str, input: Tensor, rank: int, samples: Tensor) -> None:
    """Raises RuntimeError unless there is a sample for each dimension of every channel."""
    batch = input.shape[0] if input.ndim == rank + 2 else 1
    fits = samples.ndim == 3 and samples.shape[0] >= batch and samples.shape[1:] == (input.shape[-rank - 1], rank)
    if not fits or samples.dtype != input.dtype:
        raise RuntimeError(
            f"{function}: Expect _random_samples of shape {(batch, input.shape[-rank - 1], rank)} and {input.dtype}, "
            f"got {samples.shape} and {samples.dtype}."
        )


def window_elements(sample: Tensor, length: int, count: int, size: int) -> Tensor:
    """Indices (planes, count · size) of the elements of all windows, one after the other. Graham 2014, section 2.1.

    Window i starts at ⌊(i + u) α⌋ − ⌊u α⌋, u being the sample; the last one ends with the input.
    """
    steps = index_tensor(sample, list(range(count)))
    alpha = (length - size) / (count - 1) if count > 1 else 0.0
    starts = ((steps + sample) * alpha).long() - (sample * alpha).long()
    starts = starts.where(steps < count - 1, length - size)
    return (starts.unsqueeze(2) + index_tensor(sample, list(range(size)))).reshape(-1, count * size)


def picked(x: Tensor, dim: int, source: Tensor) -> Tensor:
    """The elements of x (planes, *lengths) along a dimension at the places of each plane."""
    shape = [len(x), *(1 for _ in x.shape[1:])]
    shape[dim] = source.shape[1]
    full = [*x.shape]
    full[dim] = source.shape[1]
    return x.gather(dim, source.reshape(shape).expand(full))


def original_places(places: Tensor, lengths: tuple[int, ...], sources: list[Tensor]) -> Tensor:
    """Places among the elements of all windows as places in the input."""
    stride, found = 1, places.new_zeros(places.shape)
    for length, source in zip(reversed(lengths), reversed(sources)):
        own = (places % source.shape[1]).reshape(len(source), -1)
        found = found + source.gather(1, own).reshape(places.shape) * stride
        places, stride = places // source.shape[1], stride * length
    return found


fractional_max_pool2d, fractional_max_pool3d = (of_rank(fractional_max_pool, rank) for rank in (2, 3))
fractional_max_pool2d_with_indices, fractional_max_pool3d_with_indices = (
    of_rank(fractional_max_pool, rank, return_indices=True) for rank in (2, 3)
)
