"""MNIST, Fashion-MNIST and the 8×8 digits as data sets of (image, label)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrograd.autograd.methods.creation import from_host
from retrograd.autograd.tensor import Tensor
from retrograd.data.dataset import TensorDataset
from retrograd.data.mnist import FileProgress, MNISTArrays, fashion_mnist, mnist

__all__ = ["MNIST", "Digits", "FashionMNIST"]

_LARGEST_PIXEL = 255
_LARGEST_INK = 16  # the digits count the dark ones of 4×4 pixels


class MNIST(TensorDataset):
    """Handwritten digits: images (1, 28, 28), float32 from 0 to 1, and labels 0 to 9, int64; 60,000 for training and
    10,000 for testing.

    root: the folder with the four IDX files; without it they are looked for, and fetched, as by `data.mnist.mnist`,
    whose errors are raised. On the default device.

    >>> MNIST("no-such-folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: read_mnist: no folder no-such-folder; expected one with train-images-idx3-ubyte.gz ...
    """

    def __init__(
        self, root: str | os.PathLike[str] | None = None, train: bool = True, *, progress: FileProgress | None = None
    ) -> None:
        super().__init__(*_tensors(mnist, root, train, progress))


class FashionMNIST(TensorDataset):
    """Images of clothes in ten classes, otherwise as `MNIST`: Zalando's replacement of the same sizes and dtypes."""

    def __init__(
        self, root: str | os.PathLike[str] | None = None, train: bool = True, *, progress: FileProgress | None = None
    ) -> None:
        super().__init__(*_tensors(fashion_mnist, root, train, progress))


class Digits(TensorDataset):
    """1,797 handwritten digits, shipped with scikit-learn: images (1, 8, 8), float32 from 0 to 1, labels int64.

    Raises ImportError without scikit-learn. On the default device.

    >>> image, label = Digits()[0]
    >>> image.shape, int(label)
    ((1, 8, 8), 0)
    """

    def __init__(self) -> None:
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise ImportError("the digits come with scikit-learn: pip install 'retrograd[demo]'") from error
        bunch = load_digits()
        super().__init__(*_images_and_labels(bunch.images, bunch.target, _LARGEST_INK))


def _tensors(
    load: Callable[..., MNISTArrays], root: str | os.PathLike[str] | None, train: bool, progress: FileProgress | None
) -> tuple[Tensor, Tensor]:
    arrays = load(root, progress=progress)
    images, labels = arrays[:2] if train else arrays[2:]
    return _images_and_labels(images, labels, _LARGEST_PIXEL)


def _images_and_labels(images: NDArray[Any], labels: NDArray[Any], largest: int) -> tuple[Tensor, Tensor]:
    scaled = images[:, np.newaxis].astype(np.float32) / np.float32(largest)
    return from_host(scaled), from_host(labels.astype(np.int64))
