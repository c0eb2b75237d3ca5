"""Compiled convolution equals NumPy's up to the order of its sums, and is no less accurate."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd.windows import Windows, output_length
from retrograd.backends import numpy as xp
from retrograd.backends.numba import bands
from retrograd.backends.numba import convolution as room
from tests.backends.compiled.same import FLOATS, KERNELS, draws, same

convolution = sys.modules["retrograd.autograd.ops.convolution"]

# groups, channels, outputs, lengths, size, stride, padding, dilation
CONVOLUTIONS = {
    "same length": (1, 6, 5, (9, 8), (3, 3), (1, 1), (1, 1), (1, 1)),
    "few channels": (1, 1, 7, (9, 11), (3, 3), (1, 1), (1, 1), (1, 1)),
    "few channels, moved by two": (1, 2, 3, (11, 10), (5, 3), (2, 2), (2, 1), (1, 1)),
    "many channels": (1, 48, 3, (6, 7), (3, 3), (1, 1), (1, 1), (1, 1)),
    "no padding": (1, 6, 4, (10, 9), (3, 4), (1, 1), (0, 0), (1, 1)),
    "one place": (1, 17, 3, (5, 7), (1, 1), (1, 1), (0, 0), (1, 1)),
    "one place, moved by two": (1, 17, 3, (11, 13), (1, 1), (2, 2), (0, 0), (1, 1)),
    "moved by two": (1, 8, 6, (13, 12), (3, 3), (2, 2), (1, 1), (1, 1)),
    "moved by three and two": (1, 9, 2, (20, 13), (3, 2), (3, 2), (2, 1), (1, 1)),
    "moved by more than it spans": (1, 16, 2, (24, 21), (2, 2), (3, 4), (0, 1), (1, 1)),
    "gaps": (1, 7, 3, (15, 16), (3, 3), (1, 2), (3, 2), (3, 2)),
    "much padding": (1, 6, 2, (7, 8), (3, 3), (1, 1), (2, 1), (1, 1)),
    "more padding than a window": (1, 6, 2, (7, 8), (2, 1), (1, 1), (1, 2), (1, 1)),
    "a group for each channel, more padding than a window": (4, 4, 4, (7, 8), (2, 1), (1, 1), (1, 2), (1, 1)),
    "more padding than input": (1, 6, 2, (2, 3), (5, 5), (1, 1), (4, 4), (1, 1)),
    "groups": (3, 6, 9, (7, 8), (3, 3), (1, 1), (1, 1), (1, 1)),
    "a group for each channel": (5, 5, 10, (7, 8), (3, 3), (1, 1), (1, 1), (1, 1)),
    "a group for each channel, moved by two": (4, 4, 4, (13, 12), (3, 3), (2, 2), (1, 1), (1, 1)),
    "a group for each channel, gaps": (3, 3, 6, (17, 19), (3, 4), (1, 3), (2, 1), (3, 2)),
    "a group for each channel, a long plane": (2, 2, 2, (50, 60), (3, 3), (1, 1), (0, 0), (1, 1)),
    "a group for each channel, one axis": (4, 4, 4, (91,), (5,), (3,), (2,), (1,)),
    "long": (1, 3, 2, (3, 70), (2, 3), (1, 1), (0, 1), (1, 1)),
    "one axis": (2, 12, 4, (61,), (5,), (1,), (2,), (1,)),
    "one axis, moved by two": (1, 12, 4, (61,), (5,), (2,), (0,), (2,)),
}


def windows_of(name: str) -> tuple[Windows, int, int, int]:
    groups, channels, outputs, lengths, *numbers = CONVOLUTIONS[name]
    return Windows(lengths, tuple(map(output_length, lengths, *numbers)), *numbers), groups, channels, outputs


@pytest.fixture(params=[1, 2], autouse=True)
def _threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(room, "GRAIN", 1)
    before = rg.get_num_threads()
    rg.set_num_threads(request.param)
    yield
    rg.set_num_threads(before)


def compare(dtype: str, name: str, samples: int = 3) -> None:
    windows, groups, channels, outputs = windows_of(name)
    shapes = (samples, channels, *windows.lengths), (outputs, channels // groups, *windows.size)
    x, weight, bias, y = draws(dtype, *shapes, (outputs,), (samples, outputs, *windows.counts))
    same(convolution.convolve, xp, x, weight, bias, windows, groups, ulps=32)
    same(convolution.convolve, xp, x, weight, None, windows, groups, ulps=32)
    same(convolution.convolve_transposed, xp, y, weight, windows, groups, ulps=32)
    same(convolution.convolve_weight, xp, x, y, windows, groups, ulps=32)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_and_its_gradients(dtype: str, name: str) -> None:
    compare(dtype, name)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_images_in_bands_of_a_row_are_whole_images(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "COPIED", 1)
    compare("float64", name)


@pytest.mark.parametrize("name", ["same length", "moved by two", "few channels"])
def test_bands_of_some_rows_are_whole_images(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "COPIED", 700)
    monkeypatch.setattr(bands, "MOST", 16)
    compare("float64", name, samples=1)


def test_sums_over_many_samples_are_as_accurate_as_numpys() -> None:
    windows, groups, channels, outputs = windows_of("many channels")
    x, y = draws("float32", (300, channels, *windows.lengths), (300, outputs, *windows.counts))
    function = convolution.convolve_weight.__wrapped__
    exact = function(xp, x.astype("float64"), y.astype("float64"), windows, groups)
    errors = [np.abs(f(xp, x, y, windows, groups) - exact).max() for f in (KERNELS["convolve_weight"], function)]
    assert errors[0] <= 2 * errors[1]


def test_what_is_not_a_number_goes_where_its_windows_are() -> None:
    windows, groups, channels, outputs = windows_of("same length")
    x, weight = draws("float32", (2, channels, *windows.lengths), (outputs, channels, *windows.size))
    x[0, 2, 4, 4], x[1, 0, 0, 0] = np.nan, np.nan
    found = same(convolution.convolve, xp, x, weight, None, windows, groups, ulps=32)
    assert np.isnan(found[0, :, 3:6, 3:6]).all()
    assert np.isnan(found).sum() == outputs * (9 + 4)


def test_arrays_in_pieces_are_taken_as_ones_in_one_piece() -> None:
    windows, groups, channels, outputs = windows_of("same length")
    x, weight = draws("float64", (*windows.lengths, 2, channels), (*windows.size, outputs, channels))
    pieces, filters = x.transpose(2, 3, 0, 1), weight.transpose(2, 3, 0, 1)
    whole = KERNELS["convolve"](xp, pieces.copy(), filters.copy(), None, windows, groups)
    np.testing.assert_array_equal(KERNELS["convolve"](xp, pieces, filters, None, windows, groups), whole)


def test_what_blas_does_not_multiply_and_tiny_or_deep_images_are_left_to_numpy() -> None:
    def refuses(x: np.ndarray, weight: np.ndarray, windows: Windows) -> bool:
        y = np.zeros((len(x), len(weight), *windows.counts), x.dtype)
        found = (
            KERNELS["convolve"](xp, x, weight, None, windows, 1),
            KERNELS["convolve_transposed"](xp, y, weight, windows, 1),
            KERNELS["convolve_weight"](xp, x, y, windows, 1),
        )
        return all(result is NotImplemented for result in found)

    def plain(*lengths: int) -> Windows:
        ones, zeros = (1,) * len(lengths), (0,) * len(lengths)
        return Windows(lengths, lengths, ones, ones, zeros, ones)

    for dtype in ("float16", "int64"):
        assert refuses(np.ones((1, 1, 9, 9), dtype), np.ones((1, 1, 1, 1), dtype), plain(9, 9))
    assert refuses(np.ones((1, 1, 2, 2), "float32"), np.ones((1, 1, 1, 1), "float32"), plain(2, 2))
    assert refuses(np.ones((1, 1, 9, 9, 9), "float32"), np.ones((1, 1, 1, 1, 1), "float32"), plain(9, 9, 9))
    assert refuses(np.ones((0, 1, 9, 9), "float32"), np.ones((1, 1, 1, 1), "float32"), plain(9, 9))
