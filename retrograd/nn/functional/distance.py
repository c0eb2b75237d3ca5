"""How far two vectors are apart, and how alike their directions are."""

from __future__ import annotations

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.tensor import Tensor, make, namespace

__all__ = ["cosine_similarity", "pairwise_distance", "pdist"]


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 − x2 + eps over the last dimension: (*, features) and (*, features) give (*,)."""
    return ops.vector_norm(x1 - x2 + eps, ord=p, axis=-1, keepdims=keepdim)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along `dim`, whose lengths are held above eps; the shapes broadcast.

    >>> import retrograd as rg
    >>> rg.nn.functional.cosine_similarity(rg.tensor([[1.0, 0.0]]), rg.tensor([[3.0, 4.0]]))
    tensor([0.6000])
    """
    axis = dimension(dim, max(x1.ndim, x2.ndim))
    product = x1 * x2
    if product.dtype.kind != "f":
        raise RuntimeError(f"cosine_similarity: expected floats, got {x1.dtype} and {x2.dtype}; use x.float().")
    axis -= product.ndim
    lengths = [ops.vector_norm(x, ord=2, axis=axis, keepdims=True) for x in (x1, x2)]
    units = [x / held_above(n, eps) for x, n in zip((x1, x2), lengths)]
    return ops.sum(units[0] * units[1], axis=axis)


def held_above(length: Tensor, eps: float) -> Tensor:
    """A length that is at least eps, and has the length's gradient below it too: that is PyTorch's rule."""
    given = length.detach()
    return length + (ops.clip(given, min=eps) - given)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """p-norms of the differences of all pairs of rows i < j: input (n, features), result (n (n − 1)/2,).

    All derivatives of a zero distance are taken as 0. Raises RuntimeError unless the input is 2-d and p not negative.

    >>> import retrograd as rg
    >>> rg.nn.functional.pdist(rg.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    tensor([5.0000, 1.0000, 4.2426])
    """
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got shape {input.shape}.")
    if p < 0:
        raise RuntimeError(f"pdist only supports non-negative p values, got {p}.")
    rows, columns = np.triu_indices(input.shape[0], 1)
    with input.device:
        pairs = make(namespace(input).from_host(rows * input.shape[0] + columns))
    if not input.shape[1]:
        return input.new_zeros(len(rows)) + 0 * input.sum()
    found: Tensor = ops.distances(input, input, p=p)
    return found.reshape(-1)[pairs]
