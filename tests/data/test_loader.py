"""Batches: how samples are put together, in which order, and by whom."""

import collections
import gc
import itertools
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
import types
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from retrograd.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
    default_convert,
    get_worker_info,
)
from tests.data.errors import raises_clearly

Point = collections.namedtuple("Point", ["x", "y"])


class Squares(Dataset):
    def __init__(self, count=10):
        self.count = count

    def __getitem__(self, index):
        return index, float(index**2)

    def __len__(self):
        return self.count


class Stream(IterableDataset):
    """The numbers below `count`, shared out among the workers if there are any."""

    def __init__(self, count, shared=True):
        self.count = count
        self.shared = shared

    def __iter__(self):
        worker = get_worker_info()
        if worker is None or not self.shared:
            return iter(range(self.count))
        return iter(range(worker.id, self.count, worker.num_workers))


class SizedStream(Stream):
    def __len__(self):
        return self.count


def values(loader):
    return [batch.tolist() for batch in loader]


@pytest.fixture(autouse=True)
def _no_process_is_left():
    usual = multiprocessing.get_start_method()
    multiprocessing.set_start_method("fork", force=True)  # the data sets below are classes that no other can find
    yield
    multiprocessing.set_start_method(usual, force=True)
    gc.collect()
    assert multiprocessing.active_children() == []


# ---- collating


def test_numbers_become_tensors_of_pytorchs_dtypes():
    assert default_collate([1, 2]).dtype == rg.int64
    assert default_collate([1.0, 2.0]).dtype == rg.float64
    assert default_collate([True, False]).dtype == rg.bool
    assert default_collate([np.float32(1), np.float32(2)]).dtype == rg.float32
    assert default_collate([np.int16(1), np.int16(2)]).tolist() == [1, 2]


def test_tensors_and_arrays_are_stacked(device):
    with rg.device(device):
        rows = default_collate([rg.tensor([1.0, 2.0]), rg.tensor([3.0, 4.0])])
        assert rows.device.type == rg.device(device).type
        assert default_collate([np.ones((2, 3)), np.zeros((2, 3))]).shape == (2, 2, 3)
    assert rows.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_containers_keep_their_kind_and_tuples_become_lists():
    batch = default_collate([{"a": 1, "b": [1.0, "x"]}, {"a": 2, "b": [2.0, "y"]}])
    assert batch["a"].tolist() == [1, 2]
    assert batch["b"][0].tolist() == [1.0, 2.0]
    assert batch["b"][1] == ("x", "y")
    point = default_collate([Point(1, 2.0), Point(3, 4.0)])
    assert isinstance(point, Point)
    assert point.x.tolist() == [1, 3]
    assert isinstance(default_collate([(1, 2), (3, 4)]), list)
    ordered = default_collate([collections.OrderedDict(z=1, a=2)])
    assert isinstance(ordered, collections.OrderedDict)
    assert list(ordered) == ["z", "a"]
    frozen = default_collate([types.MappingProxyType({"a": 1})])
    assert frozen["a"].tolist() == [1]
    assert [item.tolist() for item in default_collate([range(2), range(2)])] == [[0, 0], [1, 1]]


def test_collating_leaves_the_samples_as_they_were():
    samples = [{"a": 1}, {"a": 2}], [[1, 2], [3, 4]]
    for batch in samples:
        default_collate(batch)
    assert samples == ([{"a": 1}, {"a": 2}], [[1, 2], [3, 4]])


def test_a_gradient_passes_through_a_collated_batch():
    rows = [rg.tensor([1.0], requires_grad=True) for _ in range(3)]
    default_collate(rows).backward(rg.ones(3, 1))
    assert [row.grad.item() for row in rows] == [1.0] * 3


def test_without_batches_arrays_become_tensors_and_the_rest_stays():
    data = default_convert({"x": np.array([1, 2]), "n": 3, "s": "text", "l": (np.float64(1.5), None)})
    assert data["x"].tolist() == [1, 2]
    assert (data["n"], data["s"]) == (3, "text")
    assert data["l"][0].item() == 1.5
    assert data["l"][1] is None
    assert default_convert(Point(np.zeros(1), 1)).x.shape == (1,)


