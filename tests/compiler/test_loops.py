"""Blocks as compiled loops: each operation against the plain block's, and what decides which blocks are compiled."""

import itertools

import numpy as np
import pytest

import retrograd as rg
from retrograd.backends import numpy as xp
from retrograd.compiler import blocks, loops, unfold
from retrograd.compiler.operations import Recording, Value
from retrograd.compiler.program import Program
from retrograd.compiler.unfold import Names, Trace

pytest.importorskip("numba", reason="loops are compiled by numba")

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.3, -2.7, 1e-30, 90.0, -200.0, np.nan, np.inf, -np.inf]
ARITHMETIC = {
    "sums and products": lambda xp, x, y: [x + y, x - y, x * y, -x, 2 - x, x * 0.1, xp.square(y), 1 + x * y],
    "quotients": lambda xp, x, y: [x / y, 1 / x, xp.reciprocal(y), x / 3, xp.sqrt(x), xp.sqrt(abs_(xp, x))],
    "signs": lambda xp, x, y: [abs_(xp, x), xp.sign(y), xp.sign(x) * y, xp.negative(x)],
    "largest and smallest": lambda xp, x, y: [xp.maximum(x, y), xp.minimum(x, y), xp.maximum(x, 0), xp.clip(y, max=1)],
    "comparisons": lambda xp, x, y: [
        x < y,
        x <= y,
        x > y,
        x >= 0,
        x == y,
        x != y,
        (x < y) & (y > 0),
        (x < 0) | (y < 0),
    ],
    "tests": lambda xp, x, y: [xp.isnan(x), xp.isinf(y), xp.isfinite(x), xp.logical_not(x > y), xp.logical_not(x)],
    "logic": lambda xp, x, y: [xp.logical_and(x, y), xp.logical_or(x, y), xp.logical_xor(x, y)],
    "choices": lambda xp, x, y: [xp.where(x > y, x, y), xp.where(x < 0, 0, x), xp.where(y != y, 1.5, x * y)],
    "constants": lambda xp, x, y: [
        xp.minimum(x, np.inf),
        x * np.nan,
        xp.where(x > 0, -np.inf, y),
        y < -np.inf,
        x + 2**30,
    ],
    "kept": lambda xp, x, y: [xp.keep(x, y > 0), xp.keep(x * y, xp.logical_not(x <= 0))],
}
WHOLE = {
    "sums and products": lambda xp, x, y: [x + y, x - y, x * y, -x, 2 - x, x * 3, xp.square(y), abs_(xp, x)],
    "largest and smallest": lambda xp, x, y: [xp.maximum(x, y), xp.minimum(x, 0), xp.sign(y)],
    "bits": lambda xp, x, y: [x & y, x | y, x & 3],
    "comparisons": lambda xp, x, y: [x < y, x >= 0, x == y, xp.logical_not(x), xp.logical_and(x, y)],
    "as floats": lambda xp, x, y: [x / y, x * 0.5, xp.where(x > 0, x, y)],
}


def abs_(xp, x):
    return xp.abs(x) if hasattr(xp, "abs") else np.absolute(x)


@pytest.fixture(autouse=True)
def small_blocks_by_numba(monkeypatch):
    monkeypatch.setattr(blocks, "LARGE", 2)
    monkeypatch.setattr(unfold, "LARGE", 2)
    monkeypatch.setattr(loops, "GRAIN", 1)  # whatever its size, a block is shared out
    before = rg.get_kernels(), rg.get_num_threads()
    rg.set_kernels("numba")
    yield
    rg.set_kernels(before[0])
    rg.set_num_threads(before[1])


def program(function, *arrays):
    """The program of `function(xp, *arrays)`, and what it gives."""
    numbers = itertools.count(len(arrays))
    trace = Trace(numbers)
    inputs = [Value(i, np.shape(a), a.dtype, i) for i, a in enumerate(arrays)]
    results = [s.value for s in function(Names(trace, xp), *map(trace.symbol, inputs))]
    operations = blocks.blocks(trace.operations, results)
    written = Program(Recording([], results, 0, {}), operations, results, inputs)
    exec(written.source, written.scope)
    return written.source, written.scope["step"](*arrays)


