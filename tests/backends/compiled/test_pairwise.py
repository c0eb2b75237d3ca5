"""Compiled distances of all pairs and their gradients are those of the primitive."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from retrograd.autograd.ops import pairwise
from retrograd.backends import numpy as xp
from retrograd.backends import threads
from tests.backends.compiled.same import FLOATS, KERNELS, draws, same

forward = pairwise.distances.primitive.forward  # type: ignore[attr-defined]


def distances(*args: Any, p: float) -> tuple[np.ndarray, None]:
    """The primitive, but for its residual, without which the kernel does."""
    return forward.__wrapped__(*args, p=p)[0], None


distances.__wrapped__ = lambda *args, p: distances(*args, p=p)  # type: ignore[attr-defined]


@pytest.fixture(params=[1, 2], autouse=True)
def _on_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = threads.get_num_threads()
    threads.set_num_threads(request.param)
    yield
    threads.set_num_threads(before)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize(
    ("x_shape", "m"), [((1, 1), 1), ((5, 3), 7), ((3, 4, 5), 2), ((5, 301, 17), 203), ((999, 31), 803)]
)
def test_distances_and_gradients(dtype: str, p: float, x_shape: tuple[int, ...], m: int) -> None:
    batch, (n, d) = x_shape[:-2], x_shape[-2:]
    x, y, g = draws(dtype, x_shape, (*batch, m, d), (*batch, n, m))
    y[..., 0, :] = x[..., 0, :]  # a distance of 0
    check(x, y, g, p)
    y[..., -1, 0], x[..., -1, -1] = np.inf, np.nan
    with np.errstate(invalid="ignore"):
        check(x, y, g, p)


def check(x: np.ndarray, y: np.ndarray, g: np.ndarray, p: float) -> None:
    out = forward.__wrapped__(xp, x, y, p=p)[0]
    same(distances, xp, x, y, p=p, ulps=16)
    same(pairwise.distance_gradients, xp, g, x, y, out, None, p, ulps=64)


def test_gradients_are_as_near_to_the_truth_as_the_primitives() -> None:
    x, y, g = draws("float32", (700, 16), (900, 16), (700, 900))
    out = forward.__wrapped__(xp, x, y, p=2)[0]
    plain = pairwise.distance_gradients.__wrapped__  # type: ignore[attr-defined]
    exact = plain(xp, *(a.astype("float64") for a in (g, x, y, out)), None, 2)
    found = KERNELS["distance_gradients"](xp, g, x, y, out, None, 2)
    for one, other, truth in zip(found, plain(xp, g, x, y, out, None, 2), exact, strict=True):
        assert np.abs(one - truth).max() <= np.abs(other - truth).max()


def test_other_norms_and_arrays_are_left_to_numpy() -> None:
    x, y, g = draws("float32", (4, 3), (5, 3), (4, 5))
    for a, b, p in (
        (x, y, 3.0),
        (x, y, np.inf),
        (x.astype("float64"), y, 2.0),
        (x[:, ::2], y[:, ::2], 2.0),
        (x[:0], y, 2.0),
    ):
        assert KERNELS["distances"](xp, a, b, p=p) is NotImplemented
        assert KERNELS["distance_gradients"](xp, g, a, b, g, None, p) is NotImplemented
    wide = np.zeros((2, 300), "float32")
    assert KERNELS["distances"](xp, wide, wide, p=2.0) is NotImplemented
