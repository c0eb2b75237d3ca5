"""Compiled cells of LSTM and GRU equal NumPy's calls, bit for bit."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd.ops.recurrent import gru_cell, gru_cell_gradients, lstm_cell, lstm_cell_gradients
from retrograd.backends import numpy as xp
from tests.backends.compiled.same import FLOATS, KERNELS, draws, same

SIZES = ((1, 1), (3, 7), (32, 128))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("n", "width"), SIZES)
def test_a_cell_of_an_lstm_and_its_gradients(dtype: str, n: int, width: int) -> None:
    z, z_x, c, r, g_r, g_c = draws(dtype, (4, n, width), (n, 4, width), *[(n, width)] * 4)
    same(lstm_cell, xp, z, z_x, c)
    same(lstm_cell_gradients, xp, z, r, c, g_r, g_c, np.empty_like(z), np.empty_like(z_x))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("n", "width"), SIZES)
def test_a_cell_of_a_gru_and_its_gradients(dtype: str, n: int, width: int) -> None:
    y, y_x, h, s, g_h = draws(dtype, (3, n, width), (n, 3, width), *[(n, width)] * 3)
    same(gru_cell, xp, y, y_x, h[0], h)
    same(gru_cell_gradients, xp, y, s, h, g_h, *[np.empty_like(y)], np.empty_like(y_x), np.empty_like(y_x))


def test_infinities_and_nan_stay_where_they_are_in_numpy() -> None:
    z, z_x, c = draws("float32", (4, 2, 5), (2, 4, 5), (2, 5))
    z[:, 0, 0], z[:, 0, 1], c[1, 2] = np.inf, np.nan, -np.inf
    same(lstm_cell, xp, z, z_x, c)
    same(gru_cell, xp, z[:3].copy(), z_x[:, :3].copy(), c[0], c)


def test_other_dtypes_are_left_to_numpy() -> None:
    z, z_x, c = draws("float16", (4, 2, 5), (2, 4, 5), (2, 5))
    assert KERNELS["lstm_cell"](xp, z, z_x, c) is NotImplemented
    assert KERNELS["gru_cell"](xp, z[:3], z_x[:, :3], c[0], c) is NotImplemented


@pytest.mark.parametrize("kind", [rg.nn.LSTM, rg.nn.GRU])
def test_sequences_of_several_lengths_give_the_same_gradients(kind: type[rg.nn.Module]) -> None:
    def gradients() -> list[np.ndarray]:
        rg.manual_seed(0)
        layer = kind(5, 6, num_layers=2, bidirectional=True)
        x = rg.randn(7, 3, 5, requires_grad=True)
        packed = rg.nn.utils.rnn.pack_padded_sequence(x, [7, 4, 2])
        out, _ = rg.nn.utils.rnn.pad_packed_sequence(layer(packed)[0])
        (out * out).sum().backward()
        return [x.grad.numpy(), *(p.grad.numpy() for p in layer.parameters())]

    before = rg.get_kernels()
    try:
        rg.set_kernels("numpy")
        plain = gradients()
        rg.set_kernels("numba")
        compiled = gradients()
    finally:
        rg.set_kernels(before)
    for one, other in zip(compiled, plain, strict=True):
        np.testing.assert_array_equal(one, other)
