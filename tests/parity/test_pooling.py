"""Pooling against PyTorch: values, indices, gradients and exceptions over a grid of arguments."""

import itertools

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

SHAPES = {1: (2, 3, 11), 2: (2, 3, 7, 8), 3: (1, 2, 5, 6, 7)}
RANKS = (1, 2, 3)


def same(name, x, *args, rtol=1e-10, **kwargs):
    """The same call in both libraries: the same exception, or the same values, indices and gradients."""
    a, b = rg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours, theirs = (getattr(nn.functional, name) for nn in (rg.nn, torch.nn))
    try:
        wanted = theirs(b, *args, **kwargs)
    except Exception as error:
        assert_same_kind(raised_by(lambda: ours(a, *args, **kwargs)), error)
        return
    found = ours(a, *args, **kwargs)
    if isinstance(wanted, tuple):
        np.testing.assert_array_equal(found[1].numpy(), wanted[1].numpy())
        assert found[1].dtype == "int64"
        found, wanted = found[0], wanted[0]
    assert str(found.dtype) == str(wanted.dtype).removeprefix("torch.")
    message = f"{name} {x.shape} {args} {kwargs}"
    np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol, 1e-12, err_msg=message)
    cotangent = np.random.default_rng(1).normal(size=wanted.shape).astype(x.dtype)
    found.backward(rg.tensor(cotangent))
    wanted.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol, 1e-6 if rtol > 1e-8 else 1e-12, err_msg=message)


def drawn(rank, dtype="float64"):
    """Small integers: with many ties."""
    return np.random.default_rng(0).integers(-4, 5, SHAPES[rank]).astype(dtype)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("ceil_mode", [False, True])
class TestWindows:
    def test_maxima_and_their_places(self, rank, ceil_mode):
        sizes = [1, 2, 3, (3, 2, 4)[:rank]]
        for size, stride, padding, dilation in itertools.product(sizes, [None, 1, 2, 3], [0, 1], [1, 2]):
            settings = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
            same(f"max_pool{rank}d", drawn(rank), size, **settings, return_indices=True)
        same(f"max_pool{rank}d", drawn(rank, "float32")[0], 3, 2, 1, ceil_mode=ceil_mode, rtol=1e-5)

    def test_means(self, rank, ceil_mode):
        sizes = [1, 2, 3, (3, 2, 4)[:rank]]
        for size, stride, padding, counted in itertools.product(sizes, [None, 1, 3], [0, 1], [False, True]):
            settings = {"padding": padding, "ceil_mode": ceil_mode, "count_include_pad": counted}
            same(f"avg_pool{rank}d", drawn(rank), size, size if stride is None else stride, **settings)
        if rank > 1:
            same(f"avg_pool{rank}d", drawn(rank), 3, 2, 1, ceil_mode=ceil_mode, divisor_override=5)
        same(f"avg_pool{rank}d", drawn(rank, "float32")[0], 3, 2, 1, ceil_mode=ceil_mode, rtol=1e-5)

    def test_power_means(self, rank, ceil_mode):
        for power, size, stride in itertools.product([1.0, 2.0, 3.0, np.inf], [2, 3], [None, 1, 3]):
            x = np.abs(drawn(rank)) + 0.5
            same(f"lp_pool{rank}d", x, float(power), size, stride, ceil_mode, rtol=1e-9)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_pooling_to_a_given_size(rank, kind):
    indices = {"return_indices": True} if kind == "max" else {}
    for size in [1, 2, 3, 4, 9, (3, None, 2)[:rank]]:
        for x in (drawn(rank), drawn(rank)[0]):
            same(f"adaptive_{kind}_pool{rank}d", x, size, **indices)


