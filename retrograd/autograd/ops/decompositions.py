"""Inverses, determinants and factorisations of matrices (the last two axes; those before them are a batch).

Rules: Giles 2008, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation", and
where they stand. Where a gradient does not exist (a repeated eigenvalue, whose vectors are any basis) it is not finite.
"""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd.ops.indexing import slice_view
from retrograd.autograd.ops.linalg import mT
from retrograd.autograd.ops.shape import concat, on_diagonal
from retrograd.autograd.primitive import primitive
from retrograd.autograd.view import apply


def column(xp: Any, x: Any) -> Any:
    """A vector as a matrix of one column."""
    return xp.reshape(x, shape=(*x.shape, 1))


def row(xp: Any, x: Any) -> Any:
    """A vector as a matrix of one row."""
    return xp.reshape(x, shape=(*x.shape[:-1], 1, x.shape[-1]))


def scalar(xp: Any, x: Any) -> Any:
    """A number for each matrix of the batch, to multiply the matrices with."""
    return xp.reshape(x, shape=(*x.shape, 1, 1))


def part(x: Any, rows: slice, columns: slice) -> Any:
    """A block of the matrix."""
    return apply(slice_view.primitive, x, index=(..., rows, columns))


def on_main(x: Any) -> Any:
    """Diagonal matrices of vectors."""
    return apply(on_diagonal.primitive, x, shape=(*x.shape, x.shape[-1]), offset=0, axis1=-2, axis2=-1)


def differences(xp: Any, x: Any) -> Any:
    """xⱼ − xᵢ at (i, j), and 1 on the diagonal, to be divided by."""
    return row(xp, x) - column(xp, x) + on_main(xp.new_zeros(x, shape=x.shape) + 1)


# ---- inverse, determinant, equations


@primitive(name="LinalgInvEx")
def inv(xp: Any, x: Any) -> Any:
    """The inverse of every matrix. LinAlgError for a singular one."""
    return xp.inv(x)


@inv.vjp
def _(xp: Any, g: Any, out: Any) -> Any:
    transposed = mT(xp, out)
    return -xp.matmul(transposed, xp.matmul(g, transposed))


@primitive(name="LinalgDet")
def det(xp: Any, x: Any) -> Any:
    """The determinant of every matrix."""
    return xp.det(x)


@primitive
def cofactors(xp: Any, x: Any) -> Any:
    """The derivative of the determinant, det(x) x⁻ᵀ, which exists for singular matrices too.

    With x = U S Vᵀ it is det(U Vᵀ) U D Vᵀ, the diagonal D holding the products of all other singular values.
    """
    u, s, vh = xp.svd(x, full_matrices=False)
    n = s.shape[-1]
    others = xp.where(xp.eye(n, dtype=s.dtype) == 1, 1, row(xp, s))
    products = xp.prod(others, axis=-1)
    orientation = xp.det(u) * xp.det(vh)
    return scalar(xp, xp.round(orientation)) * xp.matmul(u * row(xp, products), vh)


det.vjp(lambda xp, g, x: scalar(xp, g) * apply(cofactors.primitive, x))


@cofactors.vjp
def _(xp: Any, g: Any, x: Any, out: Any) -> Any:
    inverse = xp.inv(x)  # a second derivative of the determinant is asked of invertible matrices only
    trace = xp.sum(g * mT(xp, inverse), axis=(-2, -1))
    return scalar(xp, trace) * out - xp.matmul(out, xp.matmul(mT(xp, g), mT(xp, inverse)))


@primitive(name="LinalgSlogdet", outputs=True)
def slogdet(xp: Any, x: Any) -> Any:
    """Sign and logarithm of the absolute value of every determinant."""
    return tuple(xp.slogdet(x))


slogdet.vjp(lambda xp, g, x: scalar(xp, g[1]) * mT(xp, xp.inv(x)))


@primitive(name="LinalgSolveEx")
def solve(xp: Any, x: Any, y: Any) -> Any:
    """The matrices z with x z = y. LinAlgError where x is singular."""
    return xp.solve(x, y)


@solve.vjp
def _(xp: Any, g: Any, x: Any, out: Any) -> Any:
    g_y = xp.solve(mT(xp, x), g)
    return -xp.matmul(g_y, mT(xp, out)), g_y