@pytest.mark.parametrize(
    ("batch", "kind", "words"),
    [
        ([], IndexError, "at least one sample"),
        ([None, None], TypeError, "found NoneType"),
        ([1j], TypeError, "found complex"),
        ([object()], TypeError, "found object"),
        ([np.array(["a"])], TypeError, "found <U1"),
        ([[1, 2], [3]], RuntimeError, "lengths, 1, 2"),
        ([rg.zeros(2), rg.zeros(2), rg.zeros(3)], RuntimeError, r"\(2,\) at 0 and \(3,\) at 2"),
    ],
)
def test_samples_that_make_no_batch_raise_one_clear_error(batch, kind, words):
    with raises_clearly(kind, words):
        default_collate(batch)


# ---- batches in the loop itself


def test_batches_come_in_order_with_an_incomplete_last_one():
    loader = DataLoader(range(7), batch_size=3)
    assert values(loader) == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(loader) == 3
    assert values(DataLoader(range(7), batch_size=3, drop_last=True)) == [[0, 1, 2], [3, 4, 5]]


def test_an_empty_data_set_has_no_batches():
    assert values(DataLoader([])) == []
    assert len(DataLoader([])) == 0


def test_a_shuffled_loader_takes_a_new_order_every_epoch_and_the_seed_repeats_them():
    loader = DataLoader(range(20), batch_size=20, shuffle=True)
    rg.manual_seed(1)
    first, second = values(loader)[0], values(loader)[0]
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    rg.manual_seed(1)
    assert values(loader)[0] == first


def test_a_generator_of_its_own_leaves_the_default_stream_alone():
    rg.manual_seed(0)
    before = rg.get_rng_state().tolist()
    values(DataLoader(range(20), shuffle=True, generator=rg.Generator().manual_seed(3)))
    assert rg.get_rng_state().tolist() == before


def test_samplers_of_the_users_set_the_order():
    assert values(DataLoader("abcd", 2, sampler=[3, 1], collate_fn=np.array)) == [["d", "b"]]
    batches = BatchSampler(SequentialSampler(range(4)), 3, False)
    loader = DataLoader(range(4), batch_sampler=batches)
    assert values(loader) == [[0, 1, 2], [3]]
    assert loader.batch_size is None


def test_without_a_batch_size_samples_come_one_by_one():
    loader = DataLoader([np.array([1.0]), np.array([2.0])], batch_size=None)
    assert values(loader) == [[1.0], [2.0]]
    assert len(loader) == 2


def test_a_data_set_that_gives_many_samples_at_once_is_asked_for_them():
    class Many(Squares):
        def __getitems__(self, indices):
            return [-i for i in indices]

    assert values(DataLoader(Many(4), batch_size=2)) == [[0, -1], [-2, -3]]


def test_rows_taken_at_once_equal_rows_taken_one_by_one(device, rng):
    class OneByOne(TensorDataset):
        def __getitem__(self, index):
            return super().__getitem__(index)

    with rg.device(device):
        tensors = [
            rg.tensor(rng.normal(size=(11, 3)).astype(np.float32)),
            rg.arange(11),
            rg.tensor(rng.normal(size=(11, 2, 2)) > 0),
            rg.tensor(rng.normal(size=(4, 11)), requires_grad=True).T,
        ]
        order = [3, -1, 0, 10, 3, np.int64(5)]
        for wrap in (lambda data: data, lambda data: Subset(Subset(data, range(10, -1, -1)), list(range(11)))):
            fast = DataLoader(wrap(TensorDataset(*tensors)), 4, sampler=order)
            slow = DataLoader(wrap(OneByOne(*tensors)), 4, sampler=order)
            for batch, expected in zip(fast, slow, strict=True):
                assert isinstance(batch, list)
                for got, want in zip(batch, expected, strict=True):
                    assert got.tolist() == want.tolist()
                    assert (got.dtype, got.shape, got.device) == (want.dtype, want.shape, want.device)
                    assert got.requires_grad == want.requires_grad


