"""The variational autoencoder. Kingma & Welling 2014, "Auto-encoding variational Bayes"."""

from __future__ import annotations

from typing import Any, NamedTuple

from retrograd import Tensor, nn, randn, randn_like

__all__ = ["VAE", "Latent", "vae"]


class Latent(NamedTuple):
    """The encoder's normal distribution of a code: its mean and the logarithm of its variance, (N, code) each."""

    mean: Tensor
    log_variance: Tensor

    def sample(self) -> Tensor:
        """z = μ + σ ε with ε from N(0, 1), so that the gradient reaches μ and σ (section 2.4)."""
        return self.mean + (self.log_variance / 2).exp() * randn_like(self.mean)

    def kl_divergence(self) -> Tensor:
        """KL(N(μ, σ²) ‖ N(0, 1)) of every sample, (N,): −½ Σ (1 + log σ² − μ² − σ²) (appendix B)."""
        return -0.5 * (1 + self.log_variance - self.mean**2 - self.log_variance.exp()).sum(1)


class VAE(nn.Module):
    """An encoder to a distribution of codes, and a decoder from a sample of it to logits of pixels in [0, 1].

    Shapes: input (N, in_features), output ((N, in_features), Latent).
    """

    def __init__(self, in_features: int = 784, hidden: int = 400, code: int = 20) -> None:
        super().__init__()
        self.code = code
        self.encoder = nn.Sequential(nn.Linear(in_features, hidden), nn.ReLU())
        self.mean = nn.Linear(hidden, code)
        self.log_variance = nn.Linear(hidden, code)
        self.decoder = nn.Sequential(nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, in_features))

    def encode(self, x: Tensor) -> Latent:
        """The distribution of the codes."""
        hidden = self.encoder(x)
        return Latent(self.mean(hidden), self.log_variance(hidden))

    def forward(self, x: Tensor) -> tuple[Tensor, Latent]:
        latent = self.encode(x)
        return self.decoder(latent.sample()), latent

    def loss(self, x: Tensor) -> Tensor:
        """The negative evidence lower bound per sample, in nats (eq. 10), for pixels in [0, 1]."""
        logits, latent = self(x)
        pixels = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        return (pixels + latent.kl_divergence().sum()) / len(x)

    def sample(self, count: int, generator: Any = None) -> Tensor:
        """New images (count, in_features) with pixels in [0, 1], decoded from codes drawn from N(0, 1)."""
        device = self.mean.weight.device
        return self.decoder(randn(count, self.code, generator=generator, device=device)).sigmoid()


def vae(in_features: int = 784, hidden: int = 400, code: int = 20) -> VAE:
    """784-400-20-400-784, or as many inputs as there are."""
    return VAE(in_features, hidden, code)
