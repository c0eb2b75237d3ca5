"""Compiled softmax, its logarithm and cross-entropy agree with NumPy's calls, and are as accurate."""

import numpy as np
import pytest

from retrograd.autograd.ops.entropy import cross_entropies, cross_entropy_gradient
from retrograd.autograd.ops.loss import log_softmax_along, log_softmax_gradient, softmax_along, softmax_gradient
from retrograd.backends import numpy as xp
from tests.backends.compiled.same import FLOATS, KERNELS, draws, same

SHAPES = ((1, 1), (7, 3), (2, 3, 65), (3, 5000), (600, 1000))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES)
def test_softmax_and_its_logarithm(dtype: str, shape: tuple[int, ...], threads: int) -> None:
    x, g = draws(dtype, shape, shape)
    same(softmax_gradient, xp, g, same(softmax_along, xp, 4 * x, -1, ulps=8), len(shape) - 1, ulps=64)
    same(log_softmax_gradient, xp, g, same(log_softmax_along, xp, 4 * x, -1, ulps=8), len(shape) - 1, ulps=64)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(1, 2), (7, 3), (100, 10), (60, 10_000)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropies_and_their_gradient(dtype: str, shape: tuple[int, int], smoothing: float, threads: int) -> None:
    x, weight = draws(dtype, shape, (shape[0], 1))
    index = np.random.default_rng(1).integers(0, shape[1], (shape[0], 1))
    _, e, sums = same(cross_entropies, xp, 4 * x, index, smoothing, ulps=8)
    for factor in (weight, np.asarray(0.25, dtype)[()]):
        same(cross_entropy_gradient, xp, e, sums, index, factor, smoothing, ulps=4)


def test_a_row_with_nan_or_an_infinity_comes_out_as_in_numpy() -> None:
    x = draws("float32", (6, 20))[0]
    x[0, 3], x[1, 4], x[2, 5], x[4, 1] = np.nan, np.inf, -np.inf, -np.nan
    x[3] = -np.inf
    index = np.zeros((6, 1), np.int64)
    with np.errstate(invalid="ignore"):
        same(softmax_along, xp, x, 1, ulps=4)
        same(log_softmax_along, xp, x, 1, ulps=4)
        losses, plain = (f(xp, x, index, 0.0)[0] for f in (KERNELS["cross_entropies"], cross_entropies.__wrapped__))
    np.testing.assert_allclose(losses, plain, rtol=1e-6)


def test_probabilities_of_many_classes_are_as_accurate_as_the_plain_function() -> None:
    x = draws("float32", (20, 10_000))[0] * 3
    exact = softmax_along.__wrapped__(xp, x.astype("float64"), 1)
    errors = [np.max(np.abs(function(xp, x, 1) / exact - 1)) for function in (KERNELS["softmax_along"], softmax_along)]
    assert errors[0] <= 1.2 * errors[1]


def test_a_class_that_does_not_exist_is_refused() -> None:
    x = np.ones((2, 3), "float32")
    for wrong in (-1, 3):
        with pytest.raises(IndexError, match="no such class"):
            KERNELS["cross_entropies"](xp, x, np.array([[0], [wrong]]), 0.0)


def test_other_dtypes_layouts_and_axes_are_left_to_numpy() -> None:
    x, index = np.ones((4, 6), "float32"), np.zeros((4, 1), np.int64)
    for other in (x.astype("float16"), x.T, x[:, ::2], x[:0]):
        assert KERNELS["softmax_along"](xp, other, -1) is NotImplemented
        assert KERNELS["log_softmax_along"](xp, other, -1) is NotImplemented
        assert KERNELS["softmax_gradient"](xp, other, other, -1) is NotImplemented
        assert KERNELS["log_softmax_gradient"](xp, other, other, -1) is NotImplemented
        assert KERNELS["cross_entropies"](xp, other, index, 0.0) is NotImplemented
        assert KERNELS["cross_entropy_gradient"](xp, other, index, index, 1.0, 0.0) is NotImplemented
    assert KERNELS["softmax_along"](xp, x, 0) is NotImplemented
    assert KERNELS["cross_entropies"](xp, x.reshape(4, 3, 2), index[:, :, None], 0.0) is NotImplemented
