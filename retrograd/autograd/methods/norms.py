"""Norms of vectors and matrices under PyTorch's names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.autograd import ops as _ops
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.registry import public
from retrograd.autograd.tensor import Tensor

__all__ = ["matrix_norm", "norm", "norm_of", "vector_norm"]

ops: Any = _ops
Dims = int | Sequence[int] | None


def vector_norm(x: Tensor, ord: float = 2, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """(Σ |x|^ord)^(1/ord) over `dim` (None: over all elements).

    ord: any number; ±inf give the largest and smallest |x|, 0 the count of nonzeros. `dtype` converts x first. The
    gradient at 0 is 0. RuntimeError for integers, and for an infinite or negative order of nothing.

    >>> import retrograd as rg
    >>> rg.linalg.vector_norm(rg.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if not isinstance(ord, (int, float)):
        raise TypeError(f"linalg.vector_norm(): argument 'ord' must be Number, not {type(ord).__name__}")
    x = floating("linalg.vector_norm", x, dtype)
    axis = axes(dim, x.ndim)
    reduced = x.shape if axis is None else [x.shape[a] for a in axis if x.ndim]
    if (ord < 0 or math.isinf(ord)) and 0 in reduced:
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the operation does not have "
            f"an identity (shape {x.shape}, dim {dim})."
        )
    return ops.vector_norm(x, ord=ord, axis=axis, keepdims=keepdim)  # type: ignore[no-any-return]


def floating(name: str, x: Tensor, dtype: Any = None) -> Tensor:
    """x in the dtype asked for. RuntimeError unless it is a float."""
    if dtype is not None:
        if np.dtype(dtype).kind != "f":
            raise RuntimeError(f"{name}: dtype should be floating point, but got {np.dtype(dtype)}")
        if x.dtype != dtype:
            x = ops.astype(x, dtype=np.dtype(dtype))
    if x.dtype.kind != "f":
        raise RuntimeError(
            f"{name}: expected a floating-point tensor as input, got {x.dtype}; convert it, e.g. x.float()."
        )
    return x


def axes(dim: Dims, ndim: int) -> tuple[int, ...] | None:
    """Dimensions counted from the front; None, like no dimension, means all. RuntimeError for one named twice."""
    if dim is None:
        return None
    chosen = tuple(dimension(d, ndim) for d in ([dim] if isinstance(dim, int) else dim))
    if len(set(chosen)) < len(chosen):
        raise RuntimeError(f"dim {dim} names a dimension twice.")
    return chosen if chosen and ndim else None


def matrix_norm(
    A: Tensor, ord: float | str = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Norm of every matrix, whose rows and columns are the dimensions `dim`.

    ord: "fro" (root of the sum of squares), "nuc" (sum of singular values), 2 and −2 (largest and smallest singular
    value), 1 and −1 (largest and smallest column sum of |A|), inf and −inf (row sums).

    >>> import retrograd as rg
    >>> rg.linalg.matrix_norm(rg.tensor([[1.0, -2.0], [3.0, 4.0]]), ord=1)
    tensor(6.)
    """
    if isinstance(dim, int) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple of dimensions, got {dim}.")
    if A.ndim < 2:
        raise RuntimeError(f"linalg.matrix_norm: the input tensor A must have at least 2 dimensions, got {A.shape}.")
    A = floating("linalg.matrix_norm", A, dtype)
    rows, columns = axes(dim, A.ndim) or (0, 1)
    if ord == "fro":
        return vector_norm(A, 2, (rows, columns), keepdim)
    if ord in (1, -1, math.inf, -math.inf):
        first, second = (rows, columns) if ord in (1, -1) else (columns, rows)
        sums = vector_norm(A, 1, first, True)
        largest = vector_norm(sums, math.inf if ord in (1, math.inf) else -math.inf, second, True)
    elif ord in (2, -2, "nuc"):
        if A.dtype == np.float16:
            raise RuntimeError(
                "linalg.svd: low precision dtypes not supported, got float16; convert it, e.g. x.float()."
            )
        order = [i for i in range(A.ndim) if i not in (rows, columns)]
        _, values, _ = ops.svd(ops.permute_dims(A, axes=(*order, rows, columns)), full_matrices=False)
        if ord == "nuc":
            largest = ops.sum(values, axis=-1)
        else:
            largest = vector_norm(values, math.inf if ord == 2 else -math.inf, -1)
        if keepdim:
            largest = ops.expand_dims(largest, axis=tuple(sorted((rows, columns))))
        return largest
    else:
        raise RuntimeError(
            f"linalg.matrix_norm: order {ord!r} is not supported; use fro, nuc, inf, 1, 2 or a negative."
        )
    return largest if keepdim else ops.squeeze(largest, axis=tuple(sorted((rows, columns))))


def norm_of(
    A: Tensor, ord: float | str | None = None, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """PyTorch's `linalg.norm`: a vector's norm, or with an order and two dimensions a matrix's."""
    chosen = None if dim is None else [dim] if isinstance(dim, int) else list(dim)
    if chosen is not None and len(chosen) not in (1, 2):
        raise RuntimeError(f"linalg.norm: if dim is specified, it must be of length 1 or 2, got {dim}.")
    if ord is None:
        return vector_norm(A, 2, chosen, keepdim, dtype=dtype)
    if chosen is None and A.ndim not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: if dim is not specified but ord is, the input must be 1D or 2D, got {A.ndim}D."
        )
    if A.ndim == 2 if chosen is None else len(chosen) == 2:
        return matrix_norm(A, ord, chosen or (0, 1), keepdim, dtype=dtype)
    if isinstance(ord, str):
        raise RuntimeError(f"linalg.norm: order {ord!r} is one of matrices, but the norm is over one dimension.")
    return vector_norm(A, ord, chosen, keepdim, dtype=dtype)


def norm(
    input: Tensor, p: float | str | None = "fro", dim: Dims = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    """p-norm over `dim` (None: all). "fro" is p = 2; "nuc" is the sum of a matrix's singular values.

    >>> import retrograd as rg
    >>> rg.norm(rg.tensor([[3.0], [4.0]]))
    tensor(5.)
    """
    chosen = [dim] if isinstance(dim, int) else dim
    if p == "nuc":
        return matrix_norm(input, "nuc", range(input.ndim) if chosen is None else chosen, keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"only valid string values are 'fro' and 'nuc', found {p}")
    order = 2 if p is None or isinstance(p, str) else p
    return vector_norm(input, order, chosen, keepdim, dtype=dtype)


public(norm)
