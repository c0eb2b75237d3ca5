"""Data sets: samples by their number, or one after another, and ways to take parts of them."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from retrograd.autograd.methods.random import Generator, chosen
from retrograd.autograd.tensor import Tensor

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]

Sample = TypeVar("Sample", covariant=True)


class Dataset(Generic[Sample]):
    """Samples by their number: a subclass defines `__getitem__(index)`, and `__len__` for samplers and loaders.

    A subclass may also define `__getitems__(indices)`, a list of samples for a list of numbers; loaders prefer it. And
    `__getbatch__(indices)`, the whole batch that `default_collate` would make of them: loaders without a collate_fn
    prefer that to both.

    >>> class Squares(Dataset[int]):
    ...     def __getitem__(self, index):
    ...         return index**2
    ...     def __len__(self):
    ...         return 10
    >>> Squares()[3]
    9
    """

    def __getitem__(self, index: Any) -> Sample:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index), which returns one sample.")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset[Any]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[Sample]):
    """Samples one after another, for streams without numbers: a subclass defines `__iter__`.

    With several workers each holds a copy: `get_worker_info()` tells the copies apart, so that each yields its share.
    """

    def __iter__(self) -> Iterator[Sample]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__(), which yields the samples.")

    def __add__(self, other: Dataset[Any]) -> ChainDataset[Any]:  # type: ignore[override]  # of streams, a stream
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Rows of tensors: sample i is the tuple of row i of each tensor. All have the same number of rows.

    Raises TypeError for what is no tensor of at least one dimension, AssertionError for different numbers of rows.

    >>> import retrograd as rg
    >>> data = TensorDataset(rg.tensor([[1.0, 2.0], [3.0, 4.0]]), rg.tensor([0, 1]))
    >>> data[1]
    (tensor([3., 4.]), tensor(1))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise TypeError("TensorDataset: expected at least one tensor, got none.")
        for tensor in tensors:
            _check_rows(tensor)
        if len({len(tensor) for tensor in tensors}) > 1:
            shapes = ", ".join(str(tensor.shape) for tensor in tensors)
            raise AssertionError(f"TensorDataset: the tensors must have the same number of rows, got shapes {shapes}.")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple([tensor[index] for tensor in self.tensors])

    def __len__(self) -> int:
        return len(self.tensors[0])


def _check_rows(tensor: Any) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"TensorDataset: expected tensors, got {type(tensor).__name__}; convert it by rg.tensor().")
    if tensor.ndim == 0:
        raise TypeError("TensorDataset: expected tensors with one row per sample, got a 0-d one.")


class Subset(Dataset[Sample]):
    """The samples of a data set at the given numbers, in that order. The data set is shared, not copied.

    >>> Subset("abcdef", [5, 0])[0]
    'f'
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        overridden = type(self).__getitem__ is not Subset.__getitem__
        if overridden and type(self).__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{type(self).__name__} overrides __getitem__ alone, which loaders would bypass; override also\n"
                "  __getitems__(self, indices), e.g. to return [self[i] for i in indices]."
            )
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Sample:
        if isinstance(index, list):
            sample: Sample = self.dataset[[self.indices[i] for i in index]]
        else:
            sample = self.dataset[self.indices[index]]
        return sample

    def __getitems__(self, indices: Sequence[int]) -> Sequence[Sample]:
        """The samples at these numbers of the subset."""
        chosen_ones = [self.indices[i] for i in indices]
        if hasattr(self.dataset, "__getitems__"):
            samples: Sequence[Sample] = self.dataset.__getitems__(chosen_ones)
            return samples
        return [self.dataset[i] for i in chosen_ones]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[Sample]):
    """Several data sets, one after the other; `first + second` makes one too.

    Raises AssertionError for none at all, and for an IterableDataset.

    >>> list(ConcatDataset(["ab", "cd"]))
    ['a', 'b', 'c', 'd']
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset: expected at least one data set, got none.")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ConcatDataset: an IterableDataset has no numbered samples; use ChainDataset.")
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __getitem__(self, index: int) -> Sample:
        size = len(self)
        if index < -size:
            raise ValueError(f"ConcatDataset: index {index} is out of range for {size} samples.")
        if index >= size:
            raise IndexError(f"ConcatDataset: index {index} is out of range for {size} samples.")
        index %= size
        which = bisect.bisect_right(self.cumulative_sizes, index)
        sample: Sample = self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]
        return sample

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[Sample]):
    """Several iterable data sets, one after the other; `first + second` makes one too.

    Iterating raises AssertionError for a data set that is no IterableDataset.

    >>> class Letters(IterableDataset[str]):
    ...     def __iter__(self):
    ...         return iter("ab")
    >>> list(Letters() + Letters())
    ['a', 'b', 'a', 'b']
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[Sample]:
        for dataset in self._checked():
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self._checked())

    def _checked(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError(
                    f"ChainDataset: expected IterableDatasets, got {type(dataset).__name__}; use ConcatDataset."
                )
            yield dataset


class StackDataset(Dataset[Any]):
    """Data sets side by side: sample i is the tuple, or for named ones the dict, of their samples i.

    Raises ValueError for none, for named ones beside others, and for different lengths.

    >>> StackDataset("ab", [1, 2])[1]
    ('b', 2)
    >>> StackDataset(letter="ab", number=[1, 2])[1]
    {'letter': 'b', 'number': 2}
    """

    datasets: tuple[Any, ...] | dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: give at least one data set, and either all with names or none.")
        self.datasets = args or kwargs
        lengths = [len(dataset) for dataset in self._parts()]
        if len(set(lengths)) > 1:
            raise ValueError(f"StackDataset: the data sets must have the same length, got {lengths}.")
        self._length = lengths[0]

    def _parts(self) -> list[Any]:
        return list(self.datasets.values() if isinstance(self.datasets, dict) else self.datasets)

    def _sample(self, parts: Sequence[Any]) -> Any:
        return dict(zip(self.datasets, parts)) if isinstance(self.datasets, dict) else tuple(parts)

    def __getitem__(self, index: Any) -> Any:
        return self._sample([dataset[index] for dataset in self._parts()])

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """The samples at these numbers; each part is asked for its own at once where it can."""
        columns = [_samples_at(dataset, indices) for dataset in self._parts()]
        return [self._sample(parts) for parts in zip(*columns)]

    def __len__(self) -> int:
        return self._length


def _samples_at(dataset: Any, indices: Sequence[int]) -> Sequence[Any]:
    if not callable(getattr(dataset, "__getitems__", None)):
        return [dataset[i] for i in indices]
    samples: Sequence[Any] = dataset.__getitems__(indices)
    if len(samples) != len(indices):
        raise ValueError(
            f"StackDataset: asked for {len(indices)} samples, {type(dataset).__name__} gave {len(samples)}."
        )
    return samples


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset[Any]]:
    """Disjoint random parts of a data set, of these lengths, or of these fractions of it when they sum to 1.

    A fraction's length is rounded down, and the samples that remain go one each to the parts from the first on. The
    parts equal PyTorch's for the same seed, of the generator or else of the default stream.
    Raises ValueError for negative lengths, for lengths that do not sum to the number of samples, and for fractions
    that do not sum to 1. Warns of empty parts made from fractions.

    >>> train, val, test = random_split(range(10), [0.8, 0.1, 0.1])
    >>> len(train), len(val), len(test)
    (8, 1, 1)
    """
    total, lengths = len(dataset), list(lengths)
    if any(not length >= 0 for length in lengths):
        raise ValueError(f"random_split: lengths and fractions must not be negative, got {lengths}.")
    fractions = any(not _is_whole(length) for length in lengths)
    if math.isclose(sum(lengths), 1):
        counts = _counts_of_fractions(total, lengths)
    elif fractions:
        raise ValueError(f"random_split: fractions must sum to 1, got {lengths}, which sum to {sum(lengths):g}.")
    else:
        counts = [int(length) for length in lengths]
    if sum(counts) != total:
        raise ValueError(f"random_split: lengths {lengths} sum to {sum(counts)}, but the data set has {total} samples.")
    order = chosen(generator).permutation(total).tolist()
    ends = itertools.accumulate(counts)
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts)]


def _is_whole(length: float) -> bool:
    return float(length).is_integer()


def _counts_of_fractions(total: int, fractions: Sequence[float]) -> list[int]:
    counts = [math.floor(total * fraction) for fraction in fractions]
    for i in range(total - sum(counts)):
        counts[i % len(counts)] += 1
    for i, count in enumerate(counts):
        if count == 0:
            warnings.warn(f"random_split: part {i} ({fractions[i]:g} of {total} samples) is empty.", stacklevel=3)
    return counts
