"""The host random stream against PyTorch's CPU generator: same values, and the same place in the stream afterwards."""

import copy
import pickle

import numpy as np
import pytest

from retrograd.backends.generator import Generator

torch = pytest.importorskip("torch")

SIZES = [0, 1, 2, 15, 16, 17, 31, 32, 33, 100, 623, 625, 1000, 40_000]
SEEDS = [0, 1, 42, 2**32 - 1, 2**32 + 5, -1, 2**64 - 1]
FLOATS = ["float16", "float32", "float64"]
INTEGERS = ["uint8", "int8", "int16", "int32", "int64", "bool"]
BOUNDS = [(0.0, 1.0), (-0.1, 0.1), (1.3, 7.7), (5.0, 5.001), (-3.0, -3.0), (0.0, 4.0), (-1e3, 1.0)]


@pytest.fixture(params=SEEDS)
def streams(request):
    return Generator().manual_seed(request.param), torch.Generator().manual_seed(request.param)


def theirs(dtype):
    return getattr(torch, dtype)


def same_place(ours, reference):
    """Both streams are in one state, in PyTorch's layout of it: seed, words left, words, cached normal (last bits)."""
    mine, its = ours.get_state(), reference.get_state().numpy()
    np.testing.assert_array_equal(mine[:16], its[:16])
    if its[8:12].view(np.int32)[0] > 1:  # the index of the next word means nothing when a twist is due
        np.testing.assert_array_equal(mine[16:24], its[16:24])
    np.testing.assert_array_equal(mine[24:5016], its[24:5016])
    np.testing.assert_allclose(mine[5016:5040].view(np.float64), its[5016:5040].view(np.float64), rtol=1e-14)
    np.testing.assert_array_equal(mine[5040:], its[5040:])


def units_in_the_last_place(actual, expected):
    integer = {2: np.int16, 4: np.int32, 8: np.int64}[actual.itemsize]
    a, b = (np.abs(x).view(integer).astype(np.int64) for x in (actual, expected))
    return np.where(np.signbit(actual) == np.signbit(expected), np.abs(a - b), a + b).max(initial=0)


def check(ours, reference, units=0):
    expected = reference.numpy()
    assert ours.dtype == expected.dtype
    assert ours.shape == expected.shape
    if units:
        assert units_in_the_last_place(ours, expected) <= units
    else:
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", SIZES)
def test_uniform_samples_are_those_of_rand(streams, size, dtype):
    g, t = streams
    check(g.uniform(size, dtype), torch.rand(size, dtype=theirs(dtype), generator=t))
    same_place(g, t)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_uniform_samples_between_bounds_are_those_of_uniform_(streams, low, high, dtype):
    g, t = streams
    expected = torch.empty(10_000, dtype=theirs(dtype)).uniform_(low, high, generator=t)
    check(g.uniform(10_000, dtype, low, high), expected)
    same_place(g, t)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", SIZES)
def test_normal_samples_are_those_of_randn_to_the_last_bits(streams, size, dtype):
    g, t = streams
    check(g.normal(size, dtype), torch.randn(size, dtype=theirs(dtype), generator=t), units=4)
    same_place(g, t)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", [7, 100])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.02), (1.5, 3.0), (-2.0, 0.0), (4.0, 1.0)])
def test_normal_samples_of_a_mean_and_deviation_are_those_of_normal_(streams, size, mean, std, dtype):
    g, t = streams
    expected = torch.empty(size, dtype=theirs(dtype)).normal_(mean, std, generator=t).numpy()
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(
        g.normal(size, dtype, mean, std), expected, rtol=4 * eps, atol=4 * eps * (abs(mean) + std)
    )
    same_place(g, t)


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
@pytest.mark.parametrize("size", [0, 1, 1000, 40_000])
def test_random_integers_without_bounds_are_those_of_random_(streams, size, dtype):
    g, t = streams
    check(g.random_(size, dtype), torch.empty(size, dtype=theirs(dtype)).random_(generator=t))
    same_place(g, t)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0, 1),
        (0, 2),
        (-7, 30),
        (0, 2**28 - 1),
        (0, 2**28),
        (-5, 2**28 - 5),
        (0, 2**32 - 1),
        (0, 2**32),
        (-(10**12), 10**15),
        (-(2**63), 2**63 - 1),
        (2**62, 2**63 - 1),
    ],
)
def test_random_integers_are_those_of_randint_on_both_sides_of_the_64_bit_threshold(streams, low, high):
    g, t = streams
    check(g.randint(low, high, 1000), torch.randint(low, high, (1000,), generator=t))
    same_place(g, t)


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS + ["uint16", "uint32", "uint64"])
def test_random_integers_have_every_dtype_of_randint(streams, dtype):
    g, t = streams
    low, high = (0, 2) if dtype == "bool" else (3, 100)
    check(g.randint(low, high, (7, 5), dtype), torch.randint(low, high, (7, 5), dtype=theirs(dtype), generator=t))
    same_place(g, t)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "uint16", "uint32"])
