"""Loss of a sequence of labels whose places in time are not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.ops.ctc import NEVER
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.nn.functional.losses.reduction import check_reduction, reduced

__all__ = ["ctc_loss"]

Lengths = Tensor | Sequence[int] | int


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Lengths,
    target_lengths: Lengths,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """−log of the probability of label sequences under frame-wise log-probabilities (Graves et al. 2006).

    log_probs: (frames, batch, classes) or (frames, classes), float32 or float64. targets: integers (batch, labels),
    padded with anything, or the sequences one after the other, (sum of target_lengths,). Lengths: (batch,) integers.
    `blank` is the class of no label. The mean is that of the losses divided by their target lengths. A target that does
    not fit into its frames has an infinite loss, 0 with `zero_infinity`.
    Raises RuntimeError for shapes and lengths that do not fit, IndexError for a label that is no class.
    """
    check_reduction(reduction)
    if log_probs.ndim not in (2, 3):
        raise RuntimeError(f"ctc_loss: expected log_probs (frames, batch, classes), got {log_probs.shape}.")
    if log_probs.dtype not in (np.float32, np.float64):
        raise NotImplementedError(f"ctc_loss: log_probs must be float32 or float64, got {log_probs.dtype}.")
    single = log_probs.ndim == 2
    scores = ops.expand_dims(log_probs, axis=1) if single else log_probs
    frames, batch, classes = scores.shape
    if not batch or not classes:
        raise RuntimeError(f"ctc_loss: log_probs {log_probs.shape} must not be empty.")
    if not 0 <= blank < classes:
        raise RuntimeError(f"ctc_loss: blank must be a class, 0 to {classes - 1}, got {blank}.")
    times = lengths("input_lengths", input_lengths, batch, frames)
    counts = lengths("target_lengths", target_lengths, batch, None)
    labels = padded(targets, counts, blank, single)
    check_labels(labels, classes)
    losses = ops.ctc(emissions(scores, labels, blank), **automaton(scores, labels, times, counts))
    if zero_infinity:
        losses = ops.where(losses == -NEVER, 0.0, losses)
    if reduction == "mean":
        losses = losses / constant(scores, np.maximum(counts, 1), scores.dtype)
    return reduced(losses[0] if single else losses, reduction)


def lengths(name: str, given: Lengths, batch: int, most: int | None) -> Any:
    """Lengths as integers on the host."""
    host = np.atleast_1d(np.asarray(namespace(given).to_host(given._array) if isinstance(given, Tensor) else given))
    if host.dtype.kind not in "iu" and host.size:
        raise RuntimeError(f"ctc_loss: {name} must be integers, got {host.dtype}.")
    if host.shape != (batch,):
        raise RuntimeError(f"ctc_loss: {name} must have the length of the batch, {batch}, got shape {host.shape}.")
    if host.min() < 0 or (most is not None and host.max() > most):
        limit = "at least 0" if most is None else f"between 0 and the number of frames, {most}"
        raise RuntimeError(f"ctc_loss: {name} must be {limit}, got {host.tolist()}.")
    return host.astype(np.int64)


def padded(targets: Tensor, counts: Any, blank: int, single: bool) -> Any:
    """The labels (batch, labels) as an array, blank behind the end of each sequence."""
    longest = int(counts.max())
    xp, given = namespace(targets), targets._array
    if targets.ndim == 1 and not single:
        if targets.shape[0] != counts.sum():
            raise RuntimeError(
                f"ctc_loss: concatenated targets must have {counts.sum()} elements, the sum of target_lengths, "
                f"got shape {targets.shape}."
            )
        at = np.cumsum(counts)[:, None] - counts[:, None] + np.arange(longest)
        at = np.minimum(at, max(len(targets) - 1, 0))
        rows = given[constant(targets, at)._array] if len(targets) else xp.new_zeros(given, shape=at.shape)
    elif targets.ndim == 2 - single and (single or len(targets) == len(counts)) and targets.shape[-1] >= longest:
        rows = xp.reshape(given, (len(counts), targets.shape[-1]))[:, :longest]
    else:
        raise RuntimeError(
            f"ctc_loss: expected targets ({len(counts)}, {longest} or more) or ({counts.sum()},), got {targets.shape}."
        )
    there = constant(targets, np.arange(longest) < counts[:, None])._array
    return xp.where(there, xp.astype(rows, "int64"), blank)


def check_labels(labels: Any, classes: int) -> None:
    """IndexError for a label that is no class."""
    xp = namespace(make(labels))
    if bool(xp.any((labels < 0) | (labels >= classes))):
        raise IndexError(f"ctc_loss: a target is out of bounds: there are {classes} classes, 0 to {classes - 1}.")


def emissions(scores: Tensor, labels: Any, blank: int) -> Tensor:
    """Scores (frames, batch, states) of the states: the labels, with blanks before, between and after them."""
    xp = namespace(scores)
    batch, longest = labels.shape
    states = xp.new_zeros(labels, shape=(batch, 2 * longest + 1)) + blank
    xp.setitem(states, (slice(None), slice(1, None, 2)), labels)
    index = xp.broadcast_to(states, (scores.shape[0], *states.shape))
    return ops.take_along_axis(scores, make(index), axis=2)


def automaton(scores: Tensor, labels: Any, times: Any, counts: Any) -> dict[str, Any]:
    """The moves between states, as `ops.ctc` takes them: a blank may be left out between labels that differ."""
    xp = namespace(scores)
    batch, longest = labels.shape
    number = np.arange(2 * longest + 1)

    def allowed(where: Any) -> Any:
        return xp.where(where, xp.astype(where, scores.dtype) * 0, NEVER)

    def on_device(mask: Any) -> Any:
        return constant(scores, mask)._array

    differ = on_device(np.zeros((batch, number.size), np.bool_))
    xp.setitem(differ, (slice(None), slice(3, None, 2)), labels[:, 1:] != labels[:, :-1])
    last = 2 * counts[:, None]
    return {
        "alive": on_device((np.arange(scores.shape[0])[:, None] < times)[:, :, None]),
        "start": allowed(on_device(number == 0)),
        "entry": allowed(on_device(number > 0)),
        "skip": allowed(differ),
        "ends": allowed(on_device((number == last) | ((number == last - 1) & (last > 0)))),
    }


def constant(like: Tensor, host: Any, dtype: Any = None) -> Tensor:
    """Host values on the device of a Tensor."""
    with like.device:
        return make(namespace(like).from_host(np.ascontiguousarray(host, dtype=dtype)))