def test_a_batch_is_a_copy_of_the_rows():
    data = TensorDataset(rg.zeros(4))
    next(iter(DataLoader(data, 4)))[0].add_(1)
    assert data.tensors[0].tolist() == [0.0] * 4


@pytest.mark.parametrize("index", [5, -6])
def test_a_row_that_is_not_there_raises_index_error(device, index):
    with rg.device(device):
        loader = DataLoader(TensorDataset(rg.arange(5)), sampler=[0, index])
    batches = iter(loader)
    next(batches)
    with raises_clearly(IndexError, f"index {index} is out of range .* 5 samples"):
        next(batches)


def test_an_iterable_data_set_is_cut_into_batches():
    assert values(DataLoader(Stream(5), batch_size=2)) == [[0, 1], [2, 3], [4]]
    assert values(DataLoader(Stream(5), batch_size=2, drop_last=True)) == [[0, 1], [2, 3]]
    assert list(DataLoader(Stream(3), batch_size=None)) == [0, 1, 2]
    assert len(DataLoader(SizedStream(5), batch_size=2)) == 3
    assert len(DataLoader(SizedStream(5), batch_size=2, drop_last=True)) == 2
    assert len(DataLoader(SizedStream(5), batch_size=None)) == 5
    with pytest.raises(TypeError, match="len"):
        len(DataLoader(Stream(5)))


def test_a_data_set_that_raises_stop_iteration_does_not_end_the_epoch_silently():
    class Broken(Squares):
        def __getitem__(self, index):
            return next(iter([]))

    with raises_clearly(RuntimeError, "StopIteration"):
        list(DataLoader(Broken()))


def test_what_a_loader_was_made_of_cannot_be_changed():
    loader = DataLoader(range(3))
    with raises_clearly(ValueError, "batch_size cannot be changed"):
        loader.batch_size = 2
    loader.num_workers = 1  # as in PyTorch


BAD_LOADERS = [
    ({"batch_size": 0}, ValueError, "positive integer, got 0"),
    ({"batch_size": -1}, ValueError, "got -1"),
    ({"batch_size": 2.5}, ValueError, "got 2.5"),
    ({"drop_last": "yes"}, ValueError, "True or False"),
    ({"num_workers": -1}, ValueError, "must not be negative, got -1"),
    ({"num_workers": 1.5}, TypeError, "integer, got 1.5"),
    ({"timeout": -1}, ValueError, "timeout"),
    ({"timeout": float("nan")}, ValueError, "timeout"),
    ({"prefetch_factor": 2}, ValueError, "needs num_workers > 0"),
    ({"prefetch_factor": 0, "num_workers": 1}, ValueError, "at least 1, got 0"),
    ({"persistent_workers": True}, ValueError, "needs num_workers > 0"),
    ({"shuffle": True, "sampler": [0]}, ValueError, "leave out shuffle"),
    ({"batch_sampler": [[0]], "batch_size": 2}, ValueError, "leave out batch_size"),
    ({"batch_sampler": [[0]], "shuffle": True}, ValueError, "leave out batch_size"),
    ({"batch_sampler": [[0]], "sampler": [0]}, ValueError, "leave out batch_size"),
    ({"batch_sampler": [[0]], "drop_last": True}, ValueError, "leave out batch_size"),
    ({"batch_size": None, "drop_last": True}, ValueError, "leave out drop_last"),
    ({"dataset": [], "shuffle": True}, ValueError, "the data set is empty"),
    ({"dataset": Stream(3), "shuffle": True}, ValueError, "leave out shuffle=True"),
    ({"dataset": Stream(3), "sampler": [0]}, ValueError, "leave out sampler"),
    ({"dataset": Stream(3), "batch_sampler": [[0]]}, ValueError, "leave out batch_sampler"),
    ({"multiprocessing_context": "fork"}, ValueError, "needs num_workers > 0"),
    ({"multiprocessing_context": "thread", "num_workers": 1}, ValueError, "must be one of"),
    ({"multiprocessing_context": 3, "num_workers": 1}, TypeError, "a context or its name, got 3"),
]


