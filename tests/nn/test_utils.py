"""Parametrized weights and modules as functions, on every device."""

import numpy as np

import retrograd as rg
from retrograd import nn
from retrograd.nn.utils import parametrizations, parametrize
from tests.data.errors import raises_clearly


def test_an_orthogonal_weight_stays_orthogonal_while_it_is_trained(device):
    rg.manual_seed(0)
    layer = parametrizations.orthogonal(nn.Linear(4, 6).to(device))
    optimizer = rg.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(rg.ones(2, 4, device=device)).square().sum().backward()
        optimizer.step()
    weight = layer.weight.detach().cpu().numpy()
    np.testing.assert_allclose(weight.T @ weight, np.eye(4), atol=1e-5)


def test_the_largest_singular_value_of_a_spectrally_normalised_weight_is_1(device):
    rg.manual_seed(0)
    layer = parametrizations.spectral_norm(nn.Linear(5, 3).to(device), n_power_iterations=20)
    values = np.linalg.svd(layer.weight.detach().cpu().numpy(), compute_uv=False)
    np.testing.assert_allclose(values[0], 1, rtol=1e-4)


def test_the_lengths_of_a_weight_are_learned_apart_from_its_directions(device):
    layer = parametrizations.weight_norm(nn.Linear(3, 2).to(device))
    with rg.no_grad():
        layer.parametrizations.weight.original0.fill_(2.0)
    np.testing.assert_allclose(np.linalg.norm(layer.weight.detach().cpu().numpy(), axis=1), 2, rtol=1e-6)


def test_a_parametrized_module_is_copied_with_its_parametrization():
    import copy

    layer = parametrizations.weight_norm(nn.Linear(3, 2))
    other = copy.deepcopy(layer)
    with rg.no_grad():
        layer.parametrizations.weight.original0.zero_()
    assert layer.weight.abs().sum().item() == 0
    assert other.weight.abs().sum().item() > 0


def test_a_functional_call_restores_the_module_after_an_error(device):
    layer = nn.Linear(3, 2).to(device)
    before = layer.weight
    with raises_clearly(RuntimeError, "linear|matmul|shape|fit"):
        rg.func.functional_call(layer, {"weight": rg.ones(2, 5, device=device)}, rg.ones(1, 3, device=device))
    assert layer.weight is before


def test_a_value_that_would_change_the_shape_is_refused():
    class Shorter(nn.Module):
        def forward(self, x):
            return x[1:]

    with raises_clearly(ValueError, r"it was float32 \(2, 3\).*unsafe=True"):
        parametrize.register_parametrization(nn.Linear(3, 2), "weight", Shorter())
