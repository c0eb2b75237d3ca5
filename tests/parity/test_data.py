"""Orders, draws, batches and files equal PyTorch's."""

import collections
import itertools
import random

import numpy as np
import pytest

import retrograd as rg
from retrograd import data
from retrograd.io import load_file, save_file

torch = pytest.importorskip("torch", reason="compares with PyTorch")
torch_data = pytest.importorskip("torch.utils.data", reason="compares with PyTorch")

SEEDS = [0, 1, 2, 42, 1234, 2**31, 2**40 + 7]
LIBRARIES = [(rg, data), (torch, torch_data)]


def plain(batch):
    """A batch without its library: lists, and each tensor as its dtype and values."""
    if isinstance(batch, (rg.Tensor, torch.Tensor)):
        return str(batch.dtype).removeprefix("torch."), batch.tolist()
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return type(batch).__name__, [plain(item) for item in batch]
    return batch


def both(run):
    """What `run(library, data module)` gives in each library."""
    ours, theirs = (run(*libraries) for libraries in LIBRARIES)
    assert ours == theirs
    return ours


def stream(lib, seed, own):
    """Seed the default stream, and make a generator of its own if wanted."""
    lib.manual_seed(seed)
    return lib.Generator().manual_seed(seed + 1) if own else None


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
def test_a_shuffled_loader_visits_the_samples_in_pytorchs_order(seed, own, drop_last):
    def run(lib, data):
        generator = stream(lib, seed, own)
        loader = data.DataLoader(range(23), 4, shuffle=True, drop_last=drop_last, generator=generator)
        epochs = [plain(list(loader)) for _ in range(3)]
        return epochs, lib.rand(2).tolist(), generator is None or lib.rand(2, generator=generator).tolist()

    assert both(run)[0][0] != both(run)[0][1]


@pytest.mark.parametrize("seed", SEEDS[:3])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_loader_takes_pytorchs_draws_when_pytorch_takes_them(seed, own, shuffle):
    def run(lib, data):
        generator = stream(lib, seed, own)
        draws = [lib.rand(1).item()]
        batches = iter(data.DataLoader(range(5), 2, shuffle=shuffle, generator=generator))
        for _ in range(4):
            draws += [lib.rand(1).item(), generator and lib.rand(1, generator=generator).item()]
            draws.append(plain(next(batches, None)))
        return draws

    both(run)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("persistent", [False, True])
def test_workers_deliver_pytorchs_order_and_draws(workers, persistent):
    def run(lib, data):
        lib.manual_seed(3)
        loader = data.DataLoader(range(11), 3, shuffle=True, num_workers=workers, persistent_workers=persistent)
        return [(plain(list(loader)), lib.rand(1).item()) for _ in range(2)]

    both(run)


class Drawn:
    """What each stream of a worker gives first."""

    def __init__(self, lib):
        self.lib = lib

    def __len__(self):
        return 4

    def __getitem__(self, index):
        legacy = np.random.rand()  # noqa: NPY002  # the stream that is seeded
        return self.lib.rand(1).item(), random.random(), legacy


def test_the_streams_of_a_worker_start_where_pytorchs_start():
    def run(lib, data):
        lib.manual_seed(8)
        return plain(list(data.DataLoader(Drawn(lib), num_workers=2)))

    both(run)


class Uneven:
    """An iterable data set of which each worker has another number of samples."""

    def __iter__(self):
        worker = self.get_worker_info()
        return iter(range(10 * worker.id, 10 * worker.id + 3 * (worker.id + 1)))


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_the_batches_of_uneven_workers_come_in_pytorchs_order(workers, drop_last):
    def run(lib, data):
        kind = type("Stream", (Uneven, data.IterableDataset), {"get_worker_info": staticmethod(data.get_worker_info)})
        return plain(list(data.DataLoader(kind(), 2, num_workers=workers, drop_last=drop_last)))

    both(run)