@pytest.mark.parametrize(("arguments", "kind", "words"), BAD_LOADERS)
def test_bad_arguments_of_a_loader_raise_one_clear_error(arguments, kind, words):
    with raises_clearly(kind, words):
        DataLoader(**{"dataset": range(4), **arguments})


# ---- batches from worker processes


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_deliver_the_batches_of_the_loop(workers):
    def batches(num_workers):
        rg.manual_seed(0)
        loader = DataLoader(Squares(23), 4, shuffle=True, num_workers=num_workers)
        epochs = [[[part.tolist() for part in batch] for batch in loader] for _ in range(2)]
        return epochs, rg.rand(1).item()

    assert batches(workers) == batches(0)


def test_workers_are_other_processes_that_end_with_the_epoch():
    class Who(Squares):
        def __getitem__(self, index):
            return os.getpid()

    pids = {batch.item() for batch in DataLoader(Who(8), num_workers=2)}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_can_be_started_afresh(method):
    data = TensorDataset(rg.arange(6), rg.rand(6, 2))
    loader = DataLoader(data, 3, num_workers=1, multiprocessing_context=method)
    for batch, expected in zip(loader, DataLoader(data, 3), strict=True):
        assert [part.tolist() for part in batch] == [part.tolist() for part in expected]


def test_batches_arrive_writable_and_whole():
    arrays = {
        "big": np.arange(300_000, dtype=np.float64).reshape(300, 1000),
        "transposed": np.arange(12).reshape(3, 4).T,
        "strided": np.arange(12)[::2],
        "empty": np.zeros((0, 3)),
    }
    (batch,) = DataLoader([arrays], num_workers=1, batch_size=None)
    assert list(batch) == list(arrays)
    for name, array in arrays.items():
        assert batch[name].numpy().dtype == array.dtype
        np.testing.assert_array_equal(batch[name].numpy(), array)
    batch["big"].add_(1)
    assert batch["big"][0, 0].item() == 1


def test_large_batches_and_large_tasks_do_not_block_each_other():
    data = TensorDataset(rg.arange(400_000))
    loader = DataLoader(data, 100_000, num_workers=1, prefetch_factor=4, timeout=60)
    assert [len(batch[0]) for batch in loader] == [100_000] * 4


def test_a_worker_starts_from_the_base_seed_and_its_number():
    class Drawn(Squares):
        def __getitem__(self, index):
            worker = get_worker_info()
            return worker.id, worker.num_workers, rg.initial_seed() - worker.seed, worker.seed

    rg.manual_seed(0)
    base = rg.Generator().manual_seed(0).random_((), np.int64).item()
    seen = sorted(zip(*(part.tolist() for part in next(iter(DataLoader(Drawn(4), 4, num_workers=2))))))
    assert seen == [(0, 2, 0, base)] * 4
    assert get_worker_info() is None


def test_two_workers_draw_different_numbers_from_every_library():
    class Drawn(Squares):
        def __getitem__(self, index):
            return rg.rand(1).item(), random.random(), np.random.rand()  # noqa: NPY002  # the stream that is seeded

    first, second = ([part.item() for part in batch] for batch in DataLoader(Drawn(2), num_workers=2))
    assert all(a != b for a, b in zip(first, second, strict=True))


def test_the_init_function_runs_once_in_each_worker():
    class Marked(Squares):
        mark = None

        def __getitem__(self, index):
            return self.mark

    data = Marked(6)

    def init(number):
        assert data.mark is None
        data.mark = number

    assert [batch.item() for batch in DataLoader(data, num_workers=2, worker_init_fn=init)] == [0, 1] * 3
    assert data.mark is None


def test_an_exception_in_a_worker_is_raised_here_with_its_traceback():
    class Broken(Squares):
        def __getitem__(self, index):
            if index == 3:
                raise LookupError("sample three is missing")
            return index

    batches = iter(DataLoader(Broken(6), num_workers=2))
    assert [next(batches).item() for _ in range(3)] == [0, 1, 2]
    with raises_clearly(LookupError, "^sample three is missing") as caught:
        next(batches)
    assert str(caught.value) == "sample three is missing"
    (note,) = caught.value.__notes__
    assert "data worker 1" in note
    assert "in __getitem__" in note
    assert [batch.item() for batch in batches] == [4, 5]  # the others are not lost


