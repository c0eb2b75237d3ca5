"""Language models: the next character of a text."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from retrograd import Tensor, data, nn, optim
from retrograd.cli.recipes.recipe import Measure, Plan, Recipe, Sets
from retrograd.data.text import CharacterDataset, split_text
from retrograd.nn import functional as F

__all__ = ["Language", "read_text"]

STEPS = 250
"""Batches of windows, drawn anywhere in the text, that make an epoch."""
WRITTEN = 600
"""Characters of the sample."""


class Language(Recipe):
    """AdamW on the cross-entropy of the next character, in nats; the learning rate falls along a cosine.

    The last tenth of the text is held out.
    """

    DATA = ""
    PLAN = Plan(epochs=12, batch_size=32, lr=3e-3)
    MEASURE = Measure("test_loss", ".3f")
    WINDOW = 64
    sets: Any
    model: Any

    @classmethod
    def load(cls, name: str) -> Sets:
        return Sets(*split_text(read_text(name), cls.WINDOW))

    def build(self) -> nn.Module:
        return self.program.network(len(self.sets.training.vocabulary))

    def optimize(self) -> optim.Optimizer:
        return optim.AdamW(self.model.parameters(), lr=self.plan.lr)

    def scheduled(self) -> Any:
        return optim.lr_scheduler.CosineAnnealingLR(self.optimizer, STEPS * self.plan.epochs)

    def batches(self) -> data.DataLoader[Any]:
        windows: CharacterDataset = self.sets.training
        drawn = data.RandomSampler(windows, replacement=True, num_samples=STEPS * self.plan.batch_size)
        return data.DataLoader(windows, batch_size=self.plan.batch_size, sampler=drawn)

    def loss(self, batch: Any) -> Tensor:
        inputs, targets = batch
        logits = self.model(inputs)
        logits = logits[0] if isinstance(logits, tuple) else logits  # a recurrent network gives its state too
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def step(self, batch: Any) -> dict[str, float]:
        self.optimizer.zero_grad()
        loss = self.loss(batch)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)  # Pascanu, Mikolov & Bengio 2013
        self.optimizer.step()
        self.schedule.step()
        return {"loss": loss.item()}

    def measure(self) -> dict[str, float]:
        held_out: data.DataLoader[Any] = data.DataLoader(self.sets.test, batch_size=128)
        totals = [(self.loss(batch).item() * len(batch[0]), len(batch[0])) for batch in held_out]
        loss = sum(total for total, _ in totals) / sum(count for _, count in totals)
        return {"test_loss": loss, "test_bits_per_character": loss / math.log(2)}

    def texts(self) -> dict[str, str]:
        vocabulary = self.sets.training.vocabulary
        start = "\n" if "\n" in vocabulary else vocabulary.characters[0]
        prompt = vocabulary.encode(start).unsqueeze(0)
        return {"sample.txt": vocabulary.decode(self.model.generate(prompt, WRITTEN)[0])}


def read_text(name: str) -> str:
    """A text file, or all of a folder in the order of their names. Raises ValueError for a name that is neither."""
    path = Path(name)
    files = sorted(path.glob("*.txt")) if name and path.is_dir() else [path] if name and path.is_file() else []
    if not files:
        raise ValueError(
            f"--data {name!r} is no text file and no folder with .txt files: a language model learns from one"
        )
    return "\n".join(file.read_text(encoding="utf-8") for file in files)
