"""Rows L09 and L10 of the checklist: the affine layer's gradients, and Jacobians written out."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd.functional import jacobian


def on(device, values, **options):
    return rg.tensor(np.asarray(values).tolist(), dtype=rg.float64, device=device, **options)


def host(t):
    return t.detach().cpu().numpy()


SHAPES = [(1, 1, 1), (4, 3, 2), (7, 5, 1), (2, 8, 6)]


@pytest.mark.parametrize(("batch", "inputs", "outputs"), SHAPES)
@pytest.mark.parametrize("transposed", [False, True], ids=["W (in, out)", "W (out, in)"])
def test_L09_gradients_of_an_affine_layer(device, rng, batch, inputs, outputs, transposed):
    X, W, b, dY = (rng.normal(size=s) for s in [(batch, inputs), (inputs, outputs), (outputs,), (batch, outputs)])
    x, bias = on(device, X, requires_grad=True), on(device, b, requires_grad=True)
    w = on(device, W.T if transposed else W, requires_grad=True)
    y = x @ (w.T if transposed else w) + bias
    y.backward(on(device, dY))
    np.testing.assert_allclose(host(y), X @ W + b)
    np.testing.assert_allclose(host(x.grad), dY @ W.T)
    np.testing.assert_allclose(host(w.grad), (X.T @ dY).T if transposed else X.T @ dY)
    np.testing.assert_allclose(host(bias.grad), dY.sum(0))


def test_L10_jacobians_of_an_affine_map(device):
    h, W, b = on(device, [1, 2, 3]), on(device, [[1, 2, 3], [4, 5, 6]]), on(device, [1, -1])
    by_h, by_W, by_b = jacobian(lambda h, W, b: W @ h + b, (h, W, b))
    np.testing.assert_array_equal(host(by_h), host(W))
    np.testing.assert_array_equal(host(by_W.reshape(2, 6)), [[1, 2, 3, 0, 0, 0], [0, 0, 0, 1, 2, 3]])
    np.testing.assert_array_equal(host(by_b), np.eye(2))


def test_L10_the_jacobian_of_relu_is_diagonal(device):
    z = on(device, [-1, 2, 0, 3])
    found = jacobian(lambda z: z.relu(), z)
    np.testing.assert_array_equal(host(found), np.diag([0, 1, 0, 1]))


def test_L10_the_factors_of_a_chain_have_the_shapes_1x2_2x4_4x4_and_4x12(device, rng):
    x, W1, W2 = on(device, rng.normal(size=3)), on(device, rng.normal(size=(4, 3))), on(device, rng.normal(size=(2, 4)))
    z = W1 @ x
    a = z.relu()
    y = W2 @ a
    by_y = jacobian(lambda y: (y * y).sum(), y).reshape(1, 2)
    by_a = jacobian(lambda a: W2 @ a, a)
    by_z = jacobian(lambda z: z.relu(), z)
    by_W1 = jacobian(lambda W1: W1 @ x, W1).reshape(4, 12)
    factors = [by_y, by_a, by_z, by_W1]
    assert [tuple(f.shape) for f in factors] == [(1, 2), (2, 4), (4, 4), (4, 12)]
    (direct,) = rg.autograd.grad(loss_of(W1.requires_grad_(), W2, x), W1)
    product = host(by_y) @ host(by_a) @ host(by_z) @ host(by_W1)
    np.testing.assert_allclose(product.reshape(4, 3), host(direct))
    np.testing.assert_array_equal(host(by_W1), np.kron(np.eye(4), host(x)))


def loss_of(W1, W2, x):
    y = W2 @ (W1 @ x).relu()
    return (y * y).sum()
