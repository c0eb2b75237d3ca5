"""Compiled sampling of images, and its gradients, are those of the primitive."""

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from retrograd.autograd.ops.sampling import grid_sample_gradients, grid_samples
from retrograd.backends import numpy as xp
from retrograd.backends import threads
from tests.backends.compiled.same import FLOATS, KERNELS, draws, same

SHAPES = [
    ((1, 1, 2, 3), (1, 1, 1, 2)),
    ((2, 3, 5, 4), (2, 7, 3, 2)),
    ((5, 2, 1, 7), (5, 13, 47, 2)),
    ((2, 17, 6, 5), (2, 23, 31, 2)),  # points of more than one block
    ((3, 2, 3, 4, 5), (3, 7, 5, 11, 3)),
]
forward: Any = grid_samples.primitive.forward
ODD = (np.nan, np.inf, -np.inf, 1e30, -1e30)


@pytest.fixture(params=[1, 2], autouse=True)
def _on_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = threads.get_num_threads()
    threads.set_num_threads(request.param)
    yield
    threads.set_num_threads(before)


def settings(rank: int) -> Iterator[tuple[str, str, bool]]:
    modes = ("nearest", "bilinear", "bicubic")[: 5 - rank]
    return itertools.product(modes, ("zeros", "border", "reflection"), (False, True))


def both(g: Any, image: Any, grid: Any, setting: tuple[str, str, bool], ulps: float) -> None:
    mode, padding_mode, align_corners = setting
    same(forward, xp, image, grid, mode=mode, padding_mode=padding_mode, align_corners=align_corners, ulps=ulps)
    for wanted in ((True, True), (True, False), (False, True)):
        same(grid_sample_gradients, xp, g, image, grid, *setting, *wanted, ulps=16 * ulps)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("image_shape", "grid_shape"), SHAPES)
def test_samples(dtype: str, image_shape: tuple[int, ...], grid_shape: tuple[int, ...]) -> None:
    image, grid, g = draws(dtype, image_shape, grid_shape, (*image_shape[:2], *grid_shape[1:-1]))
    grid.reshape(-1)[: grid.size // 3] = np.linspace(-1, 1, 9)[np.arange(grid.size // 3) % 9]  # at borders and pixels
    for setting in settings(len(image_shape) - 2):
        both(g, image, grid, setting, 4)


@pytest.mark.parametrize("dtype", FLOATS)
def test_samples_of_what_is_not_finite(dtype: str) -> None:
    image, grid, g = draws(dtype, (2, 4, 5, 4), (2, 9, 7, 2), (2, 4, 9, 7))
    grid[0, 0, : len(ODD), 0] = ODD
    grid[1, 0, : len(ODD), 1] = ODD
    image[0, 1, 0, 0], image[1, 2, 2, 2], image[1, 3, 0, 0] = np.nan, np.inf, -np.inf
    g[0, 0, 3, 3], g[1, 1, 2, 2] = np.inf, np.nan
    grid[0, 3, 3] = grid[1, 2, 2] = 0.1  # there all pixels are inside: no 0 outside is multiplied with these
    with np.errstate(invalid="ignore", over="ignore"):
        for setting in settings(2):
            both(g, image, grid, setting, 4)


def test_samples_of_arrays_in_several_pieces() -> None:
    image, grid, g = draws("float32", (2, 5, 4, 3), (2, 2, 7, 3), (2, 1, 1, 1))
    g = np.broadcast_to(g, (2, 3, 7, 3))
    both(g, image.transpose(0, 3, 1, 2), grid.transpose(0, 2, 3, 1), ("bilinear", "zeros", False), 4)


def test_other_arrays_are_left_to_numpy() -> None:
    image, grid = draws("float32", (2, 3, 5, 4), (2, 6, 2, 2))
    kernel = functools.partial(KERNELS["grid_samples"], xp, mode="nearest", padding_mode="zeros", align_corners=False)
    for x, points in ((image.astype("float64"), grid), (image.astype("float16"), grid.astype("float16"))):
        assert kernel(x, points) is NotImplemented
    assert kernel(image, grid[:, :0]) is NotImplemented
    gradients = KERNELS["grid_sample_gradients"]
    assert gradients(xp, image[:0], image[:0], grid[:0], "nearest", "zeros", False, True, True) is NotImplemented
