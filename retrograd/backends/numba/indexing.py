"""Reading, writing and adding by index, one pass over the elements (`backends/numpy_indexing.py`).

All arrays are (outer, along, inner), with the indexed axis in the middle; threads share out the outer axis, so that
what is added to an element is added in the index's order. A loop gives False at a number out of range; what it has
written is then thrown away, and NumPy raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.backends.numba.jit import FLOATS, compiled
from retrograd.backends.threads import share

__all__ = ["add_along_axis", "index_add", "index_sum", "put_along_axis", "take_along_axis"]

Array = Any
INT64 = np.dtype(np.int64)
BITS = {4: np.dtype(np.int32), 8: INT64}
"""What only moves elements is compiled for their size alone."""
GRAIN = 2**16
"""Elements that are worth a thread."""


@compiled
def place(number: int, length: int) -> int:
    """The place that a number names, counted from the end where it is negative; −1 where there is none."""
    row = number + length if number < 0 else number
    return row if 0 <= row < length else -1


@compiled
def add_rows(out: Array, index: Array, values: Array) -> bool:
    """out[:, index] += values, index (along,)."""
    for o in range(out.shape[0]):
        for k in range(index.size):
            row = place(index[k], out.shape[1])
            if row < 0:
                return False
            to, value = out[o, row], values[o, k]
            for i in range(to.size):
                to[i] += value[i]
    return True


@compiled
def take(x: Array, index: Array, out: Array) -> bool:
    """out[o, k, i] = x[o, index[o, k, i], i]"""
    for o in range(index.shape[0]):
        for k in range(index.shape[1]):
            for i in range(index.shape[2]):
                row = place(index[o, k, i], x.shape[1])
                if row < 0:
                    return False
                out[o, k, i] = x[o, row, i]
    return True


@compiled
def put(out: Array, index: Array, values: Array) -> bool:
    """out[o, index[o, k, i], i] = values[o, k, i]"""
    for o in range(index.shape[0]):
        for k in range(index.shape[1]):
            for i in range(index.shape[2]):
                row = place(index[o, k, i], out.shape[1])
                if row < 0:
                    return False
                out[o, row, i] = values[o, k, i]
    return True


@compiled
def add(out: Array, index: Array, values: Array) -> bool:
    """out[o, index[o, k, i], i] += values[o, k, i]"""
    for o in range(index.shape[0]):
        for k in range(index.shape[1]):
            for i in range(index.shape[2]):
                row = place(index[o, k, i], out.shape[1])
                if row < 0:
                    return False
                out[o, row, i] += values[o, k, i]
    return True


# ---- the functions


def index_sum(value: Array, index: Any, *, shape: tuple[int, ...]) -> Any:
    return added(np.zeros, shape, index, value)


def index_add(x: Array, index: Any, value: Array) -> Any:
    if type(x) is not np.ndarray or x.dtype != getattr(value, "dtype", None):
        return NotImplemented
    return added(lambda shape, dtype: x.copy(), x.shape, index, value)


def added(start: Callable[..., Array], shape: tuple[int, ...], index: Any, value: Array) -> Any:
    """The start with the value added at full slices followed by one array of integers."""
    parts = index if type(index) is tuple else (index,)
    axis, rows = len(parts) - 1, (None, *parts)[-1]
    if type(value) is not np.ndarray or value.dtype not in FLOATS or not value.size or not integers(rows):
        return NotImplemented
    if any(type(part) is not slice or part != slice(None) for part in parts[:-1]) or axis >= len(shape):
        return NotImplemented
    outer, length, inner = around(shape, axis)
    if outer == inner == 1:  # NumPy's own loop for one dimension is as fast
        return NotImplemented
    wanted = (*shape[:axis], *rows.shape, *shape[axis + 1 :])
    values = np.ascontiguousarray(value if value.shape == wanted else np.broadcast_to(value, wanted))
    out, rows = start(shape, value.dtype), rows.reshape(-1)
    whole, values = out.reshape(outer, length, inner), values.reshape(outer, rows.size, inner)
    return out if shared(lambda part: add_rows(whole[part], rows, values[part]), values) else NotImplemented


def take_along_axis(x: Array, indices: Array, *, axis: int) -> Any:
    if not paired(x, indices, axis) or x.dtype.itemsize not in BITS:
        return NotImplemented
    out = np.empty(indices.shape, x.dtype)
    bits = BITS[x.dtype.itemsize]
    return out if along(take, axis, x.view(bits), indices, out.view(bits)) else NotImplemented


def put_along_axis(x: Array, indices: Array, values: Any, *, axis: int) -> Any:
    if not paired(x, indices, axis) or x.dtype.itemsize not in BITS:
        return NotImplemented
    out, bits = x.copy(), BITS[x.dtype.itemsize]
    values = np.ascontiguousarray(np.broadcast_to(np.asarray(values, x.dtype), indices.shape))
    return out if along(put, axis, out.view(bits), indices, values.view(bits)) else NotImplemented


def add_along_axis(x: Array, indices: Array, values: Array, *, axis: int) -> Any:
    if not paired(x, indices, axis) or x.dtype not in FLOATS or x.dtype != getattr(values, "dtype", None):
        return NotImplemented
    out, values = x.copy(), np.ascontiguousarray(np.broadcast_to(values, indices.shape))
    return out if along(add, axis, out, indices, values) else NotImplemented


# ---- what they have in common


def integers(index: Any) -> bool:
    """Whether an index is NumPy's array of int64 in one piece that names at least one place."""
    return type(index) is np.ndarray and index.dtype == INT64 and index.size > 0 and index.flags.c_contiguous


def paired(x: Any, indices: Any, axis: int) -> bool:
    """Whether the indices have x's shape but along the axis."""
    if type(x) is not np.ndarray or not integers(indices) or x.ndim != indices.ndim or not -x.ndim <= axis < x.ndim:
        return False
    axis %= x.ndim
    same = x.shape[:axis] == indices.shape[:axis] and x.shape[axis + 1 :] == indices.shape[axis + 1 :]
    return same and x.flags.c_contiguous


def around(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """A shape as (outer, length, inner) around an axis."""
    axis %= len(shape)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def along(loops: Any, axis: int, *arrays: Array) -> bool:
    parts = [array.reshape(around(array.shape, axis)) for array in arrays]
    return shared(lambda part: loops(*[array[part] for array in parts]), parts[1])


def shared(loops: Callable[[slice], bool], elements: Array) -> bool:
    """Runs the loops for all of the outer axis, and says whether every number was in range."""
    done: list[bool] = []
    outer, *rest = elements.shape
    share(lambda start, stop: done.append(loops(slice(start, stop))), outer, GRAIN // math.prod(rest))
    return all(done)
