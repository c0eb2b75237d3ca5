"""Row L40 of the checklist: what initial weights do to units and to variances."""

from __future__ import annotations

import math

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn


def drawn(initialiser, shape, device, **settings):
    rg.manual_seed(0)
    weight = rg.empty(*shape, dtype=rg.float64, device=device)
    getattr(nn.init, initialiser)(weight, **settings)
    return weight.cpu().numpy()


class TestL40Distributions:
    @pytest.mark.parametrize("name", ["xavier_uniform_", "xavier_normal_"])
    def test_L40_xavier_draws_have_variance_2_over_fan_in_plus_fan_out(self, name, device):
        weight = drawn(name, (300, 500), device)
        assert weight.var() == pytest.approx(2 / (300 + 500), rel=0.02)
        assert abs(weight.mean()) < 3 * math.sqrt(2 / 800 / weight.size)
        if "uniform" in name:
            assert np.abs(weight).max() <= math.sqrt(6 / 800)

    @pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_"])
    @pytest.mark.parametrize(("mode", "fan"), [("fan_in", 500), ("fan_out", 300)])
    def test_L40_kaiming_draws_have_variance_2_over_the_fan(self, name, mode, fan, device):
        weight = drawn(name, (300, 500), device, mode=mode, nonlinearity="relu")
        assert weight.var() == pytest.approx(2 / fan, rel=0.02)

    def test_L40_the_fan_of_a_convolution_counts_the_places_of_its_kernel(self, device):
        weight = drawn("kaiming_normal_", (64, 32, 5, 5), device, nonlinearity="relu")
        assert weight.var() == pytest.approx(2 / (32 * 25), rel=0.03)

    @pytest.mark.parametrize("shape", [(20, 20), (30, 20), (20, 30)])
    def test_L40_orthogonal_weights_have_orthonormal_rows_or_columns(self, shape, device):
        weight = drawn("orthogonal_", shape, device, gain=2.0)
        gram = weight @ weight.T if shape[0] <= shape[1] else weight.T @ weight
        np.testing.assert_allclose(gram, 4 * np.eye(min(shape)), atol=1e-12)

    def test_L40_constants_fill(self, device):
        assert (drawn("constant_", (3, 4), device, val=0.25) == 0.25).all()
        assert (drawn("zeros_", (3, 4), device) == 0).all()
        assert (drawn("ones_", (3, 4), device) == 1).all()


def trained(initialise, device):
    """A network of 4 hidden units after 20 steps."""
    rg.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).to(device)
    x = rg.randn(16, 3).to(device)
    y = x.prod(1, keepdim=True)
    initialise(net)
    optimizer = rg.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.mse_loss(net(x), y).backward()
        optimizer.step()
    return net[0].weight.detach().cpu().numpy()


def test_L40_equal_weights_keep_all_units_equal_and_random_ones_part_them(device):
    def equal(net):
        for parameter in net.parameters():
            nn.init.constant_(parameter, 0.5)

    same, apart = trained(equal, device), trained(lambda net: None, device)
    assert np.ptp(same, axis=0).max() < 1e-6  # every unit is the same unit
    assert np.abs(same - 0.5).max() > 0.01  # though all have learned
    assert np.ptp(apart, axis=0).min() > 0.1


def variances(initialise, device, depth=50, width=256):
    """Mean squares of the inputs of each of 50 ReLU layers, over 64 samples."""
    rg.manual_seed(0)
    x = rg.randn(64, width).to(device)
    squares = [x.square().mean().item()]
    with rg.no_grad():
        for _ in range(depth):
            weight = rg.empty(width, width, device=device)
            initialise(weight)
            x = (x @ weight.mT).relu()
            squares.append(x.square().mean().item())
    return squares


def test_L40_kaiming_keeps_the_variance_through_50_relu_layers_and_others_lose_it(device):
    kept = variances(lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"), device)
    assert 0.1 < kept[-1] / kept[0] < 10
    halved = variances(nn.init.xavier_normal_, device)  # gain 1: every ReLU halves the mean square
    assert halved[-1] / halved[0] == pytest.approx(kept[-1] / kept[0] * 2.0**-50, rel=1e-2)
    small = variances(lambda w: nn.init.normal_(w, 0, 0.01), device)
    assert small[20] < 1e-30
    large = variances(lambda w: nn.init.normal_(w, 0, 1.0), device)
    assert large[10] > 1e20