def compared(function, *arrays, ulps=0):
    """Asserts that one loop gives what the backend's functions give, and returns its source."""
    copies = [np.copy(a) for a in arrays]
    source, found = program(function, *arrays)
    with np.errstate(all="ignore"):
        expected = function(xp, *copies)
    for one, other in zip(found, expected, strict=True):
        assert (np.shape(one), one.dtype) == (np.shape(other), other.dtype)
        if ulps and other.dtype.kind == "f":
            kind = np.finfo(other.dtype)
            np.testing.assert_allclose(one, other, rtol=ulps * kind.eps, atol=kind.tiny)
        else:
            np.testing.assert_array_equal(one, other)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert source.count("@compiled") == 1
    return source


def pairs(values, dtype):
    """Two arrays that hold all pairs of values."""
    grid = np.array(list(itertools.product(values, values)), dtype)
    return grid[:, 0].copy(), grid[:, 1].copy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("family", ARITHMETIC)
def test_arithmetic_in_a_loop_rounds_as_numpy_does(family, dtype):
    with np.errstate(all="ignore"):
        compared(ARITHMETIC[family], *pairs([*SPECIAL, *np.random.default_rng(0).standard_normal(60)], dtype))


@pytest.mark.parametrize("family", WHOLE)
def test_whole_numbers_in_a_loop_are_those_of_numpy(family):
    compared(WHOLE[family], *pairs([0, 1, -1, 5, -7, 2**40, -(2**62), 2**62], "int64"))


def test_truth_values_in_a_loop_are_those_of_numpy():
    def function(xp, x, y):
        return [x & y, x | y, xp.logical_not(x), xp.logical_and(x, y), xp.logical_xor(x, y), xp.where(x, y, x), x == y]

    compared(function, *pairs([True, False], "bool"))


def test_a_zero_keeps_its_sign():
    x = np.array([0.0, -0.0, 1.0, -1.0] * 5, np.float32)
    _, found = program(lambda xp, x: [-x, x * -1, x + x, xp.sqrt(x), x / 2], x)
    with np.errstate(all="ignore"):
        for one, other in zip(found, (-x, x * -1, x + x, np.sqrt(x), x / 2), strict=True):
            numbers = ~np.isnan(other)
            np.testing.assert_array_equal(np.signbit(one)[numbers], np.signbit(other)[numbers])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exponentials_in_a_loop_agree_to_three_units_in_the_last_place(dtype):
    x = np.concatenate([np.linspace(-80, 80, 30_001), SPECIAL]).astype(dtype)
    compared(lambda xp, x: [xp.exp(x), xp.tanh(x)], x, ulps=3)
    compared(lambda xp, x: [xp.sigmoid(x), xp.negative(x)], x, ulps=4)


