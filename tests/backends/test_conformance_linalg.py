"""Every backend gives the contract's values: products and matrices."""

from __future__ import annotations

import numpy as np
import pytest

from tests.backends.arrays import DTYPES, agree, host


@pytest.fixture
def square(rng):
    return rng.normal(size=(2, 4, 4)) + 4 * np.eye(4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 4), (4, 2)), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 2)), ((5, 1, 3, 4), (2, 4, 2)), ((0, 4), (4, 2))],
)
def test_matmul_follows_numpys_shapes(xp, rng, left, right, dtype):
    a, b = rng.integers(-3, 4, size=left).astype(dtype), rng.integers(-3, 4, size=right).astype(dtype)
    agree(xp.matmul(xp.from_host(a), xp.from_host(b)), np.asarray(np.matmul(a, b)))


def test_matmul_takes_transposes_and_strides(xp, rng):
    a, b = rng.normal(size=(6, 4)), rng.normal(size=(6, 8))
    agree(xp.matmul(xp.from_host(a.T), xp.from_host(b)), a.T @ b)
    agree(xp.matmul(xp.from_host(a[::2].T), xp.from_host(b[::2, ::2])), a[::2].T @ b[::2, ::2])
    with pytest.raises(ValueError, match="matmul"):
        xp.matmul(xp.from_host(a), xp.from_host(b))


def test_matmul_of_float16_accumulates_in_float32(xp):
    x = xp.ones((1, 4096), dtype=np.float16)
    agree(xp.matmul(x, xp.permute_dims(x, (1, 0))), np.array([[4096]], np.float16))


@pytest.mark.parametrize(
    "equation",
    ["ij,jk->ik", "bij,bkj->bik", "ij->ji", "ij->", "ii->i", "ij,jk,kl->il", "...ij,...jk->...ik", "i,j->ij"],
)
def test_einsum_agrees_with_numpy(xp, rng, equation):
    inputs = equation.split("->")[0].replace("...", "").split(",")
    arrays = [rng.normal(size=(3,) * len(letters)) for letters in inputs]
    agree(xp.einsum(equation, *map(xp.from_host, arrays)), np.asarray(np.einsum(equation, *arrays)))


def test_inverse_and_determinant_take_batches(xp, square):
    x = xp.from_host(square)
    np.testing.assert_allclose(host(xp.matmul(xp.inv(x), x)), np.broadcast_to(np.eye(4), (2, 4, 4)), atol=1e-12)
    np.testing.assert_allclose(host(xp.det(x)), np.linalg.det(square), rtol=1e-12)
    sign, logarithm = xp.slogdet(x)
    np.testing.assert_allclose(host(sign) * np.exp(host(logarithm)), np.linalg.det(square), rtol=1e-12)
    agree(xp.det(xp.zeros((2, 2))), np.asarray(0.0))


@pytest.mark.parametrize("shape", [(4,), (4, 3), (2, 4, 3), (1, 4, 3)])
def test_solve_takes_vectors_matrices_and_batches(xp, rng, square, shape):
    b = rng.normal(size=shape)
    result = xp.solve(xp.from_host(square), xp.from_host(b))
    np.testing.assert_allclose(host(result), np.linalg.solve(square, b), rtol=1e-10, atol=1e-12)


def test_decompositions_multiply_back(xp, square):
    x = xp.from_host(square)
    symmetric = square @ square.swapaxes(-1, -2)
    lower = host(xp.cholesky(xp.from_host(symmetric)))
    np.testing.assert_allclose(lower @ lower.swapaxes(-1, -2), symmetric, rtol=1e-10)
    q, r = map(host, xp.qr(x))
    np.testing.assert_allclose(q @ r, square, atol=1e-12)
    values, vectors = map(host, xp.eigh(xp.from_host(symmetric)))
    np.testing.assert_allclose((vectors * values[:, None]) @ vectors.swapaxes(-1, -2), symmetric, rtol=1e-10)
    u, s, vh = map(host, xp.svd(xp.from_host(square[:, :, :3]), full_matrices=False))
    np.testing.assert_allclose((u * s[:, None]) @ vh, square[:, :, :3], atol=1e-12)
    assert xp.svd(xp.from_host(square[:, :, :3]))[0].shape == (2, 4, 4)
    assert xp.qr(xp.from_host(square[:, :, :3]), mode="complete")[0].shape == (2, 4, 4)


def test_least_squares_find_the_projection(xp, rng):
    a, b = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    wanted = np.linalg.lstsq(a, b, rcond=None)[0]
    np.testing.assert_allclose(host(xp.lstsq(xp.from_host(a), xp.from_host(b))), wanted, rtol=1e-10)
    np.testing.assert_allclose(host(xp.lstsq(xp.from_host(a), xp.from_host(b[:, 0]))), wanted[:, 0], rtol=1e-10)


def test_matrices_that_cannot_be_decomposed_raise(xp):
    singular, indefinite = xp.ones((2, 2)), xp.from_host(-np.eye(2))
    for attempt in (
        lambda: xp.inv(singular),
        lambda: xp.solve(singular, xp.ones(2)),
        lambda: xp.cholesky(indefinite),
        lambda: xp.inv(xp.ones((2, 3))),
    ):
        with pytest.raises(np.linalg.LinAlgError):
            attempt()
