"""Generative adversarial networks. Goodfellow et al. 2014; convolutional as Radford, Metz & Chintala 2016 (DCGAN)."""

from __future__ import annotations

from typing import Any

from retrograd import Tensor, nn, ones, randn, zeros
from retrograd.nn import functional as F

__all__ = ["GAN", "dcgan", "gan"]


class GAN(nn.Module):
    """A generator of images from noise, and a discriminator that tells them from real ones.

    Shapes: noise (N, code), images as the generator makes them, logits of the discriminator (N, 1).
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, code: int) -> None:
        super().__init__()
        self.generator, self.discriminator, self.code = generator, discriminator, code

    def forward(self, noise: Tensor) -> Tensor:
        return self.generator(noise)

    def sample(self, count: int, generator: Any = None) -> Tensor:
        """`count` new images."""
        device = next(self.parameters()).device
        return self.generator(randn(count, self.code, generator=generator, device=device))

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Cross-entropy of telling real images (label 1) from made ones (label 0), which stay as they are."""
        truth, lie = self.discriminator(real), self.discriminator(fake.detach())
        return F.binary_cross_entropy_with_logits(truth, ones(truth.shape, device=truth.device)) + (
            F.binary_cross_entropy_with_logits(lie, zeros(lie.shape, device=lie.device))
        )

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Cross-entropy of made images with label 1, the form whose gradient does not vanish early (section 3)."""
        lie = self.discriminator(fake)
        return F.binary_cross_entropy_with_logits(lie, ones(lie.shape, device=lie.device))


def gan(in_features: int = 784, hidden: int = 256, code: int = 64) -> GAN:
    """Both of linear layers; images are rows of pixels in [-1, 1], real ones of any shape."""
    generator = nn.Sequential(
        nn.Linear(code, hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, 2 * hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(2 * hidden, in_features),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Flatten(),
        nn.Linear(in_features, 2 * hidden),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3),
        nn.Linear(2 * hidden, hidden),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3),
        nn.Linear(hidden, 1),
    )
    return GAN(generator, discriminator, code)


def dcgan(channels: int = 1, width: int = 32, code: int = 64) -> GAN:
    """Both convolutional, for images (N, channels, 28, 28) in [-1, 1]."""
    generator = nn.Sequential(
        nn.Unflatten(1, (code, 1, 1)),
        nn.ConvTranspose2d(code, 2 * width, 7, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(channels, width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 7),
        nn.Flatten(),
    )
    model = GAN(generator, discriminator, code)
    for module in model.modules():  # Radford et al. 2016, section 4
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0, 0.02)
    return model
