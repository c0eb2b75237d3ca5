"""Linear algebra on CuPy. Decompositions wait for the GPU to learn whether they succeeded."""

from __future__ import annotations

import cupy as cp
import cupyx
import numpy as np

from retrograd.backends.contract import Array

__all__ = ["cholesky", "det", "eigh", "inv", "lstsq", "qr", "slogdet", "solve", "svd"]


def inv(x: Array) -> Array:
    with cupyx.errstate(linalg="raise"):
        return cp.linalg.inv(x)


def det(x: Array) -> Array:
    return cp.linalg.det(x)


def slogdet(x: Array) -> tuple[Array, Array]:
    sign_, logarithm = cp.linalg.slogdet(x)
    return sign_, logarithm


def solve(x: Array, y: Array) -> Array:
    if y.ndim > 1:  # CuPy does not broadcast the batches
        batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        x = cp.broadcast_to(x, (*batch, *x.shape[-2:]))
        y = cp.broadcast_to(y, (*batch, *y.shape[-2:]))
    with cupyx.errstate(linalg="raise"):
        return cp.linalg.solve(x, y)


def cholesky(x: Array) -> Array:
    with cupyx.errstate(linalg="raise"):
        return cp.linalg.cholesky(x)


def qr(x: Array, *, mode: str = "reduced") -> tuple[Array, Array]:
    q, r = cp.linalg.qr(x, mode)
    return q, r


def svd(x: Array, *, full_matrices: bool = True) -> tuple[Array, Array, Array]:
    with cupyx.errstate(linalg="raise"):
        u, s, vh = cp.linalg.svd(x, full_matrices)
    return u, s, vh


def eigh(x: Array) -> tuple[Array, Array]:
    with cupyx.errstate(linalg="raise"):
        values, vectors = cp.linalg.eigh(x)
    return values, vectors


def lstsq(x: Array, y: Array) -> Array:
    with cupyx.errstate(linalg="raise"):
        return cp.linalg.lstsq(x, y, None)[0]
