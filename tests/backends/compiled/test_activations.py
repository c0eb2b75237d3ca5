"""Compiled activations and the exponential in them agree with NumPy's."""

import math

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd import ops
from retrograd.autograd.ops.choice import relu_gradient
from retrograd.backends import numpy as xp
from retrograd.backends.numba import KERNELS, activations
from retrograd.backends.numba.exponential import exp
from retrograd.backends.numba.jit import compiled
from tests.backends.compiled.same import FLOATS, draws, same


@compiled
def exponentials(x: np.ndarray, out: np.ndarray) -> None:
    for i in range(x.size):
        out[i] = exp(x[i])


def exponential(x: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    exponentials(x, out)
    return out


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_exponential_is_right_to_one_unit_in_the_last_place(dtype: str) -> None:
    info = np.finfo(dtype)
    x = np.linspace(math.log(info.tiny), math.log(info.max) - 1e-3, 200_003).astype(dtype)
    exact = np.exp(x.astype(np.longdouble))
    assert np.max(np.abs(exponential(x) / exact - 1)) < info.eps


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_exponential_overflows_underflows_and_keeps_nan_as_numpy_does(dtype: str) -> None:
    info = np.finfo(dtype)
    most, least = math.log(info.max), math.log(info.smallest_subnormal)
    x = np.array([np.nan, np.inf, -np.inf, 0, -0.0, most + 1e-2, least + 1, least - 1, 1e30, -1e30], dtype)
    with np.errstate(over="ignore", under="ignore"):
        np.testing.assert_allclose(exponential(x), np.exp(x), rtol=0.5)


@pytest.mark.parametrize("shape", [(0,), (1,), (7, 13), (3, 2**17)])
def test_gelu_and_its_slope(shape: tuple[int, ...], threads: int) -> None:
    x = draws("float32", shape)[0]
    same(xp.gelu, x * 3, ulps=2)


def test_gelu_keeps_nan_and_goes_to_its_limits() -> None:
    x = np.array([np.nan, np.inf, 1e30, -1e30, -0.0, 0.0, 13.5, -13.5, 1e-40], "float32")
    same(xp.gelu, x, ulps=2)


def test_gelu_is_as_accurate_as_the_plain_function() -> None:
    x = np.linspace(-6, 6, 100_001).astype("float32")
    found, plain, exact = KERNELS["gelu"](x), xp.gelu.__wrapped__(x), xp.gelu(x.astype("float64"))
    for one, other, truth in zip(found, plain, exact, strict=True):
        assert np.max(np.abs(one - truth)) <= 1.2 * np.max(np.abs(other - truth))


@pytest.fixture
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "FEW", -1)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(0,), (1,), (7, 13), (3, 2**17)])
@pytest.mark.usefixtures("every_size")
def test_relu_with_its_gradient_and_sigmoid(dtype: str, shape: tuple[int, ...], threads: int) -> None:
    x, g = draws(dtype, shape, shape)
    same(relu_gradient, xp, g, same(xp.relu, x))
    same(xp.sigmoid, 5 * x, ulps=2)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.usefixtures("every_size")
def test_relu_and_sigmoid_keep_nan_and_go_to_their_limits(dtype: str) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 800, -800, 0.0, -0.0, 1e-40], dtype)
    g = np.array([1, 2, np.nan, 4, np.inf, 6, 7, 8], dtype)
    same(relu_gradient, xp, g, same(xp.relu, x))
    same(xp.sigmoid, x, ulps=2)


def test_relu_and_sigmoid_of_few_elements_are_left_to_numpy() -> None:
    x = np.ones(100, "float32")
    assert all(KERNELS[name](x) is NotImplemented for name in ("relu", "sigmoid"))
    assert KERNELS["relu_gradient"](xp, x, x) is NotImplemented


def test_a_gradient_that_is_recorded_is_left_to_the_plain_function() -> None:
    x = rg.ones(3)
    assert KERNELS["relu_gradient"](ops, x, x) is NotImplemented


@pytest.mark.usefixtures("every_size")
def test_activations_are_left_to_numpy_in_other_dtypes_and_layouts() -> None:
    for dtype in ("float16", "float64", "int64"):
        assert KERNELS["gelu"](np.ones(3, dtype)) is NotImplemented
    for name in ("gelu", "relu", "sigmoid"):
        assert KERNELS[name](np.ones((4, 4), "float32").T[::2]) is NotImplemented
    for name in ("relu", "sigmoid"):
        assert KERNELS[name](np.ones(3, "float16")) is NotImplemented
    assert KERNELS["relu_gradient"](xp, np.ones(3, "float32"), np.ones(3)) is NotImplemented
