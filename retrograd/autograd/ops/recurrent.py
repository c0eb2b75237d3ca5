"""Recurrent networks: one layer in one direction, over all steps, as one node; backpropagation through time in closed
form.

x is in packed order: the rows of the first step, then those of the second, and so on. `sizes` says how many rows each
step has; they never grow, so a step has the sequences that are not over yet, and shorter sequences stand further back
in the batch. The states have a row per sequence: those behind `sizes[t]` keep their value at step t, whichever the
direction, because they have ended or not yet begun.

Gates and their order are PyTorch's: input, forget, candidate, output for LSTM (Hochreiter & Schmidhuber 1997, with the
forget gate of Gers et al. 2000), reset, update, candidate for GRU (Cho et al. 2014; the reset gate acts after the
product). What the input contributes, and the gradients of the weights, are products of several steps, which stay in the
cache until then; the steps themselves are in `recurrent_kernels.py`.

`unrolled` and the three steps below it are the same mathematics made of single operations: where the gradient is itself
to be differentiated, that is what is differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from retrograd.autograd.graph import grad
from retrograd.autograd.ops.linalg import mT, same_dtype
from retrograd.autograd.ops.recurrent_kernels import (
    GRUMemory,
    LSTMMemory,
    gru_gradients,
    gru_steps,
    lstm_gradients,
    lstm_steps,
)
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor
from retrograd.backends.threads import get_num_threads

Sizes = tuple[int, ...]
Step = Callable[..., tuple[Any, ...]]
"""One step of single operations: xp, what its rows of x contribute to every gate, the states and the other weights;
gives the new states, h first."""


def steps(sizes: Sizes, reverse: bool) -> list[tuple[slice, int]]:
    """The rows of every step and their number, in the order of the computation."""
    rows = [(slice(end - n, end), n) for end, n in zip(accumulate(sizes), sizes)]
    return rows[::-1] if reverse else rows


class Part(NamedTuple):
    """Some steps, one after the other: their rows, and for every step which of these are its own, and how many."""

    rows: slice
    steps: list[tuple[slice, int]]


def parts(xp: Any, x: Any, columns: int, sizes: Sizes, reverse: bool) -> list[Part]:
    """All steps, in parts whose gates, rows of so many columns, stay in the caches, of which every thread has one."""
    most = max(1, get_num_threads() * xp.scratch_bytes // (8 * columns * x.dtype.itemsize))
    groups: list[list[tuple[slice, int]]] = [[]]
    count = 0
    for rows, n in steps(sizes, reverse):
        if groups[-1] and count + n > most:
            groups.append([])
            count = 0
        groups[-1].append((rows, n))
        count += n
    return [part_of(group) for group in groups]


def part_of(group: list[tuple[slice, int]]) -> Part:
    start, stop = min(rows.start for rows, _ in group), max(rows.stop for rows, _ in group)
    return Part(slice(start, stop), [(slice(rows.start - start, rows.stop - start), n) for rows, n in group])


def gate_by_gate(xp: Any, w: Any, gates: int) -> Any:
    """A weight or bias (gates · H, ...) as (gates, H, ...), the candidate, LSTM's third, last. Its own inverse."""
    w = w.reshape(gates, len(w) // gates, *w.shape[1:])
    return xp.concat([w[:2], w[3:], w[2:3]], axis=0) if gates == 4 else w


def forward_weights(xp: Any, gates: int, w_ih: Any, w_hh: Any, b: Any) -> tuple[Any, Any, Any]:
    """What is multiplied with and added: (inputs, gates · H), (gates, H, H), (gates · H,). What these give the sigmoid
    gates is halved: see `recurrent_kernels.py`."""
    copies = [xp.copy(gate_by_gate(xp, value, gates)) for value in (w_ih, w_hh, b)]
    for value in copies:
        value[:-1] *= 0.5
    w_ih, w_hh, b = copies
    return mT(xp, w_ih.reshape(b.size, w_ih.shape[2])), xp.ascontiguousarray(mT(xp, w_hh)), b.reshape(-1)


def contributions(xp: Any, x: Any, w: Any, b: Any, gates: int) -> Any:
    """x W + b, as (rows, gates, H)."""
    z = xp.matmul(x, w)
    z += b
    return z.reshape(len(x), gates, z.shape[1] // gates)


class InputGradients:
    """Cotangents of x, W_ih, W_hh and b, summed up part by part."""

    def __init__(self, xp: Any, gates: int, x: Any, w_ih: Any, w_hh: Any, needed: bool) -> None:
        self.xp, self.gates = xp, gates
        self.w = gate_by_gate(xp, w_ih, gates).reshape(w_ih.shape) if needed else None
        self.x = xp.empty(x.shape, dtype=x.dtype) if needed else None
        self.w_ih, self.w_hh = xp.new_zeros(w_ih, shape=w_ih.shape), xp.new_zeros(w_hh, shape=w_hh.shape)
        self.b = xp.new_zeros(w_ih, shape=(len(w_ih),))

    def add(self, rows: slice, x: Any, h: Any, g: Any, g_products: Any = None) -> None:
        """Takes in the rows of a part: their x, the states before, and the cotangents (rows, gates, H) of the gates;
        in GRU those of h W_hhᵀ are others."""
        xp = self.xp
        g = g.reshape(len(g), len(self.b))
        if self.x is not None:
            self.x[rows] = xp.matmul(g, self.w)
        self.w_ih += xp.matmul(mT(xp, g), x)
        self.w_hh += xp.matmul(mT(xp, g if g_products is None else g_products.reshape(g.shape)), h)
        self.b += xp.sum(g, axis=0)

    def all(self) -> list[Any]:
        """The four, in the order and the layout of the inputs."""
        weights = (self.w_ih, self.w_hh, self.b)
        return [self.x, *(gate_by_gate(self.xp, g, self.gates).reshape(g.shape) for g in weights)]


# ---- RNN


@primitive(outputs=True, residuals=("kept",))
def rnn(
    xp: Any, x: Any, h: Any, w_ih: Any, w_hh: Any, b: Any, *, nonlinearity: str, sizes: Sizes, reverse: bool = False
) -> Any:
    """h ← tanh(x W_ihᵀ + b + h W_hhᵀ), or relu (Elman 1990).

    x (rows, inputs), h (B, H), w_ih (H, inputs), w_hh (H, H), b (H,). Gives all h (rows, H) and the last (B, H).
    """
    same_dtype("rnn", x, h, w_ih, w_hh, b)
    h, w = xp.copy(h), xp.ascontiguousarray(mT(xp, w_hh))
    after = xp.matmul(x, mT(xp, w_ih))
    after += b
    before = xp.empty(after.shape, dtype=after.dtype)
    for rows, n in steps(sizes, reverse):
        before[rows] = h[:n]
        z = after[rows]
        z += xp.matmul(h[:n], w)
        if nonlinearity == "tanh":
            xp.tanh(z, out=z)
        else:
            xp.maximum(z, 0, out=z)
        h[:n] = z
    return (xp.copy(after), h), (before, after)


@rnn.vjp
def _(
    xp: Any, g: Any, x: Any, h: Any, w_ih: Any, w_hh: Any, b: Any, kept: Any,
    nonlinearity: str, sizes: Sizes, reverse: bool, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    if isinstance(g[0], Tensor):
        return differentiated(xp, rnn_step(nonlinearity), g, x, (h,), (w_ih, w_hh, b), sizes, reverse, needs)
    before, after = kept
    g_out, g_h = g[0], xp.copy(g[1])
    g_z = 1 - after * after if nonlinearity == "tanh" else xp.astype(after > 0, dtype=after.dtype)
    for rows, n in steps(sizes, not reverse):
        g_h[:n] += g_out[rows]
        g_step = g_z[rows]
        g_step *= g_h[:n]
        g_h[:n] = xp.matmul(g_step, w_hh)
    sums = InputGradients(xp, 1, x, w_ih, w_hh, needs[0])
    sums.add(slice(None), x, before, g_z)
    g_x, *g_weights = sums.all()
    return g_x, g_h, *g_weights


# ---- LSTM


@primitive(outputs=True, residuals=("kept",))
def lstm(xp: Any, x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b: Any, *, sizes: Sizes, reverse: bool = False) -> Any:
    """i, f, g, o = σ, σ, tanh, σ (x W_ihᵀ + b + h W_hhᵀ); c ← f c + i g; h ← o tanh c.

    x (rows, inputs), h and c (B, H), w_ih (4H, inputs), w_hh (4H, H), b (4H,). Gives all h (rows, H), the last h and
    the last c (B, H).
    """
    same_dtype("lstm", x, h, c, w_ih, w_hh, b)
    return lstm_forward(xp, x, h, c, w_ih, w_hh, b, None, sizes, reverse)


@primitive(outputs=True, residuals=("kept",))
def lstm_projected(
    xp: Any, x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b: Any, w_hr: Any, *, sizes: Sizes, reverse: bool = False
) -> Any:
    """LSTM with h ← (o tanh c) W_hrᵀ (Sak et al. 2014): h (B, P), w_hh (4H, P), w_hr (P, H); all h are (rows, P)."""
    same_dtype("lstm", x, h, c, w_ih, w_hh, b, w_hr)
    return lstm_forward(xp, x, h, c, w_ih, w_hh, b, w_hr, sizes, reverse)


def lstm_forward(
    xp: Any, x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b: Any, w_hr: Any, sizes: Sizes, reverse: bool
) -> Any:
    """The results, and what the gradient needs of every part."""
    h, c = xp.copy(h), xp.copy(c)
    w_x, w, b = forward_weights(xp, 4, w_ih, w_hh, b)
    out = xp.empty((len(x), h.shape[1]), dtype=x.dtype)
    kept = []
    for part in parts(xp, x, len(w_ih), sizes, reverse):
        z_x = contributions(xp, x[part.rows], w_x, b, 4)
        memory = LSTMMemory.of(xp, len(z_x), h, c)
        lstm_steps(xp, z_x, w, w_hr, h, c, part.steps, out[part.rows], memory)
        kept.append((part, memory))
    return (out, h, c), kept


@lstm.vjp
def _(
    xp: Any, g: Any, x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b: Any, kept: Any,
    sizes: Sizes, reverse: bool, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    if isinstance(g[0], Tensor):
        return differentiated(xp, lstm_step, g, x, (h, c), (w_ih, w_hh, b), sizes, reverse, needs)
    return lstm_backward(xp, g, x, w_ih, w_hh, None, kept, needs[0])[:6]


@lstm_projected.vjp
def _(
    xp: Any, g: Any, x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b: Any, w_hr: Any, kept: Any,
    sizes: Sizes, reverse: bool, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    if isinstance(g[0], Tensor):
        return differentiated(xp, lstm_step, g, x, (h, c), (w_ih, w_hh, b, w_hr), sizes, reverse, needs)
    return lstm_backward(xp, g, x, w_ih, w_hh, w_hr, kept, needs[0])


def lstm_backward(xp: Any, g: Any, x: Any, w_ih: Any, w_hh: Any, w_hr: Any, kept: Any, needed: bool) -> Any:
    """Cotangents of x (if needed), h, c, w_ih, w_hh, b and w_hr."""
    g_out, g_h, g_c = xp.ascontiguousarray(g[0]), xp.copy(g[1]), xp.copy(g[2])
    w = gate_by_gate(xp, w_hh, 4)
    sums = InputGradients(xp, 4, x, w_ih, w_hh, needed)
    g_w_hr = None if w_hr is None else xp.new_zeros(w_hr, shape=w_hr.shape)
    for (rows, steps), memory in reversed(kept):
        g_z_x = lstm_gradients(xp, memory, w, w_hr, g_out[rows], g_h, g_c, steps, g_w_hr)
        sums.add(rows, x[rows], memory.h, g_z_x)
    g_x, *g_weights = sums.all()
    return g_x, g_h, g_c, *g_weights, g_w_hr


# ---- GRU


@primitive(outputs=True, residuals=("kept",))
def gru(xp: Any, x: Any, h: Any, w_ih: Any, w_hh: Any, b: Any, b_n: Any, *, sizes: Sizes, reverse: bool = False) -> Any:
    """With (x₁, x₂, x₃) = x W_ihᵀ + b and (p, q, s) = h W_hhᵀ:

    r = σ(x₁ + p); z = σ(x₂ + q); n = tanh(x₃ + r (s + b_n)); h ← n + z (h − n).

    x (rows, inputs), h (B, H), w_ih (3H, inputs), w_hh (3H, H), b (3H,), b_n (H,). Gives all h (rows, H) and the last
    (B, H).
    """
    same_dtype("gru", x, h, w_ih, w_hh, b, b_n)
    h = xp.copy(h)
    w_x, w, b = forward_weights(xp, 3, w_ih, w_hh, b)
    out = xp.empty((len(x), h.shape[1]), dtype=x.dtype)
    kept = []
    for part in parts(xp, x, len(w_ih), sizes, reverse):
        y_x = contributions(xp, x[part.rows], w_x, b, 3)
        memory = GRUMemory.of(xp, len(y_x), h)
        gru_steps(xp, y_x, w, b_n, h, part.steps, out[part.rows], memory)
        kept.append((part, memory))
    return (out, h), kept


@gru.vjp
def _(
    xp: Any, g: Any, x: Any, h: Any, w_ih: Any, w_hh: Any, b: Any, b_n: Any, kept: Any,
    sizes: Sizes, reverse: bool, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    if isinstance(g[0], Tensor):
        return differentiated(xp, gru_step, g, x, (h,), (w_ih, w_hh, b, b_n), sizes, reverse, needs)
    g_out, g_h = xp.ascontiguousarray(g[0]), xp.copy(g[1])
    w = gate_by_gate(xp, w_hh, 3)
    sums, g_b_n = InputGradients(xp, 3, x, w_ih, w_hh, needs[0]), xp.new_zeros(x, shape=(len(b_n),))
    for (rows, steps), memory in reversed(kept):
        g_y_x, g_products = gru_gradients(xp, memory, w, g_out[rows], g_h, steps)
        sums.add(rows, x[rows], memory.h, g_y_x, g_products)
        g_b_n += xp.sum(g_products[:, 2], axis=0)
    g_x, *g_weights = sums.all()
    return g_x, g_h, *g_weights, g_b_n


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
    w_ih, w_hh, b, *others = weights
    x = xp.matmul(x, mT(xp, w_ih)) + b
    outs = []
    for rows, n in steps(sizes, reverse):
        new = step(xp, xp.getitem(x, rows), *[xp.getitem(s, slice(0, n)) for s in state], w_hh, *others)
        outs.append(new[0])
        state = [xp.concat(a, xp.getitem(s, slice(n, None)), axis=0) for a, s in zip(new, state, strict=True)]
    return xp.concat(*(outs[::-1] if reverse else outs), axis=0), *state


def columns(x: Any, parts: int) -> list[Any]:
    """The gates: equal blocks of columns, views."""
    width = x.shape[1] // parts
    return [x[:, k * width : (k + 1) * width] for k in range(parts)]


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
