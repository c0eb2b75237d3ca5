"""Arrays from whatever a user calls data: numbers, nested sequences, arrays, tensors in any mixture."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from retrograd.autograd.methods.arguments import checked_dtype
from retrograd.autograd.promotion import get_default_dtype, promote_types
from retrograd.autograd.tensor import Tensor, namespace

__all__ = ["checked_number", "host_array"]

_INT64 = np.dtype(np.int64)
_BOOL = np.dtype(np.bool_)


def host_array(data: Any, dtype: Any = None) -> np.ndarray[Any, Any]:
    """A new NumPy array with the data. Without a dtype: Python floats give the default dtype, integers int64, arrays
    and tensors their own, mixtures the common one.

    Raises ValueError for ragged sequences, TypeError or RuntimeError for what is no number, RuntimeError for a number
    that the dtype cannot hold.
    """
    wanted = None if dtype is None else checked_dtype(dtype)
    if isinstance(data, Tensor):
        data = namespace(data).to_host(data._array)
    if isinstance(data, (np.ndarray, np.generic)):
        return np.array(data, dtype=checked_dtype(data.dtype) if wanted is None else wanted)
    kinds = _kinds(data)
    if wanted is None:
        wanted = functools.reduce(promote_types, map(_dtype_of_kind, kinds)) if kinds else get_default_dtype()
    if any(isinstance(kind, type) and issubclass(kind, Tensor) for kind in kinds):
        data = _without_tensors(data)
    return _packed(data, wanted)


def _packed(data: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    try:
        if dtype.kind in "iu":
            with np.errstate(invalid="raise"):
                try:
                    return np.array(data, dtype=dtype)
                except OverflowError:
                    return _wrapped(data, dtype)
        with np.errstate(over="ignore"):
            return np.array(data, dtype=dtype)
    except (OverflowError, FloatingPointError):
        raise RuntimeError(f"value cannot be converted to type {dtype} without overflow") from None
    except ValueError as error:
        if "inhomogeneous" in str(error):
            raise ValueError(f"the sequence is ragged: {_ragged(data)}.") from None
        raise RuntimeError(f"value cannot be converted to type {dtype}: {error}") from None  # NaN to an integer


def _wrapped(data: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Negative numbers in an unsigned dtype count from its end, as PyTorch has it."""
    wide = np.array(data, dtype=np.int64)
    if dtype.kind == "i" or np.any(wide > np.iinfo(dtype).max) or np.any(wide < -np.iinfo(dtype).max):
        raise OverflowError
    return wide.astype(dtype)


def _kinds(data: Any) -> set[Any]:
    """Types of the numbers in nested sequences; of arrays and tensors among them, also their dtypes."""
    if isinstance(data, Tensor):
        return {data.dtype, type(data)}
    if isinstance(data, np.ndarray):
        return {checked_dtype(data.dtype)}
    if isinstance(data, (str, bytes)):
        raise TypeError(f"tensor: expected numbers or nested lists of them, got {type(data).__name__} {data[:40]!r}.")
    if isinstance(data, (bool, int, float, np.generic)):
        return {type(data)}
    if isinstance(data, complex):
        raise TypeError("complex dtypes are not supported; keep the real and the imaginary part in two tensors.")
    if hasattr(data, "__len__") and hasattr(data, "__getitem__") and not hasattr(data, "keys"):
        found = set(map(type, data))
        if found <= {bool, int, float}:
            return found
        return set().union(*[_kinds(item) for item in data])
    raise RuntimeError(f"tensor: expected numbers or nested lists of them, got {type(data).__name__}.")


def _dtype_of_kind(kind: Any) -> np.dtype[Any]:
    """The dtype that a type of number asks for; a NumPy float64 is no Python float."""
    if isinstance(kind, np.dtype):
        return kind
    if issubclass(kind, Tensor) or issubclass(kind, bool):
        return _BOOL  # a tensor's own dtype stands beside its type, and everything else outranks bool
    if issubclass(kind, np.generic):
        return checked_dtype(kind)
    return get_default_dtype() if issubclass(kind, float) else _INT64


def _without_tensors(data: Any) -> Any:
    if isinstance(data, Tensor):
        if data._array.size != 1:
            raise ValueError("tensor: only one element tensors stand for numbers in a list; use rg.stack for others.")
        return data.item()
    return [_without_tensors(item) for item in data] if isinstance(data, (list, tuple)) else data


def _ragged(data: Any, depth: int = 0) -> str:
    """Where a nested sequence first has two lengths."""
    if not isinstance(data, (list, tuple)):
        return "its parts have different shapes"
    lengths = [len(item) if hasattr(item, "__len__") else None for item in data]
    for length in lengths:
        if length != lengths[0]:
            first, other = ("a number" if n is None else f"length {n}" for n in (lengths[0], length))
            return f"expected {first} at dimension {depth + 1}, as in its first item, got {other}"
    return next((text for item in data if "got" in (text := _ragged(item, depth + 1))), "its parts differ in shape")


def checked_number(value: Any, dtype: np.dtype[Any]) -> Any:
    """A Python number, from a number or a 0-d tensor, that a dtype can hold; RuntimeError when it cannot."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise TypeError(f"fill_value must be a number or a 0-d tensor, got shape {value.shape}")
        value = value.item()
    if isinstance(value, complex):
        raise TypeError("complex dtypes are not supported; keep the real and the imaginary part in two tensors.")
    if not isinstance(value, (bool, int, float, np.generic)):
        raise TypeError(f"expected a number, got {type(value).__name__}")
    return _packed(value, dtype)[()].item()
