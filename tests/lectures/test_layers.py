"""Rows L04, L05, L06, L09, L30 and L31 of the checklist: layers, activations and losses with the notes' numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.nn import functional as F


def on(device, values, **options):
    return rg.tensor(values, dtype=rg.float64, device=device, **options)


def host(t):
    return t.detach().cpu().numpy()


def counting_linear(device, bias):
    """Linear layer whose weights are 1, 2, 3, ... and whose biases are all `bias`."""

    def build(in_features, out_features):
        layer = nn.Linear(in_features, out_features, device=device, dtype=rg.float64)
        layer.weight.data = on(device, np.arange(1.0, in_features * out_features + 1).reshape(out_features, -1))
        layer.bias.data = on(device, np.full(out_features, float(bias)))
        return layer

    return build


class TestL04LinearLayer:
    def test_L04_an_input_of_ones_gives_the_sums_of_the_rows_plus_the_bias(self, device):
        layer = counting_linear(device, bias=1)(4, 3)
        out = layer(on(device, np.ones(4)))
        assert out.tolist() == [11, 27, 43]
        np.testing.assert_array_equal(host(out), np.sum(host(layer.weight), 1) + host(layer.bias))

    @pytest.mark.parametrize("batch", [1, 100])
    def test_L04_a_batch_gives_a_row_of_outputs_for_every_row(self, device, batch):
        out = counting_linear(device, bias=1)(4, 3)(on(device, np.ones((batch, 4))))
        assert out.shape == (batch, 3)
        assert out.tolist() == [[11, 27, 43]] * batch


class TestL05AndL06BackwardThroughTwoLayers:
    def forward_two(self, device):
        x = on(device, [[1.0, 2.0, 3.0]], requires_grad=True)
        first = counting_linear(device, bias=0)(3, 4)
        z1 = first(x)
        return x, first, z1, F.relu(z1)

    def test_L05_linear_and_relu_give_the_notes_gradients(self, device):
        x, first, z1, a1 = self.forward_two(device)
        assert z1.tolist() == [[14, 32, 50, 68]]
        a1.backward(on(device, [[0.5] * 4]))
        assert x.grad.tolist() == [[11, 13, 15]]
        assert first.weight.grad.tolist() == [[0.5, 1, 1.5]] * 4
        assert first.bias.grad.tolist() == [0.5] * 4

    def test_L06_a_second_layer_of_zeros_halves_everything_and_stops_the_gradient(self, device):
        _x, _first, _z1, a1 = self.forward_two(device)
        second = nn.Linear(4, 2, device=device, dtype=rg.float64)
        for parameter in second.parameters():
            nn.init.zeros_(parameter)
        z2 = second(a1)
        a2 = rg.sigmoid(z2)
        for intermediate in (a1, z2, a2):
            intermediate.retain_grad()
        a2.backward(on(device, [[0.5, 0.5]]))
        assert a2.tolist() == [[0.5, 0.5]]
        assert z2.grad.tolist() == [[0.125, 0.125]]
        assert second.weight.grad.tolist() == [[1.75, 4, 6.25, 8.5]] * 2
        assert second.bias.grad.tolist() == [0.125, 0.125]
        assert a1.grad.tolist() == [[0, 0, 0, 0]]
        assert a2.grad.tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize("transposed", [False, True])
def test_L09_the_affine_layers_gradients_are_the_closed_forms(device, transposed):
    rng = np.random.default_rng(0)
    for n, d, m in ((1, 1, 1), (7, 3, 5), (2, 8, 4)):
        X, W, b, dY = (rng.normal(size=s) for s in ((n, d), (d, m), (m,), (n, m)))
        x, bias = on(device, X, requires_grad=True), on(device, b, requires_grad=True)
        w = on(device, W.T if transposed else W, requires_grad=True)
        y = F.linear(x, w, bias) if transposed else x @ w + bias
        np.testing.assert_allclose(host(y), X @ W + b, rtol=1e-12)
        y.backward(on(device, dY))
        np.testing.assert_allclose(host(x.grad), dY @ W.T, rtol=1e-12)
        np.testing.assert_allclose(host(w.grad), (X.T @ dY).T if transposed else X.T @ dY, rtol=1e-12)
        np.testing.assert_allclose(host(bias.grad), dY.sum(0), rtol=1e-12)


ALPHA, SCALE = 1.67326, 1.0507
ACTIVATIONS = {
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh": np.tanh,
    "ReLU": lambda x: np.maximum(x, 0),
    "LeakyReLU": lambda x: np.where(x > 0, x, 0.01 * x),
    "PReLU": lambda x: np.where(x > 0, x, 0.25 * x),
    "ELU": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "SELU": lambda x: SCALE * np.where(x > 0, x, ALPHA * (np.exp(x) - 1)),
    "GELU": lambda x: x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "Softplus": lambda x: np.log(1 + np.exp(x)),
    "LogSigmoid": lambda x: -np.log(1 + np.exp(-x)),
    "Hardtanh": lambda x: np.clip(x, -1, 1),
    "ReLU6": lambda x: np.clip(x, 0, 6),
}


class TestL30Activations:
    @pytest.mark.parametrize("name", ACTIVATIONS)
    def test_L30_values_are_the_formulas_and_gradients_their_slopes(self, name, device):
        x = np.linspace(-6.1, 7.05, 41)  # away from the kinks
        layer = getattr(nn, name)().to(device).double()
        t = on(device, x, requires_grad=True)
        out = layer(t)
        np.testing.assert_allclose(host(out), ACTIVATIONS[name](x), rtol=2e-5, atol=1e-12)
        out.sum().backward()
        slope = (ACTIVATIONS[name](x + 1e-6) - ACTIVATIONS[name](x - 1e-6)) / 2e-6
        np.testing.assert_allclose(host(t.grad), slope, rtol=1e-4, atol=1e-6)

    def test_L30_tanh_is_two_sigmoids_of_twice_x_minus_one(self, device):
        x = on(device, np.linspace(-20, 20, 101))
        np.testing.assert_allclose(host(rg.tanh(x)), host(2 * rg.sigmoid(2 * x) - 1), atol=1e-15)

    def test_L30_prelu_learns_its_slope(self, device):
        layer = nn.PReLU(device=device)
        layer(rg.tensor([-2.0, -1.0, 3.0], device=device)).sum().backward()
        assert layer.weight.grad.tolist() == [-3.0]

    def test_L30_maxout_takes_the_largest_piece_and_only_it_learns(self, device):
        x = on(device, [[1.0, 3.0, -2.0, -5.0]], requires_grad=True)
        out = nn.Maxout(2)(x)
        assert out.tolist() == [[3.0, -2.0]]
        out.sum().backward()
        assert x.grad.tolist() == [[0.0, 1.0, 1.0, 0.0]]
        with pytest.raises(RuntimeError, match="does not divide into pieces of 3"):
            nn.Maxout(3)(x)

    @pytest.mark.parametrize("size", [1.0, 1e4])
    def test_L30_softmax_does_not_change_when_its_input_is_shifted_and_never_overflows(self, size, device):
        logits = np.array([[3.0, 1.0, 0.2], [-1.0, 0.0, 2.0]]) * size
        x = on(device, logits)
        out = host(nn.Softmax(dim=1)(x))
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        np.testing.assert_allclose(out, shifted / shifted.sum(1, keepdims=True), rtol=1e-12)
        np.testing.assert_allclose(host(nn.Softmax(dim=1)(x + 1e4)), out, rtol=1e-9)
        np.testing.assert_allclose(out.sum(1), 1)
        log = host(nn.LogSoftmax(dim=1)(x))
        assert np.isfinite(log).all()
        np.testing.assert_allclose(np.exp(log), out, rtol=1e-12)


class TestL31Losses:
    @pytest.mark.parametrize(("classes", "expected"), [(100, 4.605), (4, 1.386)])
    def test_L31_the_first_loss_of_an_undecided_classifier_is_minus_log_one_over_classes(
        self, classes, expected, device
    ):
        target = rg.arange(classes, device=device)
        loss = nn.CrossEntropyLoss()(rg.zeros(classes, classes, device=device), target)
        assert loss.item() == pytest.approx(expected, abs=1e-3)
        assert loss.item() == pytest.approx(-math.log(1 / classes), rel=1e-6)

    def test_L31_cross_entropy_is_nll_over_log_softmax(self, device):
        x = on(device, np.random.default_rng(0).normal(size=(5, 4)))
        target = rg.tensor([0, 3, 1, 1, 2], device=device)
        log_p = nn.LogSoftmax(dim=1)(x)
        assert nn.CrossEntropyLoss()(x, target).item() == pytest.approx(nn.NLLLoss()(log_p, target).item(), rel=1e-12)
        assert nn.NLLLoss()(log_p, target).item() == pytest.approx(-host(log_p)[range(5), host(target)].mean())

    def test_L31_bce_is_finite_at_0_and_1(self, device):
        p, t = on(device, [0.0, 1.0, 0.0, 1.0], requires_grad=True), on(device, [1.0, 0.0, 0.0, 1.0])
        loss = nn.BCELoss()(p, t)
        assert loss.item() == 50.0  # logarithms end at -100; two of the four are right
        loss.backward()
        assert np.isfinite(host(p.grad)).all()

    def test_L31_bce_of_a_sigmoid_is_bce_with_logits(self, device):
        x = on(device, np.linspace(-8, 8, 12))
        t = on(device, np.random.default_rng(0).random(12))
        loss = nn.BCELoss()(rg.sigmoid(x), t)
        assert loss.item() == pytest.approx(nn.BCEWithLogitsLoss()(x, t).item(), rel=1e-10)
        extreme = nn.BCEWithLogitsLoss()(on(device, [1e4, -1e4]), on(device, [0.0, 1.0]))
        assert extreme.item() == 1e4

    def test_L31_mse_divides_by_the_number_of_residuals(self, device):
        x, t = (on(device, np.random.default_rng(i).normal(size=(4, 3, 8, 8))) for i in range(2))
        total = ((host(x) - host(t)) ** 2).sum()
        assert nn.MSELoss()(x, t).item() == pytest.approx(total / 768)
        assert nn.MSELoss(reduction="sum")(x, t).item() == pytest.approx(total)

    def test_L31_losses_of_residuals(self, device):
        x, t = on(device, [0.0, 0.0, 0.0]), on(device, [0.5, -1.0, 3.0])
        assert nn.L1Loss()(x, t).item() == pytest.approx(4.5 / 3)
        assert nn.SmoothL1Loss()(x, t).item() == pytest.approx((0.125 + 0.5 + 2.5) / 3)
        assert nn.HuberLoss(delta=2.0)(x, t).item() == pytest.approx((0.125 + 0.5 + 2 * (3 - 1)) / 3)

    def test_L31_the_divergence_of_a_distribution_from_itself_is_0_and_else_positive(self, device):
        p, q = on(device, [[0.1, 0.2, 0.7]]), on(device, [[0.3, 0.3, 0.4]])
        divergence = nn.KLDivLoss(reduction="batchmean")
        assert divergence(p.log(), p).item() == pytest.approx(0, abs=1e-15)
        assert divergence(q.log(), p).item() == pytest.approx((host(p) * np.log(host(p) / host(q))).sum())
