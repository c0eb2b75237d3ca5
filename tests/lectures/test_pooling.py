"""Row L33 of the checklist: pooling and upsampling with the notes' facts."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.nn import functional as F


def on(device, values, **options):
    return rg.tensor(values, dtype=rg.float64, device=device, **options)


def host(t):
    return t.detach().cpu().numpy()


def image(device, shape=(2, 3, 6, 8), **options):
    return on(device, np.random.default_rng(0).normal(size=shape), **options)


class TestMaxPool:
    def test_L33_max_pool_takes_the_largest_element_of_every_block(self, device):
        x = on(device, [[[[1, 3, 2, 9], [5, 6, 1, 7], [4, 2, 8, 1], [0, 3, 5, 2]]]])
        assert host(nn.MaxPool2d(2)(x)).tolist() == [[[[6, 9], [4, 8]]]]

    def test_L33_the_gradient_of_max_pool_goes_to_the_maximum_alone(self, device):
        x = on(device, [[[[1, 3, 2, 9], [5, 6, 1, 7], [4, 2, 8, 1], [0, 3, 5, 2]]]], requires_grad=True)
        nn.MaxPool2d(2)(x).backward(on(device, [[[[10, 20], [30, 40]]]]))
        assert host(x.grad).tolist() == [[[[0, 0, 0, 20], [0, 10, 0, 0], [30, 0, 40, 0], [0, 0, 0, 0]]]]

    def test_L33_max_pool_has_no_parameters_and_halves_height_and_width(self, device):
        layer = nn.MaxPool2d(2)
        assert not list(layer.parameters())
        assert layer(image(device, (4, 6, 28, 28))).shape == (4, 6, 14, 14)


class TestAveragePool:
    @pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 1), (3, 2)])
    def test_L33_average_pool_is_a_convolution_with_constant_weights(self, device, size, stride):
        x, y = image(device, requires_grad=True), image(device, requires_grad=True)
        weight = on(device, np.full((3, 1, size, size), 1 / size**2))
        pooled, convolved = F.avg_pool2d(x, size, stride), F.conv2d(y, weight, stride=stride, groups=3)
        np.testing.assert_allclose(host(pooled), host(convolved), rtol=1e-12, atol=1e-14)
        (pooled**2).sum().backward()
        (convolved**2).sum().backward()
        np.testing.assert_allclose(host(x.grad), host(y.grad), rtol=1e-12, atol=1e-14)

    def test_L33_the_gradient_of_average_pool_is_shared_equally(self, device):
        x = on(device, np.zeros((1, 1, 2, 4)), requires_grad=True)
        nn.AvgPool2d(2)(x).backward(on(device, [[[[4, 8]]]]))
        assert host(x.grad).tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]


class TestAdaptivePools:
    @pytest.mark.parametrize("shape", [(1, 2, 7, 9), (1, 2, 12, 5), (1, 2, 3, 3)])
    def test_L33_adaptive_pools_give_the_size_asked_for_whatever_comes_in(self, device, shape):
        for layer in (nn.AdaptiveAvgPool2d((3, 4)), nn.AdaptiveMaxPool2d((3, 4))):
            assert layer(image(device, shape)).shape == (1, 2, 3, 4)

    def test_L33_adaptive_average_pool_to_one_is_the_mean_of_every_channel(self, device):
        x = image(device)
        np.testing.assert_allclose(host(nn.AdaptiveAvgPool2d(1)(x))[..., 0, 0], host(x).mean((2, 3)), rtol=1e-12)

    def test_L33_where_the_size_divides_the_length_adaptive_pools_are_ordinary_ones(self, device):
        x = image(device)
        np.testing.assert_allclose(host(F.adaptive_avg_pool2d(x, (3, 4))), host(F.avg_pool2d(x, 2)), rtol=1e-12)
        np.testing.assert_array_equal(host(F.adaptive_max_pool2d(x, (3, 4))), host(F.max_pool2d(x, 2)))


class TestUpsampling:
    def test_L33_nearest_repeats_every_pixel(self, device):
        x = on(device, [[[[1, 2], [3, 4]]]])
        wanted = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
        assert host(nn.Upsample(scale_factor=2)(x)).tolist() == [[wanted]]

    def test_L33_bilinear_weighs_neighbours_by_their_distance(self, device):
        x = on(device, [[[[1, 2], [3, 4]]]])
        row = np.array([1, 1.25, 1.75, 2])
        out = host(nn.Upsample(scale_factor=2, mode="bilinear")(x))[0, 0]
        np.testing.assert_allclose(out, [row, row + 0.5, row + 1.5, row + 2], rtol=1e-12)

    def test_L33_bilinear_with_aligned_corners_divides_the_way_between_them_evenly(self, device):
        x = on(device, [[[[0, 3], [6, 9]]]])
        out = host(nn.UpsamplingBilinear2d(scale_factor=2)(x))[0, 0]
        np.testing.assert_allclose(out, np.add.outer([0, 2, 4, 6], [0, 1, 2, 3]), atol=1e-12)

    def test_L33_bicubic_weighs_four_neighbours_and_may_pass_beyond_their_values(self, device):
        row = on(device, np.eye(4)[:, None, None].repeat(4, 2))
        out = F.interpolate(row, scale_factor=2, mode="bicubic")
        # The new pixel 3 stands a quarter beyond pixel 1 of four: Keys' kernel with a = -3/4 at 5/4, 1/4, 3/4 and 7/4.
        np.testing.assert_allclose(host(out)[:, 0, 4, 3], [-0.10546875, 0.87890625, 0.26171875, -0.03515625])
        step = on(device, np.repeat([[0.0, 1.0]], 4, 1)[None, None].repeat(8, 2))
        edges = host(F.interpolate(step, scale_factor=2, mode="bicubic"))
        assert edges.min() < -0.01
        assert edges.max() > 1.01

    def test_L33_every_upsampling_gives_back_its_gradient_in_full(self, device):
        for mode in ("nearest", "bilinear", "bicubic"):
            x = image(device, requires_grad=True)
            F.interpolate(x, scale_factor=2, mode=mode).sum().backward()
            # The weights of every new pixel add up to 1, and there are four times as many.
            np.testing.assert_allclose(host(x.grad).sum(), 4 * x.numel(), rtol=1e-9)
