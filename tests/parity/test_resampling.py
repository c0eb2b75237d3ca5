"""Interpolation, grid sampling and shuffles against PyTorch over a grid of arguments."""

import itertools

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")
# PyTorch's own advice on align_corners, which its default needs here.
pytestmark = pytest.mark.filterwarnings("ignore")

MODES = [
    (1, "nearest"), (2, "nearest"), (3, "nearest"), (1, "nearest-exact"), (2, "nearest-exact"), (3, "nearest-exact"),
    (1, "linear"), (2, "bilinear"), (2, "bicubic"), (3, "trilinear"), (1, "area"), (2, "area"), (3, "area"),
    (2, "lanczos"),
]  # fmt: skip
SHAPES = [(2, 2, 7, 5, 4), (1, 1, 1, 3, 6), (1, 2, 10, 11, 13)]


def same(name, arrays, rtol, *args, **kwargs):
    """The same call in both libraries: the same exception, or the same values and gradients."""
    ours = [rg.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    try:
        wanted = getattr(torch.nn.functional, name)(*theirs, *args, **kwargs)
    except Exception as error:
        found = raised_by(lambda: getattr(rg.nn.functional, name)(*ours, *args, **kwargs))
        assert_same_kind(found, error)
        return
    found = getattr(rg.nn.functional, name)(*ours, *args, **kwargs)
    message = f"{name} {[a.shape for a in arrays]} {args} {kwargs}"
    assert str(found.dtype) == str(wanted.dtype).removeprefix("torch.")
    if kwargs.get("antialias") and wanted.shape[-1] == 1:  # there PyTorch 2.13 repeats the first row's value
        assert found.shape == tuple(wanted.shape)
        return
    np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol, rtol, err_msg=message)
    if 0 in wanted.shape:
        return
    cotangent = np.random.default_rng(1).normal(size=wanted.shape).astype(arrays[0].dtype)
    found.backward(rg.tensor(cotangent))
    wanted.backward(torch.tensor(cotangent))
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol, 10 * rtol, err_msg=message)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("rank", "mode"), MODES)
def test_interpolation(rank, mode, dtype):
    rng = np.random.default_rng(0)
    sizes = [{"size": n} for n in (1, 2, 5, 9, 13, (3, 8, 2)[:rank])]
    factors = [2, 0.5, 1.0, 1.7, 0.37, 3.3, (2.5, 0.6, 1.3)[:rank]]
    scales = [{"scale_factor": f, "recompute_scale_factor": r} for f in factors for r in (None, True)]
    for shape, align, antialias in itertools.product(SHAPES, (None, False, True), (False, True)):
        x = rng.normal(size=shape[: 2 + rank]).astype(dtype)
        for how in sizes + scales:
            settings = {"mode": mode, "align_corners": align, "antialias": antialias}
            same("interpolate", [x], 1e-9 if dtype == "float64" else 1e-4, **how, **settings)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_the_nearest_neighbour_is_pytorchs_for_every_rounding(mode):
    for length in range(1, 40):
        x = np.arange(float(length))[None, None]
        for size in range(1, 60):
            for dtype in ("float32", "float64"):
                found = rg.nn.functional.interpolate(rg.tensor(x, dtype=getattr(rg, dtype)), size, mode=mode)
                wanted = torch.nn.functional.interpolate(torch.tensor(x, dtype=getattr(torch, dtype)), size, mode=mode)
                np.testing.assert_array_equal(found.numpy(), wanted.numpy(), err_msg=f"{length} to {size}")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
def test_grid_sampling(mode, padding_mode, dtype):
    rng = np.random.default_rng(0)
    shapes = [
        ((2, 3, 5, 4), (2, 3, 6, 2)), ((2, 1, 1, 7), (2, 4, 4, 2)), ((2, 2, 3, 4, 5), (2, 3, 2, 4, 3)),
        ((0, 3, 5, 4), (0, 2, 2, 2)),
    ]  # fmt: skip
    for (shape, points), align in itertools.product(shapes, (None, False, True)):
        x, grid = rng.normal(size=shape).astype(dtype), (1.5 * rng.normal(size=points)).astype(dtype)
        grid.reshape(-1)[:6] = [-1, 1, 0, 1, 1, 1][: grid.size]
        same("grid_sample", [x, grid], 1e-9 if dtype == "float64" else 1e-3, mode, padding_mode, align)


@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 3, 1, 5), (2, 1, 3, 4, 5)])
def test_affine_grids(size):
    rank = len(size) - 2
    theta = np.random.default_rng(0).normal(size=(2, rank, rank + 1))
    for align in (None, False, True):
        same("affine_grid", [theta], 1e-12, list(size), align_corners=align)


