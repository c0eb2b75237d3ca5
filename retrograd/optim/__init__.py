"""Optimizers: SGD, Adam, AdamW, and the base to write others on."""

from retrograd.optim.adam import Adam, AdamW
from retrograd.optim.elementwise import ElementwiseOptimizer
from retrograd.optim.optimizer import Optimizer
from retrograd.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "ElementwiseOptimizer", "Optimizer"]
