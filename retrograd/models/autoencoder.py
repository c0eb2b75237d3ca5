"""Autoencoders. Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks"."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from retrograd import Tensor, nn

__all__ = ["Autoencoder", "autoencoder", "linear_autoencoder"]


def layers(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers of these widths with ReLU between them."""
    found: list[nn.Module] = []
    for n, m in itertools.pairwise(widths):
        found += [nn.Linear(n, m), nn.ReLU()]
    return nn.Sequential(*found[:-1])


class Autoencoder(nn.Module):
    """An encoder to a short code and a decoder back, trained together to give what they got.

    Shapes: input (N, widths[0]), code (N, widths[-1]), output as the input.
    """

    def __init__(self, widths: Sequence[int] = (784, 256, 64)) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ValueError(f"Autoencoder: widths are those of the input, of layers and of the code, got {widths!r}.")
        self.encoder = layers(widths)
        self.decoder = layers(widths[::-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def autoencoder(in_features: int = 784, code: int = 64) -> Autoencoder:
    """784-256-64-256-784, or as many inputs as there are."""
    return Autoencoder((in_features, 256, code))


def linear_autoencoder(in_features: int, code: int) -> Autoencoder:
    """One linear layer each way: its code spans the principal components (Baldi & Hornik 1989)."""
    return Autoencoder((in_features, code))
