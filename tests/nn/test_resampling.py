"""Interpolation, grids and shuffles without PyTorch at hand: definitions, gradients to second order, mistakes."""

import math

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.autograd import ops
from retrograd.autograd.ops.resampling import Taps
from retrograd.nn import functional as F
from tests.autograd.factory import each, function
from tests.data.errors import raises_clearly

WEIGHTS = np.array([[0.5, -1.0], [0.0, 2.0], [1.0, 0.25]])
SOURCES = np.array([[0, 3], [1, 1], [3, 0]])
MATRIX = np.zeros((3, 4))
for row, (sources, weights) in enumerate(zip(SOURCES, WEIGHTS)):
    np.add.at(MATRIX[row], sources, weights)


def linear_reference(x, size, align_corners):
    """Interpolation by NumPy's own, at the places that the corners' convention gives."""
    n = x.shape[-1]
    places = np.linspace(0, n - 1, size) if align_corners else (np.arange(size) + 0.5) * n / size - 0.5
    return np.apply_along_axis(lambda row: np.interp(places, np.arange(n), row), -1, x)


def nearest_reference(x, scale_factor):
    return x.repeat(scale_factor, -1).repeat(scale_factor, -2)


def sampled_reference(pixels, weights, index):
    """The plain sum: what a product with one-hot vectors picks."""
    one_hot = np.eye(pixels.shape[2])[index]
    return np.einsum("ncp,nkm,nkmp->ncm", pixels, weights, one_hot)


def plain_grid_sample(input, grid):
    """Bilinear sampling, zeros outside, corners aligned, from the operations that everyone knows."""
    height, width = input.shape[2:]
    x, y = (grid[..., 0] + 1) / 2 * (width - 1), (grid[..., 1] + 1) / 2 * (height - 1)
    total = 0
    for row in range(height):
        for column in range(width):
            weight = (1 - (x - column).abs()).clamp(min=0) * (1 - (y - row).abs()).clamp(min=0)
            total = total + input[:, :, row, column][:, :, None, None] * weight[:, None]
    return total


test_resample = function(
    lambda x, axis: ops.resample(x, axis=axis, taps=Taps(4, SOURCES, WEIGHTS)),
    lambda x, axis: np.moveaxis(np.tensordot(MATRIX, x, (1, axis)), 0, axis),
    shapes=[(4, 4), (2, 4, 4)],
    axis=each(-1, -2),
)
test_linear = function(
    lambda x, size, align_corners: F.interpolate(x, size, mode="linear", align_corners=align_corners),
    linear_reference, shapes=[(1, 2, 4), (2, 1, 1)], size=each(3, 7), align_corners=each(False, True),
)  # fmt: skip
test_nearest = function(F.interpolate, nearest_reference, shapes=[(1, 2, 2, 3), (0, 1, 2, 2)], scale_factor=each(1, 2))
test_bicubic = function(
    lambda x, antialias: F.interpolate(x, (3, 6), mode="bicubic", antialias=antialias),
    None, shapes=[(1, 1, 5, 4)], antialias=each(False, True), rtol=2e-6,
)  # fmt: skip
test_grid_sample = function(
    F.grid_sample, None, "any", lambda rng, shape: rng.uniform(-1.3, 1.3, shape),
    shapes=[((1, 2, 3, 4), (1, 2, 2, 2)), ((1, 1, 2, 3, 2), (1, 1, 2, 1, 3))],
    padding_mode=each("zeros", "border", "reflection"), dtypes=[np.float32, np.float64], rtol=2e-5,
)  # fmt: skip
test_weighted_samples = function(
    ops.sample, sampled_reference, "any", "any", lambda rng, shape: rng.integers(0, 4, shape),
    shapes=[((2, 3, 4), (2, 2, 5), (2, 2, 5)), ((1, 1, 4), (1, 1, 1), (1, 1, 1))],
)  # fmt: skip
test_bicubic_grid_sample = function(
    F.grid_sample, None, "any", lambda rng, shape: rng.uniform(-1.3, 1.3, shape), shapes=[((1, 1, 3, 4), (1, 2, 2, 2))],
    mode="bicubic", padding_mode=each("zeros", "reflection"), dtypes=[np.float64],
)  # fmt: skip
test_affine_grid = function(F.affine_grid, None, shapes=[(2, 2, 3)], size=(2, 1, 3, 4), align_corners=each(False, True))
test_pixel_shuffle = function(
    F.pixel_shuffle,
    lambda x, upscale_factor: np.stack([x[:, i::4] for i in range(4)], 2)
    .reshape(1, -1, 2, 2, 2, 3).transpose(0, 1, 4, 2, 5, 3).reshape(1, -1, 4, 6),
    shapes=[(1, 8, 2, 3)], upscale_factor=2,
)  # fmt: skip
test_pixel_unshuffle = function(F.pixel_unshuffle, None, shapes=[(1, 2, 4, 2)], downscale_factor=2)
test_channel_shuffle = function(
    F.channel_shuffle, lambda x, groups: x[:, [0, 3, 1, 4, 2, 5]], shapes=[(2, 6, 3)], groups=2
)  # fmt: skip


