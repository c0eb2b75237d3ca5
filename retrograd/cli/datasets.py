"""The data sets that `retrograd train` knows by name, ready for a network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import retrograd as rg
from retrograd.data import MNIST, Digits, FashionMNIST, TensorDataset, random_split
from retrograd.data.mnist import FileProgress

__all__ = ["NAMES", "images", "load"]

NAMES = ("digits", "mnist", "fashion-mnist")

TRAINING_IMAGES = 50_000  # the last 10,000 of 60,000 are kept for choosing hyper-parameters


def load(name: str) -> tuple[TensorDataset, TensorDataset]:
    """The sets of `images`, pixels with mean 0 and deviation 1 in the training set. ValueError where all are equal."""
    training, test = images(name)
    return normalised(training.tensors, test.tensors)


def images(name: str) -> tuple[TensorDataset, TensorDataset]:
    """Training and test set of (image, label) on the default device, by name or from a folder with four IDX files.

    Images are (1, H, W) with pixels in [0, 1]. Raises ValueError for a name that is neither, ImportError where the
    digits need scikit-learn, and OSError where files can neither be read nor downloaded.
    """
    if name == "digits":
        digits = Digits()
        train, test = random_split(digits, [0.8, 0.2], generator=rg.Generator().manual_seed(0))
        return TensorDataset(*digits[train.indices]), TensorDataset(*digits[test.indices])
    if name not in NAMES and not Path(name).is_dir():
        raise ValueError(f"--data {name!r} is neither one of {', '.join(NAMES)} nor a folder with IDX files")
    kind, root = (FashionMNIST if name == "fashion-mnist" else MNIST), (None if name in NAMES else name)
    with download_bar() as progress:
        training = kind(root, progress=progress)
    return TensorDataset(*training[:TRAINING_IMAGES]), TensorDataset(*kind(root, train=False)[:])


def normalised(train: tuple[rg.Tensor, ...], test: tuple[rg.Tensor, ...]) -> tuple[TensorDataset, TensorDataset]:
    """Both sets with the mean and the deviation of the training pixels taken out."""
    mean, std = train[0].mean(), train[0].std()
    if std.item() == 0:
        raise ValueError("all pixels of the training images are equal: there is nothing to learn from")
    return TensorDataset((train[0] - mean) / std, train[1]), TensorDataset((test[0] - mean) / std, test[1])


@contextlib.contextmanager
def download_bar() -> Iterator[FileProgress]:
    """A progress bar that appears with the first byte of a download."""
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def show(file: str, received: int, announced: int | None) -> None:
        if file not in bars:
            bars[file] = tqdm(desc=file, total=announced, unit="B", unit_scale=True, disable=None)
        bars[file].update(received - bars[file].n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()
