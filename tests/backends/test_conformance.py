"""Every backend gives the contract's values: names, signatures, creation, elementwise functions, reductions, scans.

Shapes and indices are in test_conformance_shapes.py, matrices in test_conformance_linalg.py.
"""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import retrograd as rg
from retrograd.backends import FUNCTIONS, Backend, backend_of
from tests.backends.arrays import DTYPES, agree, host, layouts

UNARY = {
    "abs": np.abs, "negative": np.negative, "sign": np.sign, "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1,
    "log": np.log, "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "sqrt": np.sqrt, "square": np.square,
    "reciprocal": np.reciprocal, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "floor": np.floor, "ceil": np.ceil, "round": np.rint, "trunc": np.trunc, "isnan": np.isnan,
    "isinf": np.isinf, "isfinite": np.isfinite, "signbit": np.signbit, "logical_not": np.logical_not,
    "relu": lambda x: np.maximum(x, 0), "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "erf": np.vectorize(math.erf, otypes=[float]), "erfc": np.vectorize(math.erfc, otypes=[float]),
}  # fmt: skip
BINARY = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
    "floor_divide": np.floor_divide, "remainder": np.remainder, "fmod": np.fmod, "power": np.power,
    "atan2": np.arctan2, "hypot": np.hypot, "logaddexp": np.logaddexp, "copysign": np.copysign,
    "maximum": np.maximum, "minimum": np.minimum, "fmax": np.fmax, "fmin": np.fmin, "equal": np.equal,
    "not_equal": np.not_equal, "less": np.less, "less_equal": np.less_equal, "greater": np.greater,
    "greater_equal": np.greater_equal, "logical_and": np.logical_and, "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}  # fmt: skip
BITWISE = {
    "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
    "bitwise_left_shift": np.left_shift, "bitwise_right_shift": np.right_shift,
}  # fmt: skip
REDUCTIONS = {
    "sum": np.sum, "prod": np.prod, "mean": np.mean, "max": np.max, "min": np.min, "all": np.all, "any": np.any,
    "count_nonzero": np.count_nonzero,
}  # fmt: skip
POSITIVE = {"log", "log2", "log10", "log1p", "sqrt", "acosh", "power"}
AT_MOST_ONE = {"asin", "acos", "atanh"}


def test_every_function_of_the_contract_is_exported(xp):
    assert [name for name in FUNCTIONS if not callable(getattr(xp, name, None))] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_take_what_the_contract_promises(xp, name):
    try:
        actual = inspect.signature(getattr(xp, name))
    except (TypeError, ValueError):
        assert type(getattr(xp, name)).__name__ in ("ufunc", "builtin_function_or_method")
        return
    promised = list(inspect.signature(getattr(Backend, name)).parameters.values())[1:]
    positional = [p for p in promised if p.kind is not p.KEYWORD_ONLY]
    actual.bind(*positional, **{p.name: p for p in promised if p.kind is p.KEYWORD_ONLY})
    named = {p.name for p in promised if p.kind is p.POSITIONAL_OR_KEYWORD}
    assert named <= set(actual.parameters)


def test_every_function_of_the_contract_has_a_conformance_test():
    texts = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    tested = {name for text in texts for name in re.findall(r"\bxp\.(\w+)", text)}
    tested |= {*UNARY, *BINARY, *BITWISE, *REDUCTIONS}
    assert set(FUNCTIONS) - tested == set()


