"""Images blurred, and images with a part missing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrograd.autograd import ops
from retrograd.autograd.methods.random import Generator, chosen
from retrograd.autograd.tensor import Tensor
from retrograd.data.transforms.base import Transform, checked_floating, checked_probability, on_device_of, pair
from retrograd.data.transforms.crops import padded

__all__ = ["GaussianBlur", "RandomErasing"]

_PROPOSALS = 10  # rectangles of which the first that fits is erased


class GaussianBlur(Transform):
    """Every image smoothed by a normal kernel of kernel_size (odd) with a deviation of its own, in pixels.

    sigma: a number, or (low, high) to draw from. The border is mirrored; images must be larger than half the kernel.

    >>> import retrograd as rg
    >>> GaussianBlur(3, sigma=1.0)(rg.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]]] * 1).expand(1, 3, 5))[0, 1]
    tensor([0.0000, 0.2741, 0.4519, 0.2741, 0.0000])
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        sigma: float | Sequence[float] = (0.1, 2.0),
        *,
        generator: Generator | None = None,
    ) -> None:
        self.kernel_size = pair("GaussianBlur", "kernel_size", kernel_size)
        if any(size % 2 == 0 for size in self.kernel_size):
            raise ValueError(f"GaussianBlur: kernel_size must be odd, got {kernel_size!r}.")
        low, high = (sigma, sigma) if isinstance(sigma, (int, float)) else sigma
        if not 0 < low <= high:
            raise ValueError(f"GaussianBlur: sigma must be above 0, or (low, high) in order, got {sigma!r}.")
        self.sigma, self.generator = (low, high), generator

    def _apply(self, images: Tensor) -> Tensor:
        images, sigma = checked_floating("GaussianBlur", images), self._uniform(*self.sigma, len(images))
        for axis, size in zip((2, 3), self.kernel_size):
            images = _smoothed(images, _normal_kernels(size, sigma), axis)
        return images

    def _facts(self) -> dict[str, Any]:
        return {"kernel_size": self.kernel_size, "sigma": self.sigma}


def _normal_kernels(size: int, sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (N, size) that sum to 1."""
    weights = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma[:, None]) ** 2)
    kernels: NDArray[np.float64] = weights / weights.sum(1, keepdims=True)
    return kernels


def _smoothed(images: Tensor, kernels: NDArray[np.float64], axis: int) -> Tensor:
    size, length = kernels.shape[1], images.shape[axis]
    half = size // 2
    if half >= length:
        raise ValueError(f"GaussianBlur: a kernel of {size} needs images of at least {half + 1}, got {length}.")
    wide = padded(images, (half * (axis == 3), half * (axis == 2)) * 2, 0, "reflect")
    weights = on_device_of(images, kernels)[:, :, None, None, None]
    place: list[Any] = [slice(None)] * 4
    out: Any = 0
    for tap in range(size):
        place[axis] = slice(tap, tap + length)
        out = out + wide[tuple(place)] * weights[:, tap]
    smoothed: Tensor = out
    return smoothed


class RandomErasing(Transform):
    """With probability p a rectangle of each image replaced (Zhong et al. 2017, "Random Erasing Data Augmentation").

    scale   the rectangle's share of the image's area, drawn from (low, high)
    ratio   its height divided by its width, drawn from (low, high) on a logarithmic scale
    value   a number, one for each channel, or "random" for normal noise
    An image for which none of ten drawn rectangles fits stays as it is. inplace=True raises NotImplementedError.

    >>> import retrograd as rg
    >>> erased = RandomErasing(p=1, scale=(0.25, 0.25), ratio=(1, 1))(rg.ones(3, 8, 8))
    >>> erased.sum()
    tensor(144.)
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | Sequence[float] | str = 0,
        inplace: bool = False,
        *,
        generator: Generator | None = None,
    ) -> None:
        if inplace:
            raise NotImplementedError("RandomErasing: inplace=True is not supported; leave it out.")
        self.p = checked_probability("RandomErasing", p)
        if len(scale) != 2 or not 0 <= scale[0] <= scale[1] <= 1:
            raise ValueError(f"RandomErasing: scale must be two shares from 0 to 1 in order, got {scale!r}.")
        if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f"RandomErasing: ratio must be two numbers above 0 in order, got {ratio!r}.")
        if isinstance(value, str) and value != "random":
            raise ValueError(f"RandomErasing: value must be a number, one per channel, or 'random', got {value!r}.")
        self.scale, self.ratio, self.value, self.generator = tuple(scale), tuple(ratio), value, generator

    def _apply(self, images: Tensor) -> Tensor:
        count, _, height, width = images.shape
        wanted = self._uniform(0, 1, count) < self.p
        top, left, h, w = self._rectangles(count, height, width)
        rows, columns = np.arange(height), np.arange(width)
        in_rows = (rows >= top[:, None]) & (rows < (top + h)[:, None])
        in_columns = (columns >= left[:, None]) & (columns < (left + w)[:, None])
        inside = wanted[:, None, None] & in_rows[:, :, None] & in_columns[:, None, :]
        out: Tensor = ops.where(on_device_of(images, inside[:, None]), self._values(images), images)
        return out

    def _rectangles(self, count: int, height: int, width: int) -> tuple[NDArray[Any], ...]:
        """Top, left, height and width (count,) of the first proposal that fits; of height 0 where none does."""
        area = height * width * self._uniform(self.scale[0], self.scale[1], count, _PROPOSALS)
        ratio = np.exp(self._uniform(math.log(self.ratio[0]), math.log(self.ratio[1]), count, _PROPOSALS))
        h, w = np.round(np.sqrt(area * ratio)).astype(int), np.round(np.sqrt(area / ratio)).astype(int)
        fits = (h < height) & (w < width)
        first = fits.argmax(1)[:, None]
        h, w = (np.take_along_axis(sides, first, 1)[:, 0] * fits.any(1) for sides in (h, w))
        corner = self._uniform(0, 1, 2, count)
        top = (corner[0] * (height - h + 1)).astype(int)
        left = (corner[1] * (width - w + 1)).astype(int)
        return top, left, h, w

    def _values(self, images: Tensor) -> Tensor:
        if isinstance(self.value, str):
            return on_device_of(images, chosen(self.generator).normal(images.shape, np.float64))
        values = np.atleast_1d(np.asarray(self.value, np.float64))
        if len(values) not in (1, images.shape[1]):
            raise ValueError(f"RandomErasing: {len(values)} values for {images.shape[1]} channels.")
        return on_device_of(images, values[:, None, None])

    def _facts(self) -> dict[str, Any]:
        return {"p": self.p, "scale": self.scale, "ratio": self.ratio, "value": self.value}
