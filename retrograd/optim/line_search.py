"""A step length that satisfies the strong Wolfe conditions (Nocedal & Wright 2006, algorithms 3.5 and 3.6).

The new length inside a bracket comes from cubic interpolation (equation 3.59), kept off the bracket's ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Trial", "strong_wolfe"]

DECREASE, CURVATURE = 1e-4, 0.9
"""c₁ and c₂ of the conditions."""
NARROW = 1e-9
"""A bracket in which no parameter changes by more than this is not searched any further."""


@dataclass(frozen=True)
class Trial:
    """What is known at a step length: the loss, its gradient, and its slope along the direction."""

    length: float
    loss: float
    gradient: Any
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Trial],
    start: Trial,
    length: float,
    longest: float,
    max_evaluations: int,
) -> tuple[Trial, int]:
    """The trial that was settled on, and how many were made.

    `start` is the trial of length 0, `length` the first to try, `longest` the direction's largest component.
    """
    search = Search(evaluate, start, max_evaluations)
    bracket, done = search.bracket(length)
    low, high = (0, 1) if bracket[0].loss <= bracket[-1].loss else (1, 0)
    short_of_progress = False
    while not done and search.count < max_evaluations:
        ends = bracket[0].length, bracket[1].length
        if abs(ends[1] - ends[0]) * longest < NARROW:
            break
        length, short_of_progress = kept_off(cubic_minimum(bracket[0], bracket[1]), ends, short_of_progress)
        trial = search.tried(length)
        if search.too_high(trial) or trial.loss >= bracket[low].loss:
            bracket[high] = trial
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
            continue
        if search.flat(trial):
            done = True
        elif trial.slope * (bracket[high].length - bracket[low].length) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = trial
    return bracket[low], search.count + 1


class Search:
    """The trials of one line search; `count` of them came after the first."""

    def __init__(self, evaluate: Callable[[float], Trial], start: Trial, most: int) -> None:
        self.evaluate, self.start, self.most, self.count = evaluate, start, most, 0

    def tried(self, length: float) -> Trial:
        self.count += 1
        return self.evaluate(length)

    def too_high(self, trial: Trial) -> bool:
        """Whether the decrease is not sufficient (equation 3.7a)."""
        return trial.loss > self.start.loss + DECREASE * trial.length * self.start.slope

    def flat(self, trial: Trial) -> bool:
        """Whether the slope has become small enough (equation 3.7b)."""
        return abs(trial.slope) <= -CURVATURE * self.start.slope

    def bracket(self, length: float) -> tuple[list[Trial], bool]:
        """Two trials between which a good length lies; or a good one, alone, and True."""
        before, trial = self.start, self.evaluate(length)
        while self.count < self.most:
            if self.too_high(trial) or (self.count > 1 and trial.loss >= before.loss):
                return [before, trial], False
            if self.flat(trial):
                return [trial], True
            if trial.slope >= 0:
                return [before, trial], False
            limits = trial.length + 0.01 * (trial.length - before.length), trial.length * 10
            before, trial = trial, self.tried(cubic_minimum(before, trial, limits))
        return [self.start, trial], False


def kept_off(length: float, ends: tuple[float, float], short_of_progress: bool) -> tuple[float, bool]:
    """A length that makes progress: the second time in a row, or outside, that it is near an end, it is moved off."""
    lower, upper = min(ends), max(ends)
    margin = 0.1 * (upper - lower)
    if min(upper - length, length - lower) >= margin:
        return length, False
    if not (short_of_progress or length >= upper or length <= lower):
        return length, True
    nearer_to_upper = abs(length - upper) < abs(length - lower)
    return (upper - margin if nearer_to_upper else lower + margin), False


def cubic_minimum(a: Trial, b: Trial, limits: tuple[float, float] | None = None) -> float:
    """Where the cubic through two losses and slopes is least, within limits: the two lengths if none are given."""
    if a.length > b.length:
        a, b = b, a
    lowest, highest = limits or (a.length, b.length)
    if a.length == b.length:
        return lowest
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.length - b.length)
    square = d1 * d1 - a.slope * b.slope
    d2: float = square**0.5 if square >= 0 else float("nan")
    width = b.slope - a.slope + 2 * d2
    if not abs(width) > 0:  # there is no minimum
        return (lowest + highest) / 2.0
    minimum = b.length - (b.length - a.length) * ((b.slope + d2 - d1) / width)
    return min(max(minimum, lowest), highest)
