"""Kernels that go over long arrays several times, as parts: each part stays in the cache, and threads share them out.

A kernel writes its results into arrays that it is given (`out=`), so that no pass waits for new memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["by_rows"]

GRAIN = 2**16
"""Elements that are worth a thread of their own, in a kernel of a dozen passes."""


def by_rows(xp: Any, kernel: Callable[..., None], *arrays: Any, products: bool = False) -> None:
    """kernel(*arrays), by ranges of their first axis; `products` says that it calls matmul."""
    rows, size = len(arrays[0]), arrays[0].size
    if size < 2 * GRAIN:
        kernel(*arrays)
        return
    most = max(1, rows * (xp.scratch_bytes // 16) // size)  # a float32 part takes a quarter of the scratch memory

    def task(start: int, stop: int) -> None:
        for first in range(start, stop, most):
            part = slice(first, min(first + most, stop))
            kernel(*[x[part] for x in arrays])

    xp.share(task, rows, max(1, rows * GRAIN // size), products=products)
