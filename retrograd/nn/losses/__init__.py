"""Losses: `nn.functional` as Modules. `reduction` is "mean", "sum" or "none"."""

from retrograd.nn.losses.adaptive import AdaptiveLogSoftmaxWithLoss
from retrograd.nn.losses.classification import CrossEntropyLoss, LinearCrossEntropyLoss, NLLLoss, NLLLoss2d
from retrograd.nn.losses.margin import (
    HingeEmbeddingLoss,
    MarginRankingLoss,
    MultiLabelMarginLoss,
    MultiLabelSoftMarginLoss,
    MultiMarginLoss,
    SoftMarginLoss,
)
from retrograd.nn.losses.probability import BCELoss, BCEWithLogitsLoss, KLDivLoss
from retrograd.nn.losses.regression import GaussianNLLLoss, HuberLoss, L1Loss, MSELoss, PoissonNLLLoss, SmoothL1Loss
from retrograd.nn.losses.sequence import CTCLoss
from retrograd.nn.losses.similarity import CosineEmbeddingLoss, TripletMarginLoss, TripletMarginWithDistanceLoss

__all__ = [
    "AdaptiveLogSoftmaxWithLoss",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LinearCrossEntropyLoss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "NLLLoss2d",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]
