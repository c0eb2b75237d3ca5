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

ROW_MAJOR, AS_IS = 101, 111  # of CBLAS's enumerations


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
def product_32(out: Any, x: Any, y: Any, keep: bool) -> None:
    (m, k), n, beta = x.shape, y.shape[1], np.float32(1 if keep else 0)
    x_at, y_at, out_at = x.ctypes.data, y.ctypes.data, out.ctypes.data
    sgemm(ROW_MAJOR, AS_IS, AS_IS, m, n, k, np.float32(1), x_at, k, y_at, n, beta, out_at, n)


@compiled
def product_64(out: Any, x: Any, y: Any, keep: bool) -> None:
    (m, k), n, beta = x.shape, y.shape[1], 1.0 if keep else 0.0
    x_at, y_at, out_at = x.ctypes.data, y.ctypes.data, out.ctypes.data
    dgemm(ROW_MAJOR, AS_IS, AS_IS, m, n, k, 1.0, x_at, k, y_at, n, beta, out_at, n)


def product(out: Any, x: Any, y: Any, keep: bool) -> None:
    """out = x y, or out += x y (`keep`), of matrices that each lie in one piece; within compiled loops only."""
    raise NotImplementedError


@overload(product)
def product_of(out: Any, x: Any, y: Any, keep: Any) -> Any:
    chosen = {types.float32: product_32, types.float64: product_64}.get(out.dtype)
    if chosen is None or not all(array.layout == "C" for array in (out, x, y)):
        return None

    def multiply(out: Any, x: Any, y: Any, keep: Any) -> Any:
        chosen(out, x, y, keep)

    return multiply
