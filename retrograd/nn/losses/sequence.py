"""Loss of a sequence of labels, as a Module."""

from __future__ import annotations

from collections.abc import Sequence

from retrograd.autograd.tensor import Tensor
from retrograd.nn import functional as F
from retrograd.nn.losses.base import Loss

__all__ = ["CTCLoss"]


class CTCLoss(Loss):
    """−log of the probability of label sequences under frame-wise log-probabilities: see `functional.ctc_loss`.

    >>> import retrograd as rg
    >>> log_probs = rg.zeros(3, 1, 2).log_softmax(2)  # 3 frames, 2 classes: a blank and one label
    >>> probability = (-rg.nn.CTCLoss()(log_probs, rg.tensor([[1]]), (3,), (1,))).exp()
    >>> round(probability.item() * 8)  # of the 8 paths, those of one run of labels
    6
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(
        self,
        log_probs: Tensor,
        targets: Tensor,
        input_lengths: Tensor | Sequence[int] | int,
        target_lengths: Tensor | Sequence[int] | int,
    ) -> Tensor:
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )
