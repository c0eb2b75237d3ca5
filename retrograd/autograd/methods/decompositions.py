"""Inverses, determinants and factorisations under PyTorch's names. A matrix is the last two dimensions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from retrograd.autograd import ops as _ops
from retrograd.autograd.methods.norms import norm_of
from retrograd.autograd.methods.registry import public
from retrograd.autograd.ops.decompositions import tolerance
from retrograd.autograd.ops.linalg import same_dtype
from retrograd.autograd.tensor import Tensor, make, namespace

__all__ = [
    "cholesky",
    "cond",
    "det",
    "eigh",
    "eigvalsh",
    "inv",
    "logdet",
    "lstsq",
    "matrix_exp",
    "matrix_power",
    "matrix_rank",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
]

ops: Any = _ops


class SlogdetResult(NamedTuple):
    """What `slogdet` returns."""

    sign: Tensor
    logabsdet: Tensor


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Tensor
    R: Tensor


class SVDResult(NamedTuple):
    """What `linalg.svd` returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class LstsqResult(NamedTuple):
    """What `lstsq` returns."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def matrices(name: str, A: Any, square: bool = False) -> Tensor:
    """A, if it is a matrix or a batch of them in float32 or float64; RuntimeError, or TypeError for no Tensor."""
    if not isinstance(A, Tensor):
        raise TypeError(f"{name}(): argument 'A' must be Tensor, not {type(A).__name__}")
    if A.ndim < 2:
        raise RuntimeError(f"{name}: the input tensor A must have at least 2 dimensions, got shape {A.shape}.")
    if A.dtype.kind != "f" or A.dtype.itemsize < 4:
        raise RuntimeError(f"{name}: expected a float32 or float64 tensor as input, got {A.dtype}; convert it first.")
    if square and A.shape[-1] != A.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {A.shape[-2]} by {A.shape[-1]} matrices."
        )
    return A


def transposed(x: Tensor) -> Tensor:
    """The matrix transposed."""
    return ops.permute_dims(x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))  # type: ignore[no-any-return]


def inv(A: Tensor) -> Tensor:
    """Inverse of square matrices (*, n, n). Raises rg.linalg.LinAlgError for a singular one.

    >>> import retrograd as rg
    >>> rg.linalg.inv(rg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return ops.inv(matrices("linalg.inv", A, square=True))  # type: ignore[no-any-return]


def det(A: Tensor) -> Tensor:
    """Determinant of square matrices (*, n, n): shape (*). Singular ones have a gradient too, but not a second one."""
    return ops.det(matrices("linalg.det", A, square=True))  # type: ignore[no-any-return]


def slogdet(A: Tensor) -> SlogdetResult:
    """Sign and logarithm of the absolute value of the determinant: (sign, logabsdet); 0 and −inf for a singular one."""
    return SlogdetResult(*ops.slogdet(matrices("linalg.slogdet", A, square=True)))


def logdet(input: Tensor) -> Tensor:
    """Logarithm of the determinant; NaN where that is negative."""
    sign, logarithm = ops.slogdet(matrices("logdet", input, square=True))
    return ops.where(ops.less(sign, 0), np.nan, logarithm)  # type: ignore[no-any-return]


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The X with A X = B, or X A = B where not `left`; A (*, n, n), B (*, n, k), a vector (n,) or vectors (*, n).

    Raises rg.linalg.LinAlgError where A is singular, RuntimeError for shapes that do not fit.
    """
    matrices("linalg.solve", A, square=True)
    same_dtype("linalg.solve", A, B)
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and A.shape[:-1] == B.shape)
    if vector:
        if not left:
            raise RuntimeError("linalg.solve: vector broadcasting of the left hand side needs left=True.")
        B = ops.expand_dims(B, axis=-1)
    if B.shape[-2 if left else -1] != A.shape[-1]:
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(f"linalg.solve: shapes of A {A.shape} and B {B.shape} do not fit the equation {equation}.")
    if left:
        X = ops.solve(A, B)
    else:
        X = transposed(ops.solve(transposed(A), transposed(B)))
    return ops.squeeze(X, axis=X.ndim - 1) if vector else X  # type: ignore[no-any-return]


def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """`solve` for triangular A: reads one triangle, and takes its diagonal as ones if `unitriangular`."""
    matrices("linalg.solve_triangular", A, square=True)
    k = 1 if unitriangular else 0
    A = ops.triu(A, k=k) if upper else ops.tril(A, k=-k)
    if unitriangular:
        A = ops.add(A, make(namespace(A).eye(A.shape[-1], dtype=A.dtype)))
    return solve(A, B, left=left)


def matrix_power(A: Tensor, n: int) -> Tensor:
    """Aⁿ for square matrices and an integer n, negative ones by the inverse."""
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"linalg.matrix_power(): argument 'n' must be int, not {type(n).__name__}")
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise RuntimeError(f"linalg.matrix_power: A must be batches of square matrices, got shape {A.shape}.")
    if n == 0:
        with A.device:
            xp = namespace(A)
            return make(xp.copy(xp.broadcast_to(xp.eye(A.shape[-1], dtype=A.dtype), A.shape)))
    base = result = inv(A) if n < 0 else A
    for bit in bin(abs(n))[3:]:  # after the leading one: each bit squares, a one multiplies too
        result = ops.matmul(result, result)
        if bit == "1":
            result = ops.matmul(result, base)
    return ops.copy(A) if result is A else result


def pinv(A: Tensor, *, atol: float | None = None, rtol: float | None = None, hermitian: bool = False) -> Tensor:
    """Moore–Penrose inverse of (*, m, n): (*, n, m).

    Singular values up to max(atol, rtol·largest) count as zero; rtol is max(m, n)·ε unless atol is given. The gradient
    is that of matrices whose rank stays. `hermitian` promises a symmetric A, of which the lower triangle is read.
    """
    matrices("linalg.pinv", A, square=hermitian)
    if hermitian:
        below = ops.tril(A, k=-1)
        A = ops.add(ops.tril(A, k=0), transposed(below))
    return ops.pinv(A, atol=atol, rtol=rtol)  # type: ignore[no-any-return]


def singular_values_above(A: Tensor, atol: float | None, rtol: float | None) -> Any:
    """For every singular value, whether it counts as more than zero, as an array."""
    xp = namespace(A)
    values = xp.svd(A._array, full_matrices=False)[1]
    return values > tolerance(xp, A._array, atol, rtol, values)


def matrix_rank(A: Tensor, *, atol: float | None = None, rtol: float | None = None, hermitian: bool = False) -> Tensor:
    """Number of singular values above max(atol, rtol·largest), as int64; defaults as in `pinv`."""
    matrices("linalg.matrix_rank", A, square=hermitian)
    if hermitian:
        A = ops.add(ops.tril(A, k=0), transposed(ops.tril(A, k=-1)))
    return make(namespace(A).sum(singular_values_above(A, atol, rtol), axis=-1))


def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> LstsqResult:
    """The X of least norm among those that minimise |A X − B|; A (*, m, n), B (*, m, k) or vectors (*, m).

    Returns (solution, residuals, rank, singular_values). The solution is differentiable where A has full rank. As in
    PyTorch it depends on the driver what else is computed (the rest is empty): the squared residuals of an
    overdetermined system of full rank by "gels", "gelsd" and "gelss", the rank by "gelsy" (the default), "gelsd" and
    "gelss", the singular values by "gelsd" and "gelss". Singular values up to rcond·largest count as zero.
    """
    matrices("linalg.lstsq", A)
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f"linalg.lstsq: driver should be one of gels, gelsy, gelsd and gelss, got {driver!r}.")
    same_dtype("linalg.lstsq", A, B)
    vector = A.ndim - 1 == B.ndim and A.shape[:-1] == B.shape
    if vector:
        B = ops.expand_dims(B, axis=-1)
    if B.ndim < 2 or A.shape[-2] != B.shape[-2]:
        raise RuntimeError(f"linalg.lstsq: A {A.shape} and B {B.shape} must have the same number of rows.")
    solution = ops.matmul(ops.pinv(A, rtol=rcond), B)
    xp = namespace(A)
    nothing = make(xp.new_zeros(A._array, shape=(0,)))
    counted = singular_values_above(A, None, rcond)
    rank = make(xp.sum(counted, axis=-1)) if driver != "gels" else make(xp.astype(nothing._array, np.dtype(np.int64)))
    residuals = nothing
    if driver not in (None, "gelsy") and A.shape[-2] > A.shape[-1] and bool(xp.all(counted)):
        residuals = ops.sum(ops.square(ops.subtract(ops.matmul(A, solution), B)), axis=-2)
    values = make(xp.svd(A._array, full_matrices=False)[1]) if driver in ("gelsd", "gelss") else nothing
    return LstsqResult(ops.squeeze(solution, axis=solution.ndim - 1) if vector else solution, residuals, rank, values)


# ---- factorisations


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L with L Lᵀ = A, or its transpose if `upper`.

    A is symmetric and positive definite (else rg.linalg.LinAlgError); only the lower triangle is read, or the upper.
    """
    matrices("linalg.cholesky", A, square=True)
    if upper:
        return transposed(ops.cholesky(transposed(A)))
    return ops.cholesky(A)  # type: ignore[no-any-return]


def qr(A: Tensor, mode: str = "reduced") -> QRResult:
    """Q with orthonormal columns and upper triangular R with Q R = A (*, m, n), k = min(m, n).

    mode: "reduced" (Q (*, m, k), R (*, k, n)), "complete" (Q (*, m, m), R (*, m, n); without gradient where m > n),
    "r" (Q empty; without gradient). The gradient asks the first k columns to be independent.
    """
    matrices("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    if mode == "r":
        return QRResult(make(namespace(A).new_zeros(A._array, shape=(0,))), ops.triangle_of_qr(A))
    return QRResult(*ops.qr(A, mode=mode))


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> SVDResult:
    """U, S, Vh with U diag(S) Vh = A (*, m, n), S descending; U and Vh square or cut to k = min(m, n).

    Gradients through U and Vh need distinct singular values, none of them 0 unless A is square; through S nothing.
    """
    matrices("linalg.svd", A)
    if driver is not None:
        raise RuntimeError(f"linalg.svd: driver= is for CUDA inputs of PyTorch's, got {driver!r}; leave it out.")
    return SVDResult(*ops.svd(A, full_matrices=full_matrices))


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """Singular values, descending."""
    return svd(A, full_matrices=False, driver=driver).S


def symmetric(name: str, A: Tensor, UPLO: str) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors from one triangle."""
    matrices(name, A, square=True)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"{name}: expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return ops.eigh(A, upper=UPLO.upper() == "U")  # type: ignore[no-any-return]


def eigh(A: Tensor, UPLO: str = "L") -> EighResult:
    """Eigenvalues, ascending, and orthonormal eigenvectors, in columns, of symmetric matrices (*, n, n).

    Only the lower triangle ("L") or the upper ("U") is read. Gradients through the vectors need distinct eigenvalues.

    >>> import retrograd as rg
    >>> rg.linalg.eigh(rg.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    return EighResult(*symmetric("linalg.eigh", A, UPLO))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """Eigenvalues of symmetric matrices, ascending."""
    return symmetric("linalg.eigvalsh", A, UPLO)[0]


def matrix_exp(A: Tensor) -> Tensor:
    """Σ Aⁿ/n! of square matrices."""
    return ops.matrix_exp(matrices("linalg.matrix_exp", A, square=True))  # type: ignore[no-any-return]


def cond(A: Tensor, p: float | str | None = None) -> Tensor:
    """Condition number |A| |A⁻¹| in the matrix norm p; None is 2: largest by smallest singular value."""
    matrices("linalg.cond", A, square=p not in (None, 2, -2))
    if p in (None, 2, -2):
        values = svdvals(A)
        first, last = ops.getitem(values, (..., 0)), ops.getitem(values, (..., -1))
        return ops.divide(last, first) if p == -2 else ops.divide(first, last)  # type: ignore[no-any-return]
    return ops.multiply(norm_of(A, p, (-2, -1)), norm_of(inv(A), p, (-2, -1)))  # type: ignore[no-any-return]


# ---- the older names


def older_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """U, S, V (not transposed) with U diag(S) Vᵀ = input; `some` cuts U and V to min(m, n) columns."""
    if not compute_uv:
        raise NotImplementedError("svd: compute_uv=False; use rg.linalg.svdvals.")
    U, S, Vh = svd(input, full_matrices=not some)
    return U, S, transposed(Vh)


def older_qr(input: Tensor, some: bool = True) -> QRResult:
    """`linalg.qr`, complete unless `some`."""
    return qr(input, "reduced" if some else "complete")


def older_cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """`linalg.cholesky`."""
    return cholesky(input, upper=upper)


def inverse(input: Tensor) -> Tensor:
    """`linalg.inv`."""
    return inv(input)


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`linalg.pinv` with singular values up to rcond·largest taken as zero."""
    return pinv(input, rtol=rcond)


def older_det(input: Tensor) -> Tensor:
    """`linalg.det`."""
    return det(input)


def older_slogdet(input: Tensor) -> SlogdetResult:
    """`linalg.slogdet`."""
    return slogdet(input)


def older_matrix_power(input: Tensor, n: int) -> Tensor:
    """`linalg.matrix_power`."""
    return matrix_power(input, n)


def older_matrix_exp(input: Tensor) -> Tensor:
    """`linalg.matrix_exp`."""
    return matrix_exp(input)


for function in (logdet, inverse, pinverse):
    public(function)
public(older_det, name="det")
public(older_slogdet, name="slogdet")
public(older_matrix_power, name="matrix_power")
public(older_matrix_exp, name="matrix_exp")
public(older_svd, name="svd")
public(older_qr, name="qr")
public(older_cholesky, name="cholesky")
