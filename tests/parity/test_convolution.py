"""Convolution and its transposed map against PyTorch: values, gradients to second order, layers, mistakes."""

import itertools

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.nn import functional as F
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

LENGTHS = {1: (11,), 2: (7, 8), 3: (5, 4, 6)}


def drawn(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def both(arrays):
    """The same leaves in two libraries."""
    ours = [rg.tensor(a).requires_grad_() for a in arrays]
    return ours, [torch.tensor(a, requires_grad=True) for a in arrays]


def same(ours, theirs, rtol):
    theirs = theirs.detach().numpy()
    ours = ours.detach().numpy()
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * max(1.0, np.abs(theirs).max(initial=0)))


def compare(call, reference, arrays, rtol=1e-9, second=True):
    """Values, gradients and gradients of gradients."""
    ours, theirs = both(arrays)
    y, z = call(*ours), reference(*theirs)
    same(y, z, rtol)
    weights = np.cos(np.arange(y.numel())).reshape(y.shape).astype(arrays[0].dtype)
    loss, other = ((y * y) * rg.tensor(weights)).sum(), ((z * z) * torch.tensor(weights)).sum()
    gs = rg.autograd.grad(loss, ours, create_graph=second)
    hs = torch.autograd.grad(other, theirs, create_graph=second)
    for g, h in zip(gs, hs, strict=True):
        same(g, h, rtol)
    if second:
        gs = rg.autograd.grad(sum((g * g).sum() for g in gs), ours)
        hs = torch.autograd.grad(sum((h * h).sum() for h in hs), theirs)
        for g, h in zip(gs, hs, strict=True):
            same(g, h, 10 * rtol)


