"""Large arrays are handed over in shared memory that is used again, and never while anything still looks at it."""

import gc
import multiprocessing
import os
import threading
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from retrograd.data import DataLoader, Dataset, wire
from tests.data.errors import raises_clearly

sharing = pytest.mark.skipif(not wire.SHARING, reason="this system has no shared memory without a name")

LARGE = wire.WORTH_SHARING


@pytest.fixture
def ends():
    pipe, theirs = multiprocessing.Pipe()
    yield wire.Outbox(theirs), wire.Inbox(pipe)
    pipe.close()
    theirs.close()


def hand_over(ends, message):
    """Through the pipe and out of it again, the sender beside, as a pipe holds little."""
    outbox, inbox = ends
    sender = threading.Thread(target=outbox.send, args=(wire.pack(message),))
    sender.start()
    try:
        return inbox.receive()
    finally:
        sender.join()


def arrays(count):
    return {"a": np.arange(count, dtype=np.uint8), "none": np.zeros((0, 3)), "b": np.full((5, 3), 0.5), "text": "x"}


@pytest.mark.parametrize("count", [0, 1, LARGE // 2, LARGE, 3 * LARGE + 1])
@pytest.mark.parametrize("shared", [False, pytest.param(True, marks=sharing)])
def test_messages_arrive_whole_and_writable(ends, count, shared, monkeypatch):
    monkeypatch.setattr(wire, "SHARING", shared)
    got = hand_over(ends, arrays(count))
    for name, value in arrays(count).items():
        np.testing.assert_array_equal(got[name], value)
    got["a"] += 1
    got["b"] += 1
    assert got["b"].tolist() == [[1.5] * 3] * 5
    assert len(ends[0]._blocks) == (1 if shared and count >= LARGE else 0)


@sharing
def test_a_block_is_used_again_once_its_arrays_and_their_views_are_gone(ends):
    outbox, inbox = ends
    first = hand_over(ends, np.zeros(LARGE, np.uint8))
    view = first.reshape(2, -1)[1, 3:5]
    del first
    assert inbox.released() == []
    second = hand_over(ends, np.ones(LARGE, np.uint8))
    assert view.tolist() == [0, 0]
    assert len(outbox._blocks) == 2
    del view
    released = inbox.released()
    assert released == [0]
    outbox.release(released)
    third = hand_over(ends, np.full(LARGE // 2 * 2, 3, np.uint8))
    assert len(outbox._blocks) == 2
    assert (second[0], third[0]) == (1, 3)


@sharing
def test_a_much_larger_block_is_not_wasted_on_a_small_message(ends):
    outbox, inbox = ends
    hand_over(ends, np.zeros(20 * LARGE, np.uint8))
    outbox.release(inbox.released())
    hand_over(ends, np.zeros(LARGE, np.uint8))
    assert len(outbox._blocks) == 2


class Constant(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        return np.full(LARGE, index, np.uint8)


def handles():
    return len(list(Path("/proc/self/fd").iterdir()))


@sharing
@pytest.mark.parametrize("keep", [False, True])
def test_no_batch_is_overwritten_and_no_handle_or_file_is_left(keep):
    named = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    before = handles()
    loader = DataLoader(Constant(), batch_size=None, num_workers=2, prefetch_factor=3, multiprocessing_context="fork")
    kept = []
    for i, batch in enumerate(loader):
        assert (batch.numpy() == i).all()
        if keep or i % 7 == 0:
            kept.append((i, batch))
    assert all((batch.numpy() == i).all() for i, batch in kept)
    loaded = rg.stack([batch for _, batch in kept])
    del batch, kept, loader
    gc.collect()
    assert multiprocessing.active_children() == []
    assert handles() == before
    if named:
        assert set(os.listdir("/dev/shm")) <= named
    assert loaded[:, 0].tolist() == (list(range(40)) if keep else list(range(0, 40, 7)))


@sharing
def test_batches_outlive_their_worker_even_if_it_is_killed():
    received = multiprocessing.get_context("fork").Event()

    class Deadly(Constant):
        def __getitem__(self, index):
            if index == 2:
                received.wait(60)
                os._exit(1)
            return super().__getitem__(index)

    batches = iter(DataLoader(Deadly(), batch_size=None, num_workers=1, multiprocessing_context="fork"))
    kept = [next(batches), next(batches)]
    received.set()
    with raises_clearly(RuntimeError, "exit code 1"):
        next(batches)
    assert [int(batch[-1]) for batch in kept] == [0, 1]
