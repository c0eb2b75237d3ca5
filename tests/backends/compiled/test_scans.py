"""Compiled running sums, products and extrema are NumPy's."""

from collections.abc import Iterator

import numpy as np
import pytest

from retrograd.autograd.ops import scan
from retrograd.backends import numpy as xp
from retrograd.backends import threads
from tests.backends.compiled.same import FLOATS, KERNELS, draws, same

SHAPES = [((1,), 0), ((1009,), 0), ((5, 7), 0), ((5, 7), 1), ((3, 8, 4), 1), ((0, 3), 0), ((3, 0), 0), ((70, 2003), 1)]


@pytest.fixture(params=[1, 2], autouse=True)
def _on_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = threads.get_num_threads()
    threads.set_num_threads(request.param)
    yield
    threads.set_num_threads(before)


def values(dtype: str, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Numbers; with many that are equal; and with infinities, zeros of both signs and NaN."""
    (plain,) = draws(dtype, shape)
    special = np.random.default_rng(2).choice(
        [1, 2, np.inf, -np.inf, 0, -0.0, np.nan], shape, p=[0.3, 0.3] + [0.08] * 5
    )
    return [plain, plain.round(), special.astype(dtype)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_sums_and_products(dtype: str, shape: tuple[int, ...], axis: int) -> None:
    for x in values(dtype, shape):
        with np.errstate(all="ignore"):
            same(xp.cumulative_sum, x, axis=axis)
            same(xp.cumulative_sum, x, axis=axis - len(shape))
            same(xp.cumulative_prod, x, axis=axis)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "axis"), [case for case in SHAPES if 0 not in case[0]])
def test_extrema_and_their_places(dtype: str, shape: tuple[int, ...], axis: int) -> None:
    for x in values(dtype, shape):
        same(xp.cumulative_max, x, axis=axis)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_logarithms_of_sums_of_exponentials(dtype: str, shape: tuple[int, ...], axis: int) -> None:
    logcumsumexp = scan.logcumsumexp.primitive.forward  # type: ignore[attr-defined]
    for x in values(dtype, shape):
        with np.errstate(all="ignore"):
            same(logcumsumexp, xp, x, axis=axis, ulps=32)


def test_they_are_nearer_to_the_truth_than_a_sum_of_their_own_dtype() -> None:
    (x,) = draws("float32", (100_000,))
    exact = np.cumsum(x, dtype="float64")
    for found in (xp.cumulative_sum.__wrapped__(x, axis=0), KERNELS["cumulative_sum"](x, axis=0)):  # type: ignore[attr-defined]
        assert np.abs(found - exact).max() < 0.02 * np.abs(np.cumsum(x) - exact).max()


def test_other_arrays_are_left_to_numpy() -> None:
    (x,) = draws("float32", (4, 6))
    assert KERNELS["cumulative_sum"](x, axis=0, dtype="float64") is NotImplemented
    same(xp.cumulative_sum, x[::-1, ::2], axis=0)  # is copied
    for wrong in (x.astype("float16"), x.astype("int64"), x[0, 0], np.array(1.0)):
        assert KERNELS["cumulative_sum"](x, axis=2) is NotImplemented
        assert KERNELS["cumulative_sum"](wrong, axis=0) is NotImplemented
        assert KERNELS["cumulative_prod"](wrong, axis=0) is NotImplemented
        assert KERNELS["cumulative_max"](wrong, axis=0) is NotImplemented
        assert KERNELS["logcumsumexp"](xp, wrong, axis=0) is NotImplemented
