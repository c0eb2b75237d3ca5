"""Rows L32, L33 (its transposed convolution) and L35 of the checklist: convolutions with the notes' numbers."""

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


def parameters(layer):
    return sum(p.numel() for p in layer.parameters())


class TestL32Convolution:
    @pytest.mark.parametrize("rank", [1, 2, 3])
    @pytest.mark.parametrize("size", [1, 3, 5])
    @pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
    def test_L32_every_side_of_the_output_follows_the_formula(self, rank, size, stride, padding, device):
        sides = (9, 7, 8)[:rank]
        layer = getattr(nn, f"Conv{rank}d")(2, 3, size, stride, padding, device=device)
        out = layer(rg.zeros(4, 2, *sides, device=device))
        assert out.shape == (4, 3, *((h + 2 * padding - size) // stride + 1 for h in sides))

    def test_L32_a_dilated_kernel_counts_as_large_as_it_spans(self, device):
        x = rg.zeros(1, 1, 12, device=device)
        for dilation in (1, 2, 3):
            span = dilation * 2 + 1
            assert nn.Conv1d(1, 1, 3, dilation=dilation, device=device)(x).shape == (1, 1, 12 - span + 1)

    def test_L32_padding_by_half_the_kernel_keeps_the_size(self, device):
        x = rg.zeros(1, 2, 10, 11, device=device)
        for size in (1, 3, 5, 7):
            assert nn.Conv2d(2, 2, size, padding=size // 2, device=device)(x).shape == x.shape
            assert nn.Conv2d(2, 2, size, padding="same", device=device)(x).shape == x.shape

    def test_L32_an_output_is_the_sum_of_a_window_times_the_kernel(self, device):
        x = np.arange(16.0).reshape(1, 1, 4, 4)
        w = np.array([[1.0, 2.0], [3.0, 4.0]])
        out = host(F.conv2d(on(device, x), on(device, w[None, None]), on(device, [10.0])))
        for i in range(3):
            for j in range(3):
                assert out[0, 0, i, j] == (x[0, 0, i : i + 2, j : j + 2] * w).sum() + 10

    def test_L32_from_10_to_5_channels_by_1x1_takes_55_parameters(self, device):
        layer = nn.Conv2d(10, 5, kernel_size=1, device=device, dtype=rg.float64)
        assert parameters(layer) == 55
        x = on(device, np.random.default_rng(0).normal(size=(2, 10, 4, 3)))
        mixed = np.einsum("oc,nchw->nohw", host(layer.weight)[:, :, 0, 0], host(x)) + host(layer.bias)[:, None, None]
        np.testing.assert_allclose(host(layer(x)), mixed, rtol=1e-12, atol=1e-12)

    def test_L32_depth_wise_each_channel_has_its_own_kernel(self, device):
        layer = nn.Conv2d(4, 4, 3, groups=4, bias=False, device=device, dtype=rg.float64)
        assert parameters(layer) == 4 * 9
        assert parameters(nn.Conv2d(4, 4, 3, bias=False)) == 4 * 4 * 9
        x = on(device, np.random.default_rng(0).normal(size=(2, 4, 6, 6)))
        alone = [host(F.conv2d(x[:, c : c + 1], layer.weight[c : c + 1])) for c in range(4)]
        np.testing.assert_allclose(host(layer(x)), np.concatenate(alone, 1), rtol=1e-12, atol=1e-12)

    def test_L32_groups_divide_the_parameters(self, device):
        x = rg.zeros(1, 8, 5, 5, device=device)
        for groups in (1, 2, 4, 8):
            layer = nn.Conv2d(8, 16, 3, groups=groups, bias=False, device=device)
            assert layer(x).shape == (1, 16, 3, 3)
            assert parameters(layer) == 16 * 8 * 9 // groups

    def test_L32_a_fully_connected_layer_is_a_convolution_as_large_as_its_input(self, device):
        rng = np.random.default_rng(0)
        x = on(device, rng.normal(size=(4, 3, 8, 8)))
        w = on(device, rng.normal(size=(5, 3, 8, 8)), requires_grad=True)
        b = on(device, rng.normal(size=5))
        convolved = F.conv2d(x, w, b)
        assert convolved.shape == (4, 5, 1, 1)
        linear = F.linear(x.reshape(4, -1), w.reshape(5, -1), b)
        np.testing.assert_allclose(host(convolved)[:, :, 0, 0], host(linear), rtol=1e-12, atol=1e-12)
        by_convolution = rg.autograd.grad(convolved.square().sum(), w)[0]
        by_product = rg.autograd.grad(linear.square().sum(), w)[0]
        np.testing.assert_allclose(host(by_convolution), host(by_product), rtol=1e-11, atol=1e-11)


class TestL33TransposedConvolution:
    def test_L33_two_by_two_becomes_three_by_three(self, device):
        x, w = [[0.0, 1.0], [2.0, 3.0]], [[0.0, 1.0], [2.0, 3.0]]
        out = F.conv_transpose2d(on(device, [[x]]), on(device, [[w]]))
        assert out.tolist() == [[[[0, 0, 1], [0, 4, 6], [4, 12, 9]]]]

    def test_L33_every_element_spreads_the_kernel(self, device):
        rng = np.random.default_rng(0)
        x, w = rng.normal(size=(2, 2)), rng.normal(size=(2, 2))
        expected = np.zeros((3, 3))
        for i in range(2):
            for j in range(2):
                expected[i : i + 2, j : j + 2] += x[i, j] * w
        out = nn.ConvTranspose2d(1, 1, 2, bias=False, device=device, dtype=rg.float64)
        out.weight.data = on(device, w[None, None])
        np.testing.assert_allclose(host(out(on(device, x[None, None])))[0, 0], expected, rtol=1e-12)

    def test_L33_it_is_the_gradient_of_the_convolution_for_its_input(self, device):
        rng = np.random.default_rng(0)
        x = on(device, rng.normal(size=(2, 3, 7, 7)), requires_grad=True)
        w, g = on(device, rng.normal(size=(4, 3, 3, 3))), on(device, rng.normal(size=(2, 4, 4, 4)))
        out = F.conv2d(x, w, stride=2, padding=1)
        assert out.shape == g.shape
        gradient = rg.autograd.grad(out, x, g)[0]
        np.testing.assert_allclose(host(F.conv_transpose2d(g, w, stride=2, padding=1)), host(gradient), rtol=1e-12)

    def test_L33_its_size_undoes_the_convolutions(self, device):
        for stride, padding, size in ((1, 0, 3), (2, 1, 4), (3, 2, 5)):
            small = rg.zeros(1, 1, 4, 4, device=device)
            big = nn.ConvTranspose2d(1, 1, size, stride, padding, device=device)(small)
            assert big.shape[-1] == (4 - 1) * stride - 2 * padding + size
            assert nn.Conv2d(1, 1, size, stride, padding, device=device)(big).shape == small.shape


def filtered(device, image, kernel, **options):
    """An image (H, W) through a layer whose only weights are a kernel."""
    kernel = np.asarray(kernel, dtype=float)
    layer = nn.Conv2d(1, 1, kernel.shape, bias=False, device=device, dtype=rg.float64, **options)
    layer.weight.data = on(device, kernel[None, None])
    layer.requires_grad_(False)
    return host(layer(on(device, np.asarray(image, dtype=float)[None, None])))[0, 0]


STEP = np.repeat([[0.0, 0, 0, 1, 1, 1]], 6, axis=0)
"""Dark on the left, light on the right."""
EDGE = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]])
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
BOX = np.full((3, 3), 1 / 9)
GAUSSIAN = np.outer([1, 2, 1], [1, 2, 1]) / 16
SHARPEN = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])


