"""Autoencoders, variational autoencoders and adversarial networks: they learn from images without labels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import retrograd as rg
from retrograd import Tensor, nn, optim
from retrograd.cli.datasets import images
from retrograd.cli.recipes.recipe import Measure, Plan, Recipe, Sets
from retrograd.cli.recipes.sheets import sheet
from retrograd.models import VAE
from retrograd.models.gan import GAN
from retrograd.nn import functional as F

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Adversarial", "Reconstruction", "Variational"]

SHOWN = 12
"""Images in a row of a sheet."""


class Reconstruction(Recipe):
    """Adam on the mean squared error between an image and what comes out."""

    PLAN = Plan(epochs=10, batch_size=128, lr=1e-3)
    model: Any

    @classmethod
    def load(cls, name: str) -> Sets:
        return Sets(*images(name))

    def build(self) -> nn.Module:
        return self.program.network(in_features=math.prod(self.image_shape))

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Channels, height, width."""
        return self.sets.training.tensors[0].shape[1:]

    def loss(self, batch: Any) -> Tensor:
        rows = batch[0].flatten(1)
        return F.mse_loss(self.model(rows), rows)

    def measure(self) -> dict[str, float]:
        return {"test_loss": self.loss(self.sets.test.tensors).item()}

    def decoded(self, rows: Tensor) -> Tensor:
        """What comes out for images as rows of pixels, in [0, 1]."""
        return self.model(rows).clamp(0, 1)

    def pictures(self) -> dict[str, Figure]:
        rows = self.sets.test.tensors[0][:SHOWN].flatten(1)
        both = rg.cat([rows, self.decoded(rows)]).reshape(-1, *self.image_shape[1:])
        return {"reconstructions.png": sheet(both, SHOWN, ("given", "decoded"))}


class Variational(Reconstruction):
    """Adam on the negative evidence lower bound, in nats per image."""

    PLAN = Plan(epochs=15, batch_size=128, lr=1e-3)
    MEASURE = Measure("test_loss", ".2f")
    model: VAE

    def loss(self, batch: Any) -> Tensor:
        return self.model.loss(batch[0].flatten(1))

    def decoded(self, rows: Tensor) -> Tensor:
        return self.model.decoder(self.model.encode(rows).mean).sigmoid()

    def pictures(self) -> dict[str, Figure]:
        drawn = self.model.sample(8 * SHOWN).reshape(-1, *self.image_shape[1:])
        return {**super().pictures(), "samples.png": sheet(drawn, SHOWN)}


class Adversarial(Recipe):
    """Adam on both losses in turn, β₁ = 0.5 (Radford et al. 2016); images in [-1, 1].

    There is no one number for how good samples are: the accuracy of the discriminator, which is 50 % where it cannot
    tell, is reported, and the sheet of samples shown.
    """

    PLAN = Plan(epochs=15, batch_size=128, lr=2e-4)
    MEASURE = Measure("discriminator_accuracy", ".1%")
    model: GAN

    @classmethod
    def load(cls, name: str) -> Sets:
        return Sets(*images(name))

    def real(self, batch: Any) -> Tensor:
        """Images as the discriminator takes them."""
        return 2 * batch[0] - 1

    def optimize(self) -> optim.Optimizer:
        self.adversary = optim.Adam(self.model.discriminator.parameters(), lr=self.plan.lr, betas=(0.5, 0.999))
        return optim.Adam(self.model.generator.parameters(), lr=self.plan.lr, betas=(0.5, 0.999))

    def step(self, batch: Any) -> dict[str, float]:
        real = self.real(batch)
        fake = self.model.sample(len(real))
        self.adversary.zero_grad()
        telling = self.model.discriminator_loss(real, fake)
        telling.backward()
        self.adversary.step()
        self.optimizer.zero_grad()
        fooling = self.model.generator_loss(fake)
        fooling.backward()
        self.optimizer.step()
        return {"loss": fooling.item(), "discriminator_loss": telling.item()}

    def loss(self, batch: Any) -> Tensor:
        return self.model.generator_loss(self.model.sample(len(batch[0])))

    def measure(self) -> dict[str, float]:
        real = self.real(self.sets.test.tensors)[:1000]
        right = [self.model.discriminator(real) > 0, self.model.discriminator(self.model.sample(len(real))) <= 0]
        return {"discriminator_accuracy": rg.cat(right).float().mean().item()}

    def pictures(self) -> dict[str, Figure]:
        drawn = (self.model.sample(8 * SHOWN) + 1) / 2
        return {"samples.png": sheet(drawn.reshape(-1, *self.sets.training.tensors[0].shape[2:]), SHOWN)}
