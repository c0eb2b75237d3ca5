"""The IDX file format, in which MNIST and its relatives are published.

A file is two zero bytes, one byte for the dtype, one for the number of dimensions, each dimension as a big-endian
32-bit unsigned integer, and then the values in C order, big-endian (Y. LeCun, C. Cortes and C. Burges, "The MNIST
database of handwritten digits", section "The IDX file format").
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_idx"]

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read one IDX file, plain or gzip-compressed (told apart by content, not by name).

    Returns a new, writable array in native byte order: the shape and dtype are those the file's header declares
    (uint8, int8, int16, int32, float32 or float64).

    Raises FileNotFoundError when there is no such file, and ValueError, naming the file, what was expected and what
    was found, when it is not IDX, is damaged, is shorter than its header says, or goes on after its last value.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1]) + bytes([0, 0, 0, 3]) + bytes([7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    content = _decompressed(path)
    dtype, shape, start = _header(content, path)
    expected = math.prod(shape) * dtype.itemsize
    found = len(content) - start
    if found != expected:
        problem = "truncated" if found < expected else "longer than its header says"
        raise ValueError(
            f"read_idx: {path} is {problem}: {shape} values of {dtype.name} take {expected} bytes, got {found}."
        )
    try:
        values = np.frombuffer(content, dtype, offset=start).reshape(shape)
    except ValueError as error:  # more axes, or with an empty one longer axes, than NumPy can address
        raise ValueError(
            f"read_idx: {path} has the shape of {len(shape)} axes that no array can take: {error}"
        ) from error
    return values.astype(dtype.newbyteorder("="))


def _decompressed(path: Path) -> bytes:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"read_idx: {path} {what}; expected an IDX file, plain or .gz.")
    content = path.read_bytes()
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        problem = "truncated" if isinstance(error, EOFError) else f"damaged ({error})"
        raise ValueError(f"read_idx: {path} is {problem}; expected a complete gzip file, fetch it again.") from error


def _header(content: bytes, path: Path) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """The declared dtype and shape, and where the values start."""
    magic = content[:4]
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
        raise ValueError(
            f"read_idx: {path} is not an IDX file: it starts with {magic.hex(' ') or 'nothing'}; expected 00 00,\n"
            f"  a dtype byte (one of {', '.join(f'{code:02x}' for code in _DTYPES)}) and the number of dimensions."
        )
    ndim = magic[3]
    start = 4 + 4 * ndim
    if len(content) < start:
        raise ValueError(
            f"read_idx: {path} is truncated: a header of {ndim} dimensions takes {start} bytes, got {len(content)}."
        )
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", count=ndim, offset=4))
    return np.dtype(_DTYPES[magic[2]]), shape, start
