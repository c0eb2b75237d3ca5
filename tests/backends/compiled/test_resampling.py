"""Compiled weighted sums along an axis are those of the primitive."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from retrograd.autograd.ops.resampling import Taps, resample
from retrograd.backends import numpy as xp
from retrograd.backends import threads
from tests.backends.compiled.same import FLOATS, KERNELS, draws, same

forward: Any = resample.primitive.forward


@pytest.fixture(params=[1, 2], autouse=True)
def _on_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = threads.get_num_threads()
    threads.set_num_threads(request.param)
    yield
    threads.set_num_threads(before)


def table(length: int, results: int, taps: int) -> Taps:
    rng = np.random.default_rng(1)
    return Taps(length, rng.integers(0, length, (results, taps)), rng.standard_normal((results, taps)))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("axis", [-1, -2, -3])
@pytest.mark.parametrize(("results", "taps"), [(1, 1), (3, 2), (13, 5), (64, 4)])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 5), (3, 2, 31, 17), (61, 3, 50, 2)])
def test_weighted_sums(dtype: str, axis: int, results: int, taps: int, shape: tuple[int, ...]) -> None:
    (x,) = draws(dtype, shape)
    x.reshape(-1)[-1] = np.inf
    x.reshape(-1)[x.size // 2] = np.nan
    with np.errstate(invalid="ignore"):
        some = table(shape[axis], results, taps)
        same(forward, xp, x, axis=axis, taps=some)
        y = np.ascontiguousarray(np.moveaxis(np.moveaxis(x, axis, -1)[..., :1].repeat(results, -1), -1, axis))
        same(forward, xp, y, axis=axis, taps=some.transposed)


def test_other_arrays_are_left_to_numpy() -> None:
    (x,) = draws("float32", (2, 6, 5))
    some, kernel = table(5, 3, 2), KERNELS["resample"]
    for other in (x.astype("float16"), x[:, ::2], x[:0]):
        assert kernel(xp, other, axis=-1, taps=some) is NotImplemented
    assert kernel(xp, x, axis=-1, taps=Taps(5, some.sources)) is NotImplemented
