"""Dropout and the other layers that draw: what is kept, what is dropped, and in what proportion."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.nn import functional as F
from tests.data.errors import raises_clearly

LAYERS = [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout]


def host(t):
    return t.detach().cpu().numpy()


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.filterwarnings("ignore:dropout")
class TestEveryDropout:
    def test_evaluation_is_the_input_itself(self, device, kind):
        x = rg.ones(2, 3, 4, device=device)
        assert kind(0.5).eval()(x) is x

    def test_probability_zero_changes_nothing(self, device, kind):
        np.testing.assert_array_equal(host(kind(0.0)(rg.ones(2, 3, 4, device=device))), 1)

    def test_probability_one_leaves_zeros(self, device, kind):
        assert not host(kind(1.0)(rg.ones(2, 3, 4, device=device))).any()

    def test_a_probability_outside_of_0_to_1_is_refused(self, device, kind):
        with raises_clearly(ValueError, "between 0 and 1, got 1.5"):
            kind(1.5)

    def test_the_same_seed_drops_the_same_on_every_device(self, device, kind):
        rg.manual_seed(0)
        here = host(kind(0.5)(rg.ones(4, 5, 6, device=device)))
        rg.manual_seed(0)
        np.testing.assert_array_equal(here, host(kind(0.5)(rg.ones(4, 5, 6))))

    def test_inplace_writes_over_the_input(self, device, kind):
        x = rg.ones(4, 5, 6, device=device)
        out = kind(0.5, inplace=True)(x)
        np.testing.assert_array_equal(host(x), host(out))
        assert host(x).min() < 1


@pytest.mark.parametrize(
    ("kind", "shape"), [(nn.Dropout1d, (8, 5, 7)), (nn.Dropout2d, (8, 5, 3, 3)), (nn.Dropout3d, (8, 5, 3, 3, 2))]
)
def test_channel_dropout_drops_a_channel_as_a_whole(device, kind, shape):
    rg.manual_seed(0)
    out = host(kind(0.5)(rg.ones(shape, device=device))).reshape(40, -1)
    assert all(len(set(channel)) == 1 for channel in out)
    assert set(out[:, 0]) == {0, 2}


def test_alpha_dropout_keeps_mean_and_variance(device):
    rg.manual_seed(0)
    out = host(nn.AlphaDropout(0.3)(rg.randn(200, 200, device=device)))
    assert abs(out.mean()) < 0.02
    assert abs(out.var() - 1) < 0.03


def test_dropout1d_refuses_images(device):
    with raises_clearly(RuntimeError, "2D or 3D"):
        nn.Dropout1d()(rg.ones(1, 2, 3, 4, device=device))


class TestRReLU:
    def test_slopes_are_drawn_between_the_bounds_in_training(self, device):
        rg.manual_seed(0)
        slopes = host(nn.RReLU(0.1, 0.3)(-rg.ones(1000, device=device)))
        assert -0.3 < slopes.min() < -0.29
        assert -0.11 < slopes.max() < -0.1

    def test_evaluation_takes_their_mean(self, device):
        np.testing.assert_allclose(host(nn.RReLU(0.1, 0.3).eval()(-rg.ones(3, device=device))), -0.2, rtol=1e-6)

    def test_the_gradient_is_the_slope(self, device):
        x = rg.tensor([-1.0, 2.0, -1.0], device=device, requires_grad=True)
        out = F.rrelu(x, training=True)
        out.sum().backward()
        np.testing.assert_allclose(host(x.grad), host(out) / host(x))

    def test_bounds_out_of_order_are_refused(self):
        with raises_clearly(RuntimeError, "not exceed upper"):
            F.rrelu(rg.ones(2), 0.5, 0.1)


def test_a_hard_gumbel_sample_is_one_hot_and_has_the_soft_ones_gradient(device):
    x = rg.randn(6, 4, device=device, requires_grad=True)
    rg.manual_seed(0)
    hard = F.gumbel_softmax(x, hard=True)
    assert sorted(set(host(hard).round(6).reshape(-1))) == [0, 1]
    (g,) = rg.autograd.grad((hard * hard.detach()).sum(), x)
    rg.manual_seed(0)
    (expected,) = rg.autograd.grad((F.gumbel_softmax(x) * hard.detach()).sum(), x)
    np.testing.assert_allclose(host(g), host(expected), rtol=1e-5)


def test_softmax2d_sums_to_one_at_every_place(device):
    np.testing.assert_allclose(host(nn.Softmax2d()(rg.randn(2, 3, 4, 5, device=device))).sum(1), 1, rtol=1e-6)
    with raises_clearly(ValueError, "3D or 4D"):
        nn.Softmax2d()(rg.ones(2, 3, device=device))
