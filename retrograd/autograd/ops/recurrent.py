"""Recurrent networks: one layer in one direction, over all steps, as one node; backpropagation through time in closed
form.

x is in packed order: the rows of the first step, then those of the second, and so on. `sizes` says how many rows each
step has; they never grow, so a step has the sequences that are not over yet, and shorter sequences stand further back
in the batch. The states have a row per sequence: those behind `sizes[t]` keep their value at step t, whichever the
direction, because they have ended or not yet begun.

Gates and their order are PyTorch's: input, forget, candidate, output for LSTM (Hochreiter & Schmidhuber 1997, with the
forget gate of Gers et al. 2000), reset, update, candidate for GRU (Cho et al. 2014; the reset gate acts after the
product). Inside, a step's gates are a stack (gates, n, H), the candidate last: each gate, and all that are sigmoids,
lie in one piece, and their products are small enough for BLAS to multiply without rearranging the weights at every
step. What the input contributes, and the gradients of the weights, are products of several steps, which stay in the
cache until then.

`unrolled` and the three steps below it are the same mathematics made of single operations: where the gradient is itself
to be differentiated, that is what is differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from retrograd.autograd.graph import grad
from retrograd.autograd.ops.linalg import mT, same_dtype
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor
from retrograd.backends.kernels import fusable

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
    """All steps, in parts whose gates, rows of so many columns, stay in the cache."""
    most = max(1, xp.scratch_bytes // (8 * columns * x.dtype.itemsize))
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
    gates is halved: see `to_sigmoid`."""
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


def stacked(xp: Any, z: Any) -> Any:
    """(n, gates, H) as a view (gates, n, H), or the other way round."""
    return xp.permute_dims(z, axes=(1, 0, 2))


def to_sigmoid(y: Any) -> None:
    """σ(2z) in place of tanh z, which is faster than exp and a quotient: σ(2z) = ½ + ½ tanh z."""
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


def after_step(xp: Any, state: Any, new: Any) -> Any:
    """The state of all sequences, those that had a step first."""
    return new if len(new) == len(state) else xp.concat([new, state[len(new) :]], axis=0)


def states_before(xp: Any, kept_steps: Sequence[tuple[Any, ...]]) -> Any:
    """h before every row of a part: of each step what is kept at the fourth place."""
    return xp.concat([step[3] for step in sorted(kept_steps, key=first_row)], axis=0)


def first_row(kept_step: tuple[Any, ...]) -> int:
    start: int = kept_step[0].start
    return start


def total(g: Any) -> Any:
    """The sum over the first axis, in place of the first."""
    first, *others = g
    for other in others:
        first += other
    return first


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
    """The results, and what the gradient needs of every step: gates, tanh c, and h and c before it."""
    h, c = xp.copy(h), xp.copy(c)  # which are kept, as what is before the first step
    w_x, w, b = forward_weights(xp, 4, w_ih, w_hh, b)
    out = xp.empty((len(x), h.shape[1]), dtype=x.dtype)
    kept = []
    for part in parts(xp, x, len(w_ih), sizes, reverse):
        z_part, out_part, kept_steps = contributions(xp, x[part.rows], w_x, b, 4), out[part.rows], []
        for rows, n in part.steps:
            h_before, c_before = h[:n], c[:n]
            z = xp.matmul(h_before, w)
            new_c, r, new_h = lstm_cell(xp, z, z_part[rows], c_before)
            if w_hr is not None:
                new_h = xp.matmul(new_h, mT(xp, w_hr))
            out_part[rows] = new_h
            kept_steps.append((rows, z, r, h_before, c_before))
            h, c = after_step(xp, h, new_h), after_step(xp, c, new_c)
        kept.append((part.rows, kept_steps))
    return (out, h, c), kept


@fusable
def lstm_cell(xp: Any, z: Any, z_x: Any, c: Any) -> tuple[Any, Any, Any]:
    """The new c, its tanh r, and o r, from c before (n, H); z (4, n, H), what h contributes to the gates, to which
    z_x (n, 4, H) is added, becomes their values."""
    z += stacked(xp, z_x)
    xp.tanh(z, out=z)
    to_sigmoid(z[:3])
    i, f, o, g = z
    new_c = f * c
    new_c += i * g
    r = xp.tanh(new_c)
    return new_c, r, o * r


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
    g_out, g_h, g_c = g[0], xp.copy(g[1]), xp.copy(g[2])
    batch, width = g_c.shape
    w = gate_by_gate(xp, w_hh, 4)
    of_step = xp.empty((4 * batch * width,), dtype=x.dtype)
    sums = InputGradients(xp, 4, x, w_ih, w_hh, needed)
    g_w_hr = None if w_hr is None else xp.new_zeros(w_hr, shape=w_hr.shape)
    for part, kept_steps in reversed(kept):
        g_part = g_out[part]
        g_gates = xp.empty((len(g_part), 4, width), dtype=x.dtype)
        for rows, z, r, _, c_before in reversed(kept_steps):
            n = len(r)
            g_r, g_z = g_h[:n], xp.reshape(of_step[: z.size], z.shape)
            g_r += g_part[rows]
            if g_w_hr is not None:
                g_w_hr += xp.matmul(mT(xp, g_r), z[2] * r)
                g_r = xp.matmul(g_r, w_hr)
            lstm_cell_gradients(xp, z, r, c_before, g_r, g_c[:n], g_z, g_gates[rows])
            g_h[:n] = total(xp.matmul(g_z, w))
        sums.add(part, x[part], states_before(xp, kept_steps), g_gates)
    g_x, *g_weights = sums.all()
    return g_x, g_h, g_c, *g_weights, g_w_hr


