"""Functions of layers: every one against NumPy and finite differences, to second order, on every device."""

import math

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd import ops
from retrograd.nn import functional as F
from tests.autograd.factory import each, elementwise, function

erf = np.vectorize(math.erf, otypes=[float])


def softplus(x, beta=1.0, threshold=20.0):
    return np.where(beta * x > threshold, x, np.log1p(np.exp(np.minimum(beta * x, threshold))) / beta)


def log_softmax(x, dim):
    shifted = x - x.max(axis=dim, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


test_relu = elementwise(F.relu, lambda x: np.maximum(x, 0), "away from zero")
test_leaky_relu = elementwise(
    F.leaky_relu, lambda x, negative_slope: np.where(x > 0, x, negative_slope * x), "away from zero", negative_slope=0.2
)
test_elu = elementwise(F.elu, elu, "away from zero", alpha=each(1.0, 0.5))
test_celu = elementwise(
    F.celu, lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(x / alpha)), "away from zero", alpha=0.7
)
test_selu = elementwise(F.selu, lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772), "away from zero")
test_gelu = elementwise(F.gelu, lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))), "any")
test_gelu_by_tanh = elementwise(
    lambda x: F.gelu(x, approximate="tanh"),
    lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "any",
)
test_silu = elementwise(F.silu, lambda x: x / (1 + np.exp(-x)), "any")
test_mish = elementwise(F.mish, lambda x: x * np.tanh(softplus(x)), "any")
test_softplus = elementwise(F.softplus, softplus, "any", beta=each(1.0, 2.0), threshold=each(20.0, 1.1))
test_logsigmoid = elementwise(F.logsigmoid, lambda x: -softplus(-x), "any")
test_softsign = elementwise(F.softsign, lambda x: x / (1 + np.abs(x)), "away from zero")
test_tanhshrink = elementwise(F.tanhshrink, lambda x: x - np.tanh(x), "away from zero")
test_hardtanh = elementwise(F.hardtanh, lambda x: np.clip(x, -1, 1), "between integers")
test_relu6 = elementwise(F.relu6, lambda x: np.clip(x, 0, 6), "between integers")
test_hardsigmoid = elementwise(F.hardsigmoid, lambda x: np.clip(x + 3, 0, 6) / 6, "between integers")
test_hardswish = elementwise(F.hardswish, lambda x: x * np.clip(x + 3, 0, 6) / 6, "between integers")
test_threshold = elementwise(
    F.threshold, lambda x, threshold, value: np.where(x > threshold, x, value), "any", threshold=0.1, value=7.0
)
test_hardshrink = elementwise(F.hardshrink, lambda x: np.where(np.abs(x) <= 0.5, 0, x), "between integers")
test_softshrink = elementwise(F.softshrink, lambda x: x - np.clip(x, -0.5, 0.5), "between integers")
test_prelu = elementwise(
    F.prelu,
    lambda x, w: np.where(x > 0, x, w * x).reshape(x.shape),
    "away from zero",
    "any",
    shapes=[((2, 3), (1,)), ((2, 3), ()), ((), (1,)), ((0, 3), (1,))],
)
test_softmax = function(F.softmax, lambda x, dim: np.exp(log_softmax(x, dim)), shapes=[(2, 3), (3,)], dim=each(0, -1))
test_log_softmax = function(F.log_softmax, log_softmax, shapes=[(2, 3), (3,)], dim=each(0, -1))
test_maxout = function(
    F.maxout, lambda x, pieces: x.reshape(*x.shape[:-1], -1, pieces).max(-1), "distinct", shapes=[(2, 6)], pieces=2
)
test_glu = function(F.glu, lambda x: x[..., :2] / (1 + np.exp(-x[..., 2:])), shapes=[(3, 4), (4,)])
test_linear = function(
    F.linear, lambda x, w, b: x @ w.T + b, "any", "any", "any", shapes=[((4, 3), (2, 3), (2,)), ((3,), (2, 3), (2,))]
)
test_binary_cross_entropy = elementwise(
    ops.binary_cross_entropy,
    lambda p, t: -t * np.log(p) - (1 - t) * np.log(1 - p),
    "probability",
    "probability",
    shapes=[((2, 3), (2, 3)), ((), ()), ((0,), (0,))],
)
test_binary_cross_entropy_with_logits = elementwise(
    ops.binary_cross_entropy_with_logits,
    lambda x, t: softplus(x) - x * t,
    "away from zero",
    "probability",
    shapes=[((2, 3), (2, 3)), ((), ()), ((0,), (0,))],
)

TARGET = np.array([1, 0, 2, 2])


def cross_entropy(x, reduction):
    losses = -log_softmax(x, 1)[range(4), TARGET]
    return {"mean": losses.mean, "sum": losses.sum, "none": lambda: losses}[reduction]()


test_cross_entropy = function(
    lambda x, reduction: F.cross_entropy(x, rg.tensor(TARGET, device=x.device), reduction=reduction),
    cross_entropy,
    shapes=[(4, 3)],
    reduction=each("mean", "sum", "none"),
)


def test_dropout_keeps_the_expectation_and_is_the_identity_in_evaluation(device):
    rg.manual_seed(0)
    x = rg.ones(100_000, device=device)
    dropped = F.dropout(x, 0.3)
    assert sorted(set(dropped.tolist())) == pytest.approx([0, 1 / 0.7])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert F.dropout(x, 0.3, training=False) is x


def test_a_layer_says_which_shapes_do_not_fit():
    with pytest.raises(
        RuntimeError, match=r"linear: input \(32, 100\) does not fit weight \(10, 784\): .* 784, got 100"
    ):
        F.linear(rg.ones(32, 100), rg.ones(10, 784), rg.ones(10))


def test_a_hidden_target_names_itself():
    with pytest.raises(IndexError, match="Target 7 is out of bounds: there are 3 classes, 0 to 2"):
        F.cross_entropy(rg.zeros(2, 3), rg.tensor([0, 7]))


def test_rows_that_are_ignored_may_hold_infinities():
    x = rg.tensor([[float("inf"), 0.0], [1.0, 0.0]], requires_grad=True)
    loss = F.cross_entropy(x, rg.tensor([-100, 0]))
    loss.backward()
    assert math.isfinite(loss.item())
    assert math.isfinite(x.grad[1, 0].item())
