"""Short, readable networks."""

from retrograd.models.autoencoder import Autoencoder, autoencoder, linear_autoencoder
from retrograd.models.gan import GAN, gan
from retrograd.models.mlp import mlp
from retrograd.models.vae import VAE, vae

__all__ = ["GAN", "VAE", "Autoencoder", "autoencoder", "gan", "linear_autoencoder", "mlp", "vae"]
