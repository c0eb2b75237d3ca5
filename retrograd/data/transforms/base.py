"""What all transforms share: one image or a batch, draws of a stream, a `repr`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrograd.autograd.methods.creation import from_host
from retrograd.autograd.methods.random import Generator, chosen
from retrograd.autograd.tensor import Tensor
from retrograd.backends import device_of

__all__ = [
    "Compose",
    "Transform",
    "checked_floating",
    "checked_images",
    "checked_probability",
    "gathered",
    "on_device_of",
    "pair",
]

Array = NDArray[Any]


class Transform:
    """A function of images. A subclass defines `_apply(images)`, for a batch (N, C, H, W).

    Raises TypeError for what is no Tensor, ValueError for one that is neither (C, H, W) nor (N, C, H, W).
    """

    generator: Generator | None = None

    def __call__(self, images: Tensor) -> Tensor:
        batch = checked_images(type(self).__name__, images)
        return self._apply(batch) if batch is images else self._apply(batch)[0]

    def _apply(self, images: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define _apply(images), images being (N, C, H, W).")

    def _uniform(self, low: float, high: float, *size: int) -> Array:
        """Uniform draws in [low, high), float64 on the host: there are few, and they cost nothing there."""
        drawn: Array = low + (high - low) * chosen(self.generator).uniform(size, np.float64)
        return drawn

    def _facts(self) -> dict[str, Any]:
        """What `repr` shows."""
        return {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in self._facts().items())})"


class Compose:
    """Transforms, or other functions, one after the other.

    >>> import retrograd as rg
    >>> from retrograd.data import transforms
    >>> augment = transforms.Compose([transforms.RandomCrop(28, padding=2), transforms.RandomHorizontalFlip()])
    >>> augment(rg.rand(16, 1, 28, 28)).shape
    (16, 1, 28, 28)
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise TypeError(f"Compose: expected functions of images, got {transform!r}.")

    def __call__(self, images: Any) -> Any:
        for transform in self.transforms:
            images = transform(images)
        return images

    def __repr__(self) -> str:
        return "\n".join(["Compose(", *[f"    {transform}" for transform in self.transforms], ")"])


def checked_images(caller: str, images: Any) -> Tensor:
    """A batch of images; a single one as a batch of one."""
    if not isinstance(images, Tensor):
        raise TypeError(f"{caller}: expected a Tensor of images, got {type(images).__name__}; ToTensor makes one.")
    if images.ndim not in (3, 4):
        raise ValueError(f"{caller}: expected images (C, H, W) or (N, C, H, W), got shape {images.shape}.")
    batch: Tensor = images if images.ndim == 4 else images[None]
    return batch


def checked_floating(caller: str, images: Tensor) -> Tensor:
    """The images; TypeError unless they are floating: weighted sums of integers would be rounded."""
    if images.dtype.kind != "f":
        raise TypeError(f"{caller}: expected floating images, got {images.dtype}; ConvertImageDtype makes them.")
    return images


def checked_probability(caller: str, p: float) -> float:
    """A probability; ValueError for anything else."""
    if not 0 <= p <= 1:
        raise ValueError(f"{caller}: p must be a probability from 0 to 1, got {p!r}.")
    return p


def gathered(images: Tensor, places: Tensor) -> Tensor:
    """Pixels (N, C, P) of images (N, C, H, W) at each one's own places (N, P), counted row by row."""
    count, channels, height, width = images.shape
    firsts = np.arange(count * channels).reshape(count, channels, 1) * (height * width)
    out: Tensor = images.reshape(-1)[places[:, None] + on_device_of(images, firsts)]
    return out


def on_device_of(images: Tensor, values: Array, dtype: Any = None) -> Tensor:
    """Drawn parameters beside the images; floating ones in the images' dtype, unless another is named."""
    if values.dtype.kind == "f":
        values = values.astype(images.dtype if dtype is None else dtype)
    return from_host(values, device_of(images._array))


def pair(caller: str, name: str, value: Any, least: int = 1) -> tuple[int, int]:
    """A height and a width, from one integer for both or two."""
    values = (value, value) if isinstance(value, int) else tuple(value)
    if len(values) == 1:
        values *= 2
    if len(values) != 2 or any(v < least for v in values):
        raise ValueError(f"{caller}: {name} must be one or two integers of {least} or more, got {value!r}.")
    return values
