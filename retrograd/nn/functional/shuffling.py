"""Rearrangements between channels and pixels. Shi et al. 2016, section 3.2; Zhang et al. 2018, section 3.1."""

from __future__ import annotations

import math
import operator

from retrograd.autograd.tensor import Tensor

__all__ = ["channel_shuffle", "native_channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C·r², H, W) → (*, C, H·r, W·r): the channels of a pixel become a square of pixels."""
    r = factor("pixel_shuffle", input, "upscale_factor", upscale_factor)
    *batch, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(
            f"pixel_shuffle: the channels of {input.shape} must be divisible by the square of upscale_factor {r}."
        )
    blocks = input.reshape(math.prod(batch), channels // (r * r), r, r, height, width)
    return blocks.permute(0, 1, 4, 2, 5, 3).reshape(*batch, channels // (r * r), height * r, width * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H·r, W·r) → (*, C·r², H, W): a square of pixels becomes the channels of one."""
    r = factor("pixel_unshuffle", input, "downscale_factor", downscale_factor)
    *batch, channels, height, width = input.shape
    if height % r or width % r:
        raise RuntimeError(
            f"pixel_unshuffle: height and width of {input.shape} must be divisible by downscale_factor {r}."
        )
    blocks = input.reshape(math.prod(batch), channels, height // r, r, width // r, r)
    return blocks.permute(0, 1, 3, 5, 2, 4).reshape(*batch, channels * r * r, height // r, width // r)


def factor(function: str, input: Tensor, name: str, value: int) -> int:
    """The factor; RuntimeError where it, or the input, is none to shuffle by."""
    if input.ndim < 3:
        raise RuntimeError(f"{function}: expects input to have at least 3 dimensions (*, C, H, W), got {input.shape}.")
    r = operator.index(value)
    if r < 1:
        raise RuntimeError(f"{function}: expects a positive {name}, got {r}.")
    return r


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """(batch, channels, *): from every group of channels in turn, one."""
    if input.ndim < 3:
        raise RuntimeError(f"channel_shuffle: expects input with > 2 dims (batch, channels, *), got {input.shape}.")
    if groups < 1 or input.shape[1] % groups:
        raise RuntimeError(
            f"channel_shuffle: the channels of {input.shape} must be divisible by groups, a positive number: {groups}."
        )
    batch, channels, *lengths = input.shape
    grouped = input.reshape(batch, groups, channels // groups, *lengths)
    return grouped.transpose(1, 2).reshape(input.shape)


native_channel_shuffle = channel_shuffle