@pytest.mark.parametrize("rank", RANKS)
def test_unpooling(rank):
    x = np.random.default_rng(0).normal(size=SHAPES[rank])
    _, places = getattr(torch.nn.functional, f"max_pool{rank}d")(torch.tensor(x), 2, return_indices=True)
    lengths = list(SHAPES[rank][2:])
    for size in (None, lengths, [n + 1 for n in lengths], list(SHAPES[rank]), [99] * rank, [1]):
        a = rg.tensor(x[tuple(slice(0, n) for n in places.shape)], requires_grad=True)
        b = torch.tensor(a.detach().numpy(), requires_grad=True)
        ours, theirs = rg.nn.functional, torch.nn.functional
        name = f"max_unpool{rank}d"
        try:
            wanted = getattr(theirs, name)(b, places, 2, output_size=size)
        except Exception as error:
            call = lambda s=size: getattr(ours, name)(a, rg.tensor(places.numpy()), 2, output_size=s)  # noqa: E731 B023
            assert_same_kind(raised_by(call), error)
            continue
        found = getattr(ours, name)(a, rg.tensor(places.numpy()), 2, output_size=size)
        np.testing.assert_array_equal(found.detach().numpy(), wanted.detach().numpy())
        (found**2).sum().backward()
        (wanted**2).sum().backward()
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), 1e-12)


@pytest.mark.parametrize("kind", ["max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "lp_pool2d"])
def test_second_gradients(kind):
    x = np.random.default_rng(0).uniform(0.5, 2, (2, 3, 7, 8))
    args = (2.5, 3) if kind == "lp_pool2d" else (3,)
    second = []
    for library in (rg, torch):
        leaf = library.tensor(x, requires_grad=True)
        out = getattr(library.nn.functional, kind)(leaf**3, *args)
        (g,) = library.autograd.grad((out**2).sum(), leaf, create_graph=True)
        (h,) = library.autograd.grad((g**2).sum(), leaf)
        second.append(h.numpy())
    np.testing.assert_allclose(*second, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool", "float16", "float32"])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"])
def test_dtypes(name, dtype):
    x = np.random.default_rng(0).integers(0, 9, (2, 3, 6, 6)).astype(dtype)
    ours, theirs = (getattr(nn.functional, name) for nn in (rg.nn, torch.nn))
    try:
        wanted = theirs(torch.tensor(x), 3)
    except Exception as error:
        if dtype == "bool" or name != "avg_pool2d":  # PyTorch averages int64, and no other integers
            assert_same_kind(raised_by(lambda: ours(rg.tensor(x), 3)), error)
        return
    found = ours(rg.tensor(x), 3)
    assert str(found.dtype) == str(wanted.dtype).removeprefix("torch.")
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-3 if dtype == "float16" else 1e-6)


@pytest.mark.parametrize(("rank", "shape"), [(2, (2, 3, 9, 11)), (2, (3, 9, 11)), (3, (2, 2, 7, 8, 9))])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_fractional_max_pooling_draws_pytorchs_windows(rank, shape, dtype):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    ratio = {"output_ratio": (0.5, 0.6, 0.5)[:rank]}
    for size, how in itertools.product([1, 2, (3, 2, 2)[:rank]], [{"output_size": 4}, {"output_size": 1}, ratio]):
        rg.manual_seed(3)
        torch.manual_seed(3)
        same(f"fractional_max_pool{rank}d", x, size, **how, return_indices=True, rtol=1e-6)
    ours, theirs = (getattr(nn, f"FractionalMaxPool{rank}d")(2, output_ratio=0.5) for nn in (rg.nn, torch.nn))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    rg.manual_seed(4)
    torch.manual_seed(4)
    np.testing.assert_array_equal(ours(rg.tensor(x)).numpy(), theirs(torch.tensor(x)).numpy())


MODULES = [
    ("MaxPool1d", (2, 3), {"padding": 1}),
    ("MaxPool2d", (3,), {"stride": 2, "padding": 1}),
    ("MaxPool2d", ((3, 2),), {"dilation": 2, "ceil_mode": True}),
    ("MaxPool3d", (2,), {}),
    ("AvgPool1d", (3, 2, 1), {"count_include_pad": False}),
    ("AvgPool2d", (2,), {"divisor_override": 3}),
    ("AvgPool2d", ((2, 3),), {}),
    ("AvgPool3d", (2, 1), {"ceil_mode": True}),
    ("LPPool1d", (2, 3), {}),
    ("LPPool2d", (1.5, 2), {"stride": 3}),
    ("LPPool3d", (2, 2), {"ceil_mode": True}),
    ("AdaptiveMaxPool1d", (4,), {}),
    ("AdaptiveMaxPool2d", ((None, 3),), {}),
    ("AdaptiveMaxPool3d", (2,), {}),
    ("AdaptiveAvgPool1d", (4,), {}),
    ("AdaptiveAvgPool2d", ((5, None),), {}),
    ("AdaptiveAvgPool3d", (1,), {}),
]


