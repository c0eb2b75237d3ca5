"""The host random stream: numbers recorded from PyTorch 2.13, its state, its errors, its independence of threads."""

import copy
import pickle
import threading

import numpy as np
import pytest

from retrograd.backends.generator import Generator

WEIGHTS = np.array([0.1, 0.2, 0.3, 0.4], np.float32)


@pytest.fixture
def g():
    return Generator().manual_seed(0)


def hexadecimal(*numbers):
    return np.array([float.fromhex(number) for number in numbers])


# The draw from seed 0, the values PyTorch gives, and its next two torch.randint(0, 1000, (2,)).
EXACT = {
    "float32 uniform": (
        lambda g: g.uniform(4),
        [0.49625658988952637, 0.7682217955589294, 0.08847743272781372, 0.13203048706054688],
        [963, 379],
    ),
    "float64 uniform": (
        lambda g: g.uniform(3, "float64"),
        hexadecimal("0x1.f0aac97c4aa2fp-1", "0x1.6a675d821ccc0p-1", "0x1.d6687b744a5f6p-2"),
        [427, 503],
    ),
    "float16 uniform": (
        lambda g: g.uniform(4, "float16"),
        [0.496337890625, 0.76806640625, 0.0885009765625, 0.132080078125],
        [963, 379],
    ),
    "float32 uniform between bounds": (
        lambda g: g.uniform(4, "float32", -0.1, 0.1),
        [-0.0007486820104531944, 0.05364435911178589, -0.08230451494455338, -0.07359390705823898],
        [963, 379],
    ),
    "float64 uniform between bounds": (
        lambda g: g.uniform(3, "float64", -0.1, 0.1),
        hexadecimal("0x1.81114260776b2p-4", "0x1.547df806c28cdp-5", "-0x1.0a301d17bd9dap-7"),
        [427, 503],
    ),
    "randint": (lambda g: g.randint(0, 10, 8), [4, 9, 3, 0, 3, 9, 7, 3], [497, 683]),
    "randint, span just below 2**28": (
        lambda g: g.randint(0, 2**28 - 1, 3),
        [209652404, 130329144, 118924928],
        [760, 963],
    ),
    "randint, span 2**28": (lambda g: g.randint(0, 2**28, 3), [130329135, 136432832, 195187451], [427, 503]),
    "randint, wide span": (
        lambda g: g.randint(-(10**15), 10**15, 3),
        [822223749065263, -84816504075072, 21634053362427],
        [427, 503],
    ),
    "random_ bool": (lambda g: g.random_(4, bool), [False, True, True, False], [963, 379]),
    "random_ uint8": (lambda g: g.random_(4, "uint8"), [172, 47, 117, 192], [963, 379]),
    "random_ int8": (lambda g: g.random_(4, "int8"), [44, 47, 117, 64], [963, 379]),
    "random_ int16": (lambda g: g.random_(4, "int16"), [2732, 10799, 9845, 19648], [963, 379]),
    "random_ int32": (lambda g: g.random_(4, "int32"), [209652396, 398764591, 924231285, 1478610112], [963, 379]),
    "random_ int64": (
        lambda g: g.random_(4),
        [900450186894289455, 3969543146641149120, 1895649597198586619, 827948490035658087],
        [497, 683],
    ),
    "random_ float16": (lambda g: g.random_(4, "float16"), [1277, 1017, 1661, 999], [963, 379]),
    "random_ float32": (
        lambda g: g.random_(4, "float32"),
        hexadecimal("0x1.fc288p+22", "0x1.89533p+23", "0x1.6a5bep+20", "0x1.0e5f4p+21"),
        [963, 379],
    ),
    "random_ float64": (
        lambda g: g.random_(2, "float64"),
        hexadecimal("0x1.f0aac97c4a5ccp+52", "0x1.6a675d821c708p+52"),
        None,
    ),
    "permutation": (lambda g: g.permutation(10), [4, 1, 7, 5, 3, 9, 0, 8, 6, 2], [683, 101]),
    "long permutation": (lambda g: g.permutation(60_000)[-4:], [6465, 31951, 27130, 1544], [953, 850]),
    "bernoulli of a number": (lambda g: g.bernoulli(0.3, 12), [0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1], [824, 841]),
    "bernoulli of a float32 array": (
        lambda g: g.bernoulli(np.full(12, 0.3, np.float32)),
        [0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        [756, 399],
    ),
    "bernoulli of a float64 array": (
        lambda g: g.bernoulli(np.full(12, 0.3)),
        [0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1],
        [824, 841],
    ),
    "dropout": (lambda g: g.dropout_mask(0.3, 12), [0, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1], [824, 841]),
    "geometric": (lambda g: g.geometric(0.2, 8), [1, 2, 4, 1, 2, 2, 8, 5], [56, 868]),
    "multinomial": (lambda g: g.multinomial(WEIGHTS, 3), [2, 1, 3], [497, 683]),
    "multinomial with replacement": (
        lambda g: g.multinomial(WEIGHTS, 10, replacement=True),
        [3, 3, 2, 3, 3, 3, 1, 2, 2, 1],
        [126, 119],
    ),
    "multinomial of rows": (
        lambda g: g.multinomial(np.stack([WEIGHTS, WEIGHTS[::-1]]), 4, replacement=True),
        [[3, 3, 2, 3], [1, 2, 0, 0]],
        [56, 868],
    ),
    "one sample of each row": (
        lambda g: g.multinomial(np.stack([WEIGHTS, WEIGHTS[::-1]]), 1),
        [[2], [2]],
        [56, 868],
    ),
}

# Where a logarithm or a cosine takes part: equal to the last bits.
CLOSE = {
    "five float32 normals": (
        lambda g: g.normal(5),
        [1.5409960746765137, -0.293428897857666, -2.1787893772125244, 0.5684312582015991, -1.0845223665237427],
        [756, 399],
    ),
    "three float64 normals": (
        lambda g: g.normal(3, "float64"),
        hexadecimal("0x1.8a7eb8902be3ap+0", "-0x1.2c78a087c6feap-2", "-0x1.16e2920a70ee5p+1"),
        None,
    ),
    "sixteen float32 normals": (
        lambda g: g.normal(16)[-4:],
        [0.11984150856733322, 1.237657904624939, 1.1167771816253662, -0.2472781538963318],
        [56, 868],
    ),
    "seventeen float32 normals": (
        lambda g: g.normal(17)[-4:],
        [1.586334228515625, 0.946298360824585, -0.843676745891571, 0.9318265914916992],
        [360, 995],
    ),
    "seventeen float64 normals": (
        lambda g: g.normal(17, "float64")[-4:],
        [1.4880743158106724, -0.4484158047114511, -0.8910030351707375, 0.6748575435940039],
        [218, 632],
    ),
    "seventeen float16 normals": (
        lambda g: g.normal(17, "float16")[-4:],
        [1.3896484375, 1.5859375, 0.9462890625, -0.84375],
        [363, 360],
    ),
    "normals of a mean and deviation": (
        lambda g: g.normal(3, mean=5, std=2),
        [8.081992149353027, 4.413142204284668, 0.6424212455749512],
        [497, 683],
    ),
    "exponential": (
        lambda g: g.exponential(4, rate=2.0),
        [1.754163146018982, 0.6151923537254333, 0.3075220584869385, 1.267559289932251],
        [497, 683],
    ),
    "cauchy": (
        lambda g: g.cauchy(3, median=1, sigma=2),
        [22.195459365844727, 2.5295345783233643, 0.743401288986206],
        [427, 503],
    ),
    "log-normal": (
        lambda g: g.log_normal(3, mean=0, std=0.5),
        [2.160842180252075, 0.863540530204773, 0.33642005920410156],
        [497, 683],
    ),
}


@pytest.mark.parametrize(("draw", "expected", "following"), EXACT.values(), ids=EXACT)
def test_seed_0_gives_pytorchs_numbers_bit_for_bit(g, draw, expected, following):
    np.testing.assert_array_equal(draw(g), expected)
    if following is not None:
        np.testing.assert_array_equal(g.randint(0, 1000, 2), following)


@pytest.mark.parametrize(("draw", "expected", "following"), CLOSE.values(), ids=CLOSE)
def test_seed_0_gives_pytorchs_numbers_to_the_last_bits(g, draw, expected, following):
    actual = draw(g)
    np.testing.assert_allclose(actual, expected, rtol=4 * float(np.finfo(actual.dtype).eps))
    if following is not None:
        np.testing.assert_array_equal(g.randint(0, 1000, 2), following)


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (42, [0.8822692632675171, 0.9150039553642273, 0.38286375999450684]),
        (-1, [0.9937993884086609, 0.5713063478469849, 0.5700080394744873]),
        (2**64 - 1, [0.9937993884086609, 0.5713063478469849, 0.5700080394744873]),
        (2**32, [0.49625658988952637, 0.7682217955589294, 0.08847743272781372]),
    ],
)
def test_the_low_32_bits_of_the_seed_choose_the_stream(seed, expected):
    g = Generator().manual_seed(seed)
    np.testing.assert_array_equal(g.uniform(3), np.float32(expected))
    assert g.initial_seed() == seed % 2**64


