"""Matrix products on NumPy: `matmul`, with long thin products cut into blocks.

OpenBLAS multiplies without first packing its operands where rows · inner · columns is at most a million and both are
stored by rows (its "small matrix" kernels, interface/gemm.c). A few rows times a very long matrix, as a convolution
with few channels has it, runs twice as fast in blocks of columns that small. A block is one thread's work, so with more
threads only products of which a block takes next to nothing are cut.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.backends.contract import Array
from retrograd.backends.threads import one_thread

__all__ = ["matmul"]

_FLOAT16 = np.dtype(np.float16)
_FLOAT32 = np.dtype(np.float32)
SMALL = 1_000_000
"""Multiplications in a block, at most."""
STEP = 64
"""Blocks have a multiple of so many columns: with fewer the calls cost what the kernels gain."""

TINY = 512
"""Elements of a result that is so small against its operands that these are better multiplied slice by slice."""

FEW = 4096
"""Elements of a left matrix up to which the call itself counts: that of `dot` takes half the time."""


LONG = 512
"""Columns from which on blocks are worth a look."""
THIN = 256
"""Elements of a left matrix so small that blocks are faster on one thread than the whole on two."""


def matmul(x: Array, y: Array) -> Array:
    fit = x.ndim == 2 == y.ndim and x.shape[1] == y.shape[0] and x.dtype is y.dtype
    if fit and x.size <= FEW and y.shape[1] < LONG and x.dtype.char in "fd":
        return np.dot(x, y)
    if x.dtype.char == "e" and y.dtype.char == "e":
        return matmul(x.astype(_FLOAT32), y.astype(_FLOAT32)).astype(_FLOAT16)
    if y.ndim > 1 and y.shape[-1] >= LONG and x.ndim == y.ndim and y.strides[-1] == y.itemsize:
        width = SMALL // max(1, x.shape[-2] * x.shape[-1])
        fits = STEP <= width < y.shape[-1] and x.dtype == y.dtype and x.shape[-1] == y.shape[-2]
        if fits and (one_thread() or x.shape[-2] * x.shape[-1] <= THIN):
            return _in_blocks(np.ascontiguousarray(x), y, width)
    if x.shape[-1:] >= (4 * LONG,) and x.ndim == y.ndim > 1 and x.shape[-2] * y.shape[-1] <= TINY:
        return _in_slices(x, y, LONG)
    if y.ndim == 2 and x.ndim > 2 and y.shape[0] == x.shape[-1]:  # one product of matrices, not one per batch
        rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
        return np.matmul(rows, y).reshape(*x.shape[:-1], y.shape[1])
    return np.matmul(x, y)


def _in_blocks(x: Array, y: Array, width: int) -> Array:
    """x @ y by blocks of about so many columns of y, all of them in one call."""
    columns = y.shape[-1]
    equal = -(-columns // -(-columns // width))
    width = min(-(-equal // STEP), width // STEP) * STEP
    whole = columns - columns % width
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    out: Any = np.empty((*batch, x.shape[-2], columns), x.dtype)
    np.matmul(x[..., None, :, :], _blocks(y[..., :whole], width), out=_blocks(out[..., :whole], width))
    if whole < columns:
        np.matmul(x, y[..., whole:], out=out[..., whole:])
    return out


def _in_slices(x: Array, y: Array, width: int) -> Array:
    """x @ y as the sum of the products of so many columns of x with as many rows of y."""
    whole = x.shape[-1] - x.shape[-1] % width
    rows = y[..., :whole, :].reshape(*y.shape[:-2], -1, width, y.shape[-1])
    out = np.add.reduce(np.matmul(_blocks(x[..., :whole], width), rows), -3)
    if whole < x.shape[-1]:
        out += np.matmul(x[..., whole:], y[..., whole:, :])
    return out


def _blocks(x: Array, width: int) -> Array:
    """(..., rows, columns) as a view (..., blocks, rows, width)."""
    return x.reshape(*x.shape[:-1], -1, width).swapaxes(-3, -2)
