"""LSTM and GRU on arrays, some steps after one another: what `recurrent.py` computes where no graph is recorded.

Inside, a step's gates are a stack (gates, n, H), the candidate last: each gate, and all that are sigmoids, lie in one
piece, and their products are small enough for BLAS to multiply without rearranging the weights at every step. The
weights and biases that lead to sigmoids are halved beforehand: σ(2z) = ½ + ½ tanh z, which is faster than exp and a
quotient.

What steps keep for the gradient has a row for every row of the inputs; the stacks of the steps follow one another in
one long array.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from retrograd.autograd.ops.linalg import mT
from retrograd.backends.kernels import fusable

__all__ = ["GRUMemory", "LSTMMemory", "gru_gradients", "gru_steps", "lstm_gradients", "lstm_steps"]

Steps = list[tuple[slice, int]]
"""The rows of every step and their number, in the order of the computation."""


def stack(xp: Any, gates: Any, rows: slice, count: int) -> Any:
    """The stack (count, n, H) of the step that has these rows; all stacks are (count · rows, H)."""
    return xp.reshape(gates[count * rows.start : count * rows.stop], (count, rows.stop - rows.start, gates.shape[1]))


def stacked(xp: Any, z: Any) -> Any:
    """(n, gates, H) as a view (gates, n, H), or the other way round."""
    return xp.permute_dims(z, axes=(1, 0, 2))


def times_each(xp: Any, out: Any, h: Any, w: Any) -> None:
    """Writes h (n, H) times every matrix of w (gates, H, H) to the stack `out`."""
    xp.matmul_into(out, xp.broadcast_to(h, (len(w), *h.shape)), w)


def to_sigmoid(y: Any) -> None:
    """½ + ½ y, where y = tanh z."""
    y *= 0.5
    y += 0.5


def slope_of_sigmoid(xp: Any, y: Any, out: Any) -> None:
    """y (1 − y), where y = σ(z)."""
    xp.subtract(1, y, out=out)
    out *= y


def slope_of_tanh(xp: Any, y: Any, out: Any) -> None:
    """1 − y², where y = tanh z."""
    xp.multiply(y, y, out=out)
    xp.subtract(1, out, out=out)


def total(g: Any) -> Any:
    """The sum over the first axis, in place of the first."""
    first, *others = g
    for other in others:
        first += other
    return first


# ---- LSTM


class LSTMMemory(NamedTuple):
    """What the gradient needs: h and c before every row, the stacks of i, f, o, g, and tanh of the new c."""

    h: Any
    c: Any
    gates: Any
    tanh_c: Any

    @classmethod
    def of(cls, xp: Any, count: int, h: Any, c: Any) -> LSTMMemory:
        """Room for so many rows."""
        (_, outputs), (_, width) = h.shape, c.shape
        shapes = (count, outputs), (count, width), (4 * count, width), (count, width)
        return cls(*(xp.empty(shape, dtype=c.dtype) for shape in shapes))


@fusable
def lstm_steps(
    xp: Any, z_x: Any, w: Any, w_hr: Any, h: Any, c: Any, steps: Steps, out: Any, memory: LSTMMemory
) -> None:
    """Moves h (B, P) and c (B, H) on and writes every new h to `out` (rows, P). z_x (rows, 4, H) is what the inputs
    contribute to the gates; w (4, P, H), and w_hr (P, H) or None, are the weights."""
    for rows, n in steps:
        h_n, c_n, z, r = h[:n], c[:n], stack(xp, memory.gates, rows, 4), memory.tanh_c[rows]
        memory.h[rows], memory.c[rows] = h_n, c_n
        times_each(xp, z, h_n, w)
        z += stacked(xp, z_x[rows])
        xp.tanh(z, out=z)
        to_sigmoid(z[:3])
        i, f, o, g = z
        c_n *= f
        c_n += i * g
        xp.tanh(c_n, out=r)
        h_n[...] = o * r if w_hr is None else xp.matmul(o * r, mT(xp, w_hr))
        out[rows] = h_n


@fusable
def lstm_gradients(
    xp: Any, memory: LSTMMemory, w: Any, w_hr: Any, g_out: Any, g_h: Any, g_c: Any, steps: Steps, g_w_hr: Any
) -> Any:
    """The cotangent of z_x, from that of `out`; moves those of h and c back, and adds to that of w_hr.

    w (4, H, P) is not halved."""
    width = g_c.shape[1]
    g_z_x = xp.empty((len(g_out), 4, width), dtype=g_out.dtype)
    of_steps, slopes = (xp.empty((k * len(g_c), width), dtype=g_out.dtype) for k in (4, 1))
    for rows, n in reversed(steps):
        (i, f, o, cell), r = stack(xp, memory.gates, rows, 4), memory.tanh_c[rows]
        g_r, g_cn, g_z, slope = g_h[:n], g_c[:n], stack(xp, of_steps, slice(0, n), 4), slopes[:n]
        g_r += g_out[rows]
        if w_hr is not None:
            g_w_hr += xp.matmul(mT(xp, g_r), o * r)
            g_r = xp.matmul(g_r, w_hr)
        slope_of_tanh(xp, r, slope)
        slope *= o
        slope *= g_r
        g_cn += slope
        slope_of_sigmoid(xp, stack(xp, memory.gates, rows, 4)[:3], g_z[:3])
        slope_of_tanh(xp, cell, g_z[3])
        for gate, value, arriving in zip(g_z, (cell, memory.c[rows], r, i), (g_cn, g_cn, g_r, g_cn), strict=True):
            gate *= value
            gate *= arriving
        g_cn *= f
        g_z_x[rows] = stacked(xp, g_z)
        g_h[:n] = total(xp.matmul(g_z, w))
    return g_z_x


# ---- GRU


class GRUMemory(NamedTuple):
    """What the gradient needs: h before every row, the stacks of r, z, n, and s + b_n."""

    h: Any
    gates: Any
    s: Any

    @classmethod
    def of(cls, xp: Any, count: int, h: Any) -> GRUMemory:
        """Room for so many rows."""
        width = h.shape[1]
        return cls(*(xp.empty((rows, width), dtype=h.dtype) for rows in (count, 3 * count, count)))


@fusable
def gru_steps(xp: Any, y_x: Any, w: Any, b_n: Any, h: Any, steps: Steps, out: Any, memory: GRUMemory) -> None:
    """Moves h (B, H) on and writes every new h to `out` (rows, H). y_x (rows, 3, H) is what the inputs contribute to
    the gates; w (3, H, H) and b_n (H,) are the weights."""
    for rows, n in steps:
        h_n, y, y_xn, s = h[:n], stack(xp, memory.gates, rows, 3), stacked(xp, y_x[rows]), memory.s[rows]
        memory.h[rows] = h_n
        times_each(xp, y, h_n, w)
        r, z, candidate = y
        xp.add(candidate, b_n, out=s)
        r_and_z = y[:2]
        r_and_z += y_xn[:2]
        xp.tanh(r_and_z, out=r_and_z)
        to_sigmoid(r_and_z)
        xp.multiply(r, s, out=candidate)
        candidate += y_xn[2]
        xp.tanh(candidate, out=candidate)
        h_n -= candidate
        h_n *= z
        h_n += candidate
        out[rows] = h_n


@fusable
def gru_gradients(xp: Any, memory: GRUMemory, w: Any, g_out: Any, g_h: Any, steps: Steps) -> tuple[Any, Any]:
    """The cotangents of y_x and of h W_hhᵀ + b_n, both (rows, 3, H), from that of `out`; moves that of h back.

    w (3, H, H) is not halved."""
    width = g_h.shape[1]
    g_y_x, g_products = (xp.empty((len(g_out), 3, width), dtype=g_out.dtype) for _ in range(2))
    of_steps, of_candidates = (xp.empty((k * len(g_h), width), dtype=g_out.dtype) for k in (3, 1))
    for rows, n in reversed(steps):
        y, s = stack(xp, memory.gates, rows, 3), memory.s[rows]
        r, z, candidate = y
        g_hn, g_y, g_candidate = g_h[:n], stack(xp, of_steps, slice(0, n), 3), of_candidates[:n]
        g_hn += g_out[rows]
        slope_of_sigmoid(xp, y[:2], g_y[:2])
        slope_of_tanh(xp, candidate, g_candidate)
        difference = memory.h[rows] - candidate
        difference *= g_hn
        g_y[1] *= difference
        around = g_hn * z  # what goes past the candidate
        g_hn -= around
        g_candidate *= g_hn
        g_y[0] *= s
        g_y[0] *= g_candidate
        xp.multiply(g_candidate, r, out=g_y[2])
        g_products[rows] = stacked(xp, g_y)
        g_y_x[rows, :2] = stacked(xp, g_y[:2])
        g_y_x[rows, 2] = g_candidate
        xp.add(total(xp.matmul(g_y, w)), around, out=g_hn)
    return g_y_x, g_products
