"""Recurrent networks: all steps of one layer in one direction as one node; backpropagation through time in closed form.

x holds what the input contributes to every gate (x Wᵀ + b, one product for all steps), in packed order: the rows of the
first step, then those of the second, and so on. `sizes` says how many rows each step has; they never grow, so a step
has the sequences that are not over yet, and shorter sequences stand further back in the batch. The states have a row
per sequence: those behind `sizes[t]` keep their value at step t, whichever the direction, because they have ended or
not yet begun.

Gates and their order are PyTorch's: input, forget, candidate, output for LSTM (Hochreiter & Schmidhuber 1997, with the
forget gate of Gers et al. 2000), reset, update, candidate for GRU (Cho et al. 2014; the reset gate acts after the
product). `unrolled` and the three steps below it are the same mathematics made of single operations: where the gradient
is itself to be differentiated, that is what is differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from retrograd.autograd.graph import grad
from retrograd.autograd.ops.linalg import mT, same_dtype
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor

Sizes = tuple[int, ...]
Step = Callable[..., tuple[Any, ...]]
"""One step of single operations: xp, its rows of x, the states and the weights; gives the new states, h first."""


def steps(sizes: Sizes, reverse: bool) -> list[tuple[slice, int]]:
    """The rows of every step and their number, in the order of the computation."""
    rows = [(slice(end - n, end), n) for end, n in zip(accumulate(sizes), sizes)]
    return rows[::-1] if reverse else rows


def like(xp: Any, x: Any, columns: int) -> Any:
    """An array to be filled, with x's rows."""
    return xp.new_zeros(x, shape=(x.shape[0], columns))


def transposed(xp: Any, w: Any) -> Any:
    """Wᵀ laid out anew: it is multiplied with at every step."""
    return xp.ascontiguousarray(mT(xp, w))


def columns(x: Any, parts: int) -> list[Any]:
    """The gates: equal blocks of columns, views."""
    width = x.shape[1] // parts
    return [x[:, k * width : (k + 1) * width] for k in range(parts)]


def weight_gradient(xp: Any, g: Any, h: Any) -> Any:
    """gᵀ h, by way of its transpose: the order that BLAS does faster."""
    return transposed(xp, xp.matmul(mT(xp, h), g))


# ---- RNN


@primitive(outputs=True, residuals=("before", "after"))
def rnn(xp: Any, x: Any, h: Any, w: Any, *, nonlinearity: str, sizes: Sizes, reverse: bool = False) -> Any:
    """h ← tanh(x + h Wᵀ), or relu (Elman 1990): x (rows, H), h (B, H), w (H, H).

    Gives all h (rows, H) and the last (B, H); keeps the state before every step and after it.
    """
    same_dtype("rnn", x, h, w)
    h, wt = xp.copy(h), transposed(xp, w)
    before, after = like(xp, x, w.shape[0]), like(xp, x, w.shape[0])
    for rows, n in steps(sizes, reverse):
        before[rows] = h[:n]
        z = xp.matmul(h[:n], wt)
        z += x[rows]
        h[:n] = after[rows] = xp.tanh(z) if nonlinearity == "tanh" else xp.clip(z, 0, None)
    return (xp.copy(after), h), before, after


