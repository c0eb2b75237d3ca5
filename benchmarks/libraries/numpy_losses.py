"""Losses with their cotangents, by hand in NumPy, into buffers that the caller owns."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads import Array

__all__ = ["bce", "cross_entropy", "mse", "sigmoid"]


def sigmoid(x: Array) -> None:
    """Replace x by its sigmoid."""
    np.multiply(x, 0.5, out=x)  # 1 / (1 + e⁻ˣ) = (1 + tanh(x/2)) / 2: one pass fewer, and it cannot overflow
    np.tanh(x, out=x)
    np.multiply(x, 0.5, out=x)
    np.add(x, 0.5, out=x)


def bce(targets: Array, logits: Array, cotangent: Array) -> Callable[[], Any]:
    """Return the loss of sigmoid and binary cross-entropy; it also fills the logits' cotangent, (p - t) / n."""
    misses = 1 - targets
    scale = 1 / targets.size

    def loss() -> Any:
        sigmoid(logits)
        np.subtract(logits, targets, out=cotangent)
        np.multiply(cotangent, scale, out=cotangent)
        np.subtract(logits, misses, out=logits)  # |p - (1 - t)| is the probability given to the right answer
        np.abs(logits, out=logits)
        np.log(logits, out=logits)
        return -scale * np.add.reduce(logits, axis=None)

    return loss


def cross_entropy(targets: Array, logits: Array, cotangent: Array) -> Callable[[], Any]:
    """Return the mean softmax cross-entropy; it also fills the logits' cotangent, (softmax - one-hot) / n."""
    rows = np.arange(len(targets))
    scale = 1 / len(targets)

    def loss() -> Any:
        np.subtract(logits, np.maximum.reduce(logits, axis=1, keepdims=True), out=logits)
        right = logits[rows, targets]
        np.exp(logits, out=cotangent)
        total = np.add.reduce(cotangent, axis=1, keepdims=True)
        np.multiply(cotangent, scale / total, out=cotangent)
        cotangent[rows, targets] -= scale
        return scale * (np.add.reduce(np.log(total), axis=None) - np.add.reduce(right))

    return loss


def mse(targets: Array, outputs: Array, cotangent: Array) -> Callable[[], Any]:
    """Return the mean squared difference; it also fills the outputs' cotangent, 2 (x - t) / n."""
    scale = 2 / targets.size

    def loss() -> Any:
        np.subtract(outputs, targets, out=cotangent)
        total = np.vdot(cotangent, cotangent) / targets.size
        np.multiply(cotangent, scale, out=cotangent)
        return total

    return loss
