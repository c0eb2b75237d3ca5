"""Parts of images, and images with a border."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrograd.autograd import ops
from retrograd.autograd.methods.random import Generator, chosen
from retrograd.autograd.tensor import Tensor
from retrograd.data.transforms.base import Transform, gathered, on_device_of, pair

__all__ = ["CenterCrop", "Pad", "RandomCrop", "padded"]

Indices = NDArray[np.int64]
Places = NDArray[np.bool_]
Padding = int | Sequence[int]

_MODES = ("constant", "edge", "reflect", "symmetric")


def padded(images: Tensor, border: Sequence[int], fill: float, mode: str) -> Tensor:
    """Images with a border (left, top, right, bottom), constant or made of their own pixels."""
    if not any(border):
        return images
    left, top, right, bottom = border
    rows, row_is_real = _laid_out(images.shape[2], top, bottom, mode)
    columns, column_is_real = _laid_out(images.shape[3], left, right, mode)
    out: Tensor = images[:, :, rows][:, :, :, columns]
    return _filled(out, row_is_real[None, :, None] & column_is_real[None, None], fill)


def _laid_out(length: int, before: int, after: int, mode: str) -> tuple[Indices, Places]:
    """Along an axis with a border, which pixel stands at every place, and whether that is the image's or a filling."""
    pad: Any = "edge" if mode == "constant" else mode
    real = np.pad(np.ones(length, bool), (before, after), constant_values=mode != "constant")
    return np.pad(np.arange(length), (before, after), mode=pad), real


def _filled(images: Tensor, real: Places, fill: float) -> Tensor:
    """Images with `fill` where they are not real, (N or 1, H, W)."""
    if real.all():
        return images
    out: Tensor = ops.where(on_device_of(images, real[:, None]), images, fill)
    return out


def _border(caller: str, padding: Padding) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of: one for all, (left and right, top and bottom), or four."""
    values = [padding] if isinstance(padding, int) else list(padding)
    if len(values) not in (1, 2, 4) or any(v < 0 for v in values):
        raise ValueError(f"{caller}: padding must be 1, 2 or 4 integers of 0 or more, got {padding!r}.")
    left, top, right, bottom = (values * 4)[:4]
    return left, top, right, bottom


def _checked_mode(caller: str, mode: str) -> str:
    if mode not in _MODES:
        raise ValueError(f"{caller}: padding_mode must be one of {', '.join(_MODES)}, got {mode!r}.")
    return mode


class Pad(Transform):
    """A border of `padding` pixels: one number for all sides, (left and right, top and bottom), or (left, top, right,
    bottom); filled with `fill`, or by "edge", "reflect" (without the edge pixel) or "symmetric" (with it).

    >>> import retrograd as rg
    >>> Pad((1, 0))(rg.ones(1, 1, 2))
    tensor([[[0., 1., 1., 0.]]])
    """

    def __init__(self, padding: Padding, fill: float = 0, padding_mode: str = "constant") -> None:
        self.padding, self.fill = padding, fill
        self.padding_mode = _checked_mode("Pad", padding_mode)
        self._border = _border("Pad", padding)

    def _apply(self, images: Tensor) -> Tensor:
        return padded(images, self._border, self.fill, self.padding_mode)

    def _facts(self) -> dict[str, Any]:
        return {"padding": self.padding, "fill": self.fill, "padding_mode": self.padding_mode}


class CenterCrop(Transform):
    """The middle (height, width) of every image; smaller ones get a border of zeros first.

    >>> import retrograd as rg
    >>> CenterCrop(1)(rg.arange(9.0).reshape(1, 3, 3))
    tensor([[[4.]]])
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = pair("CenterCrop", "size", size)

    def _apply(self, images: Tensor) -> Tensor:
        height, width = self.size
        missing = [max(0, height - images.shape[2]), max(0, width - images.shape[3])]
        border = (missing[1] // 2, missing[0] // 2, (missing[1] + 1) // 2, (missing[0] + 1) // 2)
        images = padded(images, border, 0, "constant")
        top, left = (round((length - size) / 2) for length, size in zip(images.shape[2:], self.size))
        out: Tensor = images[:, :, top : top + height, left : left + width]
        return out

    def _facts(self) -> dict[str, Any]:
        return {"size": self.size}


class RandomCrop(Transform):
    """A part (height, width) of every image, each at a random place, after a border as of `Pad`.

    pad_if_needed: images that are too small get a border on both sides. Raises ValueError for them otherwise.

    >>> import retrograd as rg
    >>> RandomCrop(32, padding=4)(rg.rand(8, 3, 32, 32)).shape
    (8, 3, 32, 32)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: Padding | None = None,
        pad_if_needed: bool = False,
        fill: float = 0,
        padding_mode: str = "constant",
        *,
        generator: Generator | None = None,
    ) -> None:
        self.size = pair("RandomCrop", "size", size)
        self.padding, self.pad_if_needed, self.fill = padding, pad_if_needed, fill
        self.padding_mode = _checked_mode("RandomCrop", padding_mode)
        self._border = _border("RandomCrop", 0 if padding is None else padding)
        self.generator = generator

    def _apply(self, images: Tensor) -> Tensor:
        left, top, right, bottom = self._border
        (rows, row_is_real), (columns, column_is_real) = (
            self._drawn(len(images), *axis)
            for axis in zip(self.size, images.shape[2:], (top, left), (bottom, right), ("high", "wide"))
        )
        places = rows[:, :, None] * images.shape[3] + columns[:, None, :]
        found = gathered(images, on_device_of(images, places.reshape(len(images), math.prod(self.size))))
        out = found.reshape(*images.shape[:2], *self.size)
        return _filled(out, row_is_real[:, :, None] & column_is_real[:, None, :], self.fill)

    def _drawn(self, count: int, size: int, length: int, before: int, after: int, way: str) -> tuple[Indices, Places]:
        """For every image the pixels along an axis of its part, and which of them are real, (count, size)."""
        missing = size - (length + before + after)
        if missing > 0:
            if not self.pad_if_needed:
                raise ValueError(
                    f"RandomCrop: no part {size} {way} in images that are {length + before + after} {way} with their "
                    "padding;\n  give more padding, or pad_if_needed=True."
                )
            before, after = before + missing, after + missing
        pixels, real = _laid_out(length, before, after, self.padding_mode)
        starts = chosen(self.generator).randint(0, len(pixels) - size + 1, (count, 1))
        places = starts + np.arange(size)
        return pixels[places], real[places]

    def _facts(self) -> dict[str, Any]:
        return {"size": self.size, "padding": self.padding}