def host(t):
    return t.detach().cpu().numpy()


def test_sampling_agrees_with_its_plain_twin_to_second_order(device, rng):
    image, grid = rng.normal(size=(2, 3, 4, 5)), rng.uniform(-1.3, 1.3, size=(2, 3, 2, 2))
    results = []
    for sampling in (plain_grid_sample, lambda x, g: F.grid_sample(x, g, align_corners=True)):
        leaves = [rg.tensor(a, device=device, requires_grad=True) for a in (image, grid)]
        out = sampling(*leaves)
        first = rg.autograd.grad((out**3).sum(), leaves, create_graph=True)
        second = rg.autograd.grad(sum((g**2).sum() for g in first), leaves)
        results.append([t.detach().cpu().numpy() for t in (out, *first, *second)])
    for plain, fused in zip(*results):
        np.testing.assert_allclose(fused, plain, rtol=1e-9, atol=1e-11)


def test_what_is_not_a_number_stays_where_it_is_sampled(device):
    image = rg.tensor([[[[math.nan, 1.0], [2.0, 3.0]]]], device=device)
    grid = rg.tensor([[[[1.0, 1.0], [4.0, 4.0], [-1.0, -1.0]]]], device=device)
    assert F.grid_sample(image, grid, align_corners=True).isnan().tolist() == [[[[False, False, True]]]]


def test_every_interpolation_keeps_a_constant_image(device):
    x = rg.full((1, 1, 5, 7), 3.0, dtype=rg.float64, device=device)
    for mode in ("nearest", "nearest-exact", "area", "bilinear", "bicubic"):
        for size in ((3, 4), (8, 9), (5, 13)):
            np.testing.assert_allclose(host(F.interpolate(x, size, mode=mode)), 3.0, rtol=1e-12)


def test_an_infinite_pixel_spoils_its_neighbourhood_alone(device):
    x = np.zeros((1, 1, 1, 9))
    x[..., 4] = np.inf
    out = host(F.interpolate(rg.tensor(x, device=device), (1, 18), mode="bilinear"))[0, 0, 0]
    assert np.isfinite(out).tolist() == [True] * 7 + [False] * 4 + [True] * 7


def test_pixel_unshuffle_undoes_pixel_shuffle(device):
    x = rg.tensor(np.random.default_rng(0).normal(size=(2, 18, 2, 3)), device=device)
    np.testing.assert_array_equal(host(nn.PixelUnshuffle(3)(nn.PixelShuffle(3)(x))), host(x))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_the_identity_grid_gives_the_image_back(device, mode, align_corners):
    x = rg.tensor(np.random.default_rng(0).normal(size=(2, 3, 4, 5)), device=device)
    theta = rg.tensor([[[1.0, 0, 0], [0, 1, 0]]] * 2, dtype=rg.float64, device=device)
    out = F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners), mode, align_corners=align_corners)
    np.testing.assert_allclose(host(out), host(x), atol=1e-12)


def test_a_point_that_is_not_a_number_samples_zero_and_reads_no_foreign_memory(device):
    x = rg.ones(1, 1, 2, 2, device=device)
    grid = rg.full((1, 1, 1, 2), math.nan, device=device)
    for mode in ("bilinear", "nearest", "bicubic"):
        assert host(F.grid_sample(x, grid, mode)).item() == 0
    assert F.grid_sample(x, grid, padding_mode="border").shape == (1, 1, 1, 1)