class Talkative(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


@pytest.mark.parametrize("error", [Talkative(1, 2), StopIteration("over")])
def test_an_exception_that_cannot_be_passed_on_arrives_as_a_runtime_error(error):
    class Broken(Squares):
        def __getitem__(self, index):
            raise error

    with raises_clearly(RuntimeError, type(error).__name__):
        next(iter(DataLoader(Broken(), num_workers=1)))


def test_a_batch_that_cannot_be_pickled_is_an_error_not_a_hang():
    loader = DataLoader(range(3), num_workers=1, collate_fn=lambda samples: lambda: samples, timeout=30)
    with pytest.raises((AttributeError, RuntimeError), match="pickle"):
        next(iter(loader))


def test_an_init_function_that_raises_is_heard_of():
    def init(number):
        raise OSError("no such folder")

    with raises_clearly(OSError, "no such folder"):
        next(iter(DataLoader(range(3), num_workers=1, worker_init_fn=init)))


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda: os._exit(7), "exit code 7"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "signal SIGKILL"),
        (lambda: sys.exit(3), "exit code 3"),
    ],
)
def test_a_worker_that_dies_is_an_error_not_a_hang(end, words):
    class Deadly(Squares):
        def __getitem__(self, index):
            if index == 5:
                end()
            return index

    loader = DataLoader(Deadly(), num_workers=2)
    batches = iter(loader)
    with raises_clearly(RuntimeError, f"data worker 1 .*{words}"):
        list(batches)
    assert multiprocessing.active_children() == []
    assert list(batches) == []


def test_a_batch_that_takes_too_long_raises_and_may_still_come():
    class Slow(Squares):
        def __getitem__(self, index):
            time.sleep(0.6)
            return index

    batches = iter(DataLoader(Slow(1), num_workers=1, timeout=0.1))
    with raises_clearly(RuntimeError, r"timeout of 0\.1 seconds"):
        next(batches)
    time.sleep(1)
    assert next(batches).item() == 0


def test_stopping_early_ends_the_workers():
    loader = DataLoader(TensorDataset(rg.zeros(100, 100_000)), 5, num_workers=2)
    for _ in loader:
        assert len(multiprocessing.active_children()) == 2
        break
    gc.collect()
    assert multiprocessing.active_children() == []


def test_workers_that_do_not_end_by_themselves_are_ended():
    class Endless(Squares):
        def __getitem__(self, index):
            time.sleep(1000 * index)
            return index

    batches = iter(DataLoader(Endless(), num_workers=1))
    next(batches)
    start = time.monotonic()
    del batches
    assert multiprocessing.active_children() == []
    assert time.monotonic() - start < 20


def test_an_iterator_that_was_never_advanced_leaves_no_workers():
    iter(DataLoader(range(10), num_workers=2))
    assert multiprocessing.active_children() == []


def test_persistent_workers_stay_for_the_next_epoch_and_end_with_the_loader():
    class Who(Squares):
        def __getitem__(self, index):
            return os.getpid()

    loader = DataLoader(Who(8), num_workers=2, persistent_workers=True, shuffle=True)
    first, second = ({batch.item() for batch in loader} for _ in range(2))
    assert first == second
    assert len(multiprocessing.active_children()) == 2
    del loader
    assert multiprocessing.active_children() == []


def test_an_epoch_with_persistent_workers_begins_anew_after_an_early_stop():
    loader = DataLoader(range(12), num_workers=2, persistent_workers=True)
    assert next(iter(loader)).item() == 0
    assert [batch.item() for batch in loader] == list(range(12))
    stream = DataLoader(Stream(5), num_workers=2, persistent_workers=True)
    for _ in range(2):
        assert sorted(batch.item() for batch in stream) == list(range(5))


