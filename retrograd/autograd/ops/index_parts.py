"""What users write between brackets, made plain: integers, slices, None and arrays of the tensor's own device."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from retrograd.autograd.tensor import Stamp, Tensor, namespace
from retrograd.backends import backend_of_array, device_of

__all__ = ["OutOfRange", "index_array", "normalized"]


class OutOfRange(IndexError, RuntimeError):
    """An index is out of range (PyTorch raises the one or the other, depending on the function)."""


_EXPECTED = "only integers, slices (`:`), ellipsis (`...`), None and integer or boolean arrays are valid indices"


def normalized(x: Tensor, parts: tuple[Any, ...]) -> Iterator[tuple[Any, Stamp | None]]:
    """The parts of an index, the Ellipsis written out as slices; arrays with the stamp of the Tensor they came from."""
    plain = [_plain(x, part) for part in parts]
    used = sum(_axes_taken(part) for part, _ in plain)
    if used > x.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}: the index takes {used}.")
    if sum(part is Ellipsis for part, _ in plain) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    axis = 0
    for part, stamp in plain:
        if part is Ellipsis:
            axis += x.ndim - used
            yield from ((slice(None), None) for _ in range(x.ndim - used))
            continue
        taken = _axes_taken(part)
        if hasattr(part, "dtype") and part.dtype.kind == "b" and part.shape != x.shape[axis : axis + taken]:
            raise IndexError(
                f"index: a mask of shape {part.shape} does not fit shape {x.shape} from dimension {axis} on; "
                "the lengths must be equal."
            )
        axis += taken
        yield part, stamp


def _axes_taken(part: Any) -> int:
    if part is None or part is Ellipsis:
        return 0
    if hasattr(part, "dtype") and part.dtype.kind == "b":
        return int(part.ndim)
    return 1


def _plain(x: Tensor, part: Any) -> tuple[Any, Stamp | None]:
    if part is None or part is Ellipsis:
        return part, None
    if isinstance(part, slice):
        if part.step is not None and part.step < 1:
            raise ValueError(f"step must be greater than zero, got {part.step} in {part}; use flip() to reverse.")
        return part, None
    if isinstance(part, int) and not isinstance(part, bool):
        return part, None
    array, stamp = index_array(x, part)
    if array.ndim == 0 and array.dtype.kind != "b":  # an integer, as for PyTorch: a view, not a copy
        return int(array), None
    return array, stamp


def index_array(x: Tensor, part: Any) -> tuple[Any, Stamp | None]:
    """Integers or truth values as an array on x's device. IndexError for anything else."""
    if isinstance(part, Tensor):
        array, stamp = part._array, part._stamp
    elif isinstance(part, (bool, list, tuple, range, np.ndarray, np.generic)):
        array, stamp = _from_host(part), None
    elif hasattr(part, "__index__"):
        return np.asarray(operator.index(part)), None
    elif part.__class__ in backend_of_array:
        array, stamp = part, None
    else:
        raise IndexError(f"{_EXPECTED}, got {type(part).__name__}.")
    if array.dtype == np.uint8 and array.ndim:
        array, stamp = array != 0, None  # a mask, as PyTorch reads it: bytes were its truth values once
    if array.dtype.kind not in "iub":
        raise IndexError(f"tensors used as indices must be of an integer or boolean dtype, got {array.dtype}.")
    if array.ndim and device_of(array) != device_of(x._array):
        if device_of(array).type != "cpu":
            raise RuntimeError(
                f"indices should be either on cpu or on the same device as the indexed tensor "
                f"({device_of(x._array)}), got {device_of(array)}; move one."
            )
        with device_of(x._array):
            array, stamp = namespace(x).from_host(array), None
    return array, stamp


def _from_host(part: Any) -> Any:
    if isinstance(part, (list, tuple)):
        part = [_as_host(item) for item in part]
    try:
        array = np.asarray(part)
    except ValueError as error:
        raise IndexError(f"{_EXPECTED}; a list of unequal lengths is none: {error}") from None
    return array.astype(np.int64) if array.size == 0 and array.dtype.kind == "f" else array


def _as_host(item: Any) -> Any:
    if isinstance(item, (list, tuple)):
        return [_as_host(part) for part in item]
    return item.tolist() if isinstance(item, Tensor) else item