SAMPLERS = {
    "sequential": lambda data, g: data.SequentialSampler(range(9)),
    "random": lambda data, g: data.RandomSampler(range(9), generator=g),
    "fewer": lambda data, g: data.RandomSampler(range(9), num_samples=4, generator=g),
    "more": lambda data, g: data.RandomSampler(range(9), num_samples=31, generator=g),
    "as many twice": lambda data, g: data.RandomSampler(range(9), num_samples=18, generator=g),
    "replaced": lambda data, g: data.RandomSampler(range(9), True, generator=g),
    "replaced often": lambda data, g: data.RandomSampler(range(9), True, 100, g),
    "subset": lambda data, g: data.SubsetRandomSampler([5, 7, 2, 9], g),
    "weighted": lambda data, g: data.WeightedRandomSampler([0.1, 0.9, 0.4, 3.0], 50, generator=g),
    "weighted once": lambda data, g: data.WeightedRandomSampler([0.1, 0.9, 0.4, 3.0], 4, False, g),
    "in batches": lambda data, g: data.BatchSampler(data.RandomSampler(range(9), generator=g), 4, False),
    "in whole batches": lambda data, g: data.BatchSampler(data.RandomSampler(range(9), generator=g), 4, True),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("seed", SEEDS[:4])
def test_samplers_give_pytorchs_order(name, own, seed):
    def run(lib, data):
        generator = stream(lib, seed, own)
        sampler = SAMPLERS[name](data, generator)
        orders = [list(sampler), list(sampler)]
        return orders, len(sampler), lib.rand(1).item(), generator is None or lib.rand(1, generator=generator).item()

    both(run)


@pytest.mark.parametrize(
    ("count", "lengths"),
    [
        (10, [3, 7]),
        (100, [0.8, 0.1, 0.1]),
        (30, [0.3, 0.3, 0.4]),
        (11, [0.25] * 4),
        (7, [0.5, 0.5]),
        (1797, [0.8, 0.1, 0.1]),
        (5, [1]),
        (5, [5]),
        (0, [0, 0]),
    ],
)
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("seed", SEEDS[:4])
def test_random_split_gives_pytorchs_parts(count, lengths, own, seed):
    def run(lib, data):
        generator = stream(lib, seed, own)
        parts = data.random_split(range(count), lengths, **({"generator": generator} if own else {}))
        return [list(part.indices) for part in parts], lib.rand(1).item()

    both(run)


Point = collections.namedtuple("Point", ["x", "y"])
BATCHES = {
    "ints": lambda t: [1, 2],
    "floats": lambda t: [1.5, 2.0],
    "bools": lambda t: [True, False],
    "strings": lambda t: ["a", "b"],
    "bytes": lambda t: [b"a", b"b"],
    "tensors": lambda t: [t([1, 2]), t([3, 4])],
    "0-d": lambda t: [t(1.0), t(2.0)],
    "mixed dtypes": lambda t: [t([1]), t([2.5])],
    "arrays": lambda t: [np.zeros((2, 1), np.float32), np.ones((2, 1), np.float32)],
    "numpy numbers": lambda t: [np.float32(1), np.float32(2)],
    "numpy doubles": lambda t: [np.float64(1), np.float64(2)],
    "numpy bools": lambda t: [np.bool_(True), np.bool_(False)],
    "dicts": lambda t: [{"a": 1, "b": t([2.0])}, {"b": t([4.0]), "a": 3}],
    "tuples": lambda t: [(1, 2.0, "x"), (3, 4.0, "y")],
    "lists": lambda t: [[1, (2, 3)], [4, (5, 6)]],
    "named": lambda t: [Point(1, t([2])), Point(3, t([4]))],
    "ranges": lambda t: [range(3), range(3)],
    "empty tuples": lambda t: [(), ()],
    # and what makes no batch
    "nothing": lambda t: [],
    "none": lambda t: [None],
    "complex": lambda t: [1j],
    "text arrays": lambda t: [np.array(["a"])],
    "objects": lambda t: [np.array([None])],
    "uneven lists": lambda t: [[1], [1, 2]],
    "uneven tensors": lambda t: [t([1]), t([1, 2])],
    "missing key": lambda t: [{"a": 1}, {"b": 1}],
}


@pytest.mark.parametrize("name", BATCHES)
def test_batches_are_collated_as_in_pytorch(name):
    def run(lib, data):
        try:
            return plain(data.default_collate(BATCHES[name](lib.tensor)))
        except Exception as error:
            return type(error)

    both(run)


@pytest.mark.parametrize("name", BATCHES)
def test_samples_are_converted_as_in_pytorch(name):
    def run(lib, data):
        try:
            return str(plain(data.default_convert(BATCHES[name](lib.tensor))))
        except Exception as error:
            return type(error)

    both(run)


ARGUMENTS = {
    "batch_size": [1, None, 3, 0, -1],
    "shuffle": [None, True],
    "sampler": [None, [1, 0]],
    "batch_sampler": [None, [[1], [0, 2]]],
    "drop_last": [False, True],
}


@pytest.mark.parametrize("iterable", [False, True])
@pytest.mark.parametrize("values", list(itertools.product(*ARGUMENTS.values())))
def test_arguments_are_accepted_and_refused_as_in_pytorch(values, iterable):
    def run(lib, data):
        lib.manual_seed(0)
        samples = range(4)
        if iterable:
            samples = type("Stream", (data.IterableDataset,), {"__iter__": lambda self: iter(range(4))})()
        try:
            loader = data.DataLoader(samples, **dict(zip(ARGUMENTS, values)))
        except Exception as error:
            return type(error)
        if iterable and loader.batch_size is None and loader.batch_sampler is not None:
            return "own batches"
        return plain(list(loader)), loader.batch_size, loader.drop_last

    both(run)


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_workers": -1},
        {"timeout": -1},
        {"prefetch_factor": 2},
        {"prefetch_factor": -1, "num_workers": 1},
        {"persistent_workers": True},
        {"multiprocessing_context": "fork"},
        {"multiprocessing_context": "thread", "num_workers": 1},
        {"multiprocessing_context": 3, "num_workers": 1},
        {"dataset": [], "shuffle": True},
    ],
)
def test_bad_arguments_raise_pytorchs_exceptions(arguments):
    def run(lib, data):
        with pytest.raises(Exception) as caught:  # noqa: PT011  # which one is what is compared
            data.DataLoader(**{"dataset": range(3), **arguments})
        return caught.type

    both(run)