def test_products_and_sums_are_rounded_one_by_one():
    x, y, z = np.random.default_rng(0).standard_normal((3, 10_000)).astype("float32")
    compared(lambda xp, x, y, z: [x * y + z, z - x * y, x * 3 - y], x, y, z)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "shapes",
    [
        ((7, 4099), (4099,), ()),
        ((9001,), (1,), (9001,)),
        ((31, 5, 33), (5, 1), (31, 1, 1)),
        ((13, 1, 17), (1, 11, 17), (13, 11, 1)),
        ((3, 1, 1), (2, 1), (1,)),
    ],
    ids=str,
)
def test_rows_columns_and_numbers_are_spread_over_a_loop(shapes, threads):
    rg.set_num_threads(threads)
    rng = np.random.default_rng(0)
    arrays = [np.asarray(rng.standard_normal(shape), np.float32) for shape in shapes]

    def function(xp, x, y, z):
        a = x * y + z
        return [a, a * a - 1]

    _, found = program(function, *arrays)
    for one, other in zip(found, function(np, *arrays), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((100_003,), None),
        ((211, 307), None),
        ((211, 307), 1),
        ((211, 307), 0),
        ((2, 9001), 1),
        ((2, 9001), 0),
        ((7, 11, 64), (0, 2)),
        ((70, 110, 6), 1),
        ((70, 110, 6), (0, 1)),
        ((90, 50, 16), 1),
        ((90, 50, 16), (0, 2)),
        ((1, 90, 1), 1),
    ],
    ids=str,
)
def test_sums_within_a_loop_are_as_accurate_as_sums_after_it(shape, axis, dtype, threads):
    rg.set_num_threads(threads)
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype) + np.dtype(dtype).type(0.1)

    def function(xp, x):
        y = x * x
        return [y + 1, xp.sum(y, axis=axis), xp.mean(y, axis=axis, keepdims=True)]

    source, (rows, total, mean) = program(function, x)
    assert source.count("@compiled") == 1
    assert "mean(" not in source
    squares = (x * x).astype(np.longdouble)
    np.testing.assert_array_equal(rows, x * x + 1)
    for one, other in ((total, squares.sum(axis)), (mean, squares.mean(axis, keepdims=True))):
        assert (np.shape(one), one.dtype) == (other.shape, x.dtype)
        np.testing.assert_allclose(one, other.astype(float), rtol=8 * np.finfo(dtype).eps)


def test_sums_within_a_loop_do_not_depend_on_the_number_of_threads():
    x = np.random.default_rng(0).standard_normal((300, 301)).astype("float32")
    found = []
    for threads in (1, 2, 3):
        rg.set_num_threads(threads)
        found.append(program(lambda xp, x: [xp.sum(x * x + 1), xp.sum(x * x, axis=0)], x)[1])
    for one in found[1:]:
        assert one[0] == found[0][0]
        np.testing.assert_array_equal(one[1], found[0][1])


def test_arrays_of_sums_start_at_a_line_of_the_cache():
    for shape in ((3,), (1000, 1, 16), (2, 7)):
        found = loops.zeros(shape, np.dtype(np.float64))
        assert (found.shape, found.dtype, found.ctypes.data % 64) == (shape, np.float64, 0)
        assert not found.any()


def test_sums_of_infinities_and_nan_are_those_of_numpy():
    for value in (np.inf, -np.inf, np.nan):
        x = np.ones((40, 200), np.float32)
        x[3, 5] = value
        _, (total, columns) = program(lambda xp, x: [xp.sum(x + x), xp.sum(x + x, axis=0)], x)
        np.testing.assert_array_equal(total, (x + x).sum())
        np.testing.assert_array_equal(columns, (x + x).sum(0))


def test_an_array_of_one_dtype_chosen_by_another_stays_what_it_is():
    x = np.arange(-50.0, 50.0, dtype="float32")
    n = np.arange(100)
    compared(lambda xp, x, n: [x * 2 + x, n * 2 - 1, xp.where(n > 50, x, -x)], x, n)


def test_conversions_stand_in_loops():
    x = np.random.default_rng(0).standard_normal(1000).astype("float32")
    compared(lambda xp, x: [xp.astype(x > 0, "float32") - xp.astype(x < 0, "float32"), xp.astype(x, "float64") + 1], x)


@pytest.mark.parametrize("dtype", ["float16", "int32", "uint8"])
def test_operands_of_other_dtypes_keep_a_call_in_numpy(dtype):
    x, y = np.linspace(0, 100, 1000, dtype="float32"), np.arange(1000).astype(dtype)
    source, (found,) = program(lambda xp, x, y: [x * y + 1], x, y)
    assert "@compiled" not in source
    np.testing.assert_array_equal(found, x * y + 1)


