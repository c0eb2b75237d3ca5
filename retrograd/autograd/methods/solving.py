"""Linear systems in other clothes: by a Cholesky factor, of tensors, with an error code; and small products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from retrograd.autograd import ops as _ops
from retrograd.autograd.methods.decompositions import cholesky, inv, matrices, solve, solve_triangular, transposed
from retrograd.autograd.methods.registry import public
from retrograd.autograd.promotion import LinAlgError
from retrograd.autograd.tensor import Tensor, make, namespace

__all__ = [
    "cholesky_ex",
    "cholesky_inverse",
    "cholesky_solve",
    "inv_ex",
    "matrix_diagonal",
    "solve_ex",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
]

ops: Any = _ops


class CholeskyExResult(NamedTuple):
    """What `cholesky_ex` returns."""

    L: Tensor
    info: Tensor


class InvExResult(NamedTuple):
    """What `inv_ex` returns."""

    inverse: Tensor
    info: Tensor


class SolveExResult(NamedTuple):
    """What `solve_ex` returns."""

    result: Tensor
    info: Tensor


def _unless_singular(A: Tensor, compute: Any, check_errors: bool) -> tuple[Tensor, Tensor]:
    """A result of single matrices and 0, or NaN and 1 for one that cannot be computed."""
    xp, batch = namespace(A), A.shape[:-2]
    try:
        return compute(A), make(xp.zeros(batch, dtype="int32"))
    except LinAlgError:
        if check_errors:
            raise
        if not batch:
            return compute(ops.where(ops.equal(A, A), eye_like(A), 0.0)) * math.nan, make(xp.ones((), dtype="int32"))
        parts = [_unless_singular(a, compute, check_errors) for a in A.unbind(0)]
        return ops.stack(*(p[0] for p in parts), axis=0), ops.stack(*(p[1] for p in parts), axis=0)


def eye_like(A: Tensor) -> Tensor:
    """The identity, as wide as a square matrix."""
    return make(namespace(A).eye(A.shape[-1], dtype=A.dtype))


def inv_ex(A: Tensor, *, check_errors: bool = False) -> InvExResult:
    """The inverse, and an integer per matrix: 0, or 1 where it is singular (the inverse is NaN then).

    With `check_errors` rg.linalg.LinAlgError is raised instead.
    """
    matrices("linalg.inv_ex", A, square=True)
    return InvExResult(*_unless_singular(A, inv, check_errors))


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> CholeskyExResult:
    """Cholesky's factor, and an integer per matrix: 0, or 1 where A is not positive definite (the factor is NaN then).

    With `check_errors` rg.linalg.LinAlgError is raised instead.
    """
    matrices("linalg.cholesky_ex", A, square=True)
    return CholeskyExResult(*_unless_singular(A, lambda a: cholesky(a, upper=upper), check_errors))


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> SolveExResult:
    """The X with A X = B, and the integer 0; of one matrix that is singular NaN and 1.

    With `check_errors` rg.linalg.LinAlgError is raised instead. NotImplementedError for a batch with a singular matrix.
    """
    matrices("linalg.solve_ex", A, square=True)
    xp = namespace(A)
    try:
        return SolveExResult(solve(A, B, left=left), make(xp.zeros(A.shape[:-2], dtype="int32")))
    except LinAlgError:
        if check_errors:
            raise
        if A.ndim > 2:
            raise NotImplementedError(
                "linalg.solve_ex: a matrix of the batch is singular; solve them one by one."
            ) from None
        return SolveExResult(B * math.nan, make(xp.ones((), dtype="int32")))


def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """The X with A X = input, where A = L Lᵀ (Lᵀ L if upper). Shapes: input (*, n, k), L (*, n, n).

    >>> import retrograd as rg
    >>> rg.cholesky_solve(rg.tensor([[4.0], [9.0]]), rg.tensor([[2.0, 0.0], [0.0, 3.0]]))
    tensor([[1.],
            [1.]])
    """
    matrices("cholesky_solve", L, square=True)
    if input.ndim < 2 or input.shape[-2] != L.shape[-1]:
        raise RuntimeError(f"cholesky_solve: input {input.shape} does not fit the factor {L.shape}; give (*, n, k).")
    first, second = (transposed(L), L) if upper else (L, transposed(L))
    half = solve_triangular(first, input, upper=False)
    return solve_triangular(second, half, upper=True)


def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A = L Lᵀ (Lᵀ L if upper), L (*, n, n)."""
    matrices("cholesky_inverse", L, square=True)
    identity = eye_like(L)
    return cholesky_solve(identity.expand(L.shape) if L.ndim > 2 else identity, L, upper)


def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The B with tensordot(A, B, ind) = identity: A's first `ind` dimensions are rows, the others columns.

    RuntimeError where the two have not the same number of elements.
    """
    if ind <= 0:
        raise RuntimeError(f"linalg.tensorinv: expected a strictly positive integer for 'ind', got {ind}.")
    rows, columns = A.shape[:ind], A.shape[ind:]
    if math.prod(rows) != math.prod(columns):
        raise RuntimeError(f"linalg.tensorinv: {rows} and {columns} must have the same number of elements.")
    square = ops.reshape(A, shape=(math.prod(rows), -1))
    return ops.reshape(inv(square), shape=(*columns, *rows))  # type: ignore[no-any-return]


def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """The X with tensordot(A, X, X.ndim) = B; `dims` of A are moved to its end first."""
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    result = A.shape[B.ndim :]
    if math.prod(A.shape[: B.ndim]) != math.prod(result) or math.prod(result) != math.prod(B.shape):
        raise RuntimeError(
            f"linalg.tensorsolve: A {A.shape} does not split into rows like B {B.shape} and as many columns."
        )
    square = ops.reshape(A, shape=(math.prod(result), -1))
    return ops.reshape(solve(square, ops.reshape(B, shape=(-1,))), shape=result)  # type: ignore[no-any-return]


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The dot product of vectors along a dimension; the others broadcast."""
    if x.dtype != y.dtype:
        raise RuntimeError(f"linalg.vecdot: expected vectors of one dtype, got {x.dtype} and {y.dtype}.")
    return (x * y).sum(dim)


def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """Vandermonde's matrices (*, n, N) of vectors (*, n): the powers 0 to N − 1 of every element; N is n by default."""
    if N is not None and N <= 1:
        raise RuntimeError(f"N must be greater than 1, got {N}.")
    if x.ndim < 1:
        raise RuntimeError("linalg.vander: expected at least one dimension.")
    exponents = make(namespace(x).arange(x.shape[-1] if N is None else N))
    return ops.power(ops.expand_dims(x, axis=x.ndim), exponents)  # type: ignore[no-any-return]


def matrix_diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """View of the diagonals of matrices (*, m, n)."""
    return A.diagonal(offset, dim1, dim2)


public(cholesky_solve)
public(cholesky_inverse)