@primitive(name="LinalgPinv")
def pinv(xp: Any, x: Any, *, atol: float | None = None, rtol: float | None = None) -> Any:
    """The Moore–Penrose inverse; singular values up to max(atol, rtol·largest) count as zero."""
    u, s, vh = xp.svd(x, full_matrices=False)
    if not s.shape[-1]:
        return mT(xp, x)
    bound = tolerance(xp, x, atol, rtol, s)
    inverted = xp.where(s > bound, 1 / xp.where(s > bound, s, 1), 0)
    return xp.matmul(mT(xp, vh) * row(xp, inverted), mT(xp, u))


@pinv.vjp
def _(xp: Any, g: Any, x: Any, out: Any) -> Any:
    """Golub & Pereyra 1973, eq. 4.12, for matrices whose rank does not change."""
    p, p_t, g_t = out, mT(xp, out), mT(xp, g)
    inner = -xp.matmul(p_t, xp.matmul(g, p_t))
    gram = xp.matmul(g_t, xp.matmul(p, p_t))
    left = gram - xp.matmul(x, xp.matmul(p, gram))
    gram = xp.matmul(p_t, xp.matmul(p, g_t))
    return inner + left + (gram - xp.matmul(xp.matmul(gram, p), x))


def tolerance(xp: Any, x: Any, atol: float | None, rtol: float | None, s: Any) -> Any:
    """Up to where a singular value counts as zero; by default max(rows, columns)·ε relative to the largest."""
    if rtol is None:
        rtol = 0.0 if atol else max(x.shape[-2:]) * {"f": 2.0**-23, "d": 2.0**-52}[x.dtype.char]
    return xp.maximum(s[..., :1] * rtol, 0.0 if atol is None else atol)


# ---- factorisations


@primitive(name="LinalgCholeskyEx")
def cholesky(xp: Any, x: Any) -> Any:
    """The lower triangular L with L Lᵀ = x; reads the lower triangle. LinAlgError where x is not positive definite."""
    return xp.cholesky(x)


@cholesky.vjp
def _(xp: Any, g: Any, out: Any) -> Any:
    """Murray 2016, "Differentiation of the Cholesky decomposition", eq. 10, symmetrised."""
    transposed = mT(xp, out)
    product = xp.matmul(transposed, g)
    halved = 0.5 * (xp.tril(product, k=0) + xp.tril(product, k=-1))
    inner = xp.solve(transposed, mT(xp, xp.solve(transposed, halved)))
    return 0.5 * (inner + mT(xp, inner))


@primitive(name="LinalgQr", outputs=True)
def qr(xp: Any, x: Any, *, mode: str) -> Any:
    """Orthonormal Q and upper triangular R with Q R = x; `mode` is "reduced" or "complete"."""
    return tuple(xp.qr(x, mode=mode))


@qr.vjp
def _(xp: Any, g: Any, x: Any, out: Any, mode: str) -> Any:
    """Roberts & Roberts 2020, "QR and LQ decomposition matrix backpropagation algorithms", eq. 8 and 9."""
    (g_q, g_r), (q, r) = g, out
    m, n = x.shape[-2:]
    if mode == "complete" and m > n:
        raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.")
    if m >= n:
        return qr_square(xp, g_q, g_r, q, r)
    square, wide = slice(0, m), slice(m, None)
    g_v = part(g_r, slice(None), wide)
    g_q = g_q + xp.matmul(part(x, slice(None), wide), mT(xp, g_v))
    g_x = qr_square(xp, g_q, part(g_r, slice(None), square), q, part(r, slice(None), square))
    return apply(concat.primitive, g_x, xp.matmul(q, g_v), axis=-1)


@primitive(name="LinalgQr")
def triangle_of_qr(xp: Any, x: Any) -> Any:
    """R alone."""
    return xp.qr(x, mode="reduced")[1]


@triangle_of_qr.vjp
def _(xp: Any, g: Any) -> Any:
    raise RuntimeError(
        "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. "
        "Please use linalg.qr(A, mode='reduced') if you are going to differentiate through linalg.qr."
    )


def qr_square(xp: Any, g_q: Any, g_r: Any, q: Any, r: Any) -> Any:
    """The gradient of x = Q R with a square R."""
    middle = xp.matmul(r, mT(xp, g_r)) - xp.matmul(mT(xp, g_q), q)
    symmetric = xp.tril(middle, k=0) + mT(xp, xp.tril(middle, k=-1))
    return mT(xp, xp.solve(r, mT(xp, g_q + xp.matmul(q, symmetric))))


@primitive(name="LinalgSvd", outputs=True)
def svd(xp: Any, x: Any, *, full_matrices: bool) -> Any:
    """U, S and Vᵀ with U diag(S) Vᵀ = x."""
    return tuple(xp.svd(x, full_matrices=full_matrices))


