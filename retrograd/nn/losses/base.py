"""What losses have in common: a reduction, and perhaps weights."""

from __future__ import annotations

from retrograd.autograd.tensor import Tensor
from retrograd.nn.functional.losses.reduction import refuse_legacy
from retrograd.nn.module import Module

__all__ = ["Loss", "WeightedLoss"]


class Loss(Module):
    """A loss with a reduction."""

    def __init__(self, size_average: None = None, reduce: None = None, reduction: str = "mean") -> None:
        super().__init__()
        refuse_legacy(size_average, reduce)
        self.reduction = reduction


class WeightedLoss(Loss):
    """A loss with a Tensor of factors, which moves with the module."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
