"""Normalisation: the one primitive against plain twins and finite differences, and facts of the layers, everywhere."""

import math

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.nn import functional as F
from tests.autograd.factory import each, function
from tests.data.errors import raises_clearly


def plain(x, axes, eps, centred=True):
    """x̂, written with NumPy or with Tensors."""
    d = x - x.mean(axes, keepdims=True) if centred else x
    return d / ((d * d).mean(axes, keepdims=True) + eps) ** 0.5


def per_channel(parameter, x):
    return parameter.reshape(-1, *[1] * (x.ndim - 2))


def batch_norm(x, w, b, eps=1e-5):
    axes = (0, *range(2, x.ndim))
    return plain(x, axes, eps) * per_channel(w, x) + per_channel(b, x)


def instance_norm(x, w, b):
    return plain(x, tuple(range(2, x.ndim)), 1e-5) * per_channel(w, x) + per_channel(b, x)


def group_norm(x, w, b, num_groups):
    grouped = x.reshape(x.shape[0], num_groups, -1)
    return plain(grouped, (2,), 1e-5).reshape(x.shape) * per_channel(w, x) + per_channel(b, x)


def trained(function_):
    return lambda x, w, b, **settings: function_(x, None, None, w, b, True, **settings)


CHANNELS = [((3, 2), (2,), (2,)), ((2, 2, 3), (2,), (2,)), ((2, 2, 17), (2,), (2,)), ((2, 1, 2, 2), (1,), (1,))]
test_batch_norm = function(
    trained(F.batch_norm), batch_norm, "any", "positive", "any", shapes=CHANNELS, eps=each(1e-5, 0.1), repeated=False
)
test_instance_norm = function(
    trained(F.instance_norm), instance_norm, "any", "positive", "any", shapes=CHANNELS[1:], repeated=False
)
test_group_norm = function(
    lambda x, w, b, num_groups: F.group_norm(x, num_groups, w, b),
    group_norm,
    "any",
    "positive",
    "any",
    shapes=[((2, 4), (4,), (4,)), ((1, 4, 3), (4,), (4,)), ((2, 2, 2, 2), (2,), (2,))],
    num_groups=each(1, 2),
    repeated=False,
)
test_layer_norm = function(
    lambda x, w, b: F.layer_norm(x, w.shape, w, b),
    lambda x, w, b: plain(x, tuple(range(-w.ndim, 0)), 1e-5) * w + b,
    "any",
    "any",
    "any",
    shapes=[((3, 4), (4,), (4,)), ((4,), (4,), (4,)), ((2, 2, 3), (2, 3), (2, 3)), ((2, 18), (18,), (18,))],
    repeated=False,
)
test_layer_norm_without_parameters = function(
    lambda x: F.layer_norm(x, x.shape[-1:]), lambda x: plain(x, -1, 1e-5), "any", shapes=[(2, 3), (2, 20)]
)
test_rms_norm = function(
    lambda x, w: F.rms_norm(x, w.shape, w, eps=1e-3),
    lambda x, w: plain(x, tuple(range(-w.ndim, 0)), 1e-3, centred=False) * w,
    "any",
    "any",
    shapes=[((3, 4), (4,)), ((2, 2, 3), (2, 3)), ((2, 18), (18,))],
    repeated=False,
)
test_local_response_norm = function(
    lambda x, size: F.local_response_norm(x, size, alpha=0.5, beta=0.7, k=2.0),
    lambda x, size: (
        x
        / np.stack(
            [
                2 + 0.5 / size * (x[:, max(0, c - size // 2) : c + (size + 1) // 2] ** 2).sum(1)
                for c in range(x.shape[1])
            ],
            axis=1,
        )
        ** 0.7
    ),
    "any",
    shapes=[(2, 4, 3)],
    size=each(1, 2, 3, 9),
)
test_normalize = function(
    F.normalize,
    lambda x, p: x / (np.abs(x) ** p).sum(1, keepdims=True) ** (1 / p),
    "away from zero",
    shapes=[(2, 3)],
    p=each(1.0, 2.0, 3.0),
)


def leaf(device, *shape, seed=0):
    values = np.random.default_rng(seed).normal(1.0, 2.0, shape)
    return rg.tensor(values, device=device, requires_grad=True)


def host(t):
    return t.detach().cpu().numpy()


class TestBatchNorm:
    def test_training_brings_every_channel_to_mean_0_and_variance_1(self, device):
        layer = nn.BatchNorm2d(3, device=device, dtype=rg.float64)
        out = host(layer(leaf(device, 4, 3, 5, 5)))
        np.testing.assert_allclose(out.mean((0, 2, 3)), 0, atol=1e-12)
        np.testing.assert_allclose(out.var((0, 2, 3)), 1, rtol=1e-4)

    def test_running_statistics_follow_by_momentum_with_the_unbiased_variance(self, device):
        layer = nn.BatchNorm1d(2, momentum=0.25, device=device, dtype=rg.float64)
        x = leaf(device, 6, 2)
        layer(x)
        np.testing.assert_allclose(host(layer.running_mean), 0.25 * host(x).mean(0))
        np.testing.assert_allclose(host(layer.running_var), 0.75 + 0.25 * host(x).var(0, ddof=1))
        assert layer.num_batches_tracked.item() == 1

    def test_without_momentum_they_are_the_means_over_the_batches(self, device):
        layer = nn.BatchNorm1d(2, momentum=None, device=device, dtype=rg.float64)
        batches = [leaf(device, 6, 2, seed=seed) for seed in range(3)]
        for batch in batches:
            layer(batch)
        np.testing.assert_allclose(host(layer.running_mean), np.mean([host(b).mean(0) for b in batches], 0))

    def test_evaluation_uses_them_and_changes_nothing(self, device):
        layer = nn.BatchNorm1d(2, device=device, dtype=rg.float64)
        layer(leaf(device, 6, 2))
        layer.eval()
        before = {name: host(value).copy() for name, value in layer.state_dict().items()}
        x = leaf(device, 1, 2, seed=1)
        expected = (host(x) - before["running_mean"]) / np.sqrt(before["running_var"] + 1e-5)
        np.testing.assert_allclose(host(layer(x)), expected)
        for name, value in layer.state_dict().items():
            np.testing.assert_array_equal(host(value), before[name])

    def test_reset_running_stats_forgets_the_batches(self, device):
        layer = nn.BatchNorm1d(2, device=device)
        layer(leaf(device, 6, 2).float())
        layer.reset_running_stats()
        assert layer.running_mean.tolist() == [0, 0]
        assert layer.running_var.tolist() == [1, 1]
        assert layer.num_batches_tracked.item() == 0

    def test_a_backward_after_the_running_statistics_moved_on_is_allowed(self, device):
        layer = nn.BatchNorm1d(2, device=device, dtype=rg.float64)
        x = leaf(device, 6, 2)
        out = layer(x)
        layer(x)
        out.sum().backward()
        np.testing.assert_allclose(host(x.grad), 0, atol=1e-12)  # the sum of a channel is n·β whatever x is

    def test_a_training_step_does_not_wait_for_the_device(self, device, forbid_synchronization):
        for momentum in (0.1, None):
            layer = nn.BatchNorm2d(2, momentum=momentum, device=device)
            layer(rg.ones(3, 2, 4, 4, device=device)).sum().backward()

    def test_half_precision_is_summed_in_single(self, device):
        values = np.full((64, 1, 40), 200.0, np.float16)
        values[::2] = 210
        out = F.batch_norm(rg.tensor(values, device=device), None, None, training=True)
        assert out.dtype == rg.float16
        np.testing.assert_allclose(np.abs(host(out)), 1, rtol=1e-3)


def test_an_empty_batch_stays_empty_and_has_gradients_of_zero(device):
    for layer, shape in [(nn.BatchNorm1d(3), (0, 3)), (nn.LayerNorm(3), (0, 3)), (nn.GroupNorm(3, 3), (0, 3, 2))]:
        layer = layer.to(device)
        out = layer(rg.zeros(shape, device=device, requires_grad=True))
        assert out.shape == shape
        out.sum().backward()
        assert host(layer.weight.grad).tolist() == [0, 0, 0]


def test_layer_norm_ignores_where_the_mean_lies_and_how_wide_the_values_spread(device):
    x = leaf(device, 3, 8)
    np.testing.assert_allclose(host(F.layer_norm(x * 7 + 100, (8,))), host(F.layer_norm(x, (8,))), rtol=1e-4)


def test_rms_norm_gives_rows_whose_mean_square_is_one(device):
    np.testing.assert_allclose((host(F.rms_norm(leaf(device, 3, 8), (8,))) ** 2).mean(1), 1, rtol=1e-9)


def test_normalize_gives_length_one_and_leaves_zero_alone(device):
    x = rg.tensor([[3.0, 4.0], [0.0, 0.0]], device=device)
    np.testing.assert_allclose(host(F.normalize(x)), [[0.6, 0.8], [0, 0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("action", "kind", "words"),
    [
        (lambda d: nn.BatchNorm1d(3, device=d)(rg.ones(1, 3, device=d)), ValueError, "more than 1 value per channel"),
        (lambda d: nn.BatchNorm1d(3, device=d)(rg.ones(2, 4, device=d)), RuntimeError, "4 channels.*\\(4,\\)"),
        (lambda d: nn.BatchNorm2d(3, device=d)(rg.ones(2, 3, device=d)), ValueError, "expected 4D input"),
        (lambda d: F.batch_norm(rg.ones(2, 3, device=d), None, None), RuntimeError, "running_mean"),
        (lambda d: nn.BatchNorm1d(3, device=d)(rg.ones(2, 3, device=d).double()), RuntimeError, "mixed dtype"),
        (lambda d: F.batch_norm(rg.ones(2, 3).long(), None, None, training=True), NotImplementedError, "x.float"),
        (lambda d: nn.LayerNorm(4, device=d)(rg.ones(2, 3, device=d)), RuntimeError, "normalized_shape=\\(4,\\)"),
        (lambda d: F.layer_norm(rg.ones(2, 3, device=d), 3), TypeError, "tuple of ints"),
        (lambda d: F.layer_norm(rg.ones(2, 3, device=d), ()), RuntimeError, "at least one element"),
        (lambda d: F.rms_norm(rg.ones(2, 3, device=d), (3,), rg.ones(2, device=d)), RuntimeError, "must have"),
        (lambda d: nn.GroupNorm(2, 3), ValueError, "divisible"),
        (lambda d: F.group_norm(rg.ones(2, 3, device=d), 2), RuntimeError, "divisible"),
        (lambda d: F.group_norm(rg.ones(3, device=d), 1), RuntimeError, "at least 2 dimensions"),
        (lambda d: nn.InstanceNorm1d(3, device=d)(rg.ones(2, 3, 1, device=d)), ValueError, "more than 1 spatial"),
        (lambda d: nn.InstanceNorm1d(3, affine=True, device=d)(rg.ones(2, 4, 5, device=d)), ValueError, "has 4"),
        (lambda d: F.local_response_norm(rg.ones(2, 3, device=d), 2), ValueError, "3D"),
        (lambda d: F.normalize(rg.ones(2, 3, device=d), out=rg.ones(2, 3)), NotImplementedError, "out="),
    ],
)  # fmt: skip
def test_a_mistake_is_named(device, action, kind, words):
    with raises_clearly(kind, words):
        action(device)


def test_group_norm_needs_at_least_one_group():
    with raises_clearly(ValueError, "num_groups must be at least 1"):
        nn.GroupNorm(0, 4)
    assert math.prod(nn.GroupNorm(2, 4).weight.shape) == 4
