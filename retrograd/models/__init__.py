"""Short, readable networks."""

from retrograd.models.autoencoder import Autoencoder, autoencoder, linear_autoencoder
from retrograd.models.gan import GAN, gan
from retrograd.models.gpt import GPT, gpt
from retrograd.models.mlp import mlp
from retrograd.models.transformer import TranslationTransformer, sinusoids
from retrograd.models.vae import VAE, vae

__all__ = [
    "GAN",
    "GPT",
    "VAE",
    "Autoencoder",
    "TranslationTransformer",
    "autoencoder",
    "gan",
    "gpt",
    "linear_autoencoder",
    "mlp",
    "sinusoids",
    "vae",
]