@pytest.mark.parametrize(("name", "args", "settings"), MODULES)
def test_modules(name, args, settings):
    ours, theirs = getattr(rg.nn, name)(*args, **settings), getattr(torch.nn, name)(*args, **settings)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for attribute in ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "output_size", "return_indices"):
        assert getattr(ours, attribute, None) == getattr(theirs, attribute, None)
    x = np.abs(np.random.default_rng(0).normal(size=SHAPES[int(name[-2])])) + 0.1
    for batch in (x, x[0]):
        wanted = theirs(torch.tensor(batch)).numpy()
        np.testing.assert_allclose(ours(rg.tensor(batch)).numpy(), wanted, 1e-10)


@pytest.mark.parametrize("rank", RANKS)
def test_the_unpooling_module(rank):
    ours, theirs = (getattr(nn, f"MaxUnpool{rank}d")(2, 3, 1) for nn in (rg.nn, torch.nn))
    assert repr(ours) == repr(theirs)
    x = np.random.default_rng(0).normal(size=SHAPES[rank])
    pool = getattr(torch.nn.functional, f"max_pool{rank}d")
    values, places = pool(torch.tensor(x), 2, 3, 1, return_indices=True)
    found = ours(rg.tensor(values.numpy()), rg.tensor(places.numpy()), output_size=x.shape)
    np.testing.assert_array_equal(found.numpy(), theirs(values, places, output_size=x.shape).numpy())


MISTAKES = {
    "a kernel larger than the input": lambda lib, F, x: F.max_pool2d(x, 9),
    "too much padding": lambda lib, F, x: F.max_pool2d(x, 3, padding=2),
    "too much padding for a mean": lambda lib, F, x: F.avg_pool2d(x, 3, padding=2),
    "a stride of zero": lambda lib, F, x: F.max_pool2d(x, 3, stride=0),
    "a kernel of zero": lambda lib, F, x: F.avg_pool2d(x, 0),
    "a negative padding": lambda lib, F, x: F.max_pool2d(x, 2, padding=-1),
    "a dilation of zero": lambda lib, F, x: F.max_pool2d(x, 2, dilation=0),
    "three sizes": lambda lib, F, x: F.max_pool2d(x, (2, 2, 2)),
    "a fraction": lambda lib, F, x: F.max_pool2d(x, 2.5),
    "a matrix": lambda lib, F, x: F.max_pool2d(x[0, 0], 2),
    "a row": lambda lib, F, x: F.avg_pool1d(x[0, 0, 0], 2),
    "five dimensions": lambda lib, F, x: F.adaptive_avg_pool2d(x[None], 2),
    "no channels": lambda lib, F, x: F.max_pool2d(x[:, :0], 2),
    "a negative size": lambda lib, F, x: F.adaptive_max_pool2d(x, -1),
    "sizes of None alone": lambda lib, F, x: F.adaptive_avg_pool1d(x[0], None),
    "fractional windows that do not fit": lambda lib, F, x: F.fractional_max_pool2d(x, 3, output_size=7),
    "no fractional size": lambda lib, F, x: F.fractional_max_pool2d(x, 3),
    "no size of a fractional layer": lambda lib, F, x: lib.nn.FractionalMaxPool2d(3),
    "two sizes of a fractional layer": lambda lib, F, x: lib.nn.FractionalMaxPool2d(3, 2, 0.5),
    "a ratio above one": lambda lib, F, x: lib.nn.FractionalMaxPool2d(3, output_ratio=1.5),
    "a zero divisor": lambda lib, F, x: F.avg_pool2d(x, 2, divisor_override=0),
    "the power zero": lambda lib, F, x: F.lp_pool2d(x, 0.0, 2),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_raise_pytorchs_exceptions(mistake):
    x = np.zeros((2, 3, 8, 8))
    ours = raised_by(lambda: MISTAKES[mistake](rg, rg.nn.functional, rg.tensor(x)))
    theirs = raised_by(lambda: MISTAKES[mistake](torch, torch.nn.functional, torch.tensor(x)))
    assert_same_kind(ours, theirs)
