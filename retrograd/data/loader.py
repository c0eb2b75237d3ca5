"""DataLoader: batches of a data set in a sampler's order, fetched here or by worker processes."""

from __future__ import annotations

import collections
import itertools
import multiprocessing
import os
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.context import BaseContext
from typing import Any, Generic, TypeVar

from retrograd.autograd.methods.random import Generator
from retrograd.backends import device_of
from retrograd.data.collate import default_collate, default_convert
from retrograd.data.dataset import IterableDataset, Subset, TensorDataset
from retrograd.data.fetch import EndOfData, fetcher
from retrograd.data.pinning import pin, pinning_backend
from retrograd.data.samplers import BatchSampler, RandomSampler, Sampler, SequentialSampler, fresh_seed
from retrograd.data.workers import Answer, Job, Worker, stop

__all__ = ["DataLoader"]

Sample = TypeVar("Sample", covariant=True)

_FIXED = frozenset({"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"})


class DataLoader(Generic[Sample]):
    """Batches of a data set, for one epoch each time it is iterated over.

    batch_size       samples per batch; None yields single samples
    shuffle          a new random order every epoch, PyTorch's order for the same seed
    sampler          or an own order; batch_sampler: own lists of sample numbers, in place of the four before
    num_workers      processes that fetch batches ahead; 0 fetches in the loop itself
    collate_fn       makes a batch of a list of samples: by default `default_collate`
    drop_last        leaves out an incomplete last batch
    timeout          seconds to wait for a worker's batch, 0 for ever
    worker_init_fn   called in each worker with its number
    multiprocessing_context  how workers are started: a context of `multiprocessing`, or its name
    generator        the stream that shuffling and the workers' seeds are drawn from
    prefetch_factor  batches that each worker is ahead, by default 2
    persistent_workers  keeps the workers from one epoch to the next
    pin_memory       copies the batches into page-locked memory, for GPUs; without one, warns and has no effect
    pin_memory_device  the type of GPU, by default "cuda"
    in_order         only True: batches come in the sampler's order

    Batches of a `TensorDataset` are taken by one look-up per tensor. Workers deliver tensors on the CPU; an exception
    in one is raised here, with the worker's traceback as a note; RuntimeError if one dies or takes too long.
    Raises ValueError for arguments out of range or that exclude each other, NotImplementedError for in_order=False.

    >>> import retrograd as rg
    >>> data = TensorDataset(rg.arange(10).reshape(5, 2), rg.arange(5))
    >>> for inputs, targets in DataLoader(data, batch_size=2):
    ...     print(inputs.shape, targets)
    (2, 2) tensor([0, 1])
    (2, 2) tensor([2, 3])
    (1, 2) tensor([4])
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: BaseContext | str | None = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if not in_order:
            raise NotImplementedError("DataLoader: in_order=False is not supported; batches come in order.")
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        if isinstance(dataset, IterableDataset):
            _check_no_order(shuffle, sampler, batch_sampler)
        elif sampler is not None and shuffle:
            raise ValueError("DataLoader: a sampler sets the order itself; leave out shuffle=True.")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError(
                "DataLoader: a batch_sampler makes the batches itself; leave out batch_size, shuffle, sampler and "
                "drop_last."
            )
        if batch_size is None and drop_last:
            raise ValueError("DataLoader: batch_size=None makes no batches; leave out drop_last=True.")

        if sampler is None:
            sampler = _default_sampler(dataset, shuffle, generator)
        if batch_sampler is not None:
            batch_size = None
        elif batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate

        self.dataset = dataset
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.collate_fn = collate_fn
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.in_order = in_order
        self.drop_last = drop_last
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = _checked_context(multiprocessing_context, num_workers)
        self.generator = generator
        self.prefetch_factor = 2 if num_workers > 0 and prefetch_factor is None else prefetch_factor
        self.persistent_workers = persistent_workers
        self._workers_at_work: _FromWorkers | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and hasattr(self, "_workers_at_work"):
            raise ValueError(f"DataLoader: {name} cannot be changed afterwards; make a new DataLoader.")
        super().__setattr__(name, value)

    @property
    def _keys(self) -> Any:
        """What the batches are fetched by: lists of sample numbers, or sample numbers where no batches are made."""
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers == 0:
            return _FetchedHere(self)
        if not self.persistent_workers:
            return _FromWorkers(self)
        if self._workers_at_work is None or self._workers_at_work.stopped:
            self._workers_at_work = _FromWorkers(self)
        else:
            self._workers_at_work.restart(self)
        return self._workers_at_work

    def __len__(self) -> int:
        """The number of batches; of an IterableDataset, as many as its own length promises."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self._keys)
        size = len(self.dataset)  # type: ignore[arg-type]  # one without a length raises TypeError here
        if self.batch_size is None:
            return size
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)


# ---- arguments


def _check_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool) -> None:
    if not isinstance(num_workers, int):
        raise TypeError(f"DataLoader: num_workers must be an integer, got {num_workers!r}.")
    if num_workers < 0:
        raise ValueError(f"DataLoader: num_workers must not be negative, got {num_workers}; 0 loads in the loop.")
    if not timeout >= 0:
        raise ValueError(f"DataLoader: timeout must not be negative, got {timeout}; 0 waits for ever.")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError("DataLoader: prefetch_factor needs num_workers > 0; leave it out.")
    if prefetch_factor is not None and prefetch_factor < 1:
        raise ValueError(f"DataLoader: prefetch_factor must be at least 1, got {prefetch_factor}.")
    if num_workers == 0 and persistent_workers:
        raise ValueError("DataLoader: persistent_workers=True needs num_workers > 0.")


def _check_no_order(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    given = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"DataLoader: an IterableDataset sets its own order; leave out {name}={value!r}.")


