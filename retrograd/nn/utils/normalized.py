"""What keeps a weight's length or largest singular value: the arithmetic of weight and spectral normalisation.

Salimans & Kingma 2016, eq. 2; Miyato et al. 2018, algorithm 1.
"""

from __future__ import annotations

from retrograd.autograd import ops
from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor

__all__ = ["as_matrix", "norm_except", "power_iteration", "singular_value", "unit", "with_norms"]


def norm_except(v: Tensor, dim: int) -> Tensor:
    """Lengths of the slices along a dimension, in a shape that broadcasts; −1: of the whole."""
    if dim == -1:
        return ops.vector_norm(v, ord=2)
    axes = tuple(a for a in range(v.ndim) if a != dim % v.ndim)
    return ops.vector_norm(v, ord=2, axis=axes, keepdims=True) if axes else ops.abs(v)


def with_norms(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """v with its slices along a dimension stretched to the lengths g."""
    return v * (g / norm_except(v, dim))


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """The weight as a matrix, a row for each index of a dimension."""
    axes = (dim, *(a for a in range(weight.ndim) if a != dim))
    return ops.reshape(ops.permute_dims(weight, axes=axes), shape=(weight.shape[dim], -1))


def unit(x: Tensor, eps: float) -> Tensor:
    """A vector of length 1 in x's direction."""
    return x / ops.clip(ops.vector_norm(x, ord=2, axis=0, keepdims=True), min=eps)


def power_iteration(matrix: Tensor, u: Tensor, v: Tensor, times: int, eps: float, v_first: bool) -> None:
    """Turns u and v, in place, towards the singular vectors of the largest singular value."""
    with no_grad():
        matrix = matrix.detach()
        for _ in range(times):
            if v_first:
                v.copy_(unit(ops.matmul(ops.permute_dims(matrix, axes=(1, 0)), u), eps))
            u.copy_(unit(ops.matmul(matrix, v), eps))
            if not v_first:
                v.copy_(unit(ops.matmul(ops.permute_dims(matrix, axes=(1, 0)), u), eps))


def singular_value(matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """uᵀ W v; gradients pass to W alone."""
    return ops.sum(u.detach().clone() * ops.matmul(matrix, v.detach().clone()))