def test_a_result_without_dimensions_is_an_array_of_the_backend(xp):
    total = xp.sum(xp.ones((3,), dtype=np.float32))
    assert isinstance(total, xp.array_types)
    assert total.shape == ()
    assert total.dtype == np.float32


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpys_scalars_are_arrays_without_dimensions(dtype):
    xp: Any = backend_of("cpu")
    s = np.dtype(dtype).type(0.5)
    one = np.array([0.5], dtype)
    for name in UNARY:
        agree(
            getattr(xp, name)(s + 1 if name == "acosh" else s),
            np.asarray(getattr(xp, name)(one + (name == "acosh")))[0],
        )
    for name in BINARY:
        agree(getattr(xp, name)(s, s), getattr(xp, name)(one, one)[0])
    for name in REDUCTIONS:
        agree(getattr(xp, name)(s), getattr(xp, name)(one))
        agree(getattr(xp, name)(s, axis=-1, keepdims=True), getattr(xp, name)(one))
    for result in (
        xp.astype(s, dtype), xp.copy(s), xp.clip(s, 0, 1), xp.where(True, s, s), xp.sort(s), xp.max(s),
        xp.cumulative_sum(s, axis=0), xp.cumulative_max(s, axis=0)[0], xp.reshape(s, ()), xp.permute_dims(s, ()),
        xp.broadcast_to(s, ()), xp.ascontiguousarray(s), xp.getitem(s, ()), xp.getitem(s, Ellipsis),
        xp.from_host(s), xp.to_host(s),
    ):  # fmt: skip
        agree(result, s)
    agree(xp.expand_dims(s, axis=0), one)
    agree(xp.squeeze(s, ()), s)
    agree(xp.stack([s, s]), np.array([0.5, 0.5], dtype))
    agree(xp.index_add(s, (), s), s + s)
    agree(xp.argmax(s), np.int64(0))
    agree(xp.new_zeros(s, shape=(1,)), np.zeros(1, dtype))


# ---- creation


def test_creation_fills_as_asked(xp):
    agree(xp.zeros((2, 3), dtype=np.float32), np.zeros((2, 3), np.float32))
    agree(xp.ones(3), np.ones(3))
    agree(xp.full((2,), 7, dtype=np.int32), np.full((2,), 7, np.int32))
    agree(xp.arange(2, 11, 3), np.arange(2, 11, 3))
    agree(xp.arange(4, dtype=np.float32), np.arange(4, dtype=np.float32))
    agree(xp.linspace(0, 1, 5, dtype=np.float32), np.linspace(0, 1, 5, dtype=np.float32))
    agree(xp.eye(2, 3, k=1, dtype=np.float32), np.eye(2, 3, 1, np.float32))
    agree(xp.new_zeros(xp.ones(3, dtype=np.float16), shape=(2, 2)), np.zeros((2, 2), np.float16))
    assert xp.empty((0, 4), dtype=np.int8).shape == (0, 4)


def test_asarray_takes_lists_scalars_and_own_arrays(xp):
    agree(xp.asarray([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]]))
    agree(xp.asarray(2.5, dtype=np.float32), np.array(2.5, np.float32))
    x = xp.asarray([1.0, 2.0])
    xp.setitem(xp.asarray(x, copy=True), 0, 9.0)
    agree(x, np.array([1.0, 2.0]))


def test_triangles_keep_their_diagonal(xp, rng):
    a = rng.normal(size=(2, 3, 4))
    agree(xp.tril(xp.from_host(a), k=-1), np.tril(a, -1))
    agree(xp.triu(xp.from_host(a), k=1), np.triu(a, 1))


def test_astype_returns_the_same_array_for_the_same_dtype_and_copy_never(xp):
    x = xp.ones((2,), dtype=np.float32)
    assert xp.astype(x, dtype=np.float32) is x
    agree(xp.astype(xp.asarray([1.7, -1.7]), np.int64), np.array([1, -1]))
    y = xp.copy(x)
    xp.setitem(y, 0, 5)
    agree(x, np.ones(2, np.float32))


def test_arrays_travel_to_the_device_and_back_unchanged(xp, device, rng):
    a = rng.normal(size=(3, 2)).astype(np.float32)
    x = xp.from_host(a)
    assert xp.device_index(x) == device.index
    assert np.array_equal(xp.to_host(x), a)
    xp.synchronize()
    assert xp.device_count() >= 1
    xp.select_device(xp.select_device(None))


