"""Compiled normalisation agrees with NumPy's calls, and is as accurate."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from retrograd.autograd.ops.normalization_kernels import (
    channel_gradients,
    group_gradients,
    normalized_by_channels,
    normalized_by_groups,
    normalized_by_rows,
    row_gradients,
)
from retrograd.backends import numpy as xp
from tests.backends.compiled.same import FLOATS, KERNELS, draws, same

EPS = 1e-5
CHANNELS = ((1, 1, 17), (3, 5, 29), (2, 3, 2500), (9, 8, 2**15))
GROUPS = ((1, 1, 1, 17), (2, 3, 5, 29), (3, 2, 1, 2500), (5, 2, 4, 2**15))
ROWS = ((1, 5), (3, 7), (130, 65), (2, 5000), (2**10, 2**10))


def parameters(dtype: str, size: int) -> list[Any]:
    """γ, β, and neither."""
    weight, bias = draws(dtype, (size,), (size,))
    return [(weight, bias), (weight, None), (None, None)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", CHANNELS)
def test_channels(dtype: str, shape: tuple[int, ...], threads: int) -> None:
    x, g = draws(dtype, shape, shape)
    for weight, bias in parameters(dtype, shape[1]):
        _, mean, variance = same(normalized_by_channels, xp, x + 3, weight, bias, EPS, ulps=16)
        same(channel_gradients, xp, g, x + 3, weight, mean, 1 / np.sqrt(variance + EPS), ulps=64)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", GROUPS)
def test_groups(dtype: str, shape: tuple[int, ...], threads: int) -> None:
    x, g = draws(dtype, shape, shape)
    for weight, bias in parameters(dtype, shape[1] * shape[2]):
        _, mean, variance = same(normalized_by_groups, xp, x + 3, weight, bias, EPS, ulps=16)
        same(group_gradients, xp, g, x + 3, weight, mean, 1 / np.sqrt(variance + EPS), ulps=64)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", ROWS)
@pytest.mark.parametrize("subtract_mean", [True, False])
def test_rows(dtype: str, shape: tuple[int, ...], subtract_mean: bool, threads: int) -> None:
    x, g = draws(dtype, shape, shape)
    for weight, bias in parameters(dtype, shape[1]):
        _, mean, variance = same(normalized_by_rows, xp, x + 3, weight, bias, EPS, subtract_mean, ulps=16)
        same(row_gradients, xp, g, x + 3, weight, mean, 1 / np.sqrt(variance + EPS), ulps=64)


def runs(function: Callable[..., Any], shape: tuple[int, ...], *options: Any) -> Any:
    return lambda x: KERNELS[function.__name__](xp, x.reshape(shape), None, None, EPS, *options)[0]


@pytest.mark.parametrize(
    "normalized",
    [
        runs(normalized_by_channels, (4, 1, 25_000)),
        runs(normalized_by_groups, (1, 1, 4, 25_000)),
        runs(normalized_by_rows, (1, 100_000), True),
    ],
)
def test_a_hundred_thousand_numbers_far_from_zero_are_normalised_to_float32_precision(normalized: Any) -> None:
    x = draws("float32", (100_000,))[0] + np.float32(100)
    exact = (x.astype("float64") - x.mean(dtype="float64")) / np.sqrt(x.var(dtype="float64") + EPS)
    assert np.max(np.abs(normalized(x).ravel() - exact)) < 2e-6
    equal = np.full(100_000, 0.1, "float32")
    assert np.max(np.abs(normalized(equal))) < 1e-6


def test_nan_and_infinity_spoil_their_own_channel_group_or_row_alone() -> None:
    x = draws("float32", (4, 32))[0]
    x[1, 3], x[2, 4] = np.nan, np.inf
    affected = [False, True, True, False]
    rows = KERNELS["normalized_by_rows"](xp, x, None, None, EPS, True)[0]
    channels = KERNELS["normalized_by_channels"](xp, x[None], None, None, EPS)[0][0]
    groups = KERNELS["normalized_by_groups"](xp, x[None, :, None], None, None, EPS)[0][0, :, 0]
    for out in (rows, channels, groups):
        assert np.isnan(out).any(axis=1).tolist() == affected


def test_other_dtypes_layouts_and_channels_of_few_places_are_left_to_numpy() -> None:
    half = np.ones((4, 4, 32), "float16")
    few = np.ones((4, 4, 3), "float32")
    apart = np.ones((4, 4, 64), "float32")[:, :, ::2]
    for x in (half, few, apart):
        statistics = np.ones(4, x.dtype)
        assert KERNELS["normalized_by_channels"](xp, x, None, None, EPS) is NotImplemented
        assert KERNELS["channel_gradients"](xp, x, x, None, statistics, statistics) is NotImplemented
        assert KERNELS["normalized_by_groups"](xp, x[:, None], None, None, EPS) is NotImplemented
        assert KERNELS["group_gradients"](xp, x[:, None], x[:, None], None, statistics, statistics) is NotImplemented
    for x in (half[0], apart[0]):
        assert KERNELS["normalized_by_rows"](xp, x, None, None, EPS, True) is NotImplemented
        assert KERNELS["row_gradients"](xp, x, x, None, x[:, :1], x[:, :1]) is NotImplemented
