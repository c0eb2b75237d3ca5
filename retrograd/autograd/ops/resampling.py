"""Resampling along one axis: every element of the result is a weighted sum of a few elements of the input.

Interpolation, antialiased reduction and averages over uneven windows differ in their tables alone. The transposed of
such a map is one again, with the transposed table: a gradient is gathered, never scattered, and is the same every time.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from retrograd.autograd.ops.shape import along
from retrograd.autograd.primitive import primitive
from retrograd.autograd.view import apply
from retrograd.backends.kernels import fusable

HostArray = np.ndarray[Any, Any]


class Taps:
    """Which elements of an axis, and how much of each, make an element of the result.

    `sources` (results, taps) are indices into an axis of that `length`; `weights` (results, taps), or None where each
    result is one element as it is. Kept on the host.
    """

    def __init__(self, length: int, sources: HostArray, weights: HostArray | None = None) -> None:
        self.length, self.sources, self.weights = length, sources, weights

    @functools.cached_property
    def transposed(self) -> Taps:
        """The table of the transposed map; a row with fewer taps than others is filled up with weights of 0."""
        results, taps = self.sources.shape
        weights = np.ones(self.sources.shape) if self.weights is None else self.weights
        used = np.flatnonzero(weights)
        order = used[np.argsort(self.sources.reshape(-1)[used], kind="stable")]
        rows = self.sources.reshape(-1)[order]
        counts = np.bincount(rows, minlength=self.length)
        columns = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
        shape = (self.length, max(1, counts.max(initial=0)))
        sources, shares = np.zeros(shape, np.int64), np.zeros(shape)
        sources[rows, columns], shares[rows, columns] = order // taps, weights.reshape(-1)[order]
        return Taps(results, np.where(shares == 0, sources[:, :1], sources), shares)


@primitive(name="Upsample")
@fusable
def resample(xp: Any, x: Any, *, axis: int, taps: Taps) -> Any:
    """The weighted sums that the table says, along one axis that is counted from the end."""
    if not taps.length:
        return xp.new_zeros(x, shape=(*x.shape[:axis], len(taps.sources), *x.shape[x.ndim + axis + 1 :]))
    wide = xp.astype(x, dtype="float32") if x.dtype == "float16" and taps.weights is not None else x
    total: Any = None
    for tap in range(taps.sources.shape[1]):
        part = xp.getitem(wide, along(axis, x.ndim, xp.from_host(taps.sources[:, tap]))[:-1])
        if taps.weights is None:
            return part
        weights = xp.from_host(taps.weights[:, tap].astype(wide.dtype))
        part = xp.multiply(part, xp.reshape(weights, (-1, *(1,) * (-axis - 1))), out=part)
        if total is None:
            total = part
        else:
            xp.add_into(total, part)
    return xp.astype(total, dtype=x.dtype) if wide.dtype != x.dtype else total


resample.vjp(lambda xp, g, axis, taps: apply(resample.primitive, g, axis=axis, taps=taps.transposed))