@pytest.mark.parametrize(
    "make",
    [
        lambda lib, data: data.TensorDataset(lib.zeros(3), lib.zeros(4)),
        lambda lib, data: data.ConcatDataset([]),
        lambda lib, data: data.ConcatDataset([range(2)])[2],
        lambda lib, data: data.ConcatDataset([range(2)])[-3],
        lambda lib, data: data.random_split(range(5), [2, 2]),
        lambda lib, data: data.random_split(range(5), [0.5, 0.7]),
        lambda lib, data: data.random_split(range(5), [1.5, -0.5]),
        lambda lib, data: data.RandomSampler([]),
        lambda lib, data: data.RandomSampler([1], replacement=1),
        lambda lib, data: data.RandomSampler([1], num_samples=-1),
        lambda lib, data: data.BatchSampler([1], 0, False),
        lambda lib, data: data.BatchSampler([1], 1, None),
        lambda lib, data: data.WeightedRandomSampler([[1.0]], 1),
        lambda lib, data: list(data.WeightedRandomSampler([1.0], 2, False)),
    ],
)
def test_bad_data_sets_and_samplers_raise_pytorchs_exceptions(make):
    def run(lib, data):
        with pytest.raises(Exception) as caught:  # noqa: PT011  # which one is what is compared
            make(lib, data)
        return caught.type

    both(run)


FILE_DTYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]


def test_files_travel_to_pytorch_and_back(tmp_path):
    files = pytest.importorskip("safetensors.torch", reason="safetensors is in the extra demo")
    values = {name: (np.arange(6).reshape(2, 3) % 5).astype(name) for name in FILE_DTYPES}
    ours = {name: rg.tensor(array) for name, array in values.items()}
    theirs = {name: torch.from_numpy(array) for name, array in values.items()}
    ours["0-d"], theirs["0-d"] = rg.tensor(1.5), torch.tensor(1.5)
    ours["view"], theirs["view"] = ours["float32"].T, theirs["float32"].T.contiguous()
    save_file(ours, tmp_path / "ours", {"format": "pt"})
    files.save_file(theirs, tmp_path / "theirs", {"format": "pt"})
    read = files.load_file(tmp_path / "ours")
    assert {name: plain(value) for name, value in read.items()} == {n: plain(t) for n, t in theirs.items()}
    loaded = load_file(tmp_path / "theirs")
    assert {name: plain(value) for name, value in loaded.items()} == {n: plain(t) for n, t in theirs.items()}


def test_bfloat16_weights_of_pytorch_load_with_their_values(tmp_path):
    files = pytest.importorskip("safetensors.torch", reason="safetensors is in the extra demo")
    torch.manual_seed(0)
    weights = torch.randn(5, 7).bfloat16()
    files.save_file({"w": weights}, tmp_path / "a")
    assert load_file(tmp_path / "a")["w"].tolist() == weights.float().tolist()


@pytest.mark.parametrize("size", [1, 7, 12])
@pytest.mark.parametrize(("replicas", "rank"), [(1, 0), (3, 0), (3, 2), (20, 19)])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
def test_every_process_gets_pytorchs_share(size, replicas, rank, shuffle, drop_last):
    def run(lib, data):
        share = data.DistributedSampler(range(size), replicas, rank, shuffle=shuffle, seed=5, drop_last=drop_last)
        epochs = []
        for epoch in range(3):
            share.set_epoch(epoch)
            epochs.append(list(share))
        return epochs, len(share), share.num_samples, share.total_size

    both(run)


def test_stacked_data_sets_give_pytorchs_samples_and_batches():
    def run(lib, data):
        pairs, named = data.StackDataset("abcd", range(4)), data.StackDataset(x="abcd", y=range(4))
        loaded = [plain(list(data.DataLoader(stack, 3))) for stack in (pairs, named)]
        return pairs[1], named[-1], pairs.__getitems__([0, 2]), named.__getitems__([3]), len(pairs), loaded

    both(run)


def test_chained_streams_give_pytorchs_batches():
    def run(lib, data):
        class Stream(data.IterableDataset):
            def __iter__(self):
                return iter(range(5))

            def __len__(self):
                return 5

        chain = Stream() + Stream()
        return type(chain).__name__, len(chain), plain(list(data.DataLoader(chain, 3)))

    both(run)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda data: data.StackDataset(),
        lambda data: data.StackDataset("ab", x="ab"),
        lambda data: data.StackDataset("ab", "abc"),
        lambda data: list(data.ChainDataset(["ab"])),
        lambda data: len(data.ChainDataset(["ab"])),
        lambda data: data.DistributedSampler("ab", 2, 2),
        lambda data: data.DistributedSampler("ab", 2, -1),
    ],
)
def test_mistakes_with_data_sets_raise_pytorchs_exceptions(mistake):
    kinds = []
    for _, module in LIBRARIES:
        with pytest.raises(Exception) as caught:  # noqa: PT011  # whichever PyTorch raises
            mistake(module)
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]
