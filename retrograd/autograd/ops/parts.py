"""Kernels that go over long arrays several times, as parts: a part stays in the cache, and threads share them out.

A kernel writes its results into arrays that it is given (`out=`), so that no pass waits for new memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["SIMPLE", "by_rows"]

GRAIN = 2**16
"""Elements that are worth a thread of their own where each of them takes long, as in products of matrices."""
SIMPLE = 2**18
"""The same with simple arithmetic: between short calls of NumPy threads wait for each other."""


def by_rows(xp: Any, kernel: Callable[..., None], *arrays: Any, grain: int = GRAIN, products: bool = False) -> None:
    """kernel(*arrays), by ranges of their first axis, of which the first array has `grain` elements at least.

    `products` says that the kernel calls matmul.
    """
    rows, size = len(arrays[0]), arrays[0].size
    if size < 2 * grain and size <= most_elements(xp):
        kernel(*arrays)
        return
    most = max(1, rows * most_elements(xp) // size)

    def task(start: int, stop: int) -> None:
        for first in range(start, stop, most):
            part = slice(first, min(first + most, stop))
            kernel(*[x[part] for x in arrays])

    xp.share(task, rows, max(1, rows * grain // size), products=products)


def most_elements(xp: Any) -> int:
    """Elements of a part: in float32 half of the scratch memory. Less costs more calls than the cache gains."""
    most: int = xp.scratch_bytes // 8
    return most