CONV = [
    dict(zip(("stride", "padding", "dilation", "groups"), numbers, strict=True))
    for numbers in itertools.product((1, 2, 3), (0, 1, 2), (1, 2), (1, 2))
] + [{"padding": "same"}, {"padding": "valid", "stride": 2}, {"padding": "same", "dilation": 2, "groups": 4}]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # PyTorch's own
@pytest.mark.parametrize("options", CONV, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolution(rank, options):
    groups, size = options.get("groups", 1), (2, 3, 2)[:rank]
    if rank == 3 and options.get("dilation", 1) > 1 and options.get("padding") == 0:
        size = (2, 1, 2)
    arrays = [drawn(2, 4, *LENGTHS[rank]), drawn(8, 4 // groups, *size), drawn(8)]
    name = f"conv{rank}d"
    compare(
        lambda *args: getattr(F, name)(*args, **options),
        lambda *args: getattr(torch.nn.functional, name)(*args, **options),
        arrays,
        second=rank < 3,
    )


TRANSPOSED = [
    dict(zip(("stride", "padding", "output_padding", "groups", "dilation"), numbers, strict=True))
    for numbers in itertools.product((1, 2, 3), (0, 1), (0, 1), (1, 2), (1, 2))
    if numbers[2] < max(numbers[0], numbers[4])
]


@pytest.mark.parametrize("options", TRANSPOSED, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_convolution(rank, options):
    lengths = {1: (5,), 2: (4, 3), 3: (2, 3, 2)}[rank]
    arrays = [drawn(2, 4, *lengths), drawn(4, 3, *(3, 2, 2)[:rank]), drawn(3 * options["groups"])]
    name = f"conv_transpose{rank}d"
    compare(
        lambda *args: getattr(F, name)(*args, **options),
        lambda *args: getattr(torch.nn.functional, name)(*args, **options),
        arrays,
        second=rank < 3,
    )


SHAPES = [
    ((3, 1, 9, 9), (6, 1, 5, 5), 1),  # one channel
    ((2, 16, 6, 6), (16, 1, 3, 3), 16),  # depth-wise
    ((2, 4, 6, 6), (12, 1, 3, 3), 4),  # depth-wise with a multiplier
    ((2, 8, 5, 5), (4, 8, 1, 1), 1),  # 1×1
    ((2, 3, 6, 8), (2, 3, 6, 8), 1),  # as large as the input
    ((2, 3, 1, 30), (2, 3, 1, 7), 1),
    ((1, 2, 40, 40), (5, 2, 3, 3), 1),
    ((30, 24, 12, 12), (20, 24, 3, 3), 1),  # in several parts
    ((2, 6, 4, 4), (3, 6, 2, 2), 1),
]


@pytest.mark.parametrize(("x", "w", "groups"), SHAPES, ids=str)
@pytest.mark.parametrize("stride", [1, 2, (2, 1)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_shapes_of_networks(x, w, groups, stride, dtype):
    arrays = [drawn(*x, dtype=dtype), drawn(*w, dtype=dtype)]
    compare(
        lambda a, b: F.conv2d(a, b, None, stride, (w[2] // 2, w[3] // 2), 1, groups),
        lambda a, b: torch.nn.functional.conv2d(a, b, None, stride, (w[2] // 2, w[3] // 2), 1, groups),
        arrays,
        rtol=1e-9 if dtype == "float64" else 3e-5,
        second=dtype == "float64",
    )


def error(y, exact):
    return np.sqrt(np.mean((y.detach().numpy() - exact) ** 2))


@pytest.mark.parametrize(
    ("x", "w"),
    [((8, 64, 16, 16), (64, 64, 3, 3)), ((16, 1, 28, 28), (6, 1, 5, 5)), ((8, 16, 16, 16), (16, 16, 3, 3))],
)
def test_float32_is_as_exact_as_pytorch(x, w):
    x, w = drawn(*x), drawn(*w)
    exact = torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(w), padding=1)
    g = drawn(*exact.shape)
    _, exact_x, exact_w = gradients(torch, torch.nn.functional.conv2d, x, w, g)
    ours = gradients(rg, F.conv2d, *(a.astype(np.float32) for a in (x, w, g)))
    theirs = gradients(torch, torch.nn.functional.conv2d, *(a.astype(np.float32) for a in (x, w, g)))
    for a, b, e in zip(ours, theirs, (exact, exact_x, exact_w), strict=True):
        e = e.detach().numpy()
        assert error(a, e) <= 1.5 * error(b, e)


def gradients(library, conv, x, w, g):
    leaves = [library.tensor(a, requires_grad=True) for a in (x, w)]
    y = conv(*leaves, padding=1)
    y.backward(library.tensor(g))
    return y, *(leaf.grad for leaf in leaves)


@pytest.mark.parametrize("batch", [(), (0,), (1,)])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_without_a_batch_and_with_an_empty_one(rank, batch):
    arrays = [drawn(*batch, 2, *LENGTHS[rank]), drawn(4, 2, *(3,) * rank), drawn(4)]
    compare(getattr(F, f"conv{rank}d"), getattr(torch.nn.functional, f"conv{rank}d"), arrays)
    arrays[1] = drawn(2, 4, *(3,) * rank)
    name = f"conv_transpose{rank}d"
    compare(getattr(F, name), getattr(torch.nn.functional, name), arrays)


def test_inputs_of_any_layout():
    x, w = drawn(6, 5, 3, 2).transpose(3, 2, 1, 0), drawn(3, 3, 3, 4).transpose(3, 2, 1, 0)
    compare(
        lambda a, b: F.conv2d(a.permute(3, 2, 1, 0), b.permute(3, 2, 1, 0)),
        lambda a, b: torch.nn.functional.conv2d(a.permute(3, 2, 1, 0), b.permute(3, 2, 1, 0)),
        [x.transpose(3, 2, 1, 0).copy(), w.transpose(3, 2, 1, 0).copy()],
    )


def test_the_result_is_contiguous_so_that_it_can_be_viewed():
    for groups in (1, 2):
        y = F.conv2d(rg.randn(3, 4, 6, 6), rg.randn(6, 4 // groups, 3, 3), groups=groups)
        assert y.is_contiguous()
        assert y.view(3, -1).shape == (3, 96)


def test_integers():
    x, w = np.arange(36).reshape(1, 1, 6, 6), np.arange(9).reshape(1, 1, 3, 3)
    for dtype in ("int64", "int32", "int16", "int8", "uint8", "bool"):
        a, b = x.astype(dtype), w.astype(dtype)
        try:
            theirs = torch.nn.functional.conv2d(torch.tensor(a), torch.tensor(b))
        except Exception as error:
            assert_same_kind(raised_by(F.conv2d, rg.tensor(a), rg.tensor(b)), error)
        else:
            ours = F.conv2d(rg.tensor(a), rg.tensor(b))
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
            assert str(ours.dtype) == dtype


# ---- layers

LAYERS = [
    ("Conv1d", (4, 6, 3), {}),
    ("Conv1d", (4, 6, (3,)), {"stride": 2, "padding": 1, "bias": False}),
    ("Conv2d", (4, 6, 3), {"stride": (2, 1), "padding": (1, 2), "dilation": 2, "groups": 2}),
    ("Conv2d", (4, 6, (2, 3)), {"padding": "same"}),
    ("Conv2d", (4, 6, 3), {"padding": "valid"}),
    ("Conv2d", (4, 6, 3), {"padding": 2, "padding_mode": "reflect"}),
    ("Conv2d", (4, 6, (4, 3)), {"padding": "same", "padding_mode": "circular"}),
    ("Conv2d", (4, 6, 3), {"padding": (0, 1), "padding_mode": "replicate", "stride": 2}),
    ("Conv3d", (4, 2, 2), {"padding": 1, "padding_mode": "reflect"}),
    ("Conv3d", (4, 2, (1, 2, 3)), {"stride": 2, "padding_mode": "circular", "padding": (0, 1, 1)}),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "output_padding": 1}),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2, "bias": False}),
    ("ConvTranspose2d", (4, 6, (3, 2)), {"dilation": 2, "output_padding": (1, 0)}),
    ("ConvTranspose3d", (4, 2, 2), {"stride": (1, 2, 1)}),
]


@pytest.mark.parametrize(("name", "args", "options"), LAYERS, ids=str)
def test_layers(name, args, options):
    rg.manual_seed(5)
    torch.manual_seed(5)
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())
    for attribute in ("kernel_size", "stride", "padding", "dilation", "output_padding", "groups", "transposed"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    ours, theirs = ours.double(), theirs.double()
    ours.load_state_dict({k: rg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    compare(ours, theirs, [drawn(2, 4, *LENGTHS[int(name[-2])])], second=False)
    ours.zero_grad()
    theirs.zero_grad()
    x = drawn(4, *LENGTHS[int(name[-2])])
    ours(rg.tensor(x)).sum().backward()
    theirs(torch.tensor(x)).sum().backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        same(p.grad, q.grad, 1e-9)


@pytest.mark.parametrize("size", [[9, 8], (10, 9), (2, 5, 10, 8), (5, 9, 9)])
@pytest.mark.parametrize("batch", [(2,), ()])
def test_the_output_size_of_a_transposed_convolution_can_be_chosen(size, batch):
    options = {"stride": 2, "padding": 1}
    ours, theirs = nn.ConvTranspose2d(3, 5, (3, 2), **options), torch.nn.ConvTranspose2d(3, 5, (3, 2), **options)
    ours.load_state_dict({k: rg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    x = drawn(*batch, 3, 5, 5, dtype="float32")
    try:
        expected = theirs(torch.tensor(x), output_size=size)
    except Exception as error:
        assert_same_kind(raised_by(lambda: ours(rg.tensor(x), output_size=size)), error)
    else:
        same(ours(rg.tensor(x), output_size=size), expected, 1e-5)


# ---- mistakes

CONSTRUCTION = [
    lambda n: n.Conv2d(3, 4, 3, groups=0),
    lambda n: n.Conv2d(3, 4, 3, groups=-1),
    lambda n: n.Conv2d(3, 4, 3, groups=2),
    lambda n: n.Conv2d(4, 3, 3, groups=2),
    lambda n: n.Conv2d(3, 4, 3, padding="full"),
    lambda n: n.Conv2d(3, 4, 3, padding="same", stride=2),
    lambda n: n.Conv2d(3, 4, 3, padding_mode="mirror"),
    lambda n: n.ConvTranspose2d(3, 4, 3, padding_mode="reflect"),
    lambda n: n.ConvTranspose1d(3, 4, 3, groups=2),
    lambda n: n.Conv2d(3, 4),
    lambda n: n.Conv2d(3, 4, 3, strides=2),
]


@pytest.mark.parametrize("build", CONSTRUCTION)
def test_mistakes_at_construction(build):
    assert_same_kind(raised_by(build, nn), raised_by(build, torch.nn))


def of(library, *shapes, dtypes=("float32", "float32", "float32")):
    return [library.tensor(drawn(*s, dtype=d)) for s, d in zip(shapes, dtypes, strict=False)]


X, W = (2, 3, 6, 6), (4, 3, 3, 3)
CALLS = {
    "channels": lambda f, t: f.conv2d(*of(t, (2, 4, 6, 6), W)),
    "kernel too large": lambda f, t: f.conv2d(*of(t, (2, 3, 2, 6), W)),
    "dilated kernel too large": lambda f, t: f.conv2d(*of(t, X, W), dilation=3),
    "dimensions of input": lambda f, t: f.conv2d(*of(t, (3, 6), W)),
    "dimensions of weight": lambda f, t: f.conv2d(*of(t, X, (4, 3, 3))),
    "bias": lambda f, t: f.conv2d(*of(t, X, W, (3,))),
    "bias of two dimensions": lambda f, t: f.conv2d(*of(t, X, W, (4, 1))),
    "stride 0": lambda f, t: f.conv2d(*of(t, X, W), stride=0),
    "negative stride": lambda f, t: f.conv2d(*of(t, X, W), stride=-1),
    "negative padding": lambda f, t: f.conv2d(*of(t, X, W), padding=-1),
    "dilation 0": lambda f, t: f.conv2d(*of(t, X, W), dilation=0),
    "groups 0": lambda f, t: f.conv2d(*of(t, X, W), groups=0),
    "groups of channels": lambda f, t: f.conv2d(*of(t, X, W), groups=2),
    "groups of outputs": lambda f, t: f.conv2d(*of(t, (2, 9, 6, 6), W), groups=3),
    "strides": lambda f, t: f.conv2d(*of(t, X, W), stride=(1, 1, 1)),
    "stride's type": lambda f, t: f.conv2d(*of(t, X, W), stride=1.5),
    "padding's name": lambda f, t: f.conv2d(*of(t, X, W), padding="full"),
    "same with stride": lambda f, t: f.conv2d(*of(t, X, W), padding="same", stride=2),
    "dtypes": lambda f, t: f.conv2d(*of(t, X, W, dtypes=("float64", "float32"))),
    "bias' dtype": lambda f, t: f.conv2d(*of(t, X, W, (4,), dtypes=("float32", "float32", "float64"))),
    "not a tensor": lambda f, t: f.conv2d(drawn(*X), *of(t, W)),
    "transposed channels": lambda f, t: f.conv_transpose2d(*of(t, X, W)),
    "output padding": lambda f, t: f.conv_transpose2d(*of(t, X, (3, 4, 3, 3)), output_padding=1),
    "negative output padding": lambda f, t: f.conv_transpose2d(*of(t, X, (3, 4, 3, 3)), output_padding=-1),
    "nothing left": lambda f, t: f.conv_transpose2d(*of(t, (1, 3, 1, 1), (3, 4, 2, 2)), padding=2),
    "transposed bias": lambda f, t: f.conv_transpose2d(*of(t, X, (3, 4, 3, 3), (3,))),
}


@pytest.mark.parametrize("mistake", CALLS)
def test_mistakes_at_the_call(mistake):
    call = CALLS[mistake]
    assert_same_kind(raised_by(call, F, rg), raised_by(call, torch.nn.functional, torch))
