"""Losses and training steps in HIPS autograd, whose gradients are lists; updates on flat buffers."""

from collections.abc import Callable, Sequence
from typing import Any

import autograd
import autograd.numpy as anp
from autograd.tracer import getval

from benchmarks.flat import FlatParameters
from benchmarks.programs import Step
from benchmarks.workloads import Array

__all__ = ["cross_entropy", "mean_square", "one_hot", "sigmoid", "training"]


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e⁻ˣ)."""
    return 0.5 * anp.tanh(0.5 * x) + 0.5


def one_hot(rows: Array, classes: int) -> Array:
    """Return rows of the identity: a product with them looks up, and the gradient of fancy indexing is far slower."""
    picked: Array = anp.eye(classes, dtype="float32")[rows]
    return picked


def cross_entropy(targets: Array, classes: int) -> Callable[[Any], Any]:
    """Return the mean softmax cross-entropy as a function of logits (n, classes); targets (n,)."""
    right = one_hot(targets, classes)

    def loss(logits: Any) -> Any:
        shifted = logits - getval(logits).max(axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(shifted), axis=1)) - anp.sum(shifted * right, axis=1))

    return loss


def mean_square(targets: Array) -> Callable[[Any], Any]:
    """Return the mean squared difference as a function of the outputs."""

    def loss(outputs: Any) -> Any:
        difference = outputs - targets
        return anp.mean(difference * difference)

    return loss


def training(
    objective: Callable[[Sequence[Any]], Any],
    arrays: Sequence[Array],
    optimizer: Callable[[FlatParameters], Callable[[], None]],
) -> Step:
    """Return the step that descends along the gradient of `objective(parameters)`."""
    parameters = FlatParameters(arrays)
    descend = optimizer(parameters)
    function = autograd.value_and_grad(objective)

    def step() -> Any:
        loss, gradients = function(parameters.values)
        parameters.gather(gradients)
        descend()
        return loss

    return step
