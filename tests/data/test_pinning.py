"""Batches in page-locked memory and copies ahead of use, as far as they can be shown without a GPU."""

import collections
import warnings

import numpy as np
import pytest

import retrograd as rg
from retrograd.backends import backend_of
from retrograd.data import DataLoader, TensorDataset, prefetch
from tests.data.errors import raises_clearly
from tests.strict_cupy.plugin import has_gpu

Point = collections.namedtuple("Point", ["x", "y"])


def data():
    return TensorDataset(rg.arange(7.0), rg.arange(7))


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
def test_without_a_gpu_pinning_warns_and_changes_nothing():
    loader = DataLoader(data(), 4, pin_memory=True)
    with pytest.warns(UserWarning, match="no GPU is found"):
        batches = list(loader)
    assert [x.tolist() for x, _ in batches] == [[0, 1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("workers", [0, 1])
def test_pinned_batches_have_the_same_values_in_memory_that_the_gpu_reads(workers):
    strict = backend_of("strict")
    loader = DataLoader(data(), 4, pin_memory=True, pin_memory_device="strict", num_workers=workers)
    plain = DataLoader(data(), 4)
    for batch, expected in zip(loader, plain, strict=True):
        for got, want in zip(batch, expected, strict=True):
            assert got.device.type == "cpu"
            assert (got.dtype, got.tolist()) == (want.dtype, want.tolist())
            assert strict.is_pinned(got.array)
            assert strict.is_pinned(got[1:].array)
            assert not strict.is_pinned(want.array)


def test_containers_are_kept_and_what_is_no_tensor_stays():
    samples = [{"p": Point(1.0, "a"), "n": 3}]
    (batch,) = DataLoader(samples, pin_memory=True, pin_memory_device="strict")
    assert isinstance(batch["p"], Point)
    assert batch["p"].y == ["a"]
    assert backend_of("strict").is_pinned(batch["p"].x.array)


def test_a_batch_with_a_pin_memory_of_its_own_is_asked_for_it():
    class Batch:
        def __init__(self, samples):
            self.samples = samples

        def pin_memory(self):
            return ["pinned", *self.samples]

    (batch,) = DataLoader([1, 2], 2, collate_fn=Batch, pin_memory=True, pin_memory_device="strict")
    assert batch == ["pinned", 1, 2]


def test_pinning_what_is_on_a_gpu_and_for_the_cpu_are_errors():
    with rg.device("strict"):
        loader = DataLoader(data(), pin_memory=True, pin_memory_device="strict")
    with raises_clearly(RuntimeError, "on a GPU already"):
        next(iter(loader))
    with raises_clearly(ValueError, "must be a type of GPU"):
        iter(DataLoader(data(), pin_memory=True, pin_memory_device="cpu"))


def test_a_copy_from_pinned_memory_is_over_when_to_returns():
    (batch, _) = next(iter(DataLoader(data(), 4, pin_memory=True, pin_memory_device="strict")))
    there = batch.to("strict")
    batch.zero_()
    assert there.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("pinned", [False, True])
def test_prefetched_batches_are_the_loaders_on_the_device(device, pinned):
    options = {"pin_memory": True, "pin_memory_device": "strict"} if pinned else {}
    batches = list(prefetch(DataLoader(data(), 3, **options), device))
    assert [x.device.type for x, _ in batches] == [device.type] * 3
    assert [x.tolist() for x, _ in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [y.dtype for _, y in batches] == [rg.int64] * 3


def test_the_host_never_waits_for_a_prefetched_batch(forbid_synchronization):
    for x, _ in prefetch(DataLoader(data(), 3), "strict"):
        (x * 2).sum()


def test_the_next_batch_is_on_its_way_while_one_is_used():
    asked = []

    class Watched(TensorDataset):
        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    batches = prefetch(DataLoader(Watched(rg.arange(4.0)), 1), "strict")
    next(batches)
    assert asked == [0, 1]


def test_stopping_early_leaves_no_copy_that_could_be_overwritten():
    strict = backend_of("strict")
    batches = prefetch(DataLoader(data(), 3), "strict")
    next(batches)
    del batches
    assert all(not event.done for event, *_ in strict.under_way if event.work)
    held = [x for _, x, _ in strict.under_way]
    assert any(isinstance(x, np.ndarray) and x.tolist() == [3.0, 4.0, 5.0] for x in held)


def test_a_loader_without_pinning_is_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(DataLoader(data(), 3))
