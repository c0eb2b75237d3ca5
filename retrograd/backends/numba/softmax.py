"""Loops of softmax over rows that others share: the largest number of a row, and the exponentials of its distances."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from retrograd.backends.numba.exponential import exp
from retrograd.backends.numba.jit import compiled
from retrograd.backends.numba.runs import total

__all__ = ["BLOCK", "exponentials", "largest", "powers"]

Array = Any
BLOCK = 2048
"""Numbers of the rows whose exponentials are taken together, so that short rows fill the processor's vectors."""


def largest(row: Any) -> Any:
    """The maximum of a row, NaN where there is one; within compiled loops only."""
    raise NotImplementedError


def largest_of(row: Any) -> Any:
    """By integers, which are in the same order once all bits but the sign of a negative number are turned, NaN beyond
    the others: a maximum of integers runs on vectors, one of floating numbers does not."""
    kind, integer, sign = {types.float32: (np.float32, np.int32, 31)}.get(row.dtype, (np.float64, np.int64, 63))
    rest = np.iinfo(integer).max

    def maximum(row: Any) -> Any:
        bits = row.view(integer)
        found = integer(-rest)
        for i in range(bits.size):
            found = max(found, integer(bits[i] ^ (integer(bits[i] >> sign) & rest)))
        return integer(found ^ (integer(found >> sign) & rest)).view(kind)

    return maximum


overload(largest)(largest_of)


@compiled
def powers(x: Array, start: int, stop: int, out: Array) -> None:
    """exp x of these rows, as one run; `out` is another array."""
    row, result = x[start:stop].reshape(-1), out[start:stop].reshape(-1)
    for i in range(row.size):
        result[i] = exp(row[i])


@compiled
def powers_in_place(x: Array, start: int, stop: int) -> None:
    row = x[start:stop].reshape(-1)
    for i in range(row.size):
        row[i] = exp(row[i])


@compiled
def exponentials(x: Array, e: Array, shift: Array, sums: Array, start: int, stop: int) -> None:
    """e = exp(x − shift), with the largest of each row for its shift, and the sums of the rows, which are those of
    (rows, 1, numbers) arrays."""
    step = max(1, BLOCK // max(1, x.shape[2]))
    for first in range(start, stop, step):
        last = min(first + step, stop)
        for n in range(first, last):
            row, result = x[n, 0], e[n, 0]
            shift[n] = most = largest(row)
            for i in range(row.size):
                result[i] = row[i] - most
        powers_in_place(e, first, last)
        for n in range(first, last):
            sums[n] = total(e, n, 0)
