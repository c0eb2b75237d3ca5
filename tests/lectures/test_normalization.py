"""Rows L36 and L37 of the checklist: normalisation layers and dropout."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.nn import functional as F


def leaf(device, *shape, seed=0):
    return rg.tensor(np.random.default_rng(seed).normal(1, 3, shape), device=device, requires_grad=True)


def host(t):
    return t.detach().cpu().numpy()


@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.BatchNorm1d, (8, 64)), (nn.BatchNorm1d, (8, 64, 5)), (nn.BatchNorm2d, (8, 64, 3, 3))]
)
class TestL36BatchNorm:
    def test_L36_64_features_have_128_parameters(self, device, layer, shape):
        norm = layer(64, device=device)
        assert sum(p.numel() for p in norm.parameters()) == 128
        assert [p.shape for p in norm.parameters()] == [(64,), (64,)]

    def test_L36_the_gradients_of_gamma_and_beta_are_sums_over_all_but_the_channels(self, device, layer, shape):
        norm = layer(64, device=device, dtype=rg.float64)
        x, dout = leaf(device, *shape), leaf(device, *shape, seed=1).detach()
        norm(x).backward(dout)
        axes = (0, *range(2, len(shape)))
        values, g = host(x), host(dout)
        xhat = (values - values.mean(axes, keepdims=True)) / np.sqrt(values.var(axes, keepdims=True) + norm.eps)
        np.testing.assert_allclose(host(norm.weight.grad), (g * xhat).sum(axes), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(host(norm.bias.grad), g.sum(axes), rtol=1e-9, atol=1e-9)

    def test_L36_training_normalises_by_the_batch_and_evaluation_by_the_running_statistics(self, device, layer, shape):
        norm = layer(64, device=device, dtype=rg.float64)
        axes = (0, *range(2, len(shape)))
        for seed in range(200):
            out = norm(leaf(device, *shape, seed=seed))
        np.testing.assert_allclose(host(out).mean(axes), 0, atol=1e-9)
        np.testing.assert_allclose(host(norm.running_mean).mean(), 1, atol=0.1)
        np.testing.assert_allclose(host(norm.running_var).mean(), 9, rtol=0.05)
        norm.eval()
        x = leaf(device, *shape, seed=999)
        column = (1, -1, *[1] * (len(shape) - 2))
        expected = host(x) - host(norm.running_mean).reshape(column)
        expected /= np.sqrt(host(norm.running_var).reshape(column) + norm.eps)
        np.testing.assert_allclose(host(norm(x)), expected)


class TestL36OtherNorms:
    def test_L36_layer_norm_is_group_norm_with_one_group(self, device):
        x = leaf(device, 4, 6, 3, 3)
        np.testing.assert_allclose(host(F.group_norm(x, 1)), host(F.layer_norm(x, (6, 3, 3))), rtol=1e-12)

    def test_L36_instance_norm_is_group_norm_with_a_group_for_every_channel(self, device):
        x = leaf(device, 4, 6, 3, 3)
        np.testing.assert_allclose(host(F.group_norm(x, 6)), host(F.instance_norm(x)), rtol=1e-12)

    @pytest.mark.parametrize(
        ("norm", "axes"),
        [
            (lambda x: F.batch_norm(x, None, None, training=True), (0, 2, 3)),
            (lambda x: F.layer_norm(x, x.shape[1:]), (1, 2, 3)),
            (F.instance_norm, (2, 3)),
        ],
        ids=["batch", "layer", "instance"],
    )
    def test_L36_each_norm_has_mean_0_and_variance_1_over_its_own_axes(self, device, norm, axes):
        out = host(norm(leaf(device, 4, 6, 5, 5)))
        np.testing.assert_allclose(out.mean(axes), 0, atol=1e-12)
        np.testing.assert_allclose(out.var(axes), 1, rtol=1e-4)

    def test_L36_layer_norm_of_a_sample_does_not_depend_on_its_batch(self, device):
        x = leaf(device, 4, 6)
        np.testing.assert_allclose(host(F.layer_norm(x, (6,)))[:1], host(F.layer_norm(x[:1], (6,))))


class TestL37Dropout:
    def test_L37_evaluation_is_the_identity(self, device):
        x = leaf(device, 5, 5)
        assert nn.Dropout(0.5).eval()(x) is x

    @pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
    def test_L37_training_keeps_the_expectation(self, device, p):
        rg.manual_seed(0)
        out = host(nn.Dropout(p)(rg.ones(400, 400, device=device)))
        assert abs(out.mean() - 1) < 0.02
        assert abs((out == 0).mean() - p) < 0.01
        np.testing.assert_allclose(out[out > 0], 1 / (1 - p), rtol=1e-6)

    def test_L37_the_gradient_passes_where_the_value_did(self, device):
        x = leaf(device, 20, 20)
        out = nn.Dropout(0.5)(x)
        out.sum().backward()
        np.testing.assert_allclose(host(x.grad), host(out) / host(x))

    def test_L37_channel_dropout_zeros_whole_channels(self, device):
        rg.manual_seed(0)
        out = host(nn.Dropout2d(0.5)(rg.ones(16, 8, 4, 4, device=device))).reshape(128, 16)
        assert all(len(set(channel)) == 1 for channel in out)
        assert 40 < (out[:, 0] == 0).sum() < 88
