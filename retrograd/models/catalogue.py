"""Every model by its name: how to make it at its usual size, and an input to run it on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import retrograd as rg
from retrograd import Tensor, models, nn

__all__ = ["CATALOGUE", "Entry"]


class Entry(NamedTuple):
    """What makes a model, and what makes the arguments of one call."""

    build: Callable[[], nn.Module]
    example: Callable[[], tuple[Tensor, ...]]


def images(channels: int, size: int) -> Callable[[], tuple[Tensor, ...]]:
    """One image."""
    return lambda: (rg.randn(1, channels, size, size),)


def rows(features: int) -> Callable[[], tuple[Tensor, ...]]:
    """One row of features between 0 and 1."""
    return lambda: (rg.rand(1, features),)


def words(count: int, *lengths: int) -> Callable[[], tuple[Tensor, ...]]:
    """One text of so many tokens, or several."""
    return lambda: tuple([rg.randint(1, count, (1, length)) for length in lengths])


def encoder() -> nn.Module:
    """A Transformer's encoder of 12 layers, of the base size of Devlin et al. 2019."""
    layer = nn.TransformerEncoderLayer(768, 12, 3072, activation="gelu", batch_first=True)
    return nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)


CATALOGUE: dict[str, Entry] = {
    "alexnet": Entry(models.alexnet, images(3, 224)),
    "autoencoder": Entry(models.autoencoder, rows(784)),
    "char_gru": Entry(lambda: models.char_gru(96), words(96, 32)),
    "char_lstm": Entry(lambda: models.char_lstm(96), words(96, 32)),
    "char_rnn": Entry(lambda: models.char_rnn(96), words(96, 32)),
    "dcgan": Entry(models.dcgan, rows(64)),
    "fcn_resnet50": Entry(models.fcn_resnet50, images(3, 128)),
    "gan": Entry(models.gan, rows(64)),
    "googlenet": Entry(models.googlenet, images(3, 224)),
    "gpt": Entry(lambda: models.gpt(256), words(256, 64)),
    "lenet": Entry(models.lenet, images(1, 28)),
    "linear_autoencoder": Entry(lambda: models.linear_autoencoder(784, 32), rows(784)),
    "mlp": Entry(models.mlp, rows(784)),
    "resnet101": Entry(models.resnet101, images(3, 224)),
    "resnet152": Entry(models.resnet152, images(3, 224)),
    "resnet18": Entry(models.resnet18, images(3, 224)),
    "resnet34": Entry(models.resnet34, images(3, 224)),
    "resnet50": Entry(models.resnet50, images(3, 224)),
    "small_resnet": Entry(models.small_resnet, images(3, 32)),
    "transformer": Entry(lambda: models.TranslationTransformer(1000, 1000), words(1000, 12, 10)),
    "transformer_encoder": Entry(encoder, lambda: (rg.randn(1, 16, 768),)),
    "unet": Entry(models.unet, images(1, 64)),
    "vae": Entry(models.vae, rows(784)),
    "vgg11": Entry(models.vgg11, images(3, 224)),
    "vgg13": Entry(models.vgg13, images(3, 224)),
    "vgg16": Entry(models.vgg16, images(3, 224)),
    "vgg19": Entry(models.vgg19, images(3, 224)),
}
"""Models by name."""