def test_random_integers_fill_the_whole_range_of_a_dtype(streams, dtype):
    g, t = streams
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max) + 1
    check(g.randint(low, high, 500, dtype), torch.randint(low, high, (500,), dtype=theirs(dtype), generator=t))
    same_place(g, t)


@pytest.mark.parametrize("n", [*SIZES, 60_000])
def test_permutations_are_those_of_randperm(streams, n):
    g, t = streams
    check(g.permutation(n), torch.randperm(n, generator=t))
    same_place(g, t)


@pytest.mark.parametrize("p", [0.0, 1.0, 0.5, 0.3, 1 / 3, 1e-9, 1 - 1e-9])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "bool"])
def test_bernoulli_samples_of_one_probability_are_those_of_bernoulli_(streams, p, dtype):
    g, t = streams
    check(g.bernoulli(p, (40, 25), dtype), torch.empty(40, 25, dtype=theirs(dtype)).bernoulli_(p, generator=t))
    same_place(g, t)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", SIZES)
def test_bernoulli_samples_of_many_probabilities_are_those_of_bernoulli(streams, size, dtype):
    g, t = streams
    p = np.linspace(0, 1, size, dtype=dtype)
    check(g.bernoulli(p, dtype=dtype), torch.bernoulli(torch.from_numpy(p), generator=t))
    check(
        g.bernoulli(p, (3, size), bool),
        torch.empty(3, size, dtype=torch.bool).bernoulli_(torch.from_numpy(p), generator=t),
    )
    same_place(g, t)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_dropout_masks_are_those_of_functional_dropout(p, requires_grad):
    for seed in SEEDS[:4]:
        torch.manual_seed(seed)
        g = Generator().manual_seed(seed)
        for _ in range(3):
            x = torch.ones(30, 50, requires_grad=requires_grad)
            dropped = torch.nn.functional.dropout(x, p, training=True).detach().numpy()
            np.testing.assert_array_equal(g.dropout_mask(p, (30, 50)), dropped != 0)
        same_place(g, torch.default_generator)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("rate", [1.0, 0.3, 1e3])
def test_exponential_samples_are_those_of_exponential_(streams, rate, dtype):
    g, t = streams
    for size in (1, 16, 1000):
        expected = torch.empty(size, dtype=theirs(dtype)).exponential_(rate, generator=t)
        check(g.exponential(size, dtype, rate), expected, units=4 if dtype == "float64" else 1)
    same_place(g, t)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32"])
@pytest.mark.parametrize("p", [0.2, 0.97])
def test_geometric_samples_are_those_of_geometric_(streams, p, dtype):
    g, t = streams
    check(g.geometric(p, 1000, dtype), torch.empty(1000, dtype=theirs(dtype)).geometric_(p, generator=t))
    same_place(g, t)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cauchy_samples_are_those_of_cauchy_(streams, dtype):
    g, t = streams
    expected = torch.empty(1000, dtype=theirs(dtype)).cauchy_(2.0, 3.0, generator=t).numpy()
    np.testing.assert_allclose(
        g.cauchy(1000, dtype, 2.0, 3.0), expected, rtol=4 * float(np.finfo(dtype).eps), atol=1e-13
    )
    same_place(g, t)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 2, 15, 16, 33])