# ---- elementwise


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_unary_functions_agree_with_numpy(xp, rng, name, dtype):
    a = rng.uniform(-3, 3, size=(3, 4)).astype(dtype)
    if name in POSITIVE:
        a = np.abs(a) + 1
    if name in AT_MOST_ONE:
        a = a / 4
    for given in layouts(a):
        before = given.copy()
        x = xp.from_host(given)
        wanted = UNARY[name](given.astype(np.float64))
        result = getattr(xp, name)(x)
        agree(result, wanted.astype(bool if wanted.dtype == bool else dtype))
        agree(x, before)


def test_rounding_leaves_integers_as_they_are(xp):
    for function in (xp.floor, xp.ceil, xp.round, xp.trunc):
        agree(function(xp.asarray([3, -4])), np.array([3, -4]))
    agree(xp.round(xp.asarray([0.5, 1.5, -2.5])), np.array([0.0, 2.0, -2.0]))


def test_bits_invert(xp):
    agree(xp.bitwise_invert(xp.asarray([0, 5])), np.array([-1, -6]))
    agree(xp.bitwise_invert(xp.asarray([True, False])), np.array([False, True]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_binary_functions_broadcast_and_agree_with_numpy(xp, rng, name, dtype):
    for left, right in [((3, 4), (3, 4)), ((3, 1), (1, 4)), ((), (4,)), ((0, 4), (4,))]:
        a = rng.uniform(-3, 3, size=left).astype(dtype)
        b = rng.uniform(0.5, 3, size=right).astype(dtype)
        a = np.abs(a) if name in POSITIVE else a
        wanted = BINARY[name](a, b)
        agree(getattr(xp, name)(xp.from_host(a), xp.from_host(b)), np.asarray(wanted))


@pytest.mark.parametrize("name", BITWISE)
def test_bitwise_functions_agree_with_numpy(xp, name):
    a, b = np.array([[6, 7, 1]]), np.array([[1], [2]])
    agree(getattr(xp, name)(xp.from_host(a), xp.from_host(b)), BITWISE[name](a, b))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "power", "maximum", "less"])
def test_python_scalars_are_weak_on_either_side(xp, name, dtype):
    x = xp.full((2,), 3, dtype=dtype)
    function = getattr(xp, name)
    kept = np.bool_ if name == "less" else dtype
    assert function(x, 2.0).dtype == kept
    assert function(2, x).dtype == kept


def test_remainder_takes_the_sign_of_the_divisor_and_fmod_that_of_the_dividend(xp):
    a, b = np.array([7.0, -7.0, 7.0, -7.0, 5.0]), np.array([3.0, 3.0, -3.0, -3.0, np.inf])
    x, y = xp.from_host(a), xp.from_host(b)
    agree(xp.remainder(x, y), np.array([1.0, 2.0, -2.0, -1.0, 5.0]))
    agree(xp.fmod(x, y), np.array([1.0, -1.0, 1.0, -1.0, 5.0]))
    agree(xp.fmod(xp.asarray([7, -7]), xp.asarray([3, 3])), np.array([1, -1]))
    agree(xp.fmod(xp.asarray([-7, 2**60 + 1]), 4), np.array([-3, 1]))


def test_floor_divide_is_exact_where_the_quotient_rounds_up(xp):
    agree(xp.floor_divide(xp.asarray([1.0, -1.0, 6.0]), 0.1), np.array([9.0, -10.0, 59.0]))
    agree(xp.floor_divide(xp.asarray([1.0]), xp.asarray([0.0])), np.array([np.inf]))
    agree(xp.floor_divide(xp.asarray([7, -7]), 2), np.array([3, -4]))


def test_integers_to_negative_powers_raise(xp):
    with pytest.raises(ValueError, match="negative integer powers"):
        xp.power(xp.asarray([2, 3]), -1)


