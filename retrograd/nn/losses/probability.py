"""Losses of probabilities, as Modules."""

from __future__ import annotations

from retrograd.autograd.tensor import Tensor
from retrograd.nn import functional as F
from retrograd.nn.losses.base import Loss, WeightedLoss

__all__ = ["BCELoss", "BCEWithLogitsLoss", "KLDivLoss"]


class BCELoss(WeightedLoss):
    """−t log p − (1 − t) log(1 − p) of probabilities p, finite at 0 and 1."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(WeightedLoss):
    """BCELoss of σ(input), without overflow. pos_weight: a factor for the positive class."""

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class KLDivLoss(Loss):
    """t (log t − input), input being log-probabilities. reduction="batchmean" gives the divergence."""

    def __init__(
        self, size_average: None = None, reduce: None = None, reduction: str = "mean", log_target: bool = False
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)
