"""Matrix products within compiled loops, by the BLAS library that NumPy has loaded.

NumPy's own packages bring OpenBLAS with 64-bit indices, whose names are looked for in what NumPy's extension module is
linked with. Where they are not found, `available` is False and kernels that multiply leave their work to NumPy.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numba import types
from numba.extending import overload

from retrograd.backends.numba.jit import compiled

__all__ = ["available", "product"]

ROW_MAJOR, AS_IS, TRANSPOSED = 101, 111, 112  # of CBLAS's enumerations


def external(letter: str, dtype: Any) -> Any:
    """The library's product of float32 (s) or float64 (d) matrices, for compiled code to call; None without it."""
    library = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    for pattern in ("scipy_cblas_{}gemm64_", "cblas_{}gemm64_"):
        function = getattr(library, pattern.format(letter), None)
        if function is not None:
            break
    else:
        return None
    name = f"retrograd_{letter}gemm"
    llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
    flag, size, matrix = types.int32, types.int64, types.intp
    shapes, operands = (flag, flag, flag, size, size, size), (dtype, matrix, size, matrix, size, dtype, matrix, size)
    return types.ExternalFunction(name, types.void(*shapes, *operands))


sgemm, dgemm = external("s", types.float32), external("d", types.float64)
available = sgemm is not None and dgemm is not None


@compiled
def stored(x: Any) -> tuple[int, int]:
    """Whether a matrix lies row by row, or column by column as a transposed one does, and how far apart these are."""
    if x.strides[1] == x.itemsize:
        return AS_IS, max(x.strides[0] // x.itemsize, x.shape[1])
    return TRANSPOSED, max(x.strides[1] // x.itemsize, x.shape[0])


@compiled
def product_32(out: Any, x: Any, y: Any, keep: bool) -> None:
    (m, k), n, beta = x.shape, y.shape[1], np.float32(1 if keep else 0)
    (x_stored, x_apart), (y_stored, y_apart), (_, apart) = stored(x), stored(y), stored(out)
    x_at, y_at, out_at = x.ctypes.data, y.ctypes.data, out.ctypes.data
    sgemm(ROW_MAJOR, x_stored, y_stored, m, n, k, np.float32(1), x_at, x_apart, y_at, y_apart, beta, out_at, apart)


@compiled
def product_64(out: Any, x: Any, y: Any, keep: bool) -> None:
    (m, k), n, beta = x.shape, y.shape[1], 1.0 if keep else 0.0
    (x_stored, x_apart), (y_stored, y_apart), (_, apart) = stored(x), stored(y), stored(out)
    x_at, y_at, out_at = x.ctypes.data, y.ctypes.data, out.ctypes.data
    dgemm(ROW_MAJOR, x_stored, y_stored, m, n, k, 1.0, x_at, x_apart, y_at, y_apart, beta, out_at, apart)


def product(out: Any, x: Any, y: Any, keep: bool) -> None:
    """out = x y, or out += x y (`keep`), within compiled loops only. The rows of `out`, and the rows or the columns of
    x and of y, are runs of memory."""
    raise NotImplementedError


@overload(product)
def product_of(out: Any, x: Any, y: Any, keep: Any) -> Any:
    chosen = {types.float32: product_32, types.float64: product_64}.get(out.dtype)
    if chosen is None:
        return None

    def multiply(out: Any, x: Any, y: Any, keep: Any) -> Any:
        chosen(out, x, y, keep)

    return multiply
