"""Activations on NumPy: sigmoid and ReLU. GELU, which is made of the error function, is in `numpy_special.py`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from retrograd.backends.contract import Array
from retrograd.backends.kernels import fusable

__all__ = ["relu", "sigmoid"]

_FLOAT16 = np.dtype(np.float16)
_FLOAT32 = np.dtype(np.float32)

# The exponential of these is still finite. Arrays without dimensions are faster operands than Python's numbers.
_EXP_LIMIT = {"f": np.array(88.72, np.float32), "d": np.array(709.78)}
_ONE = {"f": np.array(1, np.float32), "d": np.array(1.0)}


@fusable
def sigmoid(x: Array) -> Array:
    """1/(1 + exp(-x)), the exponent bounded so that nothing overflows: results that are normal numbers are exact to two
    units in the last place, the others come out below the smallest normal number."""
    char = x.dtype.char
    if char == "e":
        return sigmoid(x.astype(_FLOAT32)).astype(_FLOAT16)
    if char not in _EXP_LIMIT:
        return sigmoid(x.astype(np.float64))
    e = np.asarray(np.negative(x))
    np.minimum(e, _EXP_LIMIT[char], out=e)
    np.exp(e, e)
    np.add(e, _ONE[char], e)
    return np.reciprocal(e, e)[()]


ROW = 1024
"""Elements of the row that a large array is compared with."""


@functools.lru_cache(32)
def _zeros(dtype: Any) -> Array:
    return np.zeros(ROW, dtype)


@fusable
def relu(x: Array) -> Array:
    """The maximum with a row of zeros: with the number 0 NumPy's loop takes twice as long."""
    if x.size < 16 * ROW or not x.flags.c_contiguous:
        return np.maximum(x, 0)
    out = np.empty(x.shape, x.dtype)
    rows, rest = divmod(x.size, ROW)
    given, result, zeros = x.reshape(-1), out.reshape(-1), _zeros(x.dtype)
    whole = slice(0, rows * ROW)
    np.maximum(given[whole].reshape(rows, ROW), zeros, out=result[whole].reshape(rows, ROW))
    np.maximum(given[whole.stop :], zeros[:rest], out=result[whole.stop :])
    return out
