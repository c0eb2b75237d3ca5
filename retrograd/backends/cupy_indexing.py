"""Reading, writing and adding by index, of CuPy arrays: the contract's section on indexing.

CuPy wraps indices that are out of range, writes duplicates in no certain order and adds them atomically; what is
checked and what is ordered, `flags` says.
"""

from __future__ import annotations

from typing import Any

import cupy as cp
import numpy as np

from retrograd.backends import flags
from retrograd.backends.contract import Array
from retrograd.backends.cupy_kernels import kernels
from retrograd.backends.shapes import normalized_axis, split_index

__all__ = [
    "add_along_axis",
    "getitem",
    "index_add",
    "index_sum",
    "put_along_axis",
    "setitem",
    "take_along_axis",
]


def getitem(x: Array, index: Any) -> Array:
    """Boolean masks wait for the GPU; integer arrays are checked as `flags` says."""
    view, rest = _placed(x, index)
    return x[view][rest] if rest else x[view]


def setitem(x: Array, index: Any, value: Any) -> None:
    view, rest = _placed_for_writing(x, index)
    if not rest:
        x[view] = value
        return
    x = x[view]
    if isinstance(value, cp.ndarray) and value.size > 1 and _may_repeat(rest):
        value = _last_of_duplicates(x, rest, value)
    x[rest] = value


def _last_of_duplicates(x: Array, index: Any, value: Array) -> Array:
    """`value` where every duplicate holds what the last one held: CuPy writes duplicates in no certain order.

    The largest position that aims at a place is found by an atomic maximum, whose result does not depend on the order.
    """
    places = cp.arange(x.size).reshape(x.shape)[index]
    value = cp.broadcast_to(value, places.shape)
    last = cp.zeros(x.size, np.dtype(np.int64))
    cp.maximum.at(last, places.reshape(-1), cp.arange(places.size))
    return cp.ascontiguousarray(value).reshape(-1)[last[places]]


def index_add(x: Array, index: Any, value: Array) -> Array:
    total = x.astype(_adding_dtype(x.dtype))
    _add_at(total, index, value)
    return total.astype(x.dtype, copy=False)


def index_sum(value: Array, index: Any, *, shape: tuple[int, ...]) -> Array:
    total = cp.zeros(shape, _adding_dtype(value.dtype))
    _add_at(total, index, value)
    return total.astype(value.dtype, copy=False)


def _add_at(total: Array, index: Any, value: Array) -> None:
    """total[index] += value in place, duplicates added up; total has a dtype of atomic additions."""
    view, rest = _placed_for_writing(total, index)
    target = total[view]
    value = value.astype(total.dtype, copy=False)
    if not _may_repeat(rest):
        target[rest] = cp.add(target[rest], value)
    elif flags.deterministic:
        _add_by_segment(target, rest, value)
    elif total.dtype.kind == "c":
        cp.add.at(target.real, rest, value.real)
        cp.add.at(target.imag, rest, value.imag)
    else:
        cp.add.at(target, rest, value)


def _adding_dtype(dtype: Any) -> Any:
    """Atomic additions exist for 32 and 64 bits; float16 would also lose its small addends."""
    if dtype.kind == "f" and dtype.itemsize == 2:
        return np.dtype(np.float32)
    return np.dtype(np.int32) if dtype.kind in "biu" and dtype.itemsize < 4 else dtype


def _add_by_segment(total: Array, index: Any, value: Array) -> None:
    """total[index] += value, adding in the order of `value`: sort by destination, then add up each run."""
    if total.dtype.kind == "c":
        _add_by_segment(total.real, index, value.real)
        _add_by_segment(total.imag, index, value.imag)
        return
    places = cp.arange(total.size).reshape(total.shape)[index]
    if places.size == 0:
        return
    values = cp.ascontiguousarray(cp.broadcast_to(value, places.shape)).astype(total.dtype, copy=False).reshape(-1)
    keys = places.reshape(-1)
    order = cp.argsort(keys)
    flat = cp.ascontiguousarray(total).reshape(-1)
    kernels["segment_sum"](keys[order], order, values, keys.size, 1, flat, size=keys.size)
    if not total.flags.c_contiguous:
        total[...] = flat.reshape(total.shape)


def _may_repeat(index: tuple[Any, ...]) -> bool:
    return any(isinstance(part, cp.ndarray) and part.dtype.kind != "b" and part.size > 1 for part in index)


_PLAIN = (int, slice, type(None), type(Ellipsis))


def _placed(x: Array, index: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The index in two steps (`split_index`), the second empty without arrays. Lists and host arrays are checked and
    copied to the GPU."""
    parts = index if type(index) is tuple else (index,)
    if all(type(part) in _PLAIN for part in parts):
        return parts, ()
    parts = tuple(np.asarray(part) if isinstance(part, (list, np.ndarray)) else part for part in parts)
    taken = sum(_axes_taken(part) for part in parts)
    placed: list[Any] = []
    axis = 0
    for part in parts:
        if part is Ellipsis:
            axis += x.ndim - taken
        elif isinstance(part, (np.ndarray, cp.ndarray)) and axis < x.ndim:
            part = _checked(part, x.shape[axis], axis)
        axis += _axes_taken(part)
        placed.append(part)
    return split_index(placed)


def _placed_for_writing(x: Array, index: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """`_placed` with a first step that shows x's own memory. A 0-d array in it would give a copy: it belongs to the
    second step, or beside other arrays, which would then move axes, becomes an integer (and waits for the GPU)."""
    view, rest = _placed(x, index)
    if not any(isinstance(part, cp.ndarray) for part in view):
        return view, rest
    if any(isinstance(part, cp.ndarray) for part in rest):
        return tuple(int(part) if isinstance(part, cp.ndarray) else part for part in view), rest
    return (Ellipsis,), view


def _axes_taken(part: Any) -> int:
    if part is None or part is Ellipsis:
        return 0
    mask = isinstance(part, (np.ndarray, cp.ndarray)) and part.dtype.kind == "b"
    return part.ndim if mask else 1


def _checked(indices: Array, length: int, axis: int) -> Array:
    """An index array on the GPU, compared with the length where that needs no wait or where `flags` asks for it."""
    on_host = isinstance(indices, np.ndarray)
    if on_host and indices.size == 0 and indices.dtype.kind == "f":
        indices = indices.astype(np.int64)  # the empty list
    if indices.dtype.kind in "iu" and indices.size and (on_host or flags.check_indices):
        lowest, highest = int(indices.min()), int(indices.max())
        if lowest < -length or highest >= length:
            wrong = lowest if lowest < -length else highest
            raise IndexError(f"index {wrong} is out of bounds for axis {axis} with size {length}")
    return cp.asarray(indices) if on_host else indices


def _along_axis(x: Array, indices: Array, axis: int) -> tuple[Array, ...]:
    """The index that pairs `indices` along `axis` with its own position along every other axis."""
    axis = normalized_axis(axis, x.ndim)
    places: list[Array] = []
    for a, length in enumerate(indices.shape):
        shape = [1] * indices.ndim
        shape[a] = length
        places.append(cp.arange(length).reshape(shape))
    places[axis] = indices
    return tuple(places)


def take_along_axis(x: Array, indices: Array, *, axis: int) -> Array:
    return getitem(x, _along_axis(x, indices, axis))


def put_along_axis(x: Array, indices: Array, values: Any, *, axis: int) -> Array:
    out = x.copy()
    setitem(out, _along_axis(x, indices, axis), values)
    return out


def add_along_axis(x: Array, indices: Array, values: Array, *, axis: int) -> Array:
    return index_add(x, _along_axis(x, indices, axis), values)
