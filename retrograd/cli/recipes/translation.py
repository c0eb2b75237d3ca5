"""Translation of a toy language: numbers in English words into digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import retrograd as rg
from retrograd import Tensor, nn, optim
from retrograd.cli.recipes.recipe import Measure, Plan, Recipe, Sets
from retrograd.data import TensorDataset
from retrograd.nn import functional as F

__all__ = ["Translation", "in_words"]

PADDING, START, END = "", "<", ">"
UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SOURCE = (PADDING, *UNITS, *TENS, "hundred", "thousand")
TARGET = (PADDING, START, END, *"0123456789")
NUMBERS, TEST = 10_000, 1000
"""Numbers from 0 on, of which this many are held out."""


class Translation(Recipe):
    """AdamW on the cross-entropy of the next digit; the measure is the share of numbers that come out right in full."""

    DATA = "numbers"
    PLAN = Plan(epochs=5, batch_size=64, lr=1e-3)
    MEASURE = Measure("test_exactly_right", ".1%")
    model: Any

    @classmethod
    def load(cls, name: str) -> Sets:
        if name != cls.DATA:
            raise ValueError(f"--data {name!r}: the translation is of {cls.DATA!r} alone, which needs no files")
        order = np.random.default_rng(0).permutation(NUMBERS).tolist()
        return Sets(pairs(order[TEST:]), pairs(order[:TEST]))

    def build(self) -> nn.Module:
        return self.program.network(len(SOURCE), len(TARGET))

    def optimize(self) -> optim.Optimizer:
        return optim.AdamW(self.model.parameters(), lr=self.plan.lr)

    def loss(self, batch: Any) -> Tensor:
        source, target = batch
        logits = self.model(source, target[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=TARGET.index(PADDING))

    def translated(self, source: Tensor) -> list[str]:
        """The digits of each number."""
        found = self.model.translate(source, TARGET.index(START), TARGET.index(END), 6).tolist()
        return ["".join(TARGET[i] for i in row).partition(END)[0] for row in found]

    def measure(self) -> dict[str, float]:
        source, target = self.sets.test.tensors
        wanted = ["".join(TARGET[i] for i in row[1:]).partition(END)[0] for row in target.tolist()]
        right = [a == b for a, b in zip(self.translated(source), wanted)]
        return {"test_exactly_right": sum(right) / len(right), "test_loss": self.loss((source, target)).item()}

    def texts(self) -> dict[str, str]:
        source = self.sets.test.tensors[0][:20]
        words = [" ".join(SOURCE[i] for i in row if i) for row in source.tolist()]
        lines = (f"{sentence} = {digits}\n" for sentence, digits in zip(words, self.translated(source)))
        return {"translations.txt": "".join(lines)}


def in_words(number: int) -> list[str]:
    """An English number below 100,000.

    >>> " ".join(in_words(4017))
    'four thousand seventeen'
    """
    if number >= 1000:
        return [*in_words(number // 1000), "thousand", *(in_words(number % 1000) if number % 1000 else ())]
    if number >= 100:
        return [UNITS[number // 100], "hundred", *(in_words(number % 100) if number % 100 else ())]
    if number >= 20:
        return [TENS[number // 10 - 2], *([UNITS[number % 10]] if number % 10 else [])]
    return [UNITS[number]]


def pairs(numbers: Sequence[int]) -> TensorDataset:
    """Numbers as words (N, S) and as digits between start and end (N, T), both padded."""
    source = [[SOURCE.index(word) for word in in_words(n)] for n in numbers]
    target = [[TARGET.index(c) for c in (START, *str(n), END)] for n in numbers]
    return TensorDataset(padded(source), padded(target))


def padded(rows: list[list[int]]) -> Tensor:
    """Rows of one length, filled up with 0."""
    longest = max(map(len, rows))
    return rg.tensor([row + [0] * (longest - len(row)) for row in rows])