def test_persistent_workers_are_replaced_after_one_has_died(tmp_path):
    marker = tmp_path / "died"

    class DiesOnce(Squares):
        def __getitem__(self, index):
            if index == 2 and not marker.exists():
                marker.touch()
                os._exit(1)
            return index

    loader = DataLoader(DiesOnce(4), num_workers=1, persistent_workers=True)
    with raises_clearly(RuntimeError, "exit code 1"):
        list(loader)
    assert [batch.item() for batch in loader] == [0, 1, 2, 3]


def test_workers_share_an_iterable_data_set_by_their_numbers():
    assert sorted(batch.item() for batch in DataLoader(Stream(7), num_workers=3)) == list(range(7))


def test_an_iterable_data_set_that_is_not_shared_out_is_warned_of():
    loader = DataLoader(SizedStream(2, shared=False), num_workers=2)
    with pytest.warns(UserWarning, match="promises 2 batches, but more came"):
        assert sorted(batch.item() for batch in loader) == [0, 0, 1, 1]


def test_two_loaders_work_at_the_same_time():
    loaders = [DataLoader(range(6), num_workers=1) for _ in range(2)]
    pairs = [(a.item(), b.item()) for a, b in zip(*loaders, strict=True)]
    assert pairs == [(i, i) for i in range(6)]


def test_tensors_of_another_device_are_refused_before_any_worker_starts():
    with rg.device("strict"):
        loader = DataLoader(Subset(TensorDataset(rg.zeros(3)), [0]), num_workers=1)
    with raises_clearly(RuntimeError, "keep the data set on the cpu"):
        iter(loader)


def test_workers_deliver_to_the_cpu_whatever_the_default_device():
    with rg.device("strict"):
        (batch,) = DataLoader([1.5], num_workers=1)
    assert batch.device.type == "cpu"


def alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    with_state = stat.read_text().rsplit(")", 1)[1].split() if stat.exists() else ["Z"]
    return with_state[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks up processes in /proc")
def test_workers_end_when_the_loop_is_killed():
    script = """
        import os, time
        from retrograd.data import DataLoader, Dataset

        class Pids(Dataset):
            def __len__(self):
                return 100
            def __getitem__(self, index):
                return os.getpid()

        if __name__ == "__main__":
            batches = iter(DataLoader(Pids(), num_workers=3, multiprocessing_context="fork"))
            print(*[next(batches).item() for _ in range(3)], flush=True)
            time.sleep(100)
    """
    loop = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    with loop:
        pids = [int(pid) for pid in loop.stdout.readline().split()]
        assert len(set(pids)) == 3
        assert all(map(alive, pids))
        loop.kill()
    deadline = time.monotonic() + 20
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, pids))


def test_an_epoch_can_be_repeated_for_as_long_as_wanted():
    loader = DataLoader(range(3), batch_size=2)
    endless = itertools.chain.from_iterable(itertools.repeat(loader))
    assert [len(batch) for batch in itertools.islice(endless, 5)] == [2, 1, 2, 1, 2]


@pytest.mark.skipif(os.name != "posix", reason="sends signals to a group of processes")
@pytest.mark.parametrize("persistent", [False, True])
def test_ctrl_c_ends_the_loop_and_its_workers_with_one_traceback(persistent):
    script = f"""
        import os, time
        from retrograd.data import DataLoader, Dataset

        class Pids(Dataset):
            def __len__(self):
                return 100
            def __getitem__(self, index):
                time.sleep(0.01)
                return os.getpid()

        if __name__ == "__main__":
            loader = DataLoader(Pids(), num_workers=2, multiprocessing_context="fork", persistent_workers={persistent})
            batches = iter(loader)
            print(*[next(batches).item() for _ in range(2)], flush=True)
            time.sleep(100)
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], **pipes) as loop:
        pids = [int(pid) for pid in loop.stdout.readline().split()]
        assert len(set(pids)) == 2
        os.killpg(loop.pid, signal.SIGINT)
        _, said = loop.communicate(timeout=30)
    assert said.count("Traceback") == said.count("KeyboardInterrupt") == 1
    assert not any(map(alive, pids))
