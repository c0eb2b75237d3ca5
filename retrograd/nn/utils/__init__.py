"""What one does to all parameters of a model: clip their gradients, measure them, lay them out in one vector."""

from retrograd.nn.utils import rnn
from retrograd.nn.utils.clip import clip_grad_norm_, clip_grad_value_, get_total_norm, grad_norms
from retrograd.nn.utils.vector import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "get_total_norm",
    "grad_norms",
    "parameters_to_vector",
    "rnn",
    "vector_to_parameters",
]
