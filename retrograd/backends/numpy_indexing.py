"""Reading, writing and adding by index, of NumPy arrays: the contract's section on indexing.

Arrays in an index keep their axes where they stand, as in PyTorch; results are in C order; duplicates add up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.contract import Array
from retrograd.backends.kernels import fusable
from retrograd.backends.shapes import split_index

__all__ = [
    "add_along_axis",
    "getitem",
    "index_add",
    "index_sum",
    "put_along_axis",
    "reduce_at",
    "setitem",
    "take_along_axis",
]


def getitem(x: Array, index: Any) -> Array:
    if type(index) is tuple and any(map(_is_array, index)):
        view, index = split_index(_plain_parts(index))
        return _picked(x[view], index)
    return x[index]


def _picked(x: Array, index: tuple[Any, ...]) -> Array:
    """The elements at full slices and arrays, in C order: NumPy would put the arrays' dimensions first in memory."""
    arrays = [axis for axis, part in enumerate(index) if type(part) is not slice]
    if len(arrays) == 1 and _is_array(index[arrays[0]]) and index[arrays[0]].dtype.kind != "b":
        return x.take(index[arrays[0]], arrays[0])
    out = x[index]
    return out if out.flags.c_contiguous else out.copy()


def setitem(x: Array, index: Any, value: Any) -> None:
    if type(index) is tuple and any(map(_is_array, index)):
        view, index = split_index(_plain_parts(index))
        x = x[view]
    x[index] = value


@fusable
def index_add(x: Array, index: Any, value: Array) -> Array:
    out = np.array(x, np.dtype(np.float32) if x.dtype.char == "e" else None)
    _add_at(out, index, value)
    return out.astype(x.dtype, copy=False)


@fusable
def index_sum(value: Array, index: Any, *, shape: tuple[int, ...]) -> Array:
    out = np.zeros(shape, np.dtype(np.float32) if value.dtype.char == "e" else value.dtype)
    _add_at(out, index, value)
    return out.astype(value.dtype, copy=False)


def _add_at(out: Array, index: Any, value: Array) -> None:
    """out[index] += value in place, duplicates added up."""
    parts = _plain_parts(index if type(index) is tuple else (index,))
    if not any(_is_array(part) and part.dtype.kind != "b" for part in parts):  # nothing is named twice
        out[parts] += value
        return
    view, rest = split_index(parts)
    _add_rows(out[view], rest, value)


def _add_rows(target: Array, index: tuple[Any, ...], value: Array) -> None:
    """target[index] += value for index arrays. `add.at` is fast for one dimension and one dtype, so rows are added
    there element by element: 3 to 6 times the speed."""
    if len(index) > 1 or index[0] is Ellipsis or not target.flags.c_contiguous or not target.size:
        np.add.at(target, index, value)
        return
    rows, length = index[0], len(target)
    lowest = rows.min() if rows.size else 0
    if rows.size and (lowest < -length or rows.max() >= length):
        target[rows]  # raises IndexError
    width = target.size // length
    rows = rows % length if lowest < 0 else rows
    places = rows if width == 1 else rows[..., None] * width + np.arange(width)
    values = np.broadcast_to(value, (*rows.shape, *target.shape[1:])).astype(target.dtype, copy=False)
    np.add.at(target.reshape(-1), places.reshape(-1), values.reshape(-1))


def reduce_at(ufunc: Any, x: Array, index: Array, value: Array) -> Array:
    """A copy of x with ufunc(x[index], value) at the index, duplicates one after the other."""
    out = x.copy()
    ufunc.at(out, index, value)
    return out


def _is_array(part: Any) -> bool:
    return isinstance(part, list) or (isinstance(part, np.ndarray) and part.ndim > 0)


def _plain_parts(index: tuple[Any, ...]) -> tuple[Any, ...]:
    """The index with arrays for lists, and integers for 0-d arrays of them, which would make a view a copy."""
    return tuple(map(_plain_part, index))


def _plain_part(part: Any) -> Any:
    if isinstance(part, list):
        return np.asarray(part, None if part else np.int64)
    return int(part) if isinstance(part, np.ndarray) and part.ndim == 0 and part.dtype.kind in "iu" else part


def _along_axis(indices: Array, axis: int) -> tuple[Array, ...]:
    """The index that pairs `indices` along `axis` with its own position along every other axis."""
    places: list[Array] = []
    for a, length in enumerate(indices.shape):
        shape = [1] * indices.ndim
        shape[a] = length
        places.append(np.arange(length).reshape(shape))
    places[axis] = indices
    return tuple(places)


@fusable
def take_along_axis(x: Array, indices: Array, *, axis: int) -> Array:
    return x[_along_axis(indices, axis)]


@fusable
def put_along_axis(x: Array, indices: Array, values: Any, *, axis: int) -> Array:
    out = x.copy()
    out[_along_axis(indices, axis)] = values
    return out


@fusable
def add_along_axis(x: Array, indices: Array, values: Array, *, axis: int) -> Array:
    return index_add(x, _along_axis(indices, axis), values)
