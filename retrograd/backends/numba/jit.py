"""How kernels are compiled, and which arrays they take."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, overload

import numba
import numpy as np

__all__ = ["compiled", "suited"]

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


@overload
def compiled(loops: Callable[..., Any]) -> Any: ...
@overload
def compiled(*, reassociate: bool) -> Callable[[Callable[..., Any]], Any]: ...
def compiled(loops: Callable[..., Any] | None = None, *, reassociate: bool = False) -> Any:
    """Machine code at the first call with a dtype, kept on disk. It runs without the interpreter's lock, and divides as
    NumPy does; nothing is reordered.

    `@compiled(reassociate=True)` lets the sums of a loop be taken in another order, and a product be added without
    having been rounded. Only then does a loop that sums run on vectors, ten times as fast; NaN and infinities behave as
    before. Such a sum is about as accurate as one in a row for each element of a vector: what sums thousands of
    numbers adds up in blocks.
    """
    if loops is None:
        return functools.partial(compiled, reassociate=reassociate)
    fastmath = {"reassoc", "nsz", "contract"} if reassociate else False
    return numba.njit(nogil=True, error_model="numpy", cache=True, fastmath=fastmath)(loops)


def suited(first: Any, *others: Any) -> bool:
    """Whether arrays are NumPy's, of one dtype (float32 or float64), and each in one piece; None is left out."""
    if type(first) is not np.ndarray or first.dtype not in FLOATS or not first.flags.c_contiguous:
        return False
    dtype = first.dtype
    return all(
        array is None or (type(array) is np.ndarray and array.dtype == dtype and array.flags.c_contiguous)
        for array in others
    )
