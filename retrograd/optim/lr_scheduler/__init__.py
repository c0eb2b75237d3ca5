"""Schedules of the learning rate."""

from retrograd.optim.lr_scheduler.base import LRScheduler
from retrograd.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from retrograd.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from retrograd.optim.lr_scheduler.cycles import CyclicLR, OneCycleLR
from retrograd.optim.lr_scheduler.decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    RobbinsMonro,
    StepLR,
)
from retrograd.optim.lr_scheduler.plateau import ReduceLROnPlateau

_LRScheduler = LRScheduler  # its name in older code

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "RobbinsMonro",
    "SequentialLR",
    "StepLR",
]
