"""Segmentation: which class every pixel belongs to, on canvases strewn with the images of a classification set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import retrograd as rg
from retrograd import Tensor, nn, optim
from retrograd.cli.datasets import images
from retrograd.cli.recipes.recipe import Measure, Plan, Recipe, Sets
from retrograd.cli.recipes.sheets import sheet
from retrograd.data import TensorDataset
from retrograd.nn import functional as F

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Segmentation", "strewn"]

TRAINING, TEST = 2000, 200
"""How many canvases there are."""
INK = 0.3
"""Pixels above it belong to the class of their image."""
SHOWN = 8


class Segmentation(Recipe):
    """Adam on the cross-entropy of every pixel, the learning rate along one cycle (Smith & Topin 2018).

    The measure is the mean intersection over union of the classes. Class 0 is the background, class c + 1 the images of
    label c.
    """

    PLAN = Plan(epochs=6, batch_size=10, lr=1e-2)
    MEASURE = Measure("test_mean_iou", ".3f")

    @classmethod
    def load(cls, name: str) -> Sets:
        training, test = images(name)
        return Sets(strewn(training, TRAINING, seed=0), strewn(test, TEST, seed=1))

    @property
    def classes(self) -> int:
        """How many classes there are, with the background."""
        return int(max(samples.tensors[1].max().item() for samples in self.sets)) + 1

    def build(self) -> nn.Module:
        return self.program.network(in_channels=1, num_classes=self.classes)

    def scheduled(self) -> Any:
        steps = self.plan.epochs * len(self.batches())
        return optim.lr_scheduler.OneCycleLR(self.optimizer, self.plan.lr, total_steps=steps)

    def loss(self, batch: Any) -> Tensor:
        canvases, classes = batch
        return F.cross_entropy(self.model(canvases), classes)

    def labelled(self, canvases: Tensor) -> Tensor:
        """The likeliest class of every pixel."""
        return rg.cat([self.model(part).argmax(dim=1) for part in canvases.split(32)])

    def measure(self) -> dict[str, float]:
        canvases, classes = self.sets.test.tensors
        found = self.labelled(canvases)
        confusion = (classes * self.classes + found).flatten().bincount(minlength=self.classes**2)
        confusion = confusion.reshape(self.classes, self.classes).double()
        both = confusion.diagonal()
        either = confusion.sum(0) + confusion.sum(1) - both
        there = either > 0
        return {
            "test_mean_iou": (both[there] / either[there]).mean().item(),
            "test_pixel_accuracy": (both.sum() / confusion.sum()).item(),
        }

    def pictures(self) -> dict[str, Figure]:
        canvases, classes = (t[:SHOWN] for t in self.sets.test.tensors)
        found = self.labelled(canvases)
        shades = [t.float() / (self.classes - 1) for t in (classes, found)]
        return {"segments.png": sheet(rg.cat([canvases[:, 0], *shades]), SHOWN, ("given", "true", "found"))}


def strewn(samples: TensorDataset, count: int, seed: int, size: int = 48, each: int = 2) -> TensorDataset:
    """Canvases (count, 1, size, size) with noise and `each` images at random places, and the classes of their pixels.

    Images are no larger than the canvas; a later one hides what is under it.
    """
    pictures, labels = (t.cpu().numpy() for t in samples.tensors)
    rng = np.random.default_rng(seed)
    height, width = pictures.shape[2:]
    size = max(size, height, width)
    canvases = rng.uniform(0, INK, (count, size, size)).astype(np.float32)
    classes = np.zeros((count, size, size), np.int64)
    for canvas, truth in zip(canvases, classes):
        for index in rng.integers(len(pictures), size=each):
            top, left = rng.integers(size - height + 1), rng.integers(size - width + 1)
            window = slice(top, top + height), slice(left, left + width)
            ink = pictures[index, 0] > INK
            canvas[window][ink] = pictures[index, 0][ink]
            truth[window][ink] = labels[index] + 1
    return TensorDataset(rg.tensor(canvases[:, None]), rg.tensor(classes))
