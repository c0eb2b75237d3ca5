"""Compiled sums, reads and writes by index equal NumPy's, in which order they are added too."""

from collections.abc import Iterator

import numpy as np
import pytest

from retrograd.backends import numpy as xp
from retrograd.backends import threads
from tests.backends.compiled.same import FLOATS, KERNELS, draws, same

SHAPES = [((7, 5), 0), ((7, 5), 1), ((3, 11, 4), 1), ((13,), 0), ((1, 1), 0), ((301, 37, 20), 1), ((301, 600), 1)]


@pytest.fixture(params=[1, 2], autouse=True)
def _on_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = threads.get_num_threads()
    threads.set_num_threads(request.param)
    yield
    threads.set_num_threads(before)


def numbers(below: int, *shape: int) -> np.ndarray:
    """Indices that count from the front and from the back, with duplicates."""
    return np.random.default_rng(1).integers(-below, below, shape)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("count", [(1,), (19,), (5, 3)])
def test_sums_at_rows(dtype: str, shape: tuple[int, ...], axis: int, count: tuple[int, ...]) -> None:
    x, value = draws(dtype, (*shape, 3), (*shape[:axis], *count, *shape[axis + 1 :], 3))
    value.flat[0] = np.nan
    index = (*(slice(None),) * axis, numbers(shape[axis], *count))
    same(xp.index_sum, value, index, shape=x.shape)
    same(xp.index_add, x, index, value)
    same(xp.index_add, x, index, value[..., :1])


@pytest.mark.parametrize("dtype", [*FLOATS, "int64"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("count", [1, 17])
def test_reads_and_writes_along_an_axis(dtype: str, shape: tuple[int, ...], axis: int, count: int) -> None:
    there = (*shape[:axis], count, *shape[axis + 1 :])
    x, values = draws(dtype, shape, there)
    indices = numbers(shape[axis], *there)
    same(xp.take_along_axis, x, indices, axis=axis)
    same(xp.take_along_axis, x, indices, axis=axis - len(shape))
    same(xp.put_along_axis, x, indices, values, axis=axis)
    same(xp.put_along_axis, x, indices, 3, axis=axis)
    if dtype in FLOATS:
        same(xp.add_along_axis, x, indices, values, axis=axis)


def test_a_number_out_of_range_is_refused_and_nothing_is_written() -> None:
    (x,) = draws("float32", (4, 3))
    before = x.copy()
    for wrong in (4, -5):
        index = np.full((4, 3), wrong)
        for found in (
            KERNELS["index_add"](x, (index[:, 0],), x),
            KERNELS["index_sum"](x, (index[:, 0],), shape=x.shape),
            KERNELS["take_along_axis"](x, index, axis=0),
            KERNELS["put_along_axis"](x, index, x, axis=0),
            KERNELS["add_along_axis"](x, index, x, axis=0),
        ):
            assert found is NotImplemented
    np.testing.assert_array_equal(x, before)


def test_other_indices_and_arrays_are_left_to_numpy() -> None:
    (x,) = draws("float32", (4, 3))
    index = np.array([0, 2])
    half, narrow = x.astype("float16"), np.zeros((2, 2), "int64")
    for found in (
        KERNELS["index_sum"](half[:2], (index,), shape=(4, 3)),
        KERNELS["index_sum"](x[:2, 0], (index, index), shape=(4, 3)),
        KERNELS["index_sum"](x[:2, 0], (index,), shape=(4,)),  # NumPy's loop is as fast
        KERNELS["index_sum"](x[:2], (index.astype("int32"),), shape=(4, 3)),
        KERNELS["index_sum"](x[:2], (np.array([True, False, True, False]),), shape=(4, 3)),
        KERNELS["index_add"](x.astype("float64"), (index,), x[:2]),
        KERNELS["take_along_axis"](half, narrow, axis=0),
        KERNELS["take_along_axis"](x, narrow, axis=0),  # some columns alone
        KERNELS["put_along_axis"](x[:, :2], narrow, 0, axis=0),  # not in one piece
        KERNELS["add_along_axis"](x[:, :2], narrow, x[:2, :2], axis=0),
    ):
        assert found is NotImplemented
