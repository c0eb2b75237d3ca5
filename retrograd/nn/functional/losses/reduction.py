"""What becomes of many losses: their mean, their sum, or themselves."""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor

__all__ = ["check_reduction", "reduced", "refuse_legacy", "weighted"]


def check_reduction(reduction: str) -> None:
    """ValueError for a reduction that there is not."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}.")


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """Mean, sum, or the losses themselves."""
    check_reduction(reduction)
    if reduction == "mean":
        if losses._array.dtype.kind != "f":
            raise RuntimeError(f"the mean needs floats, got {losses.dtype}; convert the input, e.g. input.float().")
        return ops.mean(losses) if losses._array.size else ops.sum(losses) * math.nan
    if reduction == "sum":
        return ops.sum(losses)
    return losses


def weighted(losses: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """The reduction of losses with a factor each; a mean divides by the sum of the factors."""
    if weight is None:
        return reduced(losses, reduction)
    if weight.shape != losses.shape:
        raise ValueError(f"weights {weight.shape} and inputs {losses.shape} must have the same size.")
    if reduction == "mean":
        return ops.sum(losses * weight) / ops.sum(weight)
    return reduced(losses * weight, reduction)


def refuse_legacy(size_average: Any, reduce: Any) -> None:
    """PyTorch's arguments from before `reduction`."""
    if size_average is not None or reduce is not None:
        raise NotImplementedError('size_average and reduce are not supported; use reduction="mean", "sum" or "none"')
