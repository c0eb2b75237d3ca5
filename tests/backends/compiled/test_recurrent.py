"""Compiled steps of LSTM and GRU against NumPy's calls, and tanh within compiled loops against exact values."""

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd.ops import recurrent_kernels as plain
from retrograd.backends import numpy as xp
from tests.backends.compiled.same import FLOATS, KERNELS, draws, same

pytest.importorskip("numba")
from retrograd.backends.numba import blas, recurrent
from retrograd.backends.numba.exponential import tanh
from retrograd.backends.numba.jit import compiled

Steps = list[tuple[slice, int]]
SIZES = ((1,), (3, 3, 3), (8, 8, 5, 2), (16,) * 5)


@pytest.fixture(autouse=True, params=[1, 2])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    before, kernels = rg.get_num_threads(), rg.get_kernels()
    monkeypatch.setattr(recurrent, "GRAIN", 1)  # every range is worth a thread
    rg.set_num_threads(request.param)
    yield request.param
    rg.set_num_threads(before)
    rg.set_kernels(kernels)


def steps_of(sizes: tuple[int, ...], reverse: bool) -> Steps:
    found = [(slice(end - n, end), n) for end, n in zip(accumulate(sizes), sizes, strict=True)]
    return found[::-1] if reverse else found


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_steps_of_an_lstm_and_their_gradients(dtype: str, reverse: bool, sizes: tuple[int, ...]) -> None:
    rows, batch, width, steps = sum(sizes), sizes[0], 7, steps_of(sizes, reverse)
    z_x, w, h, c, g_out = draws(dtype, (rows, 4, width), (4, width, width), *[(batch, width)] * 2, (rows, width))
    memory = plain.LSTMMemory.of(xp, rows, h, c)
    same(plain.lstm_steps, xp, z_x, w, None, h, c, steps, np.empty_like(g_out), memory, ulps=16)
    plain.lstm_steps(xp, z_x, w, None, h.copy(), c.copy(), steps, np.empty_like(g_out), memory)
    same(plain.lstm_gradients, xp, memory, w, None, g_out, h, c, steps, None, ulps=16)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_steps_of_a_gru_and_their_gradients(dtype: str, reverse: bool, sizes: tuple[int, ...]) -> None:
    rows, batch, width, steps = sum(sizes), sizes[0], 7, steps_of(sizes, reverse)
    y_x, w, h, g_out = draws(dtype, (rows, 3, width), (3, width, width), (batch, width), (rows, width))
    memory = plain.GRUMemory.of(xp, rows, h)
    same(plain.gru_steps, xp, y_x, w, g_out[0], h, steps, np.empty_like(g_out), memory, ulps=16)
    plain.gru_steps(xp, y_x, w, g_out[0], h.copy(), steps, np.empty_like(g_out), memory)
    same(plain.gru_gradients, xp, memory, w, g_out, h, steps, ulps=16)


def test_what_they_do_not_take_is_left_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    def lstm(dtype: str, w_hr: Any = None) -> Any:
        z_x, w, h, c = draws(dtype, (3, 4, 5), (4, 5, 5), (3, 5), (3, 5))
        memory = plain.LSTMMemory.of(xp, 3, h, c)
        return KERNELS["lstm_steps"](xp, z_x, w, w_hr, h, c, [(slice(0, 3), 3)], np.empty_like(h), memory)

    assert lstm("float32") is None
    assert lstm("float16") is NotImplemented
    assert lstm("float32", w_hr=np.ones((5, 5), "float32")) is NotImplemented
    monkeypatch.setattr(recurrent, "available", False)  # no BLAS library that compiled code can call
    assert lstm("float32") is NotImplemented


@pytest.mark.parametrize("kind", [rg.nn.LSTM, rg.nn.GRU])
@pytest.mark.parametrize("dtype", FLOATS)
def test_sequences_of_several_lengths_give_the_same_gradients(kind: type[rg.nn.Module], dtype: str) -> None:
    def gradients() -> list[np.ndarray]:
        rg.manual_seed(0)
        layer = kind(5, 6, num_layers=2, bidirectional=True, dtype=getattr(rg, dtype))
        x = rg.randn(7, 3, 5, requires_grad=True, dtype=getattr(rg, dtype))
        packed = rg.nn.utils.rnn.pack_padded_sequence(x, [7, 4, 2])
        out, _ = rg.nn.utils.rnn.pad_packed_sequence(layer(packed)[0])
        (out * out).sum().backward()
        return [x.grad.numpy(), *(p.grad.numpy() for p in layer.parameters())]

    rg.set_kernels("numpy")
    expected = gradients()
    rg.set_kernels("numba")
    for found, other in zip(gradients(), expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=0, atol=32 * np.finfo(dtype).eps * np.abs(other).max())


@pytest.mark.parametrize("dtype", FLOATS)
def test_tanh_is_within_three_units_in_the_last_place(dtype: str) -> None:
    @compiled
    def all_of(x: Any, y: Any) -> None:
        for i in range(len(x)):
            y[i] = tanh(x[i])

    x = np.concatenate([np.linspace(-25, 25, 5001), np.geomspace(1e-30, 1, 999), -np.geomspace(1e-6, 1e6, 999)])
    x = x.astype(dtype)
    found = np.empty_like(x)
    all_of(x, found)
    exact = np.tanh(x.astype(np.longdouble))
    assert (np.abs(found - exact) <= 3 * np.spacing(np.abs(exact).astype(dtype))).all()
    special = np.array([np.inf, -np.inf, np.nan, 0.0], dtype)
    found = np.empty_like(special)
    all_of(special, found)
    np.testing.assert_array_equal(found, [1, -1, np.nan, 0])


@pytest.mark.parametrize("dtype", FLOATS)
def test_products_within_compiled_loops_are_numpys(dtype: str) -> None:
    @compiled
    def twice(out: Any, x: Any, y: Any) -> None:
        blas.product(out, x, y, False)
        blas.product(out, x, y, True)

    x, y = draws(dtype, (5, 3), (3, 4))
    out = np.full((5, 4), np.nan, dtype)
    twice(out, x, y)
    np.testing.assert_allclose(out, 2 * (x @ y), rtol=1e-5 if dtype == "float32" else 1e-13)
