"""Mirror images."""

from __future__ import annotations

from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.random import Generator
from retrograd.autograd.tensor import Tensor
from retrograd.data.transforms.base import Transform, checked_probability, on_device_of

__all__ = ["RandomHorizontalFlip", "RandomVerticalFlip"]


class _RandomFlip(Transform):
    axis: int

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        self.p = checked_probability(type(self).__name__, p)
        self.generator = generator

    def _apply(self, images: Tensor) -> Tensor:
        chosen_ones = on_device_of(images, self._uniform(0, 1, len(images), 1, 1, 1) < self.p)
        out: Tensor = ops.where(chosen_ones, ops.flip(images, axis=self.axis), images)
        return out

    def _facts(self) -> dict[str, Any]:
        return {"p": self.p}


class RandomHorizontalFlip(_RandomFlip):
    """Left and right exchanged in each image with probability p.

    >>> import retrograd as rg
    >>> RandomHorizontalFlip(p=1)(rg.tensor([[[1.0, 2.0]]]))
    tensor([[[2., 1.]]])
    """

    axis = -1


class RandomVerticalFlip(_RandomFlip):
    """Top and bottom exchanged in each image with probability p."""

    axis = -2
