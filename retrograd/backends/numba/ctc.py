"""The recursions of connectionist temporal classification, frame by frame (`autograd/ops/ctc.py`).

Scores are (frames, n, states), the shares of the three ways into a state (frames, 3, n, states). Threads share out the
sequences.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.numba.exponential import exp
from retrograd.backends.numba.jit import compiled, suited
from retrograd.backends.threads import share

__all__ = ["ctc_gradient", "ctc_paths"]

Array = Any
GRAIN = 2**13
"""States at all frames that are worth a thread."""


@compiled
def enter(here: Array, entry: Array, skip: Array, shift: Array, sums: Array, shares: Array) -> None:
    """The largest of the three ways into each state, the sum of their exponentials without it, and the shares of this;
    `here` has two states more in front, which are none."""
    stayed, moved, skipped = shares[0], shares[1], shares[2]
    zero, one = shift.dtype.type(0), shift.dtype.type(1)
    for s in range(entry.size):
        a, b, c = here[s + 2], here[s + 1] + entry[s], here[s] + skip[s]
        most = b if b > a else a
        most = c if c > most else most
        most = zero if most == -np.inf else most
        a, b, c = exp(a - most), exp(b - most), exp(c - most)
        total = a + b + c
        safe = one if total == zero else total
        stayed[s], moved[s], skipped[s] = a / safe, b / safe, c / safe
        shift[s], sums[s] = most, total


@compiled
def forward(
    y: Array, alive: Array, start: Array, entry: Array, skip: Array, ends: Array, loss: Array, shares: Array,
    ending: Array, first: int, last: int,
) -> None:  # fmt: skip
    states = y.shape[2]
    here = np.full(states + 2, -np.inf, y.dtype)
    shift, sums, ways = np.empty(states, y.dtype), np.empty(states, y.dtype), np.empty((3, states), y.dtype)
    for n in range(first, last):
        here[2:] = start
        for t in range(len(y)):
            if alive[t, n, 0]:
                enter(here, entry, skip[n], shift, sums, ways)
                scores = y[t, n]
                for s in range(states):
                    here[s + 2] = np.log(sums[s]) + shift[s] + scores[s]
                shares[t, :, n] = ways
        final = here[2:] + ends[n]
        most = np.max(final)
        most = most if most != -np.inf else y.dtype.type(0)
        ending[n] = np.exp(final - most)
        total = np.sum(ending[n])
        loss[n] = -(np.log(total) + most)
        if total != 0:
            ending[n] /= total


@compiled
def backward(g: Array, alive: Array, shares: Array, ending: Array, out: Array, first: int, last: int) -> None:
    for n in range(first, last):
        here, before = -g[n] * ending[n], np.empty_like(ending[n])
        for t in range(len(out) - 1, -1, -1):
            if not alive[t, n, 0]:
                out[t, n] = 0
                continue
            out[t, n] = here
            stayed, moved, skipped = shares[t, 0, n], shares[t, 1, n], shares[t, 2, n]
            for s in range(here.size):
                before[s] = here[s] * stayed[s]
            for s in range(1, here.size):
                before[s - 1] += here[s] * moved[s]
            for s in range(2, here.size):
                before[s - 2] += here[s] * skipped[s]
            here, before = before, here


def ctc_paths(xp: Any, y: Array, alive: Array, start: Array, entry: Array, skip: Array, ends: Array) -> Any:
    if not suited(y, start, entry, skip, ends) or not y.size:
        return NotImplemented
    frames, count, states = y.shape
    shares = np.zeros((frames, 3, count, states), y.dtype)
    loss, ending = np.empty(count, y.dtype), np.empty((count, states), y.dtype)
    share(
        lambda first, last: forward(y, alive, start, entry, skip, ends, loss, shares, ending, first, last),
        count, GRAIN // (frames * states),
    )  # fmt: skip
    return loss, shares, ending


def ctc_gradient(xp: Any, g: Array, alive: Array, shares: Any, ending: Array) -> Any:
    if not suited(shares, ending) or g.dtype != ending.dtype:
        return NotImplemented
    frames, _, count, states = shares.shape
    out = np.empty((frames, count, states), ending.dtype)
    g = np.ascontiguousarray(g)
    share(
        lambda first, last: backward(g, alive, shares, ending, out, first, last), count, 4 * GRAIN // (frames * states)
    )
    return out