def _checked_context(context: Any, num_workers: int) -> Any:
    if context is None:
        return None
    if num_workers == 0:
        raise ValueError("DataLoader: multiprocessing_context needs num_workers > 0; leave it out.")
    if isinstance(context, str):
        methods = multiprocessing.get_all_start_methods()
        if context not in methods:
            raise ValueError(f"DataLoader: multiprocessing_context must be one of {methods}, got {context!r}.")
        return multiprocessing.get_context(context)
    if not isinstance(context, BaseContext):
        raise TypeError(f"DataLoader: multiprocessing_context must be a context or its name, got {context!r}.")
    return context


class _Endless(Sampler[None]):
    """For data sets that set the order themselves: stands for one sample after another."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


def _default_sampler(dataset: Any, shuffle: bool | None, generator: Generator | None) -> Sampler[Any]:
    if isinstance(dataset, IterableDataset):
        return _Endless()
    return RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)


# ---- one epoch


class _Epoch:
    """An iterator over the batches. Begins with one draw, the workers' seed, that PyTorch makes without workers too."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._source = loader._keys
        self._keys = iter(self._source)
        self._base_seed = fresh_seed(loader.generator)
        self._promised = _promised_length(loader)
        self._yielded = 0
        self._pinning = pinning_backend(loader.pin_memory_device) if loader.pin_memory else None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self._source)

    def __next__(self) -> Any:
        batch = self._next()
        if self._pinning is not None:
            batch = pin(batch, self._pinning)
        self._yielded += 1
        if self._promised is not None and self._yielded > self._promised:
            warnings.warn(
                f"DataLoader: the data set's length promises {self._promised} batches, but more came; with workers, "
                "let each yield its share by get_worker_info().",
                stacklevel=2,
            )
            self._promised = None
        return batch

    def _next(self) -> Any:
        raise NotImplementedError


def _promised_length(loader: DataLoader[Any]) -> int | None:
    """How many batches an iterable data set promises, if it does."""
    if not isinstance(loader.dataset, IterableDataset) or not hasattr(loader.dataset, "__len__"):
        return None
    return len(loader)


class _FetchedHere(_Epoch):
    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        batched = loader.batch_sampler is not None
        self._fetch = fetcher(loader.dataset, batched, loader.collate_fn, loader.drop_last)

    def _next(self) -> Any:
        key = next(self._keys)
        try:
            return self._fetch(key)
        except EndOfData:
            raise StopIteration from None
        except StopIteration as error:  # would end the loop without a word
            raise RuntimeError("the data set or collate_fn raised StopIteration for a sample") from error


class _FromWorkers(_Epoch):
    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        _check_on_host(loader.dataset)
        job = Job(
            loader.dataset,
            loader.batch_sampler is not None,
            loader.collate_fn,
            loader.drop_last,
            self._base_seed,
            loader.num_workers,
            loader.worker_init_fn,
        )
        self._ahead = (loader.prefetch_factor or 1) * loader.num_workers
        self._timeout = loader.timeout
        self._persistent = loader.persistent_workers
        context = loader.multiprocessing_context or multiprocessing
        self._workers: list[Worker] = []
        # Ends the workers when the iterator is dropped, whether or not it was used up, and when Python ends.
        self._stop = weakref.finalize(self, stop, self._workers, os.getpid())
        for number in range(loader.num_workers):
            self._workers.append(Worker(number, job, context))
        self._begin()

    def _begin(self) -> None:
        self._owing: collections.deque[Worker] = collections.deque()  # who owes the next batch, and those after it
        self._done: set[Worker] = set()  # whose share of an iterable data set has ended
        self._turns = itertools.cycle(list(self._workers))
        for _ in range(self._ahead):
            self._assign()

    @property
    def stopped(self) -> bool:
        """Whether the workers have ended."""
        return not self._stop.alive

    def restart(self, loader: DataLoader[Any]) -> None:
        """Another epoch with the same workers; what they fetched for the last one is thrown away."""
        while self._owing:
            self._answer()
        self._keys = iter(self._source)
        self._yielded = 0
        self._promised = _promised_length(loader)
        for worker in self._workers:
            worker.restart()
        self._begin()

    def _assign(self) -> None:
        """The next key to the next worker in turn that is not done."""
        if len(self._done) == len(self._workers):
            return
        worker = next(worker for worker in self._turns if worker not in self._done)
        try:
            key = next(self._keys)
        except StopIteration:
            return
        worker.assign(key)
        self._owing.append(worker)

    def _answer(self) -> tuple[Worker, Answer]:
        worker = self._owing[0]
        try:
            answer = worker.answer(self._timeout)
        except RuntimeError:
            self._owing.clear()
            self._stop()
            raise
        if answer is None:
            raise RuntimeError(
                f"DataLoader: no batch within the timeout of {self._timeout} seconds; raise it, or use more workers."
            )
        return self._owing.popleft(), answer

    def _next(self) -> Any:
        while self._owing:
            worker, answer = self._answer()
            if answer.end:
                if worker not in self._done:
                    self._done.add(worker)
                    self._assign()
                continue
            self._assign()
            if answer.error is not None:
                raise answer.error
            return answer.batch
        if not self._persistent:
            self._stop()
        raise StopIteration


def _check_on_host(dataset: Any) -> None:
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    if isinstance(dataset, TensorDataset):
        for tensor in dataset.tensors:
            place = device_of(tensor._array)
            if place.type != "cpu":
                raise RuntimeError(
                    f"DataLoader: worker processes cannot read tensors on {place}; keep the data set on the cpu and\n"
                    "  move each batch in the loop, or use num_workers=0, which needs no worker for tensors."
                )