def test_a_new_generator_starts_at_pytorchs_default_seed():
    assert Generator().initial_seed() == 67280421310721


def test_seed_starts_another_stream_each_time_and_returns_its_seed():
    g = Generator()
    first, second = g.seed(), g.seed()
    assert first != second
    assert g.initial_seed() == second
    np.testing.assert_array_equal(g.uniform(3), Generator().manual_seed(second).uniform(3))


@pytest.mark.parametrize("before", [0, 1, 3, 623, 624, 625])
def test_a_state_restores_the_stream_and_the_cached_normal(g, before):
    g.uniform(before)
    g.normal(3)  # leaves a normal in the cache
    state = g.get_state()
    expected = g.normal(3), g.uniform(1000), g.normal(1)
    other = Generator().set_state(state)
    for values in (expected, (other.normal(3), other.uniform(1000), other.normal(1))):
        np.testing.assert_array_equal(np.concatenate(values), np.concatenate(expected))
    assert state.dtype == np.uint8
    assert state.shape == (5056,)
    assert other.initial_seed() == 0


def test_a_state_is_a_copy_that_later_draws_do_not_change(g):
    state = g.get_state()
    before = state.copy()
    g.uniform(700)
    np.testing.assert_array_equal(state, before)


def test_seeding_forgets_the_cached_normal(g):
    first = g.normal(3)
    np.testing.assert_array_equal(g.manual_seed(0).normal(3), first)


