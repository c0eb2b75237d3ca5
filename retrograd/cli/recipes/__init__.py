"""What `retrograd train` knows: networks by name, each with the way it is trained."""

from retrograd import models
from retrograd.cli.recipes.classification import FlatClassification
from retrograd.cli.recipes.generation import Adversarial, Reconstruction, Variational
from retrograd.cli.recipes.language import Language
from retrograd.cli.recipes.recipe import Plan, Program, Recipe, Sets
from retrograd.cli.recipes.translation import Translation

__all__ = ["PROGRAMS", "Plan", "Program", "Recipe", "Sets"]

PROGRAMS: dict[str, Program] = {
    "mlp": Program(FlatClassification, models.mlp, "784-100-10 with sigmoids, or as many inputs as there are pixels"),
    "autoencoder": Program(Reconstruction, models.autoencoder, "784-256-64-256-784; writes reconstructions"),
    "vae": Program(Variational, models.vae, "variational autoencoder; writes reconstructions and samples"),
    "gan": Program(Adversarial, models.gan, "generator and discriminator of linear layers; writes samples"),
    "gpt": Program(Language, models.gpt, "GPT-2 in small, on the characters of a text; writes a sample"),
    "transformer": Program(Translation, models.TranslationTransformer, "encoder-decoder: English numbers into digits"),
}
