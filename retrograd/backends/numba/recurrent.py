"""Steps of LSTM and GRU, their small products among them (`autograd/ops/recurrent_kernels.py`).

The sequences of a batch know nothing of each other, so that every thread takes some of them through all steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.numba.blas import available, product
from retrograd.backends.numba.exponential import tanh
from retrograd.backends.numba.jit import compiled, suited
from retrograd.backends.threads import share

__all__ = ["gru_gradients", "gru_steps", "lstm_gradients", "lstm_steps"]

Array = Any
GRAIN = 2**21
"""Multiplications that are worth a thread."""


def on_threads(task: Any, batch: int, rows: int, w: Array) -> None:
    """task(first, last) for ranges of the batch; together they multiply so many rows with the weights."""
    grain = -(-GRAIN * batch // max(1, rows * w.size))
    share(task, batch, max(grain, 4), products=True)


def places(steps: list[tuple[slice, int]]) -> Array:
    """(steps, 2): where the rows of every step begin, and how many there are."""
    return np.array([(rows.start, n) for rows, n in steps], dtype=np.int64).reshape(-1, 2)


@compiled
def lstm_forward(
    z_x: Array, w: Array, h: Array, c: Array, places: Array, out: Array, h_before: Array, c_before: Array,
    gates: Array, tanh_c: Array, half: Any, first: int, last: int,
) -> None:  # fmt: skip
    for start, n in places:
        stop = min(last, n)
        if first >= stop:
            continue
        for gate in range(4):
            from_row = 4 * start + gate * n
            product(gates[from_row + first : from_row + stop], h[first:stop], w[gate], False)
        for b in range(first, stop):
            row, place = start + b, 4 * start + b
            i, f, o, g = gates[place], gates[place + n], gates[place + 2 * n], gates[place + 3 * n]
            x, state, cell, ratio = z_x[row], h[b], c[b], tanh_c[row]
            h_before[row], c_before[row] = state, cell
            for k in range(len(cell)):
                i[k] = half + half * tanh(i[k] + x[0, k])
                f[k] = half + half * tanh(f[k] + x[1, k])
                o[k] = half + half * tanh(o[k] + x[2, k])
                g[k] = tanh(g[k] + x[3, k])
                cell[k] = f[k] * cell[k] + i[k] * g[k]
                ratio[k] = tanh(cell[k])
                state[k] = o[k] * ratio[k]
            out[row] = state


def lstm_steps(
    xp: Any, z_x: Array, w: Array, w_hr: Array, h: Array, c: Array, steps: Any, out: Array, memory: Any
) -> Any:
    if not available or w_hr is not None or not suited(z_x, w, h, c, out, *memory):
        return NotImplemented
    arrays, half = (z_x, w, h, c, places(steps), out, *memory), c.dtype.type(0.5)
    on_threads(lambda first, last: lstm_forward(*arrays, half, first, last), len(c), len(z_x), w)
    return None


@compiled
def lstm_backward(
    c_before: Array, gates: Array, tanh_c: Array, w: Array, g_out: Array, g_h: Array, g_c: Array, places: Array,
    g_z_x: Array, of_steps: Array, one: Any, first: int, last: int,
) -> None:  # fmt: skip
    for start, n in places[::-1]:
        stop = min(last, n)
        if first >= stop:
            continue
        for b in range(first, stop):
            row, place = start + b, 4 * start + b
            i, f, o, g = gates[place], gates[place + n], gates[place + 2 * n], gates[place + 3 * n]
            d_i, d_f, d_o, d_g = of_steps[0, b], of_steps[1, b], of_steps[2, b], of_steps[3, b]
            t, before, arriving, d_h, d_c = tanh_c[row], c_before[row], g_out[row], g_h[b], g_c[b]
            for k in range(len(t)):
                d_r = d_h[k] + arriving[k]
                cell = d_c[k] + (one - t[k] * t[k]) * o[k] * d_r
                d_i[k] = (one - i[k]) * i[k] * g[k] * cell
                d_f[k] = (one - f[k]) * f[k] * before[k] * cell
                d_o[k] = (one - o[k]) * o[k] * t[k] * d_r
                d_g[k] = (one - g[k] * g[k]) * i[k] * cell
                d_c[k] = cell * f[k]
            g_z_x[row] = of_steps[:, b]
        for gate in range(4):
            product(g_h[first:stop], of_steps[gate, first:stop], w[gate], gate > 0)


def lstm_gradients(
    xp: Any, memory: Any, w: Array, w_hr: Array, g_out: Array, g_h: Array, g_c: Array, steps: Any, g_w_hr: Array
) -> Any:
    _, *kept = memory
    if not available or w_hr is not None or not suited(*kept, w, g_out, g_h, g_c):
        return NotImplemented
    batch, width = g_c.shape
    g_z_x, of_steps = np.empty((len(g_out), 4, width), g_c.dtype), np.empty((4, batch, width), g_c.dtype)
    arrays, one = (*kept, w, g_out, g_h, g_c, places(steps), g_z_x, of_steps), g_c.dtype.type(1)
    on_threads(lambda first, last: lstm_backward(*arrays, one, first, last), batch, len(g_out), w)
    return g_z_x


@compiled
def gru_forward(
    y_x: Array, w: Array, b_n: Array, h: Array, places: Array, out: Array, h_before: Array, gates: Array, s: Array,
    half: Any, first: int, last: int,
) -> None:  # fmt: skip
    for start, n in places:
        stop = min(last, n)
        if first >= stop:
            continue
        for gate in range(3):
            from_row = 3 * start + gate * n
            product(gates[from_row + first : from_row + stop], h[first:stop], w[gate], False)
        for b in range(first, stop):
            row, place = start + b, 3 * start + b
            r, z, candidate = gates[place], gates[place + n], gates[place + 2 * n]
            x, state, inner = y_x[row], h[b], s[row]
            h_before[row] = state
            for k in range(len(state)):
                r[k] = half + half * tanh(r[k] + x[0, k])
                z[k] = half + half * tanh(z[k] + x[1, k])
                inner[k] = candidate[k] + b_n[k]
                candidate[k] = tanh(r[k] * inner[k] + x[2, k])
                state[k] = (state[k] - candidate[k]) * z[k] + candidate[k]
            out[row] = state


def gru_steps(xp: Any, y_x: Array, w: Array, b_n: Array, h: Array, steps: Any, out: Array, memory: Any) -> Any:
    if not available or not suited(y_x, w, b_n, h, out, *memory):
        return NotImplemented
    arrays, half = (y_x, w, b_n, h, places(steps), out, *memory), h.dtype.type(0.5)
    on_threads(lambda first, last: gru_forward(*arrays, half, first, last), len(h), len(y_x), w)
    return None


@compiled
def gru_backward(
    h_before: Array, gates: Array, s: Array, w: Array, g_out: Array, g_h: Array, places: Array, g_y_x: Array,
    g_products: Array, of_steps: Array, one: Any, first: int, last: int,
) -> None:  # fmt: skip
    for start, n in places[::-1]:
        stop = min(last, n)
        if first >= stop:
            continue
        for b in range(first, stop):
            row, place = start + b, 3 * start + b
            r, z, candidate = gates[place], gates[place + n], gates[place + 2 * n]
            d_r, d_z, d_s, d_n = of_steps[0, b], of_steps[1, b], of_steps[2, b], g_y_x[row, 2]
            inner, before, arriving, d_h = s[row], h_before[row], g_out[row], g_h[b]
            for k in range(len(r)):
                d_new = d_h[k] + arriving[k]
                d_h[k] = d_new * z[k]  # what goes past the candidate
                d_z[k] = (one - z[k]) * z[k] * ((before[k] - candidate[k]) * d_new)
                d_n[k] = (one - candidate[k] * candidate[k]) * (d_new - d_h[k])
                d_r[k] = (one - r[k]) * r[k] * inner[k] * d_n[k]
                d_s[k] = d_n[k] * r[k]
            g_products[row] = of_steps[:, b]
            g_y_x[row, :2] = of_steps[:2, b]
        for gate in range(3):
            product(g_h[first:stop], of_steps[gate, first:stop], w[gate], True)


def gru_gradients(xp: Any, memory: Any, w: Array, g_out: Array, g_h: Array, steps: Any) -> Any:
    if not available or not suited(*memory, w, g_out, g_h):
        return NotImplemented
    batch, width = g_h.shape
    shapes = (len(g_out), 3, width), (len(g_out), 3, width), (3, batch, width)
    g_y_x, g_products, of_steps = (np.empty(shape, g_h.dtype) for shape in shapes)
    arrays, one = (*memory, w, g_out, g_h, places(steps), g_y_x, g_products, of_steps), g_h.dtype.type(1)
    on_threads(lambda first, last: gru_backward(*arrays, one, first, last), batch, len(g_out), w)
    return g_y_x, g_products
