"""Losses of one class out of many, as Modules."""

from __future__ import annotations

import math
import warnings
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor
from retrograd.nn import functional as F
from retrograd.nn.linear import Linear
from retrograd.nn.losses.base import WeightedLoss

__all__ = ["CrossEntropyLoss", "LinearCrossEntropyLoss", "NLLLoss", "NLLLoss2d"]


class CrossEntropyLoss(WeightedLoss):
    """−log softmax(input)[target]: logits (batch, classes, *) against class indices (batch, *) or probabilities.

    weight: (classes,), a factor for each class. ignore_index: this target counts nothing. label_smoothing: this share
    of the target is spread over all classes.

    >>> import retrograd as rg
    >>> loss = rg.nn.CrossEntropyLoss()
    >>> round(loss(rg.zeros(2, 4), rg.tensor([0, 3])).item(), 3)
    1.386
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        ignore_index: int = -100,
        reduce: None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input, target, self.weight, None, self.ignore_index, None, self.reduction, self.label_smoothing
        )


class NLLLoss(WeightedLoss):
    """−input[target]: log-probabilities (batch, classes, *) against class indices (batch, *)."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        ignore_index: int = -100,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, None, self.ignore_index, None, self.reduction)


class NLLLoss2d(NLLLoss):
    """The old name of NLLLoss for images (batch, classes, height, width); gives a FutureWarning."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn("NLLLoss2d is deprecated; use NLLLoss, which takes images too.", FutureWarning, stacklevel=2)
        super().__init__(*args, **kwargs)


class LinearCrossEntropyLoss(WeightedLoss):
    """CrossEntropyLoss of logits that a Linear layer of its own makes.

    in_features: those of the input (batch, in_features) or (in_features,). out_features: what follows the classes in
    the logits (batch, num_classes, *out_features). PyTorch's `options` (ways to chunk) are not supported.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: None = None,
    ) -> None:
        if weight is not None and weight.shape != (num_classes,):
            raise RuntimeError(f"LinearCrossEntropyLoss: expected a weight {(num_classes,)}, got {weight.shape}")
        if not 0 <= label_smoothing <= 1:
            raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
        if options is not None:
            raise NotImplementedError("LinearCrossEntropyLoss: options is not supported; leave it out.")
        super().__init__(weight, reduction=reduction)
        self.num_classes, self.out_features = num_classes, out_features
        self.ignore_index, self.label_smoothing, self.options = ignore_index, label_smoothing, options
        self.linear = Linear(in_features, math.prod(out_features, start=num_classes), bias, device, dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        classes = (self.num_classes, *self.out_features)
        weight, bias = self.linear.weight, self.linear.bias
        return F.linear_cross_entropy(
            input,
            ops.reshape(weight, shape=(*classes, weight.shape[-1])),
            target,
            linear_bias=None if bias is None else ops.reshape(bias, shape=classes),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, reduction={self.reduction}, "
            f"ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}, options={self.options}"
        )