def test_log_normal_samples_are_those_of_log_normal_(streams, size, dtype):
    g, t = streams
    for _ in range(2):
        expected = torch.empty(size, dtype=theirs(dtype)).log_normal_(0.5, 0.25, generator=t)
        check(g.log_normal(size, dtype, 0.5, 0.25), expected, units=1 if dtype == "float32" else 8)
    same_place(g, t)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(5,), (1000,), (4, 7), (3, 300), (0, 6)])
@pytest.mark.parametrize(
    ("count", "replacement"), [(1, False), (3, False), (5, False), (1, True), (2, True), (50, True)]
)
def test_categories_are_those_of_multinomial(streams, shape, count, replacement, dtype):
    g, t = streams
    weights = np.random.default_rng(3).random(shape).astype(dtype)
    weights[..., 2:3] = 0
    if not replacement and count >= shape[-1]:
        weights[..., 2:3] = 1
    for _ in range(2):
        expected = torch.multinomial(torch.from_numpy(weights), count, replacement, generator=t)
        check(g.multinomial(weights, count, replacement), expected)
    same_place(g, t)


def test_any_sequence_of_draws_keeps_the_streams_together(streams):
    g, t = streams
    weights = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    draws = [
        (lambda: g.uniform(5), lambda: torch.rand(5, generator=t), 0),
        (lambda: g.normal(3), lambda: torch.randn(3, generator=t), 4),
        (lambda: g.normal(()), lambda: torch.randn((), generator=t), 4),
        (lambda: g.normal((3, 3), "float64"), lambda: torch.randn(3, 3, dtype=torch.float64, generator=t), 8),
        (lambda: g.normal((5, 5)), lambda: torch.randn(5, 5, generator=t), 4),
        (lambda: g.normal(16, "float64"), lambda: torch.randn(16, dtype=torch.float64, generator=t), 8),
        (lambda: g.normal(37, "float16"), lambda: torch.randn(37, dtype=torch.float16, generator=t), 1),
        (lambda: g.uniform(9, "float64"), lambda: torch.rand(9, dtype=torch.float64, generator=t), 0),
        (lambda: g.randint(0, 10, 3), lambda: torch.randint(0, 10, (3,), generator=t), 0),
        (lambda: g.randint(0, 10**10, 3), lambda: torch.randint(0, 10**10, (3,), generator=t), 0),
        (lambda: g.permutation(10), lambda: torch.randperm(10, generator=t), 0),
        (lambda: g.bernoulli(0.4, 11), lambda: torch.empty(11).bernoulli_(0.4, generator=t), 0),
        (lambda: g.bernoulli(weights), lambda: torch.bernoulli(torch.from_numpy(weights), generator=t), 0),
        (lambda: g.exponential(3), lambda: torch.empty(3).exponential_(generator=t), 1),
        (lambda: g.log_normal(3), lambda: torch.empty(3).log_normal_(generator=t), 1),
        (lambda: g.multinomial(weights, 3), lambda: torch.multinomial(torch.from_numpy(weights), 3, generator=t), 0),
    ]
    for choice in np.random.default_rng(0).integers(len(draws), size=300):
        ours, reference, units = draws[choice]
        check(ours(), reference(), units)
    same_place(g, t)


def test_a_state_of_pytorch_continues_here_and_a_state_from_here_continues_in_pytorch(streams):
    g, t = streams
    t.manual_seed(99)
    torch.randn(3, generator=t), torch.rand(700, generator=t)
    g.set_state(t.get_state().numpy())
    assert g.initial_seed() == 99
    check(g.normal(3), torch.randn(3, generator=t), 2)
    g.normal(2), g.uniform(1000)
    t.set_state(torch.from_numpy(g.get_state()))
    check(g.normal(3), torch.randn(3, generator=t), 2)
    same_place(g, t)


def test_a_fresh_generator_and_its_state_are_pytorchs():
    np.testing.assert_array_equal(Generator().get_state(), torch.Generator().get_state().numpy())
    for seed in SEEDS:
        g, t = Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
        assert g.initial_seed() == t.initial_seed()
        np.testing.assert_array_equal(g.get_state(), t.get_state().numpy())


def test_copies_continue_the_same_stream():
    g = Generator().manual_seed(3)
    g.normal(3)
    copies = [copy.deepcopy(g), pickle.loads(pickle.dumps(g))]
    expected = g.normal(5)
    for other in copies:
        np.testing.assert_array_equal(other.normal(5), expected)
