"""Rows L01, L02, L03, L07 and L08 of the checklist: small graphs whose every number the lecture notes give."""

from __future__ import annotations

import math

import numpy as np
import pytest

import retrograd as rg


def on(device, values, **options):
    return rg.tensor(values, dtype=rg.float64, device=device, **options)


def host(t):
    return t.detach().cpu().numpy()


def test_L01_reverse_mode_shows_every_intermediate_value_and_adjoint(device):
    x1, x2 = on(device, 2.0, requires_grad=True), on(device, 5.0, requires_grad=True)
    v1 = x1.log()
    v2 = x1 * x2
    v3 = x2.sin()
    v4 = v1 + v2
    y = v4 - v3
    steps = [v1, v2, v3, v4, y]
    for step in steps:
        step.retain_grad()
    y.backward()
    values = [math.log(2), 10.0, math.sin(5), math.log(2) + 10, 11.652]
    np.testing.assert_allclose([step.item() for step in steps], values, atol=5e-4)
    assert [step.grad.item() for step in steps] == [1, 1, -1, 1, 1]
    assert x1.grad.item() == pytest.approx(5.5)
    assert x2.grad.item() == pytest.approx(1.716, abs=5e-4)
    names = [step.grad_fn.name() for step in steps]
    assert names == ["LogBackward0", "MulBackward0", "SinBackward0", "AddBackward0", "SubBackward0"]


def test_L02_the_graph_of_a_product_and_a_sum(device):
    a, b, c = (rg.tensor([number], device=device, requires_grad=True) for number in (3.0, 2.0, 5.0))
    u = a * b
    v = u + c
    J = v * 2
    J.backward(gradient=rg.tensor([1.0], device=device))
    assert (u.item(), v.item(), J.item()) == (6, 11, 22)
    assert (a.grad.item(), b.grad.item(), c.grad.item()) == (4, 6, 2)
    assert "grad_fn=<MulBackward0>" in repr(J)
    if device.type == "cpu":
        assert repr(J) == "tensor([22.], grad_fn=<MulBackward0>)"
    moved = 2 * ((a + 0.1) * b + c)
    assert moved.item() == pytest.approx(22.4)
    assert (moved.item() - J.item()) / 0.1 == pytest.approx(a.grad.item(), rel=1e-4)


@pytest.mark.parametrize(
    "clear",
    [
        lambda a: a.grad.zero_(),
        lambda a: a.grad.data.zero_(),
        lambda a: setattr(a, "grad", None),
        lambda a: rg.optim.SGD([a], lr=0.1).zero_grad(),
    ],
    ids=["grad.zero_", "grad.data.zero_", "grad = None", "optimizer.zero_grad"],
)
def test_L03_gradients_accumulate_until_they_are_cleared(clear, device):
    a = rg.tensor([3.0], device=device, requires_grad=True)
    (a * 2).backward()
    assert a.grad.item() == 2
    (a * 2).backward()
    assert a.grad.item() == 4
    clear(a)
    (a * 2).backward()
    assert a.grad.item() == 2


def test_L07_a_matrix_product_squared_and_summed(device):
    X = on(device, [[0.0, 1.0], [2.0, 3.0]], requires_grad=True)
    W = rg.ones(2, 2, dtype=rg.float64, device=device, requires_grad=True)
    Y = X @ W
    Y.retain_grad()
    L = (Y**2).sum()
    L.backward()
    assert host(Y).tolist() == [[1, 1], [5, 5]]
    assert L.item() == 52
    assert host(Y.grad).tolist() == [[2, 2], [10, 10]]
    assert host(X.grad).tolist() == [[4, 4], [20, 20]]
    assert host(W.grad).tolist() == [[20, 20], [32, 32]]


def test_L08_one_step_of_gradient_descent_on_a_small_relu_net(device):
    x = on(device, [1.0, 2.0])
    W1 = on(device, [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], requires_grad=True)
    b1 = on(device, [0.1, 0.2, 0.3], requires_grad=True)
    W2 = on(device, [[0.7, 0.8, 0.9]], requires_grad=True)
    b2 = on(device, [0.1], requires_grad=True)
    prediction = W2 @ (W1 @ x + b1).relu() + b2
    loss = (0.5 * (prediction - 3.2) ** 2).sum()
    loss.backward()
    with rg.no_grad():
        for parameter in (W1, b1, W2, b2):
            parameter -= 0.1 * parameter.grad
    np.testing.assert_allclose(host(W1), [[0.0888, 0.1776], [0.2872, 0.3744], [0.4856, 0.5712]], atol=5e-5)
    np.testing.assert_allclose(host(b1), [0.0888, 0.1872, 0.2856], atol=5e-5)
    np.testing.assert_allclose(host(W2), [[0.6904, 0.7792, 0.8680]], atol=5e-5)
    np.testing.assert_allclose(host(b2), [0.0840], atol=5e-5)
    assert W1.is_leaf
    assert W1.requires_grad
