"""Classifiers of images: cross-entropy, accuracy."""

from __future__ import annotations

import math
from typing import Any

import retrograd as rg
from retrograd import Tensor, nn, optim
from retrograd.cli.datasets import load
from retrograd.cli.recipes.recipe import Measure, Plan, Recipe, Sets
from retrograd.nn import functional as F

__all__ = ["Classification", "FlatClassification"]

EVALUATION_BATCH = 500


class Classification(Recipe):
    """Adam on the cross-entropy of the logits, the learning rate along one cycle (Smith & Topin 2018).

    Images are brought to the program's size where the network takes that one alone.
    """

    PLAN = Plan(epochs=5, batch_size=100, lr=3e-3)
    MEASURE = Measure("test_accuracy", ".2%")

    @classmethod
    def load(cls, name: str) -> Sets:
        return Sets(*load(name))

    def build(self) -> nn.Module:
        return self.program.network(in_channels=1, num_classes=self.classes)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(max(samples.tensors[1].max().item() for samples in self.sets)) + 1

    def scheduled(self) -> Any:
        steps = self.plan.epochs * len(self.batches())
        return optim.lr_scheduler.OneCycleLR(self.optimizer, self.plan.lr, total_steps=steps)

    def inputs(self, images: Tensor) -> Tensor:
        """Images as the network takes them."""
        size = self.program.size
        if size is None or images.shape[2:] == (size, size):
            return images
        return F.interpolate(images, size=(size, size), mode="bilinear")

    def loss(self, batch: Any) -> Tensor:
        images, labels = batch
        return F.cross_entropy(self.model(self.inputs(images)), labels)

    def measure(self) -> dict[str, float]:
        images, labels = self.sets.test.tensors
        logits = rg.cat([self.model(self.inputs(part)) for part in images.split(EVALUATION_BATCH)])
        return {
            "test_accuracy": (logits.argmax(dim=1) == labels).float().mean().item(),
            "test_loss": F.cross_entropy(logits, labels).item(),
        }


class FlatClassification(Classification):
    """For networks that take an image as a row of pixels; the learning rate stays."""

    DATA = "digits"
    PLAN = Plan(epochs=25, batch_size=100, lr=1e-3)
    PLANS = {"digits": Plan(epochs=60, batch_size=32, lr=3e-3)}  # noqa: RUF012  # a table, never changed

    def build(self) -> nn.Module:
        return self.program.network(in_features=math.prod(self.sets.training.tensors[0].shape[1:]))

    def scheduled(self) -> Any:
        return None

    def inputs(self, images: Tensor) -> Tensor:
        return images
