"""The first elements in order, of arrays much longer than that: what is not among them need not be sorted."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.contract import Array

__all__ = ["first_places", "partition"]


def first_places(x: Array, count: int, axis: int, descending: bool, argsort: Any) -> Array:
    """The first `count` along an axis of the indices that `argsort` gives: equal elements in their order, NaN greatest.

    Elements up to the last of these (which a partition finds) are picked, and they alone are sorted.
    """
    rows = np.ascontiguousarray(np.moveaxis(x, axis, -1))
    length = rows.shape[-1]
    rank = length - count if descending else count - 1
    last = np.partition(rows, rank, -1)[..., rank : rank + 1]
    if x.dtype.kind == "f" and np.isnan(last).any():  # equal to nothing
        return np.moveaxis(argsort(rows, axis=-1, descending=descending)[..., :count], -1, axis)
    kept = np.logical_not(rows < last) if descending else rows <= last
    surplus = np.count_nonzero(kept, axis=-1, keepdims=True) - count
    if surplus.any():  # of those that equal the last one, the first have their place
        ties = rows == last
        ranks = np.cumsum(ties, axis=-1)
        kept &= np.logical_not(ties & (ranks > ranks[..., -1:] - surplus))
    places = (np.flatnonzero(kept) % length).reshape(*rows.shape[:-1], count)
    order = argsort(np.take_along_axis(rows, places, -1), axis=-1, descending=descending)
    return np.moveaxis(np.take_along_axis(places, order, -1), -1, axis)


def partition(x: Array, rank: int) -> Array:
    """A copy of a 1-d array in which one element, counted from 0, stands where it would in order; NaN is greatest."""
    return np.partition(x, rank)
