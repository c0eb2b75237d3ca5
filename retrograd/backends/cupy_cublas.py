"""Matrix products by cuBLAS called directly, for kernels that are captured as a CUDA graph.

CuPy refuses to call cuBLAS while a stream captures (cupy issue 6290). cuBLAS itself allows it where its workspace is
the caller's (cuBLAS documentation, "CUDA Graphs Support"). So this has a handle of its own, on the library that CuPy
has loaded. cuBLAS stores matrices by columns: a row-major product C = A B is to it Cᵀ = Bᵀ Aᵀ.

Not yet verified on a GPU: tests compute with a twin of cuBLAS that follows the same pointers on the host.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import math
import os
import sys
from typing import Any, NamedTuple

import cupy as cp
import numpy as np

from retrograd.backends.contract import Array

__all__ = ["Products", "load"]

WORKSPACE = 1 << 25
"""Bytes of the workspace: what cuBLAS asks for on Hopper, its largest (cublasSetWorkspace's documentation)."""
NO, TRANSPOSED = 0, 1  # cublasOperation_t
DEFAULT = -1  # CUBLAS_GEMM_DEFAULT
TENSOR_FLOAT_32 = 77  # CUBLAS_COMPUTE_32F_FAST_TF32
NUMBERS: dict[str, tuple[int, int, Any]] = {
    "e": (2, 68, ctypes.c_float),
    "f": (0, 68, ctypes.c_float),
    "d": (1, 70, ctypes.c_double),
}
"""By dtype: cudaDataType, cublasComputeType_t (float16 is added up in float32), type of the factors."""


@functools.cache
def load() -> Any:
    """The libcublas that CuPy has loaded. Raises OSError where it is not found."""
    cp.cuda.cublas  # noqa: B018  # its import loads the library, from wherever CuPy was told to take it
    major = cp.cuda.runtime.runtimeGetVersion() // 1000
    return ctypes.CDLL(f"cublas64_{major}.dll" if sys.platform == "win32" else f"libcublas.so.{major}")


class Matrix(NamedTuple):
    """How cuBLAS is to read the last two dimensions of an array: as rows, or as columns, `pitch` elements apart."""

    array: Any
    operation: int
    pitch: int


class Products:
    """A handle of cuBLAS on the current GPU, and its workspace; one thread at a time."""

    def __init__(self) -> None:
        self.library, self.handle = load(), ctypes.c_void_p()
        self.call("cublasCreate_v2", ctypes.byref(self.handle))
        self.workspace = cp.empty(WORKSPACE, np.uint8)

    def call(self, name: str, *args: Any) -> None:
        """Calls a function, and raises RuntimeError where it does not succeed."""
        status = getattr(self.library, name)(*args)
        if status:
            raise RuntimeError(f"{name}: cuBLAS returned status {status}.")

    def use(self, stream: Any) -> None:
        """Products go to this stream from now on. (A new stream resets the workspace, hence the order.)"""
        self.call("cublasSetStream_v2", self.handle, ctypes.c_void_p(stream.ptr))
        size = ctypes.c_size_t(WORKSPACE)
        self.call("cublasSetWorkspace_v2", self.handle, ctypes.c_void_p(self.workspace.data.ptr), size)

    def matmul(self, x: Array, y: Array, out: Array | None = None) -> Array:
        """numpy.matmul of two float16, float32 or float64 arrays; `out` is contiguous."""
        left = x.reshape(1, -1) if x.ndim == 1 else x
        right = y.reshape(-1, 1) if y.ndim == 1 else y
        if left.shape[-1] != right.shape[-2]:
            raise ValueError(f"matmul: shapes {x.shape} and {y.shape} do not fit.")
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        shape = (*batch, left.shape[-2], right.shape[-1])
        product = cp.empty(shape, x.dtype) if out is None else out
        if not left.shape[-1]:
            product.fill(0)
        elif product.size:
            self.multiply(batch, left, right, product)
        if x.ndim > 1 and y.ndim > 1:
            return product
        return product.reshape(shape[:-2] + (shape[-2:-1] if x.ndim > 1 else ()) + (shape[-1:] if y.ndim > 1 else ()))

    def multiply(self, batch: tuple[int, ...], x: Array, y: Array, out: Array) -> None:
        """One call of cuBLAS: out = x y, out contiguous and not empty."""
        count = math.prod(batch)
        (a, x_step), (b, y_step) = spread(x, batch), spread(y, batch)
        (rows, inner), columns = x.shape[-2:], y.shape[-1]
        if count > 1 and not y_step and a.operation == NO and (rows == 1 or x_step == rows * a.pitch):
            pitch = x_step if rows == 1 else a.pitch  # every matrix of x by the same y: one product of all their rows
            if pitch >= inner:
                a, rows, count = a._replace(pitch=pitch), rows * count, 1
        kind, computed, factor = NUMBERS[x.dtype.char]
        if computed == 68 and x.dtype.char == "f" and int(os.getenv("CUPY_TF32", "0")) > 0:
            computed = TENSOR_FLOAT_32
        first = (ctypes.c_void_p(b.array.data.ptr), kind, b.pitch)
        second = (ctypes.c_void_p(a.array.data.ptr), kind, a.pitch)
        third = (ctypes.c_void_p(out.data.ptr), kind, columns)
        one, zero = ctypes.byref(factor(1)), ctypes.byref(factor(0))
        head = (self.handle, b.operation, a.operation, columns, rows, inner, one)
        if count == 1:
            self.call("cublasGemmEx", *head, *first, *second, zero, *third, computed, DEFAULT)
            return
        steps = [ctypes.c_longlong(step) for step in (y_step, x_step, rows * columns)]
        self.call(
            "cublasGemmStridedBatchedEx",
            *(*head, *first, steps[0], *second, steps[1], zero, *third, steps[2], count, computed, DEFAULT),
        )


def spread(x: Array, batch: tuple[int, ...]) -> tuple[Matrix, int]:
    """An array as cuBLAS reads it, and by how many elements the matrices of a batch lie apart (0: they are one).

    What has no such order in memory is copied.
    """
    order = order_of(x)
    if order is not None:
        missing = len(batch) - x.ndim + 2
        lengths, steps = [1] * missing + list(x.shape), [0] * missing + [step // x.itemsize for step in x.strides]
        moving = [(n, 0 if n > length else step) for n, length, step in zip(batch, lengths, steps) if n > 1]
        if not moving:
            return Matrix(x, *order), 0
        step = moving[-1][1]
        if step >= 0 and all(outer == inner * n for (_, outer), (n, inner) in itertools.pairwise(moving)):
            return Matrix(x, *order), step
    if math.prod(x.shape[:-2]) > 1:
        x = cp.broadcast_to(x, (*batch, *x.shape[-2:]))
    x = cp.ascontiguousarray(x)
    return Matrix(x, NO, x.shape[-1]), 0 if math.prod(x.shape[:-2]) == 1 else math.prod(x.shape[-2:])


def order_of(x: Array) -> tuple[int, int] | None:
    """Whether an array's matrices lie in memory row by row or column by column, and how far apart those are."""
    (rows, columns), (down, along) = x.shape[-2:], (step // x.itemsize for step in x.strides[-2:])
    if columns == 1 or along == 1:
        pitch = columns if rows == 1 else down
        if pitch >= columns:
            return NO, pitch
    if rows == 1 or down == 1:
        pitch = rows if columns == 1 else along
        if pitch >= rows:
            return TRANSPOSED, pitch
    return None
