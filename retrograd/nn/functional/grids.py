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
    out: Tensor = ops.grid_samples(input, grid, mode=mode, padding_mode=padding_mode, align_corners=bool(align_corners))
    return out


def check_sampling(input: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    """Raises where the arguments do not fit each other."""
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"grid_sample: mode must be 'bilinear', 'nearest' or 'bicubic', got {mode!r}.")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"grid_sample: padding_mode must be 'zeros', 'border' or 'reflection', got {padding_mode!r}.")
    if input.ndim not in (4, 5) or grid.ndim != input.ndim or grid.shape[-1] != input.ndim - 2:
        raise RuntimeError(
            f"grid_sample: Expected 4-D input with a grid (batch, H, W, 2), or 5-D input with (batch, D, H, W, 3), "
            f"got {shapes(input, grid)}."
        )
    if input.shape[0] != grid.shape[0]:
        raise RuntimeError(f"grid_sample: Expected grid and input to have same batch size, got {shapes(input, grid)}.")
    if input.dtype != grid.dtype or input.dtype.kind != "f":
        raise RuntimeError(
            f"grid_sample: Expected input and grid to have the same floating dtype, got {input.dtype} and {grid.dtype}."
        )
    if 0 in input.shape[2:]:
        raise RuntimeError(f"grid_sample: Expected input to have non-empty spatial dimensions, got {input.shape}.")
    if mode == "bicubic" and input.ndim != 4:
        raise RuntimeError(f"grid_sample: bicubic interpolation only supports 4D input, got {shapes(input, grid)}.")


def shapes(input: Tensor, grid: Tensor) -> str:
    """What a message says was given."""
    return f"input {input.shape} and grid {grid.shape}"
