"""The order in which samples are visited. The same seed gives PyTorch's order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from retrograd.autograd.methods.data import host_array
from retrograd.autograd.methods.random import Generator, chosen
from retrograd.backends.generator import Generator as HostGenerator

__all__ = [
    "BatchSampler",
    "DistributedSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
    "fresh_seed",
]

Key = TypeVar("Key", covariant=True)

_DRAWN_AT_ONCE = 32  # with replacement; PyTorch draws as many, between which others may draw from the same generator


def fresh_seed(generator: Generator | None = None) -> int:
    """One draw of the stream, for a generator of its own to start from."""
    return int(chosen(generator).random_((), np.int64))


def _is_positive_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


class Sampler(Generic[Key]):
    """An order of samples: a subclass defines `__iter__`, which yields their numbers, and usually `__len__`."""

    def __iter__(self) -> Iterator[Key]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__(), which yields sample numbers.")


class SequentialSampler(Sampler[int]):
    """From the first sample to the last."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Samples in random order; with replacement, each drawn from all of them.

    num_samples: how many, by default as many as there are; without replacement, one order follows another.
    generator: the stream to draw from; without one, a new stream begins each time, from one draw of the default one.
    Raises TypeError and ValueError for arguments of another kind, ValueError for an empty data set.

    >>> import retrograd as rg
    >>> list(RandomSampler(range(5), generator=rg.Generator().manual_seed(0)))
    [4, 0, 1, 3, 2]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler: replacement must be True or False, got {replacement!r}.")
        if num_samples is None and len(data_source) == 0:
            raise ValueError("RandomSampler: the data set is empty; there is nothing to shuffle.")
        if not _is_positive_integer(self.num_samples):
            raise ValueError(f"RandomSampler: num_samples must be a positive integer, got {num_samples!r}.")

    @property
    def num_samples(self) -> int:
        """How many numbers one pass yields."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size, count = len(self.data_source), self.num_samples
        if size == 0:
            raise ValueError("RandomSampler: the data set is empty; there is nothing to draw.")
        stream: HostGenerator
        if self.generator is None:
            stream = HostGenerator().manual_seed(fresh_seed())
        else:
            stream = chosen(self.generator)
        if self.replacement:
            for start in range(0, count, _DRAWN_AT_ONCE):
                yield from stream.randint(0, size, min(_DRAWN_AT_ONCE, count - start)).tolist()
            return
        for _ in range(count // size):
            yield from stream.permutation(size).tolist()
        yield from stream.permutation(size)[: count % size].tolist()  # drawn even if none is left, as in PyTorch

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given sample numbers in random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for i in chosen(self.generator).permutation(len(self.indices)).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Sample numbers drawn in proportion to weights, which need not sum to 1: for classes of unequal size.

    weights: one number per sample. Raises ValueError for weights that are not one-dimensional, for num_samples that is
    no positive integer and replacement that is no bool; drawing raises RuntimeError for negative or infinite weights.
    """

    def __init__(
        self,
        weights: Any,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        if not _is_positive_integer(num_samples):
            raise ValueError(f"WeightedRandomSampler: num_samples must be a positive integer, got {num_samples!r}.")
        if not isinstance(replacement, bool):
            raise ValueError(f"WeightedRandomSampler: replacement must be True or False, got {replacement!r}.")
        self.weights = host_array(weights, np.float64)
        if self.weights.ndim != 1:
            raise ValueError(f"WeightedRandomSampler: expected one weight per sample, got shape {self.weights.shape}.")
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        drawn = chosen(self.generator).multinomial(self.weights, self.num_samples, self.replacement)
        yield from drawn.tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Numbers of another sampler in lists of batch_size; drop_last leaves an incomplete last list out.

    Raises ValueError for a batch_size that is no positive integer and a drop_last that is no bool.

    >>> list(BatchSampler(range(7), batch_size=3, drop_last=False))
    [[0, 1, 2], [3, 4, 5], [6]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not _is_positive_integer(batch_size):
            raise ValueError(f"batch_size must be a positive integer, got {batch_size!r}.")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last must be True or False, got {drop_last!r}.")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        numbers = iter(self.sampler)
        while batch := list(itertools.islice(numbers, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]  # a sampler without a length raises TypeError here
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


class DistributedSampler(Sampler[int]):
    """One process's share of the sample numbers, where several train together: every num_replicas-th from rank on.

    All processes shuffle by the same seed, so the shares are disjoint; call `set_epoch` before each epoch for another
    order. Where the samples do not divide evenly, the first ones come twice, or with drop_last the last ones not at
    all. Raises RuntimeError without num_replicas and rank, ValueError for a rank outside 0 … num_replicas − 1.

    >>> list(DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False))
    [1, 3, 0]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None or rank is None:
            raise RuntimeError("DistributedSampler: give num_replicas (how many processes) and rank (which this is).")
        if not 0 <= rank < num_replicas:
            raise ValueError(f"DistributedSampler: rank must be from 0 to {num_replicas - 1}, got {rank}.")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        size = len(dataset)
        self.num_samples = size // num_replicas if drop_last else -(-size // num_replicas)
        self.total_size = self.num_samples * num_replicas
        self.shuffle = shuffle
        self.seed = seed

    def __iter__(self) -> Iterator[int]:
        size = len(self.dataset)
        order = list(range(size))
        if self.shuffle:
            order = HostGenerator().manual_seed(self.seed + self.epoch).permutation(size).tolist()
        once = itertools.cycle(order) if order else iter(())
        return iter(list(itertools.islice(once, self.total_size))[self.rank :: self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Makes the next order that of an epoch; the same in every process."""
        self.epoch = epoch
