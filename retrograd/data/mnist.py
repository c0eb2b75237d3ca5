"""MNIST and Fashion-MNIST as NumPy arrays: from a folder, or downloaded once and cached.

MNIST: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition".
Fashion-MNIST: Xiao, Rasul & Vollgraf 2017, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
algorithms" (MIT licence).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrograd.data.download import cache_dir, download
from retrograd.data.idx import read_idx

__all__ = ["MNISTArrays", "fashion_mnist", "mnist", "read_mnist"]

_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


class MNISTArrays(NamedTuple):
    """Images (n, 28, 28) and their labels (n,), all uint8; pixels 0 to 255, labels 0 to 9."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


@dataclass(frozen=True)
class _Source:
    """Where a data set is published: base addresses, and the MD5 sums of the four .gz files in the order of _FILES."""

    folder: str
    mirrors: tuple[str, ...]
    md5: tuple[str, str, str, str]


_MNIST = _Source(
    folder="mnist",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    md5=(
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
)
_FASHION_MNIST = _Source(
    folder="fashion-mnist",
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    md5=(
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
)

FileProgress = Callable[[str, int, int | None], None]
"""Called during a download with the file's name, the bytes received so far and the bytes announced (or None)."""


def mnist(
    root: str | os.PathLike[str] | None = None,
    *,
    mirrors: Sequence[str] = _MNIST.mirrors,
    progress: FileProgress | None = None,
) -> MNISTArrays:
    """The MNIST digits: 60,000 training and 10,000 test images.

    With `root`, the four files are read from that folder (see `read_mnist`) and nothing is fetched or written.
    Without it they come from `$RETROGRAD_DATA/mnist` where that folder exists, and otherwise from the cache
    (`$RETROGRAD_CACHE`, by default `~/.cache/retrograd`), into which missing ones (11 MB in all) are downloaded from
    the first of `mirrors` that delivers the file with the published MD5 sum.

    Raises as `read_mnist` does, and OSError when a file can neither be found nor downloaded.

    >>> mnist("no-such-folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: read_mnist: no folder no-such-folder; expected one with train-images-idx3-ubyte.gz ...
    """
    return _load(_MNIST, root, mirrors, progress)


def fashion_mnist(
    root: str | os.PathLike[str] | None = None,
    *,
    mirrors: Sequence[str] = _FASHION_MNIST.mirrors,
    progress: FileProgress | None = None,
) -> MNISTArrays:
    """Fashion-MNIST: 60,000 training and 10,000 test images of clothes in ten classes; otherwise as `mnist`.

    Found in `root`, in `$RETROGRAD_DATA/fashion-mnist` or in the cache, or downloaded (31 MB in all).

    >>> fashion_mnist("no-such-folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: read_mnist: no folder no-such-folder; expected one with train-images-idx3-ubyte.gz ...
    """
    return _load(_FASHION_MNIST, root, mirrors, progress)


def read_mnist(folder: str | os.PathLike[str]) -> MNISTArrays:
    """Read MNIST, Fashion-MNIST or another data set in their form from the four IDX files in `folder`.

    The files carry the names they were published under (`train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
    `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`), with or without `.gz`.

    Raises FileNotFoundError naming the missing file, and ValueError when a file is no valid IDX, when images are not
    uint8 (n, 28, 28) with n ≥ 1, or when the labels do not fit the images: uint8 (n,), 0 to 9.

    >>> read_mnist("no-such-folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: read_mnist: no folder no-such-folder; expected one with train-images-idx3-ubyte.gz ...
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"read_mnist: no folder {folder}; expected one with {_FILES[0]}.gz and the three files beside it."
        )
    paths = [_find(folder, name) for name in _FILES]
    return MNISTArrays(*_labelled_images(*paths[:2]), *_labelled_images(*paths[2:]))


def _load(
    source: _Source, root: str | os.PathLike[str] | None, mirrors: Sequence[str], progress: FileProgress | None
) -> MNISTArrays:
    if root is not None:
        return read_mnist(root)
    shared = os.environ.get("RETROGRAD_DATA")
    if shared and (folder := Path(shared).expanduser() / source.folder).is_dir():
        return read_mnist(folder)
    folder = cache_dir() / source.folder
    for name, md5 in zip(_FILES, source.md5):
        file = f"{name}.gz"
        urls = [f"{mirror.rstrip('/')}/{file}" for mirror in mirrors]
        download(urls, folder / file, md5, _for_file(file, progress))
    return read_mnist(folder)


def _for_file(file: str, progress: FileProgress | None) -> Callable[[int, int | None], None] | None:
    if progress is None:
        return None
    return lambda received, announced: progress(file, received, announced)


def _find(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise FileNotFoundError(f"read_mnist: {folder} has neither {name}.gz nor {name}; expected one of them.")


def _labelled_images(images_path: Path, labels_path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28) or len(images) == 0:
        raise ValueError(
            f"read_mnist: {images_path} holds {images.dtype} {images.shape}; expected images, uint8 (n, 28, 28), n ≥ 1."
        )
    if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"read_mnist: {labels_path} holds {labels.dtype} {labels.shape}; expected a label for each of the\n"
            f"  {len(images)} images in {images_path.name}, uint8 ({len(images)},)."
        )
    if labels.max() > 9:
        raise ValueError(f"read_mnist: {labels_path} has the label {labels.max()}; expected 0 to 9.")
    return images, labels
