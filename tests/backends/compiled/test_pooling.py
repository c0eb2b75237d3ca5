"""Compiled pooling equals NumPy's: the same maxima and offsets, and the same sums up to their order."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd.windows import Windows, output_length
from retrograd.backends import numpy as xp
from tests.backends.compiled.same import FLOATS, KERNELS, draws, same

pooling = sys.modules["retrograd.autograd.ops.pooling"]

# lengths, size, stride, padding, dilation
POOLS = {
    "halves": ((8, 6), (2, 2), (2, 2), (0, 0), (1, 1)),
    "halves that leave a rest": ((7, 5), (2, 2), (2, 2), (0, 0), (1, 1)),
    "halves of a vector's length": ((4, 40), (2, 2), (2, 2), (0, 0), (1, 1)),
    "threes with padding": ((7, 37), (3, 3), (2, 2), (1, 1), (1, 1)),
    "threes at every place": ((5, 41), (3, 3), (1, 1), (1, 1), (1, 1)),
    "pairs at every place": ((5, 6), (2, 2), (1, 1), (1, 0), (1, 1)),
    "unequal axes": ((9, 8), (2, 4), (3, 1), (0, 2), (1, 1)),
    "gaps": ((11, 13), (3, 2), (2, 2), (1, 1), (3, 2)),
    "one window": ((3, 3), (3, 3), (1, 1), (0, 0), (1, 1)),
    "one element": ((1, 1), (1, 1), (1, 1), (0, 0), (1, 1)),
    "many elements": ((19, 18), (17, 17), (1, 1), (0, 0), (1, 1)),
    "one axis": ((13,), (3,), (2,), (1,), (1,)),
}


def windows_of(name: str) -> Windows:
    lengths, *numbers = POOLS[name]
    counts = tuple(map(output_length, lengths, *numbers))
    return Windows(lengths, counts, *numbers)


@pytest.fixture(params=[1, 2], autouse=True)
def _threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from retrograd.backends.numba import pooling as room

    monkeypatch.setattr(room, "GRAIN", 1)
    before = rg.get_num_threads()
    rg.set_num_threads(request.param)
    yield
    rg.set_num_threads(before)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("planes", [(2, 3), (1,), (0, 2)])
def test_pools_and_what_goes_back(dtype: str, name: str, planes: tuple[int, ...]) -> None:
    windows = windows_of(name)
    x, y = draws(dtype, (*planes, *windows.lengths), (*planes, *windows.counts))
    _, offsets = same(pooling.maxima, xp, x, windows)
    same(pooling.add_to_maxima, xp, np.abs(y), offsets, windows, ulps=16)
    same(pooling.sum_windows, xp, np.abs(x), windows, ulps=16)
    same(pooling.spread_windows, xp, np.abs(y), windows, ulps=16)


@pytest.mark.parametrize("name", POOLS)
def test_the_first_of_equal_maxima_and_the_first_nan_win(name: str) -> None:
    windows = windows_of(name)
    generator = np.random.default_rng(3)
    for choices in ([0.0, 1.0, 1.0], [-np.inf, -np.inf, 1.0], [np.nan, np.inf, 1.0, -np.inf], [-np.inf]):
        x = generator.choice(np.array(choices, "float32"), (5, *windows.lengths))
        same(pooling.maxima, xp, x, windows)


def test_an_array_in_pieces_is_pooled_as_one_in_one_piece() -> None:
    windows = windows_of("halves")
    (x,) = draws("float32", (8, 6, 3))
    turned = x.transpose(2, 0, 1)
    np.testing.assert_array_equal(
        KERNELS["maxima"](xp, turned, windows)[0], KERNELS["maxima"](xp, turned.copy(), windows)[0]
    )
    spread = np.broadcast_to(np.float32(1), (2, *windows.counts))
    np.testing.assert_array_equal(KERNELS["spread_windows"](xp, spread, windows), np.ones((2, 8, 6), "float32"))


def test_integers_float16_and_three_axes_are_left_to_numpy() -> None:
    windows = windows_of("halves")
    for dtype in ("int64", "float16"):
        x = np.ones((2, 8, 6), dtype)
        assert KERNELS["maxima"](xp, x, windows) is NotImplemented
        assert KERNELS["sum_windows"](xp, x, windows) is NotImplemented
    cubes = Windows((2,) * 3, (1,) * 3, (2,) * 3, (1,) * 3, (0,) * 3, (1,) * 3)
    assert KERNELS["maxima"](xp, np.ones((1, 2, 2, 2), "float32"), cubes) is NotImplemented
    assert KERNELS["spread_windows"](xp, np.ones((1, 1, 1, 1), "float32"), cubes) is NotImplemented
    offsets = np.zeros((1, 1, 1, 1), "uint8")
    assert KERNELS["add_to_maxima"](xp, np.ones((1, 1, 1, 1), "float16"), offsets, cubes) is NotImplemented
