"""Sums of large arrays on the CPU, which products with ones take: equal to NumPy's, and more accurate."""

import itertools

import numpy as np
import pytest

from retrograd.backends import numpy as xp
from retrograd.backends.numpy_sums import MANY

SHAPES = [
    (70_000,),
    (70_001,),
    (9000,),
    (9973,),
    (100, 100),
    (3000, 4),
    (4, 3000),
    (64, 997),
    (997, 64),
    (20, 30, 40),
    (3000, 2, 3),
    (7, 4099, 3),
]
CASES = [
    (shape, axes)
    for shape in SHAPES
    for n in range(1, len(shape) + 1)
    for axes in itertools.combinations(range(len(shape)), n)
]


@pytest.mark.parametrize(("shape", "axes"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_set_of_axes_agrees_with_numpy(shape, axes, dtype):
    x = np.random.default_rng(1).random(shape).astype(dtype)
    for keepdims in (False, True):
        out = xp.sum(x, axis=axes, keepdims=keepdims)
        expected = np.sum(x, axis=axes, keepdims=keepdims, dtype=np.float64)
        assert (out.dtype, np.shape(out)) == (dtype, expected.shape)
        np.testing.assert_allclose(out, expected, rtol=2e-6 if dtype == np.float32 else 1e-13)


def test_sizes_on_both_sides_of_the_limit_and_negative_axes():
    for n in (MANY - 1, MANY, MANY + 1):
        x = np.ones((n, 2), np.float32)
        np.testing.assert_array_equal(xp.sum(x, axis=-2), [n, n])
        np.testing.assert_array_equal(xp.mean(x, axis=(-1,)), np.ones(n))
        assert xp.sum(x) == 2 * n


def test_a_million_equal_numbers_lose_little_to_rounding_where_one_after_another_loses_a_hundredth():
    x = np.full((2**20, 3), 0.1, np.float32)
    np.testing.assert_allclose(xp.sum(x, axis=0), 2**20 * np.float64(np.float32(0.1)), rtol=5e-6)


def test_views_and_integers_are_summed_as_numpy_does():
    x = np.random.default_rng(1).random((200, 200))
    np.testing.assert_array_equal(xp.sum(x.T, axis=0), np.sum(x.T, axis=0))
    np.testing.assert_array_equal(xp.sum(np.ones((200, 200), np.int32), axis=0), np.full(200, 200))
    np.testing.assert_array_equal(
        xp.sum(np.broadcast_to(x[0], (200, 200)), axis=1), np.sum(np.broadcast_to(x[0], (200, 200)), axis=1)
    )


def test_infinities_and_nan_stay_in_their_rows():
    x = np.ones((100, 100))
    x[3, 4], x[5, 6], x[7, :2] = np.inf, np.nan, (np.inf, -np.inf)
    with np.errstate(invalid="ignore"):
        out = xp.sum(x, axis=1)
    assert out[3] == np.inf
    assert np.isnan(out[[5, 7]]).all()
    assert np.isfinite(np.delete(out, [3, 5, 7])).all()


@pytest.mark.parametrize("axis", [2, -3, (0, 0)])
def test_a_wrong_axis_raises(axis):
    with pytest.raises(ValueError, match="axis"):
        xp.sum(np.ones((100, 100)), axis=axis)
