"""Small figures of matplotlib that show what a network does: regions, images, distributions, gradients, descents."""

from retrograd.viz.plots.boundaries import decision_regions, unit_maps
from retrograd.viz.plots.descents import descents
from retrograd.viz.plots.distributions import distributions
from retrograd.viz.plots.flow import gradient_flow
from retrograd.viz.plots.images import activations, images, kernels

__all__ = [
    "activations",
    "decision_regions",
    "descents",
    "distributions",
    "gradient_flow",
    "images",
    "kernels",
    "unit_maps",
]