@pytest.mark.parametrize(
    ("name", "factor", "shapes"),
    [
        ("pixel_shuffle", 2, [(2, 8, 3, 4), (8, 3, 4), (2, 2, 4, 3, 4), (0, 4, 3, 4), (6, 3), (2, 6, 3, 4)]),
        ("pixel_shuffle", 0, [(2, 8, 3, 4)]),
        ("pixel_unshuffle", 2, [(2, 3, 4, 6), (3, 4, 6), (2, 4, 3, 4), (4, 6)]),
        ("channel_shuffle", 3, [(2, 6, 3, 4), (2, 6, 3), (2, 4, 3), (2, 6)]),
    ],
)
def test_shuffles(name, factor, shapes):
    for shape in shapes:
        x = np.random.default_rng(0).normal(size=shape)
        try:
            wanted = getattr(torch.nn.functional, name)(torch.tensor(x), factor).numpy()
        except Exception as error:
            call = getattr(rg.nn.functional, name)
            assert_same_kind(raised_by(call, rg.tensor(x), factor), error)
            continue
        np.testing.assert_array_equal(getattr(rg.nn.functional, name)(rg.tensor(x), factor).numpy(), wanted)


@pytest.mark.parametrize(
    ("name", "args", "settings"),
    [
        ("Upsample", (), {"scale_factor": 2}),
        ("Upsample", ((9, 4),), {"mode": "bilinear"}),
        ("Upsample", (), {"scale_factor": (1.5, 3), "mode": "bicubic", "align_corners": True}),
        ("Upsample", (), {"scale_factor": 1.7, "mode": "bilinear", "recompute_scale_factor": True}),
        ("UpsamplingNearest2d", (7,), {}),
        ("UpsamplingBilinear2d", (), {"scale_factor": 3}),
        ("PixelShuffle", (2,), {}),
        ("PixelUnshuffle", (3,), {}),
        ("ChannelShuffle", (2,), {}),
    ],
)
def test_modules(name, args, settings):
    ours, theirs = getattr(rg.nn, name)(*args, **settings), getattr(torch.nn, name)(*args, **settings)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    np.testing.assert_allclose(ours(rg.tensor(x)).numpy(), theirs(torch.tensor(x)).numpy(), 1e-9, 1e-12)


def test_second_gradients_of_grid_sampling_reach_the_grid_too():
    rng = np.random.default_rng(0)
    x, grid = rng.normal(size=(1, 2, 5, 4)), rng.uniform(-0.9, 0.9, (1, 3, 3, 2))
    leaf, points = rg.tensor(x, requires_grad=True), rg.tensor(grid, requires_grad=True)
    assert rg.autograd.gradgradcheck(rg.nn.functional.grid_sample, [leaf, points])


MISTAKES = {
    "neither size nor factor": lambda F, x: F.interpolate(x),
    "size and factor": lambda F, x: F.interpolate(x, 3, 2),
    "three sizes": lambda F, x: F.interpolate(x, (1, 2, 3)),
    "three factors": lambda F, x: F.interpolate(x, scale_factor=(1.0, 2.0, 3.0)),
    "a size of zero": lambda F, x: F.interpolate(x, 0),
    "an unknown mode": lambda F, x: F.interpolate(x, 3, mode="cubic"),
    "unfiltered lanczos": lambda F, x: F.interpolate(x, 3, mode="lanczos"),
    "a mode of another rank": lambda F, x: F.interpolate(x, 3, mode="linear"),
    "recomputing a size": lambda F, x: F.interpolate(x, 3, recompute_scale_factor=True),
    "integers": lambda F, x: F.interpolate(x.long(), 3),
    "an unknown sampling": lambda F, x: F.grid_sample(x, x[:, :, :, :2], "cubic"),
    "an unknown padding": lambda F, x: F.grid_sample(x, x[:, :, :, :2], padding_mode="wrap"),
    "a grid of threes": lambda F, x: F.grid_sample(x, x[:, :, :, :3]),
    "another batch": lambda F, x: F.grid_sample(x, x[:1, :, :, :2]),
    "another dtype": lambda F, x: F.grid_sample(x, x[:, :, :, :2].float()),
    "a theta that does not fit": lambda F, x: F.affine_grid(x[:, 0, :3, :3], (2, 1, 4, 4)),
    "an empty grid": lambda F, x: F.affine_grid(x[:, 0, :2, :3], (2, 1, 0, 4)),
    "an integer theta": lambda F, x: F.affine_grid(x[:, 0, :2, :3].long(), (2, 1, 4, 4)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_raise_pytorchs_exceptions(mistake):
    x = np.zeros((2, 3, 8, 8))
    ours = raised_by(lambda: MISTAKES[mistake](rg.nn.functional, rg.tensor(x)))
    theirs = raised_by(lambda: MISTAKES[mistake](torch.nn.functional, torch.tensor(x)))
    assert_same_kind(ours, theirs)
