"""What LSTM and GRU do between their products, at every step (`autograd/ops/recurrent.py`).

NumPy's tanh is faster than one compiled here, so that a cell is loops before, between and after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.numba.jit import compiled, suited

__all__ = ["gru_cell", "gru_cell_gradients", "lstm_cell", "lstm_cell_gradients"]

Array = Any


@compiled
def add_stacked(z: Array, z_x: Array) -> None:
    for gate in range(len(z)):
        for row in range(z.shape[1]):
            into, of = z[gate, row], z_x[row, gate]
            for k in range(len(into)):
                into[k] += of[k]


@compiled
def lstm_gates(z: Array, c: Array, new_c: Array, half: Any) -> None:
    for row in range(len(c)):
        i, f, o, g = z[0, row], z[1, row], z[2, row], z[3, row]
        before, after = c[row], new_c[row]
        for k in range(len(before)):
            i[k] = i[k] * half + half
            f[k] = f[k] * half + half
            o[k] = o[k] * half + half
            after[k] = f[k] * before[k] + i[k] * g[k]


def lstm_cell(xp: Any, z: Array, z_x: Array, c: Array) -> Any:
    if not suited(z, z_x, c):
        return NotImplemented
    add_stacked(z, z_x)
    np.tanh(z, out=z)
    new_c = np.empty_like(c)
    lstm_gates(z, c, new_c, z.dtype.type(0.5))
    r = np.tanh(new_c)
    return new_c, r, z[2] * r


@compiled
def lstm_gradients(
    z: Array, r: Array, c: Array, g_r: Array, g_c: Array, g_z: Array, g_z_x: Array, one: Any
) -> None:  # fmt: skip
    for row in range(len(c)):
        i, f, o, g = z[0, row], z[1, row], z[2, row], z[3, row]
        d_i, d_f, d_o, d_g = g_z[0, row], g_z[1, row], g_z[2, row], g_z[3, row]
        t, before, d_t, d_c = r[row], c[row], g_r[row], g_c[row]
        for k in range(len(t)):
            cell = d_c[k] + (one - t[k] * t[k]) * o[k] * d_t[k]
            d_i[k] = (one - i[k]) * i[k] * g[k] * cell
            d_f[k] = (one - f[k]) * f[k] * before[k] * cell
            d_o[k] = (one - o[k]) * o[k] * t[k] * d_t[k]
            d_g[k] = (one - g[k] * g[k]) * i[k] * cell
            d_c[k] = cell * f[k]
        g_z_x[row] = g_z[:, row]


def lstm_cell_gradients(
    xp: Any, z: Array, r: Array, c: Array, g_r: Array, g_c: Array, g_z: Array, g_z_x: Array
) -> Any:  # fmt: skip
    if not suited(z, r, c, g_r, g_c, g_z, g_z_x):
        return NotImplemented
    lstm_gradients(z, r, c, g_r, g_c, g_z, g_z_x, z.dtype.type(1))
    return None


@compiled
def gru_gates(y: Array, y_x: Array, b_n: Array, s: Array, half: Any) -> None:
    for row in range(y.shape[1]):
        r, z, n = y[0, row], y[1, row], y[2, row]
        ahead, candidate = y_x[row, 2], s[row]
        for k in range(len(r)):
            r[k] = r[k] * half + half
            z[k] = z[k] * half + half
            candidate[k] = n[k] + b_n[k]
            n[k] = r[k] * candidate[k] + ahead[k]


@compiled
def gru_state(y: Array, h: Array, new: Array) -> None:
    for row in range(len(h)):
        z, n, before, after = y[1, row], y[2, row], h[row], new[row]
        for k in range(len(z)):
            after[k] = (before[k] - n[k]) * z[k] + n[k]


def gru_cell(xp: Any, y: Array, y_x: Array, b_n: Array, h: Array) -> Any:
    if not suited(y, y_x, b_n, h):
        return NotImplemented
    add_stacked(y[:2], y_x)
    np.tanh(y[:2], out=y[:2])
    s, new = np.empty_like(h), np.empty_like(h)
    gru_gates(y, y_x, b_n, s, y.dtype.type(0.5))
    np.tanh(y[2], out=y[2])
    gru_state(y, h, new)
    return s, new


@compiled
def gru_gradients(
    y: Array, s: Array, h: Array, g_h: Array, g_y: Array, g_products: Array, g_y_x: Array, one: Any
) -> None:  # fmt: skip
    for row in range(len(h)):
        r, z, n = y[0, row], y[1, row], y[2, row]
        d_r, d_z, d_s = g_y[0, row], g_y[1, row], g_y[2, row]
        candidate, before, d_h, d_n = s[row], h[row], g_h[row], g_y_x[row, 2]
        for k in range(len(r)):
            d_z[k] = (one - z[k]) * z[k] * ((before[k] - n[k]) * d_h[k])
            around = d_h[k] * z[k]
            d_n[k] = (one - n[k] * n[k]) * (d_h[k] - around)
            d_h[k] = around
            d_r[k] = (one - r[k]) * r[k] * candidate[k] * d_n[k]
            d_s[k] = d_n[k] * r[k]
        g_products[row] = g_y[:, row]
        g_y_x[row, :2] = g_y[:2, row]


def gru_cell_gradients(
    xp: Any, y: Array, s: Array, h: Array, g_h: Array, g_y: Array, g_products: Array, g_y_x: Array
) -> Any:  # fmt: skip
    if not suited(y, s, h, g_h, g_y, g_products, g_y_x):
        return NotImplemented
    gru_gradients(y, s, h, g_h, g_y, g_products, g_y_x, y.dtype.type(1))
    return None
