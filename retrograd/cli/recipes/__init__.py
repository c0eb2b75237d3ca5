"""What `retrograd train` knows: networks by name, each with the way it is trained."""

from retrograd import models
from retrograd.cli.recipes.classification import FlatClassification
from retrograd.cli.recipes.recipe import Plan, Program, Recipe, Sets

__all__ = ["PROGRAMS", "Plan", "Program", "Recipe", "Sets"]

PROGRAMS: dict[str, Program] = {
    "mlp": Program(FlatClassification, models.mlp, "784-100-10 with sigmoids, or as many inputs as there are pixels"),
}
