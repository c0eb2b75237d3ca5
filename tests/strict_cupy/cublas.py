"""cuBLAS, as far as it is called directly: products of matrices that lie in memory by columns, found by their address.

It follows the pointers on the host, and refuses what cuBLAS refuses; what lies beyond an allocation, or would go to
another stream than the kernels before it, fails the test.
"""

from __future__ import annotations

import ctypes
import itertools
from typing import Any

import numpy as np

from tests.strict_cupy.memory import Memory, living
from tests.strict_cupy.rules import StrictError, state
from tests.strict_cupy.streams import Stream, get_current_stream

INVALID_VALUE = 7
DTYPES = {0: np.dtype(np.float32), 1: np.dtype(np.float64), 2: np.dtype(np.float16)}
COMPUTED = {("f", 68), ("f", 77), ("d", 70), ("e", 68), ("e", 64)}


class Library:
    """libcublas. Functions return a status; pointers come as ctypes gives them to C."""

    def __init__(self) -> None:
        self.numbers = itertools.count(77)
        self.handles: dict[int, dict[str, Any]] = {}
        self.last: dict[int, tuple[int, int]] = {}
        """By handle: the last launch, which has used its workspace."""
        self.calls: list[tuple[Any, ...]] = []
        """Name, operations, lengths, pitches, steps and kind of arithmetic of every product."""

    def cublasCreate_v2(self, handle: Any) -> int:
        handle._obj.value = next(self.numbers)
        self.handles[handle._obj.value] = {"stream": 0, "workspace": None}
        return 0

    def cublasSetStream_v2(self, handle: Any, stream: Any) -> int:
        self.handles[handle.value] = {"stream": stream.value or 0, "workspace": None}
        return 0

    def cublasSetWorkspace_v2(self, handle: Any, workspace: Any, size: Any) -> int:
        within(workspace.value, size.value)
        self.handles[handle.value]["workspace"] = workspace.value, size.value
        return 0

    def cublasGemmEx(self, handle: Any, *args: Any) -> int:
        transa, transb, m, n, k, alpha, a, at, lda, b, bt, ldb, beta, c, ct, ldc, compute, algo = args
        return self.product(
            "cublasGemmEx", handle, transa, transb, m, n, k, alpha, beta, compute, algo, 1,
            (a, at, lda, 0), (b, bt, ldb, 0), (c, ct, ldc, 0),
        )  # fmt: skip

    def cublasGemmStridedBatchedEx(self, handle: Any, *args: Any) -> int:
        transa, transb, m, n, k, alpha, a, at, lda, sa, b, bt, ldb, sb, beta, c, ct, ldc, sc, count, compute, algo = (
            args
        )
        return self.product(
            "cublasGemmStridedBatchedEx", handle, transa, transb, m, n, k, alpha, beta, compute, algo, count,
            (a, at, lda, sa.value), (b, bt, ldb, sb.value), (c, ct, ldc, sc.value),
        )  # fmt: skip

    def product(
        self, name: str, handle: Any, transa: int, transb: int, m: int, n: int, k: int, alpha: Any, beta: Any,
        compute: int, algo: int, count: int, *matrices: tuple[Any, int, int, int],
    ) -> int:  # fmt: skip
        self.check(handle.value, get_current_stream())
        shapes = [(k, m) if transa else (m, k), (n, k) if transb else (k, n), (m, n)]
        dtype = DTYPES[matrices[0][1]]
        if min(m, n, k, count) < 0 or (dtype.char, compute) not in COMPUTED or algo != -1:
            return INVALID_VALUE
        factor = ctypes.c_double if compute == 70 else ctypes.c_float
        if not all(type(f._obj) is factor for f in (alpha, beta)) or (alpha._obj.value, beta._obj.value) != (1, 0):
            return INVALID_VALUE
        if any(
            pitch < max(1, rows) or kind != matrices[0][1] for (_, kind, pitch, _), (rows, _) in zip(matrices, shapes)
        ):
            return INVALID_VALUE
        kind = (name, (transa, transb), (m, n, k, count), [part[2:] for part in matrices], compute)
        self.calls.append(kind)
        places = [(pointer.value, shape, pitch, step) for (pointer, _, pitch, step), shape in zip(matrices, shapes)]
        state.launch(multiply, dtype, (transa, transb), count, places)
        return 0

    def check(self, number: int, stream: Stream) -> None:
        handle = self.handles[number]
        if handle["stream"] != stream.ptr:
            raise StrictError("a product goes to another stream than the kernels before it")
        if stream.is_capturing():
            if handle["workspace"] is None:
                raise StrictError("a product is captured without a workspace of its own")
            return
        self.last[number] = stream.follow(self.last.get(number), "a product, with the workspace of another one,")


def multiply(dtype: Any, turned: tuple[int, int], count: int, places: list[Any]) -> None:
    """C = op(A) op(B) by columns, which is row-major Cᵀ = op(B)ᵀ op(A)ᵀ."""
    a, b, c = (columns(dtype, count, *where) for where in places)
    left = b if turned[1] else b.swapaxes(1, 2)
    right = a if turned[0] else a.swapaxes(1, 2)
    wide = np.float32 if dtype.char == "e" else dtype
    with np.errstate(all="ignore"):
        c.swapaxes(1, 2)[...] = np.matmul(left.astype(wide, copy=False), right.astype(wide, copy=False))


def touches(dtype: Any, turned: Any, count: int, places: list[Any]) -> list[Memory]:
    """The memory that a product reads and writes."""
    return [within(pointer, extent(dtype, count, *rest)) for pointer, *rest in places]


multiply.touches = touches  # type: ignore[attr-defined]


def extent(dtype: Any, count: int, shape: tuple[int, int], pitch: int, step: int) -> int:
    return ((count - 1) * step + (shape[1] - 1) * pitch + shape[0]) * int(dtype.itemsize)


def columns(dtype: Any, count: int, pointer: int, shape: tuple[int, int], pitch: int, step: int) -> Any:
    """Matrices whose columns lie `pitch` elements apart, `step` elements from each other."""
    size = extent(dtype, count, shape, pitch, step)
    memory = (ctypes.c_char * size).from_address(pointer)
    strides = [n * dtype.itemsize for n in (step, 1, pitch)]
    return np.ndarray((count, *shape), dtype, memory, 0, strides)


def within(pointer: int, size: int) -> Memory:
    """The memory in which a range of addresses lies."""
    for memory in list(living):
        if memory.ptr <= pointer and pointer + size <= memory.ptr + memory.size:
            return memory
    raise StrictError(f"{size} bytes at {pointer} lie in no memory of the device, or reach beyond it")
