"""Compiled recursions of CTC are those of the primitive."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from retrograd.autograd.ops.ctc import NEVER, ctc_gradient, ctc_paths
from retrograd.backends import numpy as xp
from retrograd.backends import threads
from tests.backends.compiled.same import FLOATS, KERNELS, agree, draws, same

paths: Any = ctc_paths
gradient: Any = ctc_gradient


@pytest.fixture(params=[1, 2], autouse=True)
def _on_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = threads.get_num_threads()
    threads.set_num_threads(request.param)
    yield
    threads.set_num_threads(before)


def sequences(dtype: str, frames: int, count: int, labels: int) -> tuple[np.ndarray, ...]:
    """Scores, and the moves between the states of sequences of which all but the first are shorter or repeat labels."""
    rng, states = np.random.default_rng(1), 2 * labels + 1
    (y,) = draws(dtype, (frames, count, states))
    number = np.arange(states)
    times = np.r_[frames, rng.integers(0, frames + 1, count - 1)]
    last = 2 * np.r_[labels, rng.integers(0, labels + 1, count - 1)][:, None]
    skips = (number % 2 == 1) & (number > 1) & (rng.random((count, states)) < 0.8)

    def allowed(where: np.ndarray) -> np.ndarray:
        return np.where(where, 0, NEVER).astype(dtype)

    ends = (number == last) | ((number == last - 1) & (last > 0))
    alive = (np.arange(frames)[:, None] < times)[:, :, None]
    return y, alive, allowed(number == 0), allowed(number > 0), allowed(skips), allowed(ends)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(1, 1, 0), (1, 1, 1), (7, 3, 2), (5, 4, 5), (61, 7, 13), (150, 6, 31)])
def test_losses_and_gradients(dtype: str, shape: tuple[int, int, int]) -> None:
    arrays = sequences(dtype, *shape)
    loss, shares, ending = KERNELS["ctc_paths"](xp, *arrays)
    expected, their_shares, their_ending = paths.__wrapped__(xp, *arrays)
    agree((loss, ending), (expected, their_ending), 64)
    (g,) = draws(dtype, (shape[1],))
    alive = arrays[1]
    agree(same(gradient, xp, g, alive, shares, ending), gradient.__wrapped__(xp, g, alive, their_shares, ending), 512)


def test_of_what_is_not_finite() -> None:
    y, *moves = sequences("float32", 9, 5, 2)
    y[3, 0, 1], y[2, 1], y[0, 2, 0] = np.nan, -np.inf, 1e30
    moves[0][:] = True
    with np.errstate(invalid="ignore"):
        found, expected = (f(xp, y, *moves) for f in (KERNELS["ctc_paths"], paths.__wrapped__))
    agree(found, expected, 64)
    assert np.isnan(found[0][0])
    assert found[0][1] == np.inf


def test_a_cotangent_of_one_number_for_all() -> None:
    y, *moves = sequences("float32", 9, 5, 2)
    _, shares, ending = KERNELS["ctc_paths"](xp, y, *moves)
    same(gradient, xp, np.broadcast_to(np.float32(2), 5), moves[0], shares, ending)


def test_other_arrays_are_left_to_numpy() -> None:
    y, *moves = sequences("float32", 5, 3, 2)
    kernel = KERNELS["ctc_paths"]
    assert kernel(xp, y.astype("float64"), *moves) is NotImplemented
    assert kernel(xp, y[:, :, ::-1], *moves) is NotImplemented
    assert kernel(xp, y[:0], moves[0][:0], *moves[1:]) is NotImplemented
    _, shares, ending = paths.__wrapped__(xp, y, *moves)
    assert KERNELS["ctc_gradient"](xp, ending[:, 0], moves[0], shares, ending) is NotImplemented