@fusable
def lstm_cell_gradients(
    xp: Any, z: Any, r: Any, c: Any, g_r: Any, g_c: Any, g_z: Any, g_z_x: Any
) -> None:  # fmt: skip
    """Writes the cotangents of z and of z_x from that of o r, and turns g_c, that of the new c, into that of c."""
    i, f, o, cell = z
    slope = xp.empty(r.shape, dtype=r.dtype)
    slope_of_tanh(xp, r, slope)
    slope *= o
    slope *= g_r
    g_c += slope
    slope_of_sigmoid(xp, z[:3], g_z[:3])
    slope_of_tanh(xp, cell, g_z[3])
    for gate, value, arriving in zip(g_z, (cell, c, r, i), (g_c, g_c, g_r, g_c), strict=True):
        gate *= value
        gate *= arriving
    g_c *= f
    g_z_x[...] = stacked(xp, g_z)


# ---- GRU


@primitive(outputs=True, residuals=("kept",))
def gru(xp: Any, x: Any, h: Any, w_ih: Any, w_hh: Any, b: Any, b_n: Any, *, sizes: Sizes, reverse: bool = False) -> Any:
    """With (x₁, x₂, x₃) = x W_ihᵀ + b and (p, q, s) = h W_hhᵀ:

    r = σ(x₁ + p); z = σ(x₂ + q); n = tanh(x₃ + r (s + b_n)); h ← n + z (h − n).

    x (rows, inputs), h (B, H), w_ih (3H, inputs), w_hh (3H, H), b (3H,), b_n (H,). Gives all h (rows, H) and the last
    (B, H).
    """
    same_dtype("gru", x, h, w_ih, w_hh, b, b_n)
    h = xp.copy(h)  # which is kept, as what is before the first step
    w_x, w, b = forward_weights(xp, 3, w_ih, w_hh, b)
    out = xp.empty((len(x), h.shape[1]), dtype=x.dtype)
    kept = []
    for part in parts(xp, x, len(w_ih), sizes, reverse):
        y_part, out_part, kept_steps = contributions(xp, x[part.rows], w_x, b, 3), out[part.rows], []
        for rows, n in part.steps:
            before = h[:n]
            y = xp.matmul(before, w)
            s, new = gru_cell(xp, y, y_part[rows], b_n, before)
            out_part[rows] = new
            kept_steps.append((rows, y, s, before))
            h = after_step(xp, h, new)
        kept.append((part.rows, kept_steps))
    return (out, h), kept


@fusable
def gru_cell(xp: Any, y: Any, y_x: Any, b_n: Any, h: Any) -> tuple[Any, Any]:
    """The candidate's s + b_n, and the new h, from h before (n, H); y (3, n, H), what h contributes to the gates, to
    which y_x (n, 3, H) is added, becomes their values."""
    y_x = stacked(xp, y_x)
    r_and_z, s = y[:2], y[2] + b_n
    r_and_z += y_x[:2]
    xp.tanh(r_and_z, out=r_and_z)
    to_sigmoid(r_and_z)
    r, z, candidate = y
    xp.multiply(r, s, out=candidate)
    candidate += y_x[2]
    xp.tanh(candidate, out=candidate)
    new = h - candidate
    new *= z
    new += candidate
    return s, new


@gru.vjp
def _(
    xp: Any, g: Any, x: Any, h: Any, w_ih: Any, w_hh: Any, b: Any, b_n: Any, kept: Any,
    sizes: Sizes, reverse: bool, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    if isinstance(g[0], Tensor):
        return differentiated(xp, gru_step, g, x, (h,), (w_ih, w_hh, b, b_n), sizes, reverse, needs)
    g_out, g_h = g[0], xp.copy(g[1])
    batch, width = g_h.shape
    w = gate_by_gate(xp, w_hh, 3)
    of_step = xp.empty((3 * batch * width,), dtype=x.dtype)
    sums, g_b_n = InputGradients(xp, 3, x, w_ih, w_hh, needs[0]), xp.new_zeros(x, shape=(width,))
    for part, kept_steps in reversed(kept):
        g_part = g_out[part]
        g_gates, g_products = (xp.empty((len(g_part), 3, width), dtype=x.dtype) for _ in range(2))
        for rows, y, s, before in reversed(kept_steps):
            n = len(s)
            g_hn, g_y = g_h[:n], xp.reshape(of_step[: y.size], y.shape)
            g_hn += g_part[rows]
            gru_cell_gradients(xp, y, s, before, g_hn, g_y, g_products[rows], g_gates[rows])
            g_hn += total(xp.matmul(g_y, w))
        sums.add(part, x[part], states_before(xp, kept_steps), g_gates, g_products)
        g_b_n += xp.sum(g_products[:, 2], axis=0)
    g_x, *g_weights = sums.all()
    return g_x, g_h, *g_weights, g_b_n


@fusable
def gru_cell_gradients(
    xp: Any, y: Any, s: Any, h: Any, g_h: Any, g_y: Any, g_products: Any, g_y_x: Any
) -> None:  # fmt: skip
    """Writes the cotangents of y, of the same gate by gate, and of y_x; g_h, that of the new h, becomes what of it goes
    past the candidate."""
    r, z, candidate = y
    slope_of_sigmoid(xp, y[:2], g_y[:2])
    g_candidate = xp.empty(s.shape, dtype=s.dtype)
    slope_of_tanh(xp, candidate, g_candidate)
    difference = h - candidate
    difference *= g_h
    g_y[1] *= difference
    around = g_h * z
    g_h -= around
    g_candidate *= g_h
    g_h[...] = around
    g_y[0] *= s
    g_y[0] *= g_candidate
    xp.multiply(g_candidate, r, out=g_y[2])
    g_products[...] = stacked(xp, g_y)
    g_y_x[:, :2] = stacked(xp, g_y[:2])
    g_y_x[:, 2] = g_candidate


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
