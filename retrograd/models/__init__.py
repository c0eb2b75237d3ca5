"""Short, readable networks, with PyTorch's or torchvision's names in their states."""

from retrograd.models.alexnet import AlexNet, alexnet
from retrograd.models.autoencoder import Autoencoder, autoencoder, linear_autoencoder
from retrograd.models.char_rnn import CharRNN, char_gru, char_lstm, char_rnn
from retrograd.models.fcn import FCN, fcn_resnet50
from retrograd.models.gan import GAN, dcgan, gan
from retrograd.models.googlenet import GoogLeNet, Inception, googlenet
from retrograd.models.gpt import GPT, gpt
from retrograd.models.lenet import LeNet, lenet
from retrograd.models.mlp import mlp
from retrograd.models.resnet import (
    ResNet,
    SmallResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    small_resnet,
)
from retrograd.models.transformer import TranslationTransformer
from retrograd.models.unet import UNet, unet
from retrograd.models.vae import VAE, Latent, vae
from retrograd.models.vgg import VGG, vgg11, vgg13, vgg16, vgg19

__all__ = [
    "FCN",
    "GAN",
    "GPT",
    "VAE",
    "VGG",
    "AlexNet",
    "Autoencoder",
    "CharRNN",
    "GoogLeNet",
    "Inception",
    "Latent",
    "LeNet",
    "ResNet",
    "SmallResNet",
    "TranslationTransformer",
    "UNet",
    "alexnet",
    "autoencoder",
    "char_gru",
    "char_lstm",
    "char_rnn",
    "dcgan",
    "fcn_resnet50",
    "gan",
    "googlenet",
    "gpt",
    "lenet",
    "linear_autoencoder",
    "mlp",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "small_resnet",
    "unet",
    "vae",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
]
