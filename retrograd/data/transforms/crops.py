"""Parts of images, and images with a border."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrograd.autograd import ops
from retrograd.autograd.methods.random import Generator, chosen
from retrograd.autograd.tensor import Tensor
from retrograd.data.transforms.base import Transform, on_device_of, pair

__all__ = ["CenterCrop", "Pad", "RandomCrop", "padded", "picked"]

Indices = NDArray[np.int64]
Padding = int | Sequence[int]

_MODES = ("constant", "edge", "reflect", "symmetric")


def picked(images: Tensor, rows: Indices, columns: Indices) -> Tensor:
    """Pixels of each image at its own rows (N, h) and columns (N, w): (N, C, h, w)."""
    count, channels, height, width = images.shape
    size = rows.shape[1] * columns.shape[1]
    places = (rows[:, :, None] * width + columns[:, None, :]).reshape(count, 1, size)
    indices = ops.broadcast_to(on_device_of(images, places), shape=(count, channels, size))
    flat = ops.reshape(images, shape=(count, channels, height * width))
    found = ops.take_along_axis(flat, indices, axis=2)
    out: Tensor = ops.reshape(found, shape=(count, channels, rows.shape[1], columns.shape[1]))
    return out


def padded(images: Tensor, border: Sequence[int], fill: float, mode: str) -> Tensor:
    """Images with a border (left, top, right, bottom), constant or made of their own pixels."""
    if not any(border):
        return images
    left, top, right, bottom = border
    pad = {"mode": "edge" if mode == "constant" else mode}
    _, _, height, width = images.shape
    rows = np.pad(np.arange(height), (top, bottom), **pad)  # type: ignore[call-overload]  # of NumPy's own names
    columns = np.pad(np.arange(width), (left, right), **pad)  # type: ignore[call-overload]
    count = len(images)
    out = picked(images, np.broadcast_to(rows, (count, len(rows))), np.broadcast_to(columns, (count, len(columns))))
    if mode != "constant":
        return out
    inside = np.zeros((len(rows), len(columns)), bool)
    inside[top : top + height, left : left + width] = True
    framed: Tensor = ops.where(on_device_of(images, inside), out, fill)
    return framed


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
        images = padded(images, self._border, self.fill, self.padding_mode)
        (height, width), rooms = self.size, [have - size for have, size in zip(images.shape[2:], self.size)]
        if min(rooms) < 0:
            if not self.pad_if_needed:
                raise ValueError(
                    f"RandomCrop: no {height}×{width} part in padded images {images.shape[2]}×{images.shape[3]};\n"
                    "  give more padding, or pad_if_needed=True."
                )
            y, x = (max(0, -room) for room in rooms)
            images = padded(images, (x, y, x, y), self.fill, self.padding_mode)
            rooms = [have - size for have, size in zip(images.shape[2:], self.size)]
        stream = chosen(self.generator)
        tops, lefts = (stream.randint(0, room + 1, (len(images), 1)) for room in rooms)
        return picked(images, tops + np.arange(height), lefts + np.arange(width))

    def _facts(self) -> dict[str, Any]:
        return {"size": self.size, "padding": self.padding}
