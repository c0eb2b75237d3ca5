"""From stored images to what networks take: channels first, floats from 0 to 1, mean 0 and deviation 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.autograd.methods.creation import from_host
from retrograd.autograd.tensor import Tensor
from retrograd.data.transforms.base import Transform, checked_floating, on_device_of

__all__ = ["ConvertImageDtype", "Normalize", "ToTensor"]


class ToTensor:
    """A NumPy or PIL image (H, W, C) or (H, W) as a Tensor (C, H, W); uint8 becomes float32 from 0 to 1.

    Other dtypes keep their values. Raises TypeError for what is no image, ValueError for another number of dimensions.

    >>> ToTensor()(np.full((2, 2), 255, np.uint8))
    tensor([[[1., 1.],
             [1., 1.]]])
    """

    def __call__(self, pic: Any) -> Tensor:
        if isinstance(pic, Tensor) or not (isinstance(pic, np.ndarray) or hasattr(pic, "__array_interface__")):
            raise TypeError(f"ToTensor: expected a NumPy array or a PIL image, got {type(pic).__name__}.")
        array = np.array(pic)
        if array.ndim not in (2, 3):
            raise ValueError(f"ToTensor: expected an image (H, W) or (H, W, C), got shape {array.shape}.")
        planes = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
        if planes.dtype == np.uint8:
            planes = planes.astype(np.float32) / np.float32(255)
        return from_host(np.ascontiguousarray(planes))

    def __repr__(self) -> str:
        return "ToTensor()"


class ConvertImageDtype:
    """Images in another dtype, with values for it: integers use their range from 0 to the largest, floats 0 to 1.

    Raises TypeError for bool, RuntimeError for a float that cannot hold the integer dtype's range exactly.

    >>> import retrograd as rg
    >>> ConvertImageDtype(rg.float32)(rg.tensor([0, 51, 255], dtype=rg.uint8))
    tensor([0.0000, 0.2000, 1.0000])
    >>> ConvertImageDtype(rg.uint8)(rg.tensor([0.0, 0.2, 1.0]))
    tensor([  0,  51, 255], dtype=rg.uint8)
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        if self.dtype.kind not in "iuf":
            raise TypeError(f"ConvertImageDtype: expected a floating or integer dtype, got {self.dtype}.")

    def __call__(self, image: Tensor) -> Tensor:
        source, target = image.dtype, self.dtype
        if source.kind not in "iuf":
            raise TypeError(f"ConvertImageDtype: expected a floating or integer image, got {source}.")
        if source == target or (source.kind == target.kind == "f"):
            return image.to(target)
        if target.kind == "f":
            return image.to(target) / np.iinfo(source).max
        largest = int(np.iinfo(target).max)
        if source.kind != "f":
            factor = (largest + 1) // (int(np.iinfo(source).max) + 1)
            if factor:
                return image.to(target) * factor
            return (image // ((int(np.iinfo(source).max) + 1) // (largest + 1))).to(target)
        if largest > 2 ** (np.finfo(source).nmant + 1):
            raise RuntimeError(f"ConvertImageDtype: {source} cannot hold every {target}; convert it to float64 first.")
        return (image * (largest + 1 - 1e-3)).to(target)

    def __repr__(self) -> str:
        return f"ConvertImageDtype(dtype={self.dtype})"


class Normalize(Transform):
    """(image − mean) / std, channel by channel; take both from the training set, for all sets.

    mean, std: a number per channel, or one for all. Raises ValueError for a std of 0, for another number of channels
    than the images have, and TypeError for images that are not floating.

    >>> import retrograd as rg
    >>> Normalize(mean=[0.5], std=[0.25])(rg.full((1, 1, 2), 1.0))
    tensor([[[2., 2.]]])
    """

    def __init__(self, mean: Sequence[float] | float, std: Sequence[float] | float, inplace: bool = False) -> None:
        if inplace:
            raise NotImplementedError("Normalize: inplace=True is not supported; leave it out.")
        self.mean, self.std = mean, std
        self._mean, self._std = (np.atleast_1d(np.asarray(v, np.float64))[:, None, None] for v in (mean, std))
        if not np.all(self._std > 0):
            raise ValueError(f"Normalize: every std must be above 0, got {std!r}.")

    def _apply(self, images: Tensor) -> Tensor:
        checked_floating("Normalize", images)
        if len({1, images.shape[1], len(self._mean), len(self._std)}) > 2 or images.shape[1] < len(self._mean):
            raise ValueError(
                f"Normalize: {len(self._mean)} means and {len(self._std)} deviations for {images.shape[1]} channels."
            )
        return (images - on_device_of(images, self._mean)) / on_device_of(images, self._std)

    def _facts(self) -> dict[str, Any]:
        return {"mean": self.mean, "std": self.std}
