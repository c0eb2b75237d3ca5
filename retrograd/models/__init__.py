"""Short, readable networks."""

from retrograd.models.autoencoder import Autoencoder, autoencoder, linear_autoencoder
from retrograd.models.char_rnn import CharRNN, char_gru, char_lstm, char_rnn
from retrograd.models.gan import GAN, gan
from retrograd.models.gpt import GPT, gpt
from retrograd.models.mlp import mlp
from retrograd.models.transformer import TranslationTransformer
from retrograd.models.vae import VAE, Latent, vae

__all__ = [
    "GAN",
    "GPT",
    "VAE",
    "Autoencoder",
    "CharRNN",
    "Latent",
    "TranslationTransformer",
    "autoencoder",
    "char_gru",
    "char_lstm",
    "char_rnn",
    "gan",
    "gpt",
    "linear_autoencoder",
    "mlp",
    "vae",
]
