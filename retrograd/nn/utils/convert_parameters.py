"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The parameters flattened and joined: one vector, through which gradients pass."""
    return ops.concat(*[ops.reshape(p, shape=(-1,)) for p in parameters], axis=0)


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Gives the parameters the values of a vector, which they share memory with from then on.

    Raises RuntimeError when the vector has not as many elements as the parameters.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected a Tensor, but got: {type(vec).__name__}")
    listed = list(parameters)
    wanted = sum(p.numel() for p in listed)
    if vec.shape != (wanted,):
        raise RuntimeError(f"vector_to_parameters: a vector of {vec.shape} for parameters of {wanted} elements")
    start = 0
    for parameter in listed:
        end = start + parameter.numel()
        parameter.data = vec[start:end].view(parameter.shape).data
        start = end
