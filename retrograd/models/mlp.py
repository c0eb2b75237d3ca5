"""The multi-layer perceptron."""

from __future__ import annotations

from retrograd import nn

__all__ = ["mlp"]


def mlp(in_features: int = 784, hidden: int = 100, classes: int = 10) -> nn.Sequential:
    """Flatten, one hidden layer of sigmoids, and logits: the network that first learned digits.

    Shapes: input (N, *) with in_features elements each, output (N, classes).
    """
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(in_features, hidden),
        nn.Sigmoid(),
        nn.Linear(hidden, classes),
    )
