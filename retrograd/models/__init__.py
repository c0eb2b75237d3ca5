"""Short, readable networks."""

from retrograd.models.mlp import mlp

__all__ = ["mlp"]