def test_a_training_step_never_waits_for_the_gpu(device, forbid_synchronization):
    x = rg.ones(2, 4, 5, 5, device=device, requires_grad=True)
    big = nn.Sequential(nn.Upsample(scale_factor=2), nn.UpsamplingBilinear2d(7), nn.PixelShuffle(2))(x)
    grid = F.affine_grid(rg.ones(2, 2, 3, device=device, requires_grad=True), big.shape)
    F.grid_sample(big, grid, padding_mode="reflection").sum().backward()


IMAGE = rg.zeros(2, 3, 8, 8)
GRID = rg.zeros(2, 4, 4, 2)
MISTAKES = {
    "neither size nor factor": (lambda: F.interpolate(IMAGE), ValueError, "only one of size or scale_factor"),
    "size and factor": (lambda: F.interpolate(IMAGE, 3, 2), ValueError, "only one of size or scale_factor"),
    "three sizes for an image": (lambda: F.interpolate(IMAGE, (1, 2, 3)), ValueError, "a number or 2 of them"),
    "a size of zero": (lambda: F.interpolate(IMAGE, 0), RuntimeError, "greater than 0"),
    "a negative factor": (lambda: F.interpolate(IMAGE, scale_factor=-1.0), RuntimeError, "greater than 0"),
    "an unknown mode": (lambda: F.interpolate(IMAGE, 3, mode="cubic"), NotImplementedError, "must be one of nearest"),
    "a mode of another rank": (lambda: F.interpolate(IMAGE, 3, mode="linear"), NotImplementedError, "takes 3-D"),
    "aligned nearest": (lambda: F.interpolate(IMAGE, 3, align_corners=True), ValueError, "align_corners option"),
    "unfiltered lanczos": (lambda: F.interpolate(IMAGE, 3, mode="lanczos"), ValueError, "requires antialias"),
    "antialiased nearest": (lambda: F.interpolate(IMAGE, 3, antialias=True), ValueError, "antialias needs"),
    "recomputing a size": (
        lambda: F.interpolate(IMAGE, 3, recompute_scale_factor=True), ValueError, "not meaningful",
    ),
    "integers": (lambda: F.interpolate(IMAGE.long(), 3), NotImplementedError, "not implemented for int64"),
    "an unknown sampling": (lambda: F.grid_sample(IMAGE, GRID, "cubic"), ValueError, "mode must be 'bilinear'"),
    "an unknown padding": (lambda: F.grid_sample(IMAGE, GRID, padding_mode="wrap"), ValueError, "padding_mode must be"),
    "a grid of threes": (lambda: F.grid_sample(IMAGE, rg.zeros(2, 4, 4, 3)), RuntimeError, "Expected 4-D input"),
    "another batch": (lambda: F.grid_sample(IMAGE, GRID[:1]), RuntimeError, "same batch size"),
    "another dtype": (lambda: F.grid_sample(IMAGE, GRID.double()), RuntimeError, "float32 and float64"),
    "bicubic volumes": (
        lambda: F.grid_sample(rg.zeros(1, 1, 2, 2, 2), rg.zeros(1, 1, 1, 1, 3), "bicubic"), RuntimeError, "only",
    ),
    "a theta that does not fit": (lambda: F.affine_grid(rg.zeros(2, 3, 3), (2, 1, 4, 4)), ValueError, r"\(2, 2, 3\)"),
    "an empty grid": (lambda: F.affine_grid(rg.zeros(2, 2, 3), (2, 1, 0, 4)), ValueError, "non-zero, positive"),
    "channels for no square": (lambda: F.pixel_shuffle(IMAGE, 2), RuntimeError, "divisible by the square"),
    "a shuffle by zero": (lambda: nn.PixelShuffle(0)(IMAGE), RuntimeError, "positive upscale_factor"),
    "pixels for no block": (lambda: F.pixel_unshuffle(IMAGE, 3), RuntimeError, "divisible by downscale_factor"),
    "channels for no groups": (lambda: F.channel_shuffle(IMAGE, 2), RuntimeError, "divisible by groups"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake):
    action, kind, words = MISTAKES[mistake]
    with raises_clearly(kind, words):
        action()