def test_nan_wins_in_maximum_and_loses_in_fmax(xp):
    x, y = xp.asarray([np.nan, 1.0]), xp.asarray([0.0, np.nan])
    agree(xp.maximum(x, y), np.array([np.nan, np.nan]))
    agree(xp.minimum(x, y), np.array([np.nan, np.nan]))
    agree(xp.fmax(x, y), np.array([0.0, 1.0]))
    agree(xp.fmin(x, y), np.array([0.0, 1.0]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_keep_gives_zero_wherever_the_condition_fails_even_for_nan(xp, dtype):
    x = np.array([1.5, np.inf, np.nan, -np.inf, np.nan], dtype)
    condition = np.array([True, False, False, True, True])
    agree(xp.keep(xp.from_host(x), xp.from_host(condition)), np.where(condition, x, dtype(0)))
    agree(xp.keep(xp.from_host(x[0]), xp.from_host(condition[:2])), np.array([1.5, 0], dtype))


def test_where_and_clip_keep_the_dtype(xp):
    x = xp.asarray([-2.0, 0.5, 3.0], dtype=np.float32)
    agree(xp.where(xp.greater(x, 0), x, 0), np.array([0, 0.5, 3], np.float32))
    agree(xp.clip(x, 0, 1), np.array([0, 0.5, 1], np.float32))
    agree(xp.clip(x, min=0), np.array([0, 0.5, 3], np.float32))
    agree(xp.clip(x, max=1.0), np.array([-2, 0.5, 1], np.float32))
    agree(xp.clip(x), np.array([-2, 0.5, 3], np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_neither_overflows_nor_loses_its_tail(xp, dtype):
    a = np.array([-1e4, -80.0, -15.0, 0.0, 15.0, 1e4, -np.inf, np.inf, np.nan]).astype(dtype)
    result = host(xp.sigmoid(xp.from_host(a))).astype(np.float64)
    wanted = np.array([0, math.exp(-80), 1 / (1 + math.exp(15)), 0.5, 1 / (1 + math.exp(-15)), 1, 0, 1, np.nan])
    np.testing.assert_allclose(result, wanted, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).smallest_normal)


def test_erfc_is_accurate_where_one_minus_erf_is_nothing(xp):
    a = np.array([-6.0, -0.2, 0.0, 0.46, 0.48, 3.9, 4.1, 10.0, 26.0, np.inf, np.nan])
    np.testing.assert_allclose(host(xp.erfc(xp.from_host(a))), [math.erfc(v) for v in a], rtol=4e-15)
    np.testing.assert_allclose(host(xp.erf(xp.from_host(a))), [math.erf(v) for v in a], rtol=4e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [7, 300_001])
def test_gelu_comes_with_its_derivative_as_exact_as_the_dtype(xp, dtype, size):
    a = np.linspace(-9, 9, size).astype(dtype)
    wide = a.astype(np.float64)
    below = 0.5 * np.vectorize(math.erfc)(-wide / math.sqrt(2))
    out, slope = (host(y) for y in xp.gelu(xp.from_host(a)))
    assert out.dtype == slope.dtype == dtype
    accuracy = 3 * np.finfo(dtype).eps
    np.testing.assert_allclose(out, wide * below, rtol=accuracy, atol=9 * accuracy)
    density = np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(slope, below + wide * density, rtol=accuracy, atol=accuracy)


@pytest.mark.filterwarnings("error")
def test_gelu_and_erf_have_limits_at_both_ends(xp):
    x = xp.asarray([-1e30, -1e4, 1e4, 1e30, np.inf, np.nan], dtype=np.float32)
    agree(xp.gelu(x)[0], np.array([0, 0, 1e4, 1e30, np.inf, np.nan], np.float32))
    agree(xp.gelu(x[:4])[1], np.array([0, 0, 1, 1], np.float32))
    agree(xp.erf(x), np.array([-1, -1, 1, 1, 1, np.nan], np.float32))


def test_writable_gives_the_same_memory_without_a_mark_against_writing(xp):
    x = xp.zeros((2, 2), dtype=np.float32)
    view = xp.writable(xp.diagonal(x))
    xp.setitem(view, ..., 1.0)
    agree(x, np.eye(2, dtype=np.float32))


def test_add_into_writes_in_place(xp):
    out = xp.ones((2, 2), dtype=np.float32)
    xp.add_into(out, xp.full((2, 2), 2, dtype=np.float32))
    agree(out, np.full((2, 2), 3, np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_matmul_into_writes_the_product_in_place(xp, dtype):
    x = xp.from_host(np.arange(12.0).reshape(2, 3, 2).astype(dtype))
    out = xp.zeros((2, 3, 3), dtype=dtype)
    xp.matmul_into(out, x, xp.permute_dims(x, (0, 2, 1)))
    agree(out, host(x) @ host(x).swapaxes(1, 2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_arrays_are_rectified_and_kept_as_small_ones_are(xp, dtype):
    a = np.random.default_rng(1).standard_normal((17, 1001)).astype(dtype)
    a[0, :3] = np.nan, np.inf, -np.inf
    agree(xp.relu(xp.from_host(a)), np.maximum(a, 0))
    agree(xp.keep(xp.from_host(a), xp.from_host(a < 1)), np.where(a < 1, a, 0).astype(dtype))


@pytest.mark.parametrize("n", [1, 2])
def test_in_ranges_is_the_function_itself(xp, n):
    before = rg.get_num_threads()
    rg.set_num_threads(n)
    try:
        x = xp.arange(2**20 + 1, dtype=np.float32)
        agree(xp.in_ranges(xp.sqrt, x), np.sqrt(np.arange(2**20 + 1, dtype=np.float32)))
        y = xp.in_ranges(xp.add, x, x)
        assert float(y[-1]) == 2**21
        z = xp.in_ranges(xp.less, x, 5)
        assert (z.dtype, int(xp.count_nonzero(z))) == (np.bool_, 5)
        assert xp.in_ranges(xp.multiply, x, x[:1]).shape == x.shape
        assert xp.in_ranges(xp.add, xp.permute_dims(xp.reshape(x[1:], (2, 2**19)), (1, 0)), 1.0).shape == (2**19, 2)
    finally:
        rg.set_num_threads(before)


def test_share_runs_a_task_over_the_whole_length(xp):
    out = xp.zeros((100,), dtype=np.float32)
    xp.share(lambda start, stop: xp.add_into(out[start:stop], xp.ones((stop - start,), dtype=np.float32)), 100, 10)
    agree(out, np.ones(100, np.float32))


# ---- reductions and scans


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (-1, 0, 1)])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_agree_with_numpy(xp, rng, name, axis, keepdims):
    for dtype in DTYPES:
        a = rng.integers(-2, 3, size=(2, 3, 4)).astype(dtype)
        for given in (a, a[:, ::-1], np.asfortranarray(a)):
            wanted = np.asarray(REDUCTIONS[name](given, axis=axis, keepdims=keepdims))
            agree(getattr(xp, name)(xp.from_host(given), axis=axis, keepdims=keepdims), wanted)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_take_arrays_without_dimensions(xp, name):
    for axis in (None, 0, -1):
        agree(getattr(xp, name)(xp.asarray(3.0), axis=axis), np.asarray(REDUCTIONS[name](np.array(3.0))))


def test_sums_of_float16_accumulate_in_float32(xp):
    x = xp.full((4096, 2), 0.1, dtype=np.float16)
    agree(xp.sum(x, axis=0), np.full(2, np.float16(4096 * np.float32(np.float16(0.1)))))
    agree(xp.mean(x), np.float16(0.1))
    agree(xp.mean(xp.full((70000,), 2, dtype=np.float16)), np.float16(2))
    assert float(host(xp.cumulative_sum(x, axis=0))[-1, 0]) == pytest.approx(409.5, abs=0.3)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.int32, np.uint32, np.int64])
def test_only_sums_and_products_widen_integers(xp, dtype):
    x = xp.ones((2, 3), dtype=dtype)
    for function in (xp.sum, xp.prod):
        assert function(x).dtype == np.int64
    for function in (xp.cumulative_sum, xp.cumulative_prod):
        assert function(x, axis=0).dtype == np.int64
    for function in (xp.max, xp.min):
        assert function(x).dtype == dtype
    assert xp.sum(x, dtype=np.float32).dtype == np.float32
    assert xp.mean(x).dtype == np.float64


def test_reductions_of_nothing(xp):
    x = xp.zeros((0, 3), dtype=np.float32)
    agree(xp.sum(x, axis=0), np.zeros(3, np.float32))
    agree(xp.prod(x, axis=0), np.ones(3, np.float32))
    agree(xp.mean(x, axis=0), np.full(3, np.nan, np.float32))
    agree(xp.all(x), np.asarray(True))
    for function in (xp.max, xp.min, xp.argmax):
        with pytest.raises(ValueError, match=r"empty|zero-size"):
            function(x)


def test_an_axis_out_of_range_raises_value_error(xp):
    x = xp.ones((2, 3))
    for function in (xp.sum, xp.max, xp.argmax, xp.cumulative_sum, xp.cumulative_max, xp.sort, xp.argsort):
        with pytest.raises(ValueError, match="axis"):
            function(x, axis=2)


def test_argmax_takes_the_first_of_equals_and_nan_above_all(xp):
    a = np.array([[1.0, 3.0, 3.0], [np.nan, 5.0, np.nan]])
    agree(xp.argmax(xp.from_host(a), axis=1), np.array([1, 0]))
    agree(xp.argmin(xp.from_host(a), axis=1, keepdims=True), np.array([[0], [0]]))
    agree(xp.argmax(xp.from_host(a[:1])), np.asarray(1))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_scans_run_along_their_axis(xp, rng, axis):
    a = rng.uniform(0.5, 2, size=(3, 4, 2))
    agree(xp.cumulative_sum(xp.from_host(a), axis=axis), np.cumsum(a, axis))
    agree(xp.cumulative_prod(xp.from_host(a), axis=axis), np.cumprod(a, axis))
    values, places = xp.cumulative_max(xp.from_host(a), axis=axis)
    agree(values, np.maximum.accumulate(a, axis))
    agree(xp.take_along_axis(xp.from_host(a), places, axis=axis), np.maximum.accumulate(a, axis))


def test_cumulative_max_points_at_the_last_of_equals_and_keeps_nan(xp):
    values, places = xp.cumulative_max(xp.asarray([1.0, 1.0, 0.0, np.nan, 5.0, np.nan]), axis=0)
    agree(values, np.array([1.0, 1.0, 1.0, np.nan, np.nan, np.nan]))
    agree(places, np.array([0, 1, 1, 3, 3, 5]))
    values, places = xp.cumulative_max(xp.asarray([[2, 1], [1, 1]]), axis=-1)
    agree(values, np.array([[2, 2], [1, 1]]))
    agree(places, np.array([[0, 0], [0, 1]]))


def test_scans_and_sorts_take_a_scalar_as_one_element(xp):
    x = xp.asarray(2.0)
    for result in (xp.cumulative_sum(x, axis=0), xp.cumulative_max(x, axis=-1)[0], xp.sort(x), xp.sort(x, axis=0)):
        agree(result, np.asarray(2.0))
    agree(xp.argsort(x), np.asarray(0))
    assert xp.cumulative_sum(xp.zeros((0,)), axis=0).shape == (0,)
    assert xp.cumulative_max(xp.zeros((0, 2)), axis=0)[1].shape == (0, 2)


@pytest.mark.parametrize("descending", [False, True])
def test_sorting_keeps_the_order_of_equals(xp, descending):
    a = np.array([[2, 1, 2, 1], [0, 0, 3, 0]])
    wanted = np.argsort(-a if descending else a, axis=1, kind="stable")
    for given in (a, np.asfortranarray(a)):
        x = xp.from_host(given)
        agree(xp.argsort(x, axis=1, descending=descending), wanted)
        agree(xp.sort(x, axis=1, descending=descending), np.take_along_axis(a, wanted, 1))
        agree(x, a)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("axis", [0, -1])
def test_the_first_indices_of_an_order_are_those_of_the_whole(xp, axis, descending):
    a = np.random.default_rng(0).integers(0, 9, (40, 50)).astype("float32")  # many are equal
    b = a.copy()
    b[:, :3] = b[30:, 9] = np.nan
    b[7] = np.inf
    for given in (a, b, np.full((40, 50), np.nan), a.astype("int32"), a == 4, b.astype("float16"), b[:, ::2]):
        x = xp.from_host(given)
        whole = xp.to_host(xp.argsort(x, axis=axis, descending=descending))
        for first in (0, 1, 2, 10, 12, 13, 25):
            agree(xp.argsort(x, axis=axis, descending=descending, first=first), whole.take(range(first), axis))
    assert xp.argsort(xp.zeros((0, 9)), first=1).shape == (0, 1)


def test_searchsorted_nonzero_and_unique(xp):
    agree(xp.searchsorted(xp.asarray([1.0, 2.0, 2.0]), xp.asarray([2.0, 3.0])), np.array([1, 3]))
    agree(xp.searchsorted(xp.asarray([1.0, 2.0, 2.0]), xp.asarray([2.0]), side="right"), np.array([3]))
    rows, columns = xp.nonzero(xp.asarray([[0, 1], [2, 0]]))
    agree(rows, np.array([0, 1]))
    agree(columns, np.array([1, 0]))
    values, inverse, counts = xp.unique(xp.asarray([[3, 1], [3, 2]]))
    agree(values, np.array([1, 2, 3]))
    agree(inverse, np.array([[2, 0], [2, 1]]))
    agree(counts, np.array([1, 1, 2]))
    values, inverse, counts = xp.unique(xp.asarray([[1, 2], [0, 5], [1, 2]]), axis=0)
    agree(values, np.array([[0, 5], [1, 2]]))
    agree(inverse, np.array([1, 0, 1]))
    agree(counts, np.array([1, 2]))


# ---- steps of optimizers


def _copies(xp: Any, *arrays: Any) -> list[Any]:
    return [xp.from_host(a.copy()) for a in arrays]


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("size", [5, 40_000])
def test_sgd_step_follows_its_formula(xp, rng, size, maximize, nesterov):
    p, g, b = rng.normal(size=(3, size))
    param, grad, buffer = _copies(xp, p, g, b)
    xp.sgd_step(param, grad, buffer, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=nesterov, maximize=maximize)
    slope = (-g if maximize else g) + 0.01 * p
    b = 0.9 * b + slope
    agree(buffer, b)
    agree(param, p - 0.1 * (slope + 0.9 * b if nesterov else b))
    agree(grad, g)


def test_the_first_momentum_is_the_undamped_gradient(xp, rng):
    p, g = rng.normal(size=(2, 3))
    param, grad, buffer = _copies(xp, p, g, np.full(3, np.nan))
    xp.sgd_step(param, grad, buffer, lr=0.1, momentum=0.9, dampening=0.5, first=True)
    agree(buffer, g)
    agree(param, p - 0.1 * g)
    xp.sgd_step(param, grad, None, lr=0.1)
    agree(param, p - 0.2 * g)


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("size", [5, 40_000])
def test_adam_step_follows_its_formula(xp, rng, size, decoupled, amsgrad):
    p, g, m = rng.normal(size=(3, size))
    v, largest = rng.uniform(size=(2, size))
    param, grad, first, second, maximum = _copies(xp, p, g, m, v, largest)
    xp.adam_step(
        param, grad, first, second, maximum if amsgrad else None,
        step=3, lr=0.01, beta1=0.9, beta2=0.99, eps=1e-8, weight_decay=0.1, decoupled=decoupled,
    )  # fmt: skip
    p = p * (1 - 0.01 * 0.1) if decoupled else p
    slope = g if decoupled else g + 0.1 * p
    m = 0.9 * m + 0.1 * slope
    v = 0.99 * v + 0.01 * slope**2
    largest = np.maximum(largest, v) if amsgrad else v
    agree(first, m)
    agree(second, v)
    agree(param, p - 0.01 * (m / (1 - 0.9**3)) / (np.sqrt(largest / (1 - 0.99**3)) + 1e-8))
    agree(grad, g)


def test_dlpack_takes_over_the_memory_of_another_array():
    xp = backend_of("cpu")
    theirs = np.arange(3.0)
    ours = xp.from_dlpack(theirs)
    theirs[0] = 7
    assert ours.tolist() == [7, 1, 2]