class TestL35HandMadeKernels:
    def test_L35_the_edge_kernel_answers_at_edges_alone(self, device):
        assert not filtered(device, np.full((5, 5), 7.0), EDGE).any()
        np.testing.assert_array_equal(filtered(device, STEP, EDGE), np.repeat([[0.0, -3, 3, 0]], 4, axis=0))

    def test_L35_sobel_measures_the_slope_across_and_not_along(self, device):
        np.testing.assert_array_equal(filtered(device, STEP, SOBEL), np.repeat([[0.0, 4, 4, 0]], 4, axis=0))
        assert not filtered(device, STEP, SOBEL.T).any()
        slope = 2.5 * np.arange(6.0)[:, None] + np.zeros(6)
        np.testing.assert_array_equal(filtered(device, slope, SOBEL.T), np.full((4, 4), 8 * 2.5))

    def test_L35_the_box_is_the_mean_of_the_neighbours(self, device):
        image = np.random.default_rng(0).normal(size=(6, 5))
        expected = [[image[i : i + 3, j : j + 3].mean() for j in range(3)] for i in range(4)]
        np.testing.assert_allclose(filtered(device, image, BOX), expected, rtol=1e-12)

    def test_L35_the_gaussian_keeps_the_mean_and_spreads_a_point_to_itself(self, device):
        point = np.zeros((5, 5))
        point[2, 2] = 1
        np.testing.assert_array_equal(filtered(device, point, GAUSSIAN), GAUSSIAN)
        flat = filtered(device, np.full((4, 4), 3.0), GAUSSIAN, padding=1, padding_mode="replicate")
        np.testing.assert_array_equal(flat, np.full((4, 4), 3.0))
        noise = np.random.default_rng(0).normal(size=(40, 40))
        assert filtered(device, noise, GAUSSIAN).std() < 0.5 * noise.std()

    def test_L35_sharpening_keeps_what_is_flat_and_raises_contrast_at_edges(self, device):
        np.testing.assert_array_equal(filtered(device, np.full((4, 4), 3.0), SHARPEN), np.full((2, 2), 3.0))
        np.testing.assert_array_equal(filtered(device, STEP, SHARPEN), np.repeat([[0.0, -1, 2, 1]], 4, axis=0))

    def test_L35_a_kernel_can_be_learned_from_what_it_does(self, device):
        rng = np.random.default_rng(0)
        x = on(device, rng.normal(size=(8, 1, 8, 8)))
        wanted = F.conv2d(x, on(device, SOBEL[None, None].astype(float)))
        layer = nn.Conv2d(1, 1, 3, bias=False, device=device, dtype=rg.float64)
        optimizer = rg.optim.SGD(layer.parameters(), lr=0.3)
        for _ in range(60):
            optimizer.zero_grad()
            F.mse_loss(layer(x), wanted).backward()
            optimizer.step()
        np.testing.assert_allclose(host(layer.weight)[0, 0], SOBEL, atol=1e-3)
