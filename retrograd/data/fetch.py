"""From what a sampler yields to a batch: the part of loading that runs in the loop or in a worker."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.autograd.tensor import Tensor
from retrograd.data.collate import default_collate
from retrograd.data.dataset import IterableDataset, Subset, TensorDataset

__all__ = ["EndOfData", "Fetch", "collated", "fetcher"]

Fetch = Callable[[Any], Any]
"""Takes what the sampler yielded and returns the batch; raises EndOfData at the end of an iterable data set."""


class EndOfData(Exception):
    """An iterable data set has no further batch. (StopIteration could come from the user's code, by mistake.)"""


def fetcher(dataset: Any, batched: bool, collate: Callable[[Any], Any], drop_last: bool) -> Fetch:
    """How batches of a data set are made, or single samples where the loader makes no batches."""
    if isinstance(dataset, IterableDataset):
        return _in_turn(dataset, batched, collate, drop_last)
    if not batched:
        return lambda index: collate(dataset[index])
    if collate is default_collate:
        return lambda indices: collated(dataset, indices)
    return lambda indices: collate(_samples(dataset, indices))


def _in_turn(dataset: IterableDataset[Any], batched: bool, collate: Callable[[Any], Any], drop_last: bool) -> Fetch:
    samples = iter(dataset)

    def batch(wanted: Sequence[None]) -> Any:
        taken = list(itertools.islice(samples, len(wanted)))
        if not taken or (drop_last and len(taken) < len(wanted)):
            raise EndOfData
        return collate(taken)

    def sample(_: None) -> Any:
        taken = list(itertools.islice(samples, 1))
        if not taken:
            raise EndOfData
        return collate(taken[0])

    return batch if batched else sample


def _samples(dataset: Any, indices: Sequence[Any]) -> Any:
    if getattr(dataset, "__getitems__", None):
        return dataset.__getitems__(indices)
    return [dataset[i] for i in indices]


def collated(dataset: Any, indices: Sequence[Any]) -> Any:
    """The collated batch: by `__getbatch__`, of rows of tensors by one look-up each, else of samples; equal values."""
    inner, numbers = dataset, indices
    while type(inner) is Subset:
        numbers = [inner.indices[i] for i in numbers]
        inner = inner.dataset
    if len(numbers) > 0 and hasattr(inner, "__getbatch__"):
        return inner.__getbatch__(numbers)
    if len(numbers) > 0 and _is_plain(inner):
        return _rows(inner, numbers)
    return default_collate(_samples(dataset, indices))


def _is_plain(dataset: Any) -> bool:
    """Whether a sample is nothing but the row of each tensor, also in a subclass."""
    return (
        isinstance(dataset, TensorDataset)
        and type(dataset).__getitem__ is TensorDataset.__getitem__
        and not hasattr(dataset, "__getitems__")
    )


def _rows(dataset: TensorDataset, numbers: Sequence[Any]) -> list[Tensor]:
    rows = np.asarray([operator.index(i) for i in numbers])
    size = len(dataset)
    if not (-size <= rows.min() and rows.max() < size):  # a GPU would wrap such numbers silently
        wrong = rows[(rows < -size) | (rows >= size)][0]
        raise IndexError(f"index {wrong} is out of range for a TensorDataset of {size} samples.")
    rows[rows < 0] += size
    return [tensor[rows] for tensor in dataset.tensors]
