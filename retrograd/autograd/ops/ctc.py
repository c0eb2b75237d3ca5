"""Connectionist temporal classification: how likely a sequence of labels is, whatever the frames it is spread over.

Graves et al. 2006, "Connectionist temporal classification", section 4.1, in logarithms.
"""

from __future__ import annotations

from typing import Any

from retrograd.autograd.graph import grad
from retrograd.autograd.ops.scan import shifted
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor, make
from retrograd.autograd.view import apply
from retrograd.backends.kernels import fusable

NEVER = -float("inf")


@primitive(name="CtcLoss", residuals=("shares", "ending"), heavy=("alive", "start", "entry", "skip", "ends"))
def ctc(xp: Any, y: Any, *, alive: Any, start: Any, entry: Any, skip: Any, ends: Any) -> Any:
    """−log of the probability of all paths through the states of a sequence: scores y (frames, n, states), result (n,).

    A path stays in a state, or goes to the next one, or to the one after that. `start` (states,), `entry` (states,),
    `skip` and `ends` (n, states) are 0 where a path may be before the first frame, arrive from the state before, arrive
    from the one before that, and end; else −∞. `alive` (frames, n, 1) says which frames there are. Where no path fits
    the loss is ∞, and its gradient 0.
    """
    return ctc_paths(xp, y, alive, start, entry, skip, ends)


@ctc.vjp
def _(
    xp: Any, g: Any, y: Any, alive: Any, start: Any, entry: Any, skip: Any, ends: Any, shares: Any, ending: Any
) -> Any:
    """Minus the probability of being in each state at each frame, given the labels (eq. 16), found from the end.

    A state's probability is handed back to the states from which it was reached, by their shares of its sum.
    """
    if isinstance(g, Tensor):  # what is to be differentiated again is the recursion itself
        at = xp.copy(y)
        loss, _, _ = ctc_paths(xp, at, *(make(a) for a in (alive, start, entry, skip, ends)))
        return grad(loss, at, g, create_graph=True)[0]
    return ctc_gradient(xp, g, alive, shares, ending)


@fusable
def ctc_gradient(xp: Any, g: Any, alive: Any, shares: Any, ending: Any) -> Any:
    """The cotangent of the scores: (frames, n, states)."""
    here = -xp.expand_dims(g, axis=1) * ending
    found = []
    for now, (stayed, moved, skipped) in zip(alive[::-1], reversed(shares)):
        found.append(xp.where(now, here, 0.0))
        before = here * stayed + moved_by(here * moved, 1) + moved_by(here * skipped, 2)
        here = xp.where(now, before, here)
    return xp.stack(found[::-1], axis=0)


@fusable
def ctc_paths(xp: Any, y: Any, alive: Any, start: Any, entry: Any, skip: Any, ends: Any) -> tuple[Any, Any, Any]:
    """The losses; for every frame, the shares of the three ways into each state; the shares of the last states."""
    here = xp.broadcast_to(start, shape=y.shape[1:])
    shares = []
    for t in range(y.shape[0]):
        ways = (here, moved_by(here, -1) + entry, moved_by(here, -2) + skip)
        total, parts = log_sum(xp, ways)
        shares.append(parts)
        here = xp.where(alive[t], total + y[t], here)
    last = here + ends
    shift = finite(xp, xp.max(last, axis=1, keepdims=True))
    e = xp.exp(last - shift)
    sums = xp.sum(e, axis=1, keepdims=True)
    return -xp.squeeze(logarithm(xp, sums) + shift, axis=1), shares, e / nonzero(xp, sums)


def log_sum(xp: Any, ways: tuple[Any, Any, Any]) -> tuple[Any, tuple[Any, Any, Any]]:
    """log Σ exp of three, and their shares of the sum; −∞ and zeros where all are −∞."""
    shift = finite(xp, xp.maximum(xp.maximum(ways[0], ways[1]), ways[2]))
    e = [xp.exp(way - shift) for way in ways]
    sums = e[0] + e[1] + e[2]
    safe = nonzero(xp, sums)
    return logarithm(xp, sums) + shift, (e[0] / safe, e[1] / safe, e[2] / safe)


def logarithm(xp: Any, sums: Any) -> Any:
    """log, −∞ at 0 without a warning and with gradient 0."""
    return xp.where(sums == 0, NEVER, xp.log(nonzero(xp, sums)))


def nonzero(xp: Any, sums: Any) -> Any:
    """1 in the place of 0."""
    return xp.where(sums == 0, 1.0, sums)


def finite(xp: Any, shift: Any) -> Any:
    """0 in the place of −∞."""
    return xp.where(shift == NEVER, 0.0, shift)


def moved_by(states: Any, by: int) -> Any:
    """The states moved towards the start (towards the end where negative), zeros following."""
    return apply(shifted.primitive, states, by=by, axis=len(states.shape) - 1)