def test_copies_and_pickles_continue_the_stream(g):
    g.normal(3)
    copies = [copy.deepcopy(g), pickle.loads(pickle.dumps(g))]
    expected = g.normal(5)
    for other in copies:
        np.testing.assert_array_equal(other.normal(5), expected)


@pytest.mark.parametrize("draw", ["uniform", "exponential", "random_", "geometric", "bernoulli"])
def test_one_long_draw_equals_many_short_ones(draw):
    p = (0.3,) if draw in ("geometric", "bernoulli") else ()
    one, many = Generator().manual_seed(5), Generator().manual_seed(5)
    whole = getattr(one, draw)(*p, 100_000)
    parts = [getattr(many, draw)(*p, size) for size in (1, 40_000, 9, 59_990)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_a_long_draw_of_normals_equals_shorter_ones_in_whole_blocks():
    one, many = Generator().manual_seed(5), Generator().manual_seed(5)
    whole = one.normal(100_000)
    np.testing.assert_array_equal(whole, np.concatenate([many.normal(16), many.normal(40_000), many.normal(59_984)]))


@pytest.mark.parametrize("size", [(), (0,), (3, 0), (2, 3), 5, np.int64(5)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_samples_have_the_size_and_dtype_asked_for(g, size, dtype):
    shape = size if isinstance(size, tuple) else (int(size),)
    for sample in (
        g.uniform(size, dtype),
        g.normal(size, dtype),
        g.exponential(size, dtype),
        g.bernoulli(0.5, size, dtype),
    ):
        assert isinstance(sample, np.ndarray)
        assert (sample.shape, sample.dtype) == (shape, np.dtype(dtype))


def test_a_uniform_sample_never_reaches_the_upper_bound(g):
    assert g.uniform(200_000, "float16").max() < 1
    bound = np.float32(1.0 + 4e-7)
    narrow = g.uniform(200_000, "float32", 1.0, bound)  # few float32 lie between, and rounding would reach the bound
    assert narrow.min() >= 1
    assert narrow.max() < bound


def test_moments_are_those_of_the_distributions():
    g = Generator().manual_seed(1)
    n, wide = 200_000, 5 / np.sqrt(200_000)
    normal, exponential, geometric = g.normal(n), g.exponential(n, rate=2.0), g.geometric(0.25, n)
    assert abs(normal.mean()) < wide
    assert abs(normal.std() - 1) < wide
    assert abs(exponential.mean() - 0.5) < wide
    assert abs(geometric.mean() - 4) < 5 * wide
    shares = np.bincount(g.multinomial(WEIGHTS, n, replacement=True)) / n
    np.testing.assert_allclose(shares, WEIGHTS, atol=wide)


def test_a_permutation_holds_every_number_once(g):
    for n in (0, 1, 2, 1000):
        np.testing.assert_array_equal(np.sort(g.permutation(n)), np.arange(n))


def test_categories_without_weight_come_last_and_only_when_no_others_are_left(g):
    weights = np.array([0, 1, 0, 2, 0], np.float32)
    np.testing.assert_array_equal(np.sort(g.multinomial(weights, 2)), [1, 3])
    np.testing.assert_array_equal(g.multinomial(weights, 4)[2:], [0, 2])
    assert set(g.multinomial(weights, 500, replacement=True)) == {1, 3}


def test_dropping_none_or_all_draws_nothing(g):
    before = g.get_state()
    np.testing.assert_array_equal(g.dropout_mask(0.0, (2, 2)), np.ones((2, 2)))
    np.testing.assert_array_equal(g.dropout_mask(1.0, (2, 2)), np.zeros((2, 2)))
    np.testing.assert_array_equal(g.get_state(), before)


def test_threads_that_share_a_generator_divide_its_stream_without_loss():
    g = Generator().manual_seed(0)
    parts = []

    def draw():
        parts.extend(g.random_(16) for _ in range(200))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = Generator().manual_seed(0).random_(4 * 200 * 16)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.sort(expected))


BAD = [
    (lambda g: g.manual_seed(1.5), RuntimeError, "expected an integer, got float"),
    (lambda g: g.manual_seed("1"), RuntimeError, "expected an integer, got str"),
    (lambda g: g.manual_seed(2**64), ValueError, "must be in"),
    (lambda g: g.manual_seed(-(2**63) - 1), ValueError, "must be in"),
    (lambda g: g.set_state(np.zeros(5056)), TypeError, "expected a uint8 array"),
    (lambda g: g.set_state(b"state"), TypeError, "got bytes"),
    (lambda g: g.set_state(np.zeros(3, np.uint8)), RuntimeError, "5056 bytes, got 3"),
    (lambda g: g.set_state(np.zeros(5056, np.uint8)), RuntimeError, "no state of an MT19937"),
    (lambda g: g.uniform(-1), RuntimeError, "must not be negative"),
    (lambda g: g.uniform(2.5), TypeError, "integer"),
    (lambda g: g.uniform(2, "int64"), NotImplementedError, "got int64"),
    (lambda g: g.uniform(2, "float32", 1, 0), RuntimeError, "low <= high"),
    (lambda g: g.uniform(2, "float32", float("nan"), 0), RuntimeError, "low <= high"),
    (lambda g: g.uniform(2, "float32", 0, 1e39), RuntimeError, "float32's range"),
    (lambda g: g.normal(2, "int32"), NotImplementedError, "got int32"),
    (lambda g: g.normal(2, std=-1), RuntimeError, "std >= 0"),
    (lambda g: g.normal(2, std=float("nan")), RuntimeError, "std >= 0"),
    (lambda g: g.log_normal(2, std=0), RuntimeError, "std > 0"),
    (lambda g: g.randint(3, 3, 2), RuntimeError, "low < high"),
    (lambda g: g.randint(0, 300, 2, "uint8"), RuntimeError, "does not fit uint8"),
    (lambda g: g.randint(-1, 3, 2, "uint8"), RuntimeError, "does not fit uint8"),
    (lambda g: g.randint(0, 3, 2, bool), RuntimeError, "does not fit bool"),
    (lambda g: g.randint(0, 70_000, 2, "float16"), RuntimeError, "does not fit float16"),
    (lambda g: g.randint(0, 2**63, 2, "uint64"), RuntimeError, "does not fit uint64"),
    (lambda g: g.randint(0, 2.5, 2), TypeError, "integer"),
    (lambda g: g.random_(2, "uint32"), NotImplementedError, "use randint"),
    (lambda g: g.random_(2, "complex64"), NotImplementedError, "complex64"),
    (lambda g: g.permutation(-1), RuntimeError, "must not be negative"),
    (lambda g: g.permutation(2**28), NotImplementedError, "must be below 214748364"),
    (lambda g: g.bernoulli(2.0, 3), RuntimeError, "p in"),
    (lambda g: g.bernoulli(float("nan"), 3), RuntimeError, "p in"),
    (lambda g: g.bernoulli(0.5), TypeError, "needs a size"),
    (lambda g: g.bernoulli(np.array([0.5, 2.0])), RuntimeError, "every p in"),
    (lambda g: g.bernoulli(np.array([0, 1])), NotImplementedError, "got int64"),
    (lambda g: g.dropout_mask(1.5, 3), ValueError, "p in"),
    (lambda g: g.exponential(3, rate=0), RuntimeError, "rate > 0"),
    (lambda g: g.exponential(3, "int64"), NotImplementedError, "got int64"),
    (lambda g: g.geometric(1.0, 3), RuntimeError, "p in"),
    (lambda g: g.geometric(0.5, 3, bool), NotImplementedError, "got bool"),
    (lambda g: g.cauchy(3, sigma=0), RuntimeError, "sigma > 0"),
    (lambda g: g.multinomial(np.array([1, 2]), 1), NotImplementedError, "got int64"),
    (lambda g: g.multinomial(np.ones((2, 2, 2)), 1), RuntimeError, "1 or 2 dimensions"),
    (lambda g: g.multinomial(WEIGHTS, 0), RuntimeError, "must be positive"),
    (lambda g: g.multinomial(WEIGHTS, 5), RuntimeError, "cannot draw 5 of 4"),
    (lambda g: g.multinomial(-WEIGHTS, 1), RuntimeError, "finite and not negative"),
    (lambda g: g.multinomial(WEIGHTS / np.float32(0), 1), RuntimeError, "finite and not negative"),
    (lambda g: g.multinomial(0 * WEIGHTS, 1), RuntimeError, "positive weight"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_arguments_raise_and_leave_the_stream_where_it_was(g, call, error, message):
    before = g.get_state()
    with pytest.raises(error, match=message):
        call(g)
    np.testing.assert_array_equal(g.get_state(), before)
