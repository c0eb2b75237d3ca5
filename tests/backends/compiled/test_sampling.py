"""Compiled sums of picked pixels are those of the primitives."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from retrograd.autograd.ops import sampling
from retrograd.backends import numpy as xp
from retrograd.backends import threads
from tests.backends.compiled.same import FLOATS, KERNELS, draws, same


@pytest.fixture(params=[1, 2], autouse=True)
def _on_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = threads.get_num_threads()
    threads.set_num_threads(request.param)
    yield
    threads.set_num_threads(before)


def forward(name: str) -> Any:
    return getattr(sampling, name).primitive.forward


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1, 1), (2, 3, 7, 4, 5), (5, 2, 50, 16, 31), (3, 8, 200, 4, 1999)])
def test_picked_pixels(dtype: str, shape: tuple[int, ...]) -> None:
    batch, channels, pixels, taps, points = shape
    image, weights, values = draws(dtype, shape[:3], (batch, taps, points), (batch, channels, points))
    image[0, 0, 0], values[-1, 0, 0] = np.nan, np.inf
    index = np.random.default_rng(1).integers(0, pixels, (batch, taps, points))
    sample, spread_samples, compare_samples = map(forward, ("sample", "spread_samples", "compare_samples"))
    with np.errstate(invalid="ignore"):
        same(sample, xp, image, weights, index)
        same(spread_samples, xp, values, weights, index, pixels=pixels)
        same(compare_samples, xp, image, values, index, ulps=8)


def test_other_arrays_are_left_to_numpy() -> None:
    image, weights, values = draws("float32", (2, 3, 7), (2, 4, 5), (2, 3, 5))
    index = np.zeros((2, 4, 5), "int64")
    for pixels, places in ((image.astype("float64"), index), (image[:, :, ::2], index), (image, index.astype("int32"))):
        assert KERNELS["sample"](xp, pixels, weights, places) is NotImplemented
        assert KERNELS["compare_samples"](xp, pixels, values, places) is NotImplemented
    assert KERNELS["spread_samples"](xp, values, weights, index[:, :, :0], pixels=7) is NotImplemented
