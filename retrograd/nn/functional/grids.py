"""Sampling an image at the points of a grid, and grids from affine maps. Jaderberg et al. 2015, section 3.

Coordinates run from −1 to 1 over the image, along its width first; with align_corners these are the centres of the
outermost pixels, without it their outer edges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor, make, namespace

__all__ = ["affine_grid", "grid_sample"]


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The points to which affine maps move the pixels of an image of a size. Jaderberg et al. 2015, eq. 1.

    theta (batch, 2, 3) with size (batch, channels, H, W) gives (batch, H, W, 2); theta (batch, 3, 4) with size
    (batch, channels, D, H, W) gives (batch, D, H, W, 3).
    """
    rank = len(size) - 2
    if theta.dtype.kind != "f":
        raise ValueError(f"affine_grid: Expected theta to have floating point type, but got {theta.dtype}.")
    if rank not in (2, 3):
        raise NotImplementedError(f"affine_grid: size must have 4 or 5 numbers (2 or 3 lengths), got {tuple(size)}.")
    if min(size) <= 0:
        raise ValueError(f"affine_grid: Expected non-zero, positive output size. Got {tuple(size)}")
    if theta.shape != (size[0], rank, rank + 1):
        wanted = (size[0], rank, rank + 1)
        raise ValueError(f"affine_grid: Expected theta of shape {wanted} for size {tuple(size)}, got {theta.shape}.")
    lengths = tuple(size)[2:]
    with theta.device:
        points = pixel_centers(namespace(theta), lengths, bool(align_corners), theta.dtype)
    grid = make(points) @ theta.transpose(1, 2)
    return grid.reshape(size[0], *lengths, rank)


def pixel_centers(xp: Any, lengths: tuple[int, ...], align_corners: bool, dtype: Any) -> Any:
    """Homogeneous coordinates (pixels, rank + 1) of the pixels of an image, the width first."""
    rank = len(lengths)
    columns = []
    for dimension in reversed(range(rank)):
        length = lengths[dimension]
        reach = 1.0 if align_corners else (length - 1) / length
        places = xp.linspace(-reach, reach, length, dtype=dtype) if length > 1 else xp.zeros((1,), dtype=dtype)
        shape = [1] * rank
        shape[dimension] = length
        columns.append(xp.reshape(xp.broadcast_to(xp.reshape(places, tuple(shape)), lengths), (-1,)))
    return xp.stack([*columns, xp.ones((math.prod(lengths),), dtype=dtype)], axis=-1)


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """The input at the points of a grid: (batch, C, H, W) at (batch, *points, 2), or (batch, C, D, H, W) at 3 numbers.

    mode: "bilinear", "nearest" or, for images, "bicubic". padding_mode: what stands outside, "zeros", the nearest
    pixel of the "border", or the "reflection" at it. Differentiable in the input and in the grid.
    """
    check_sampling(input, grid, mode, padding_mode)
    align = bool(align_corners)
    lengths = input.shape[2:]
    image = Image(input, padding_mode, align)
    # The last coordinate belongs to the first length.
    places = [unnormalized(grid[..., -1 - i], n, align) for i, n in enumerate(lengths)]
    if mode == "bicubic":
        return image.sampled([bicubic_neighbours(place) for place in places])
    places = [image.inside(place, n) for place, n in zip(places, lengths)]
    if mode == "nearest":
        out = image.sampled([nearest_neighbour(place) for place in places])
        if grid.requires_grad:  # its gradient is 0
            out = out + grid.where(grid.new_zeros(grid.shape, dtype="bool"), 0.0).sum(-1).unsqueeze(1)
        return out
    return image.sampled([linear_neighbours(place) for place in places])


def check_sampling(input: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    """Raises where the arguments do not fit each other."""
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"grid_sample: mode must be 'bilinear', 'nearest' or 'bicubic', got {mode!r}.")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"grid_sample: padding_mode must be 'zeros', 'border' or 'reflection', got {padding_mode!r}.")
    shapes = f"input {input.shape} and grid {grid.shape}"
    if input.ndim not in (4, 5) or grid.ndim != input.ndim or grid.shape[-1] != input.ndim - 2:
        raise RuntimeError(
            f"grid_sample: Expected 4-D input with a grid (batch, H, W, 2), or 5-D input with (batch, D, H, W, 3), "
            f"got {shapes}."
        )
    if input.shape[0] != grid.shape[0]:
        raise RuntimeError(f"grid_sample: Expected grid and input to have same batch size, got {shapes}.")
    if input.dtype != grid.dtype or input.dtype.kind != "f":
        raise RuntimeError(
            f"grid_sample: Expected input and grid to have the same floating dtype, got {input.dtype} and {grid.dtype}."
        )
    if 0 in input.shape[2:]:
        raise RuntimeError(f"grid_sample: Expected input to have non-empty spatial dimensions, got {input.shape}.")
    if mode == "bicubic" and input.ndim != 4:
        raise RuntimeError(f"grid_sample: bicubic interpolation only supports 4D input, got {shapes}.")