@rnn.vjp
def _(
    xp: Any, g: Any, x: Any, h: Any, w: Any, before: Any, after: Any,
    nonlinearity: str, sizes: Sizes, reverse: bool, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    if isinstance(g[0], Tensor):
        return differentiated(xp, rnn_step(nonlinearity), g, x, (h,), (w,), sizes, reverse, needs)
    g_out, g_h = g[0], xp.copy(g[1])
    g_x = 1 - after * after if nonlinearity == "tanh" else xp.astype(after > 0, dtype=after.dtype)
    for rows, n in steps(sizes, not reverse):
        g_h[:n] += g_out[rows]
        g_z = g_x[rows]
        g_z *= g_h[:n]
        g_h[:n] = xp.matmul(g_z, w)
    return g_x, g_h, weight_gradient(xp, g_x, before)


# ---- LSTM


@primitive(outputs=True, residuals=("kept",))
def lstm(xp: Any, x: Any, h: Any, c: Any, w: Any, *, sizes: Sizes, reverse: bool = False) -> Any:
    """i, f, g, o = σ, σ, tanh, σ (x + h Wᵀ); c ← f c + i g; h ← o tanh c: x (rows, 4H), h and c (B, H), w (4H, H).

    Gives all h (rows, H), the last h and the last c (B, H).
    """
    same_dtype("lstm", x, h, c, w)
    return lstm_forward(xp, x, h, c, w, None, sizes, reverse)


@primitive(outputs=True, residuals=("kept",))
def lstm_projected(xp: Any, x: Any, h: Any, c: Any, w: Any, w_hr: Any, *, sizes: Sizes, reverse: bool = False) -> Any:
    """LSTM with h ← (o tanh c) W_hrᵀ (Sak et al. 2014): h (B, P), w (4H, P), w_hr (P, H); all h are (rows, P)."""
    same_dtype("lstm", x, h, c, w, w_hr)
    return lstm_forward(xp, x, h, c, w, w_hr, sizes, reverse)


def lstm_forward(xp: Any, x: Any, h: Any, c: Any, w: Any, w_hr: Any, sizes: Sizes, reverse: bool) -> Any:
    """The results, and what the gradient needs: the gates, tanh c, and the states before every step.

    As σ(z) = ½ + ½ tanh(z/2), all four gates are halves · tanh(halves · z) + 1 − halves, with 1 in place of ½ for the
    candidate: whole rows at once, which costs half of what one block of columns after the other does.
    """
    h, c, wt = xp.copy(h), xp.copy(c), transposed(xp, w)
    width = c.shape[1]
    halves = xp.new_zeros(w, shape=(4 * width,)) + 0.5
    halves[2 * width : 3 * width] = 1
    rest = 1 - halves
    out, h_before = like(xp, x, h.shape[1]), like(xp, x, h.shape[1])
    gates, tanh_c, c_before = like(xp, x, 4 * width), like(xp, x, width), like(xp, x, width)
    for rows, n in steps(sizes, reverse):
        h_before[rows] = h[:n]
        c_before[rows] = c[:n]
        z = xp.matmul(h[:n], wt)
        z += x[rows]
        z *= halves
        z = xp.tanh(z)
        z *= halves
        z += rest
        gates[rows] = z
        i, f, g, o = columns(z, 4)
        c[:n] *= f
        c[:n] += i * g
        r = tanh_c[rows] = xp.tanh(c[:n])
        r *= o
        h[:n] = out[rows] = r if w_hr is None else xp.matmul(r, mT(xp, w_hr))
    return (out, h, c), (gates, tanh_c, h_before, c_before)


@lstm.vjp
def _(
    xp: Any, g: Any, x: Any, h: Any, c: Any, w: Any, kept: Any, sizes: Sizes, reverse: bool, needs: tuple[bool, ...]
) -> Any:
    if isinstance(g[0], Tensor):
        return differentiated(xp, lstm_step, g, x, (h, c), (w,), sizes, reverse, needs)
    return lstm_backward(xp, g, w, None, kept, sizes, reverse)[:4]


@lstm_projected.vjp
def _(
    xp: Any, g: Any, x: Any, h: Any, c: Any, w: Any, w_hr: Any, kept: Any,
    sizes: Sizes, reverse: bool, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    if isinstance(g[0], Tensor):
        return differentiated(xp, lstm_step, g, x, (h, c), (w, w_hr), sizes, reverse, needs)
    return lstm_backward(xp, g, w, w_hr, kept, sizes, reverse)


def lstm_backward(xp: Any, g: Any, w: Any, w_hr: Any, kept: Any, sizes: Sizes, reverse: bool) -> Any:
    """Cotangents of x, h, c, w and w_hr.

    Every gate's cotangent is that of the cell (for the output gate: of o tanh c) times a slope that no later step
    changes: the slopes are computed for all steps at once.
    """
    gates, tanh_c, h_before, c_before = kept
    width = tanh_c.shape[1]
    g_out, g_h, g_c = g[0], xp.copy(g[1]), xp.copy(g[2])
    i, f, cell, o = columns(gates, 4)
    g_x = gates * (1 - gates)
    for slope, factor in zip(columns(g_x, 4), (cell, c_before, None, tanh_c), strict=True):
        slope[...] = i * (1 - cell * cell) if factor is None else slope * factor
    through_tanh = o * (1 - tanh_c * tanh_c)
    arriving = xp.new_zeros(g_x, shape=(len(g_c), 4, width))
    g_rs: Any = None if w_hr is None else like(xp, gates, h_before.shape[1])
    for rows, n in steps(sizes, not reverse):
        g_r = g_h[:n]
        g_r += g_out[rows]
        if w_hr is not None:
            g_rs[rows] = g_r
            g_r = xp.matmul(g_r, w_hr)
        g_c[:n] += g_r * through_tanh[rows]
        arriving[:n, :3] = g_c[:n, None]
        arriving[:n, 3] = g_r
        g_z = g_x[rows]
        g_z *= arriving[:n].reshape(n, 4 * width)
        g_c[:n] *= f[rows]
        g_h[:n] = xp.matmul(g_z, w)
    g_w = weight_gradient(xp, g_x, h_before)
    return g_x, g_h, g_c, g_w, None if w_hr is None else weight_gradient(xp, g_rs, o * tanh_c)


# ---- GRU


@primitive(outputs=True, residuals=("kept",))
def gru(xp: Any, x: Any, h: Any, w: Any, b: Any, *, sizes: Sizes, reverse: bool = False) -> Any:
    """With (p, q, s) = h Wᵀ: r = σ(x₁ + p); z = σ(x₂ + q); n = tanh(x₃ + r (s + b)); h ← n + z (h − n).

    x (rows, 3H), h (B, H), w (3H, H), b (H,). Gives all h (rows, H) and the last (B, H).
    """
    same_dtype("gru", x, h, w, b)
    h, wt = xp.copy(h), transposed(xp, w)
    width = h.shape[1]
    out, before, inner = like(xp, x, width), like(xp, x, width), like(xp, x, width)
    gates = like(xp, x, 3 * width)
    for rows, n in steps(sizes, reverse):
        before[rows] = h[:n]
        s = xp.matmul(h[:n], wt)
        s[:, : 2 * width] += x[rows, : 2 * width]
        gates[rows, : 2 * width] = xp.sigmoid(s[:, : 2 * width])
        r, z, candidate = columns(gates[rows], 3)
        s = s[:, 2 * width :]
        s += b
        inner[rows] = s
        s *= r
        s += x[rows, 2 * width :]
        candidate[...] = xp.tanh(s)
        h[:n] -= candidate
        h[:n] *= z
        h[:n] += candidate
        out[rows] = h[:n]
    return (out, h), (gates, inner, before)


@gru.vjp
def _(
    xp: Any, g: Any, x: Any, h: Any, w: Any, b: Any, kept: Any,
    sizes: Sizes, reverse: bool, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    if isinstance(g[0], Tensor):
        return differentiated(xp, gru_step, g, x, (h,), (w, b), sizes, reverse, needs)
    gates, inner, before = kept
    width = before.shape[1]
    g_out, g_h = g[0], xp.copy(g[1])
    g_x, g_s = like(xp, gates, 3 * width), like(xp, gates, 3 * width)  # s = h Wᵀ + b differs from x in its last third
    for rows, n in steps(sizes, not reverse):
        r, z, candidate = columns(gates[rows], 3)
        g_r, g_z, g_candidate = columns(g_x[rows], 3)
        g_hn = g_h[:n]
        g_hn += g_out[rows]
        kept_part = g_hn * z
        g_hn -= kept_part
        g_candidate[...] = g_hn * (1 - candidate * candidate)
        g_z[...] = g_hn * (before[rows] - candidate)
        g_z *= z
        g_inner = g_candidate * r
        g_r[...] = g_inner * inner[rows]
        g_r *= 1 - r
        g_s[rows, : 2 * width] = g_x[rows, : 2 * width]
        g_s[rows, 2 * width :] = g_inner
        g_h[:n] = xp.matmul(g_s[rows], w)
        g_hn += kept_part
    return g_x, g_h, weight_gradient(xp, g_s, before), xp.sum(g_s[:, 2 * width :], axis=0)


# ---- the same, made of single operations


def differentiated(
    xp: Any, step: Step, g: Sequence[Tensor], x: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor],
    sizes: Sizes, reverse: bool, needs: Sequence[bool],
) -> list[Tensor | None]:  # fmt: skip
    """Cotangents that can be differentiated: the graph of single operations is built anew, and replayed."""
    inputs = [xp.copy(t) for t in (x, *state, *weights)]  # places of their own, where one Tensor stands for several
    between = 1 + len(state)
    outs = unrolled(xp, step, inputs[0], inputs[1:between], inputs[between:], sizes, reverse)
    pairs = [(out, cotangent) for out, cotangent in zip(outs, g, strict=True) if out._node is not None]
    wanted = [t for t, needed in zip(inputs, needs, strict=True) if needed]
    found = iter(grad([o for o, _ in pairs], wanted, [c for _, c in pairs], create_graph=True, allow_unused=True))
    return [next(found) if needed else None for needed in needs]


def unrolled(
    xp: Any, step: Step, x: Any, state: Sequence[Any], weights: Sequence[Any], sizes: Sizes, reverse: bool
) -> tuple[Any, ...]:
    """All h, and the last of every state: the step, over and over."""
    outs = []
    for rows, n in steps(sizes, reverse):
        new = step(xp, xp.getitem(x, rows), *[xp.getitem(s, slice(0, n)) for s in state], *weights)
        outs.append(new[0])
        state = [xp.concat(a, xp.getitem(s, slice(n, None)), axis=0) for a, s in zip(new, state, strict=True)]
    return xp.concat(*(outs[::-1] if reverse else outs), axis=0), *state


def rnn_step(nonlinearity: str) -> Step:
    """The step of an RNN."""

    def step(xp: Any, x: Any, h: Any, w: Any) -> tuple[Any, ...]:
        z = x + xp.matmul(h, mT(xp, w))
        return (xp.tanh(z) if nonlinearity == "tanh" else xp.relu(z),)

    return step


def lstm_step(xp: Any, x: Any, h: Any, c: Any, w: Any, w_hr: Any = None) -> tuple[Any, ...]:
    """The step of an LSTM."""
    i, f, g, o = columns(x + xp.matmul(h, mT(xp, w)), 4)
    c = xp.sigmoid(f) * c + xp.sigmoid(i) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return (h if w_hr is None else xp.matmul(h, mT(xp, w_hr))), c


def gru_step(xp: Any, x: Any, h: Any, w: Any, b: Any) -> tuple[Any, ...]:
    """The step of a GRU."""
    (x_r, x_z, x_n), (s_r, s_z, s_n) = columns(x, 3), columns(xp.matmul(h, mT(xp, w)), 3)
    r, z = xp.sigmoid(x_r + s_r), xp.sigmoid(x_z + s_z)
    n = xp.tanh(x_n + r * (s_n + b))
    return (n + z * (h - n),)