def test_functions_without_a_form_stay_in_numpy():
    x = np.linspace(0.1, 1, 1000, dtype="float32")
    source, (found,) = program(lambda xp, x: [xp.log(x * 2 + 1) * 3], x)
    assert "@compiled" not in source
    np.testing.assert_array_equal(found, np.log(x * 2 + 1) * 3)


def test_a_call_alone_stays_in_numpy():
    x = np.ones(1000, "float32")
    assert "@compiled" not in program(lambda xp, x: [x + 1], x)[0]


def test_half_precision_stays_in_numpy():
    x = np.ones(1000, "float16")
    source, (found,) = program(lambda xp, x: [x * 2 + 1], x)
    assert "@compiled" not in source
    assert found.dtype == np.float16


def test_without_numba_blocks_are_calls_of_numpy():
    rg.set_kernels("numpy")
    x = np.linspace(-1, 1, 1000, dtype="float32")
    source, (found, total) = program(lambda xp, x: [xp.exp(x * 2) + 1, xp.sum(x * x)], x)
    assert "@compiled" not in source
    assert "def fused_1" in source
    np.testing.assert_array_equal(found, np.exp(x * 2) + 1)
    assert total == xp.sum(x * x)


def test_equal_loops_are_compiled_once():
    sources = [
        f"def {name}(start, stop, x1):\n    for i in range(start, stop):\n        x1[i] = 7.0\n" for name in "fg"
    ]
    scopes: list[dict] = [{}, {}]
    for source, scope in zip(sources, scopes, strict=True):
        exec(source, scope)
    assert loops.compiled(scopes[0]["f"]) is loops.compiled(scopes[1]["g"])
    exec(sources[0].replace("7.0", "-0.0"), scopes[0])
    exec(sources[0].replace("7.0", "0.0"), scopes[1])
    assert loops.compiled(scopes[0]["f"]) is not loops.compiled(scopes[1]["f"])


def test_blocks_of_other_lengths_share_a_loop():
    before = loops.machine_code.cache_info().misses
    for n in (500, 10_001):
        program(lambda xp, x: [x * 17 - 3], np.ones(n, "float32"))
    assert loops.machine_code.cache_info().misses == before + 1


@pytest.mark.parametrize("threads", [1, 2])
def test_a_compiled_step_in_loops_trains_as_the_step_itself(threads):
    rg.set_num_threads(threads)
    rg.manual_seed(0)
    w, b = rg.rand(129, 65, requires_grad=True), rg.rand(65, requires_grad=True)

    def step(x):
        w.grad = b.grad = None
        y = (w * x + b).tanh() - x
        z = rg.where(y > 0, y * y, -y) / (1 + (y * w).exp())
        loss = z.mean()
        loss.backward()
        return loss, z.detach(), y.detach(), w.grad, b.grad

    compiled = rg.compile(step, fullgraph=True)
    for x in (rg.rand(129, 65), rg.rand(65, 129).T, rg.rand(129, 65)):
        expected = [t.detach().numpy().copy() for t in step(x)]
        for value, tensor in zip(expected, compiled(x), strict=True):
            np.testing.assert_allclose(tensor.detach().numpy(), value, rtol=2e-6, atol=2e-6)
    assert "@compiled" in compiled.source


def test_pairwise_distances_are_computed_without_their_differences():
    a, b = (rg.rand(n, 5, requires_grad=True) for n in (31, 37))

    def step():
        a.grad = b.grad = None
        d = a.reshape(31, 1, 5) - b.reshape(1, 37, 5)
        loss = (d * d).sum(-1).sqrt().mean()
        loss.backward()
        return loss, a.grad, b.grad

    compiled = rg.compile(step, fullgraph=True)
    expected = [t.detach().numpy().copy() for t in step()]
    for _ in range(2):
        for value, tensor in zip(expected, compiled(), strict=True):
            np.testing.assert_allclose(tensor.detach().numpy(), value, rtol=2e-6, atol=1e-8)
    assert "(31, 37, 5), " not in compiled.source  # no such array is made
