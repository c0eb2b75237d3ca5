"""What `retrograd train` knows: networks by name, each with the way it is trained."""

from retrograd import models
from retrograd.cli.recipes.classification import Classification, FlatClassification
from retrograd.cli.recipes.generation import Adversarial, Reconstruction, Variational
from retrograd.cli.recipes.language import Language
from retrograd.cli.recipes.recipe import Plan, Program, Recipe, Sets
from retrograd.cli.recipes.segmentation import Segmentation
from retrograd.cli.recipes.translation import Translation

__all__ = ["PROGRAMS", "Plan", "Program", "Recipe", "Sets"]

LARGE = Plan(epochs=1, batch_size=32, lr=1e-3)
"""For networks made for a million photographs: an epoch takes long enough."""

PROGRAMS: dict[str, Program] = {
    "mlp": Program(FlatClassification, models.mlp, "784-100-10 with sigmoids, or as many inputs as there are pixels"),
    "lenet": Program(Classification, models.lenet, "LeNet-5 on 28×28 images", size=28),
    "small_resnet": Program(Classification, models.small_resnet, "ResNet-8: 16, 32 and 64 channels"),
    "alexnet": Program(Classification, models.alexnet, "AlexNet on images enlarged to 64×64", LARGE, size=64),
    "vgg11": Program(
        Classification, models.vgg11, "VGG-11, images enlarged to 32×32 (also vgg13, vgg16, vgg19)", LARGE, 32
    ),
    "vgg13": Program(Classification, models.vgg13, "VGG-13", LARGE, 32),
    "vgg16": Program(Classification, models.vgg16, "VGG-16", LARGE, 32),
    "vgg19": Program(Classification, models.vgg19, "VGG-19", LARGE, 32),
    "resnet18": Program(Classification, models.resnet18, "ResNet-18 (also 34, 50, 101, 152)", LARGE),
    "resnet34": Program(Classification, models.resnet34, "ResNet-34", LARGE),
    "resnet50": Program(Classification, models.resnet50, "ResNet-50", LARGE),
    "resnet101": Program(Classification, models.resnet101, "ResNet-101", LARGE),
    "resnet152": Program(Classification, models.resnet152, "ResNet-152", LARGE),
    "googlenet": Program(Classification, models.googlenet, "GoogLeNet on images enlarged to 64×64", LARGE, size=64),
    "unet": Program(Segmentation, models.unet, "U-Net: the class of every pixel of strewn images; writes segments"),
    "fcn_resnet50": Program(Segmentation, models.fcn_resnet50, "fully convolutional ResNet-50, the same task", LARGE),
    "autoencoder": Program(Reconstruction, models.autoencoder, "784-256-64-256-784; writes reconstructions"),
    "vae": Program(Variational, models.vae, "variational autoencoder; writes reconstructions and samples"),
    "gan": Program(Adversarial, models.gan, "generator and discriminator of linear layers; writes samples"),
    "dcgan": Program(Adversarial, models.dcgan, "the same, convolutional", Plan(epochs=6, batch_size=128, lr=2e-4)),
    "char_rnn": Program(Language, models.char_rnn, "recurrent network on the characters of a text; writes a sample"),
    "char_lstm": Program(Language, models.char_lstm, "the same with an LSTM"),
    "char_gru": Program(Language, models.char_gru, "the same with a GRU"),
    "gpt": Program(Language, models.gpt, "GPT-2 in small on the characters of a text; writes a sample"),
    "transformer": Program(Translation, models.TranslationTransformer, "encoder-decoder: English numbers into digits"),
}