@svd.vjp
def _(xp: Any, g: Any, out: Any, arrived: set[int]) -> Any:
    """Townsend 2016, "Differentiating the singular value decomposition"; columns beyond the k of S have no gradient."""
    (g_u, g_s, g_vh), (u, s, vh) = g, out
    k = s.shape[-1]
    u, vh = part(u, slice(None), slice(k)), part(vh, slice(k), slice(None))
    if arrived == {1}:
        return xp.matmul(u * row(xp, g_s), vh)
    g_u, g_v, v = part(g_u, slice(None), slice(k)), mT(xp, part(g_vh, slice(k), slice(None))), mT(xp, vh)
    u_t, inverse, gaps = mT(xp, u), 1 / s, differences(xp, s * s)
    skew_u, skew_v = xp.matmul(u_t, g_u), xp.matmul(vh, g_v)
    skew_u, skew_v = (skew_u - mT(xp, skew_u)) / gaps, (skew_v - mT(xp, skew_v)) / gaps
    middle = skew_u * row(xp, s) + column(xp, s) * skew_v + on_main(g_s)
    gradient = xp.matmul(u, xp.matmul(middle, vh))
    if u.shape[-2] > k:
        beyond = (g_u - xp.matmul(u, xp.matmul(u_t, g_u))) * row(xp, inverse)
        gradient = gradient + xp.matmul(beyond, vh)
    if vh.shape[-1] > k:
        beyond = (g_v - xp.matmul(v, xp.matmul(vh, g_v))) * row(xp, inverse)
        gradient = gradient + xp.matmul(u, mT(xp, beyond))
    return gradient


@primitive(name="LinalgEigh", outputs=True)
def eigh(xp: Any, x: Any, *, upper: bool = False) -> Any:
    """Eigenvalues, ascending, and eigenvectors, in columns, of symmetric matrices given by one triangle."""
    return tuple(xp.eigh(mT(xp, x) if upper else x))


@eigh.vjp
def _(xp: Any, g: Any, out: Any, arrived: set[int]) -> Any:
    (g_values, g_vectors), (values, vectors) = g, out
    if 1 not in arrived:
        return xp.matmul(vectors * row(xp, g_values), mT(xp, vectors))
    turned = xp.matmul(mT(xp, vectors), g_vectors) / differences(xp, values)
    own = xp.diagonal(turned, offset=0, axis1=-2, axis2=-1)
    middle = turned + on_main(g_values - own)
    return xp.matmul(vectors, xp.matmul(middle, mT(xp, vectors)))


# ---- the exponential


@primitive(name="LinalgMatrixExp")
def matrix_exp(xp: Any, x: Any) -> Any:
    """Σ xⁿ/n! by scaling, a Padé approximant of degree 13 and squaring (Higham 2005, algorithm 2.3)."""
    if not math.prod(x.shape):
        return xp.copy(x)
    norm = float(xp.max(xp.sum(xp.abs(x), axis=-2)))
    squarings = max(0, math.ceil(math.log2(norm / 5.37))) if 0 < norm < math.inf else 0
    x = x / 2.0**squarings
    eye = xp.eye(x.shape[-1], dtype=x.dtype)
    powers = [eye, x2 := xp.matmul(x, x), x4 := xp.matmul(x2, x2), x6 := xp.matmul(x4, x2)]
    odd, even = (
        xp.matmul(x6, combined(PADE[start + 8 :: 2], powers[1:])) + combined(PADE[start : start + 7 : 2], powers)
        for start in (1, 0)
    )
    odd = xp.matmul(x, odd)
    out = xp.solve(even - odd, even + odd)
    for _ in range(squarings):
        out = xp.matmul(out, out)
    return out


PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
    670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip
"""Coefficients of the numerator of the [13/13] Padé approximant of eˣ, from x⁰ on."""


def combined(coefficients: Any, powers: Any) -> Any:
    """Σ coefficient · power."""
    return sum(float(c) * power for c, power in zip(coefficients, powers))


@matrix_exp.vjp
def _(xp: Any, g: Any, x: Any) -> Any:
    """The derivative stands in a corner of the exponential of [[xᵀ, g], [0, xᵀ]] (Mathias 1996, theorem 2.1)."""
    n = x.shape[-1]
    transposed = mT(xp, x)
    upper = apply(concat.primitive, transposed, g, axis=-1)
    lower = apply(concat.primitive, xp.new_zeros(x, shape=x.shape), transposed, axis=-1)
    whole = apply(matrix_exp.primitive, apply(concat.primitive, upper, lower, axis=-2))
    return part(whole, slice(n), slice(n, None))