def unnormalized(coordinate: Tensor, length: int, align_corners: bool) -> Tensor:
    """A coordinate between −1 and 1 as a place among the pixels."""
    if align_corners:
        return (coordinate + 1) / 2 * (length - 1)
    return ((coordinate + 1) * length - 1) / 2


class Image:
    """The pixels, and what stands outside of them."""

    def __init__(self, input: Tensor, padding_mode: str, align_corners: bool) -> None:
        self.lengths, self.padding_mode, self.align_corners = input.shape[2:], padding_mode, align_corners
        self.shape = input.shape[:2]
        self.pixels = input.reshape(*self.shape, math.prod(self.lengths))

    def inside(self, place: Tensor, length: int) -> Tensor:
        """A place on the image, unless zeros stand outside; its gradient is 0 where it was moved to the border."""
        if self.padding_mode == "zeros":
            return place
        if self.padding_mode == "reflection":
            low, high = (0.0, length - 1.0) if self.align_corners else (-0.5, length - 0.5)
            place = reflected(place, low, high)
        return ops.hardtanh(place, low=0.0, high=length - 1.0)

    def sampled(self, neighbours: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """The sum over all combinations of neighbours along the dimensions, weighted by the products of their weights:
        (batch, channels, *points)."""
        points = neighbours[0][0].shape[2:]
        batch, count = self.shape[0], math.prod(points)
        (index, weights, there), *others = (self.along(*each, n) for each, n in zip(neighbours, self.lengths))
        for (place, weight, within), length in zip(others, self.lengths[1:]):
            taps = index.shape[1] * place.shape[1]
            index = (index.unsqueeze(2) * length + place.unsqueeze(1)).reshape(batch, taps, count)
            weights = (weights.unsqueeze(2) * weight.unsqueeze(1)).reshape(batch, taps, count)
            there = (there.unsqueeze(2) & within.unsqueeze(1)).reshape(batch, taps, count)
        pixels = self.pixels
        if self.padding_mode == "zeros":  # a first pixel, 0, stands for all outside
            index = (index + 1) * there
            pixels = ops.concat(ops.new_zeros(pixels, shape=(*self.shape, 1)), pixels, axis=2)
        out: Tensor = ops.sample(pixels, weights, index)
        return out.reshape(*self.shape, *points)

    def along(self, place: Tensor, weight: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of neighbours along one dimension: indices, weights, and which of them are on the image; points flattened."""
        shape = (*place.shape[:2], math.prod(place.shape[2:]))
        place, weight = place.reshape(shape), weight.reshape(shape)
        if self.padding_mode != "zeros":
            place = self.inside(place, length)
        within = (place >= 0) & (place <= length - 1)  # what is NaN is nowhere
        if self.padding_mode == "zeros":
            weight = ops.keep(weight, within)
        return ops.keep(place, within).long(), weight, within


def reflected(place: Tensor, low: float, high: float) -> Tensor:
    """A place reflected at both ends as often as it takes."""
    span = high - low
    if span <= 0:
        return place * 0
    distance = (place - low).abs()
    turns = (distance.detach() / span).floor()
    rest = distance - turns * span
    return low + rest.where(turns % 2 == 0, span - rest)


# ---- whole places (batch, neighbours, *points) around places (batch, *points), and their weights


def nearest_neighbour(place: Tensor) -> tuple[Tensor, Tensor]:
    """The one."""
    whole = place.detach().round().unsqueeze(1)
    return whole, whole.new_ones(whole.shape)


def linear_neighbours(place: Tensor) -> tuple[Tensor, Tensor]:
    """The two around a place."""
    first = place.detach().floor()
    share = place - first
    return ops.stack(first, first + 1, axis=1), ops.stack(1 - share, share, axis=1)


def bicubic_neighbours(place: Tensor) -> tuple[Tensor, Tensor]:
    """The four around a place. Keys 1981 with a = −3/4."""
    first = place.detach().floor()
    t, offsets = place - first, (-1, 0, 1, 2)
    weights = [cubic_weight(abs_of(t, offset), abs(offset - 0.5) < 1, -0.75) for offset in offsets]
    return ops.stack(*[first + offset for offset in offsets], axis=1), ops.stack(*weights, axis=1)


def abs_of(t: Tensor, offset: int) -> Tensor:
    """The distance from a place, t beyond a pixel, to that pixel's neighbour."""
    return t - offset if offset <= 0 else offset - t


def cubic_weight(x: Tensor, near: bool, a: float) -> Tensor:
    """The kernel at a distance below 1 (near) or between 1 and 2."""
    return ((a + 2) * x - (a + 3)) * x * x + 1 if near else ((x - 5) * x + 8) * x * a - 4 * a
