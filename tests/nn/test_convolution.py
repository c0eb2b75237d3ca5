"""Convolution without PyTorch at hand: definitions, gradients to second order, and what it answers to mistakes."""

import itertools
import sys

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.autograd.ops.convolution import RUN, split_of
from retrograd.autograd.windows import Windows
from retrograd.backends import numpy_products
from retrograd.nn import functional as F
from tests.autograd.factory import each, function
from tests.data.errors import raises_clearly


def convolved(x, w, stride=1, padding=0, dilation=1, groups=1):
    """The definition, one output at a time."""
    x = np.pad(x, [(0, 0), (0, 0), *[(padding, padding)] * (x.ndim - 2)])
    lengths = [(n - (k - 1) * dilation - 1) // stride + 1 for n, k in zip(x.shape[2:], w.shape[2:], strict=True)]
    out = np.zeros((x.shape[0], w.shape[0], *lengths))
    for o, *place in itertools.product(range(w.shape[0]), *map(range, lengths)):
        first = o // (w.shape[0] // groups) * w.shape[1]
        window = [
            slice(p * stride, p * stride + (k - 1) * dilation + 1, dilation)
            for p, k in zip(place, w.shape[2:], strict=True)
        ]
        out[:, o, *place] = (x[:, first : first + w.shape[1], *window] * w[o]).sum(tuple(range(1, x.ndim)))
    return out


def transposed(x, w, stride=1, padding=0):
    """The definition: every element spreads the kernel, scaled."""
    lengths = [(n - 1) * stride + k for n, k in zip(x.shape[2:], w.shape[2:], strict=True)]
    out = np.zeros((x.shape[0], w.shape[1], *lengths))
    for place in itertools.product(*map(range, x.shape[2:])):
        window = [slice(p * stride, p * stride + k) for p, k in zip(place, w.shape[2:], strict=True)]
        out[:, :, *window] += np.einsum("ni,io...->no...", x[:, :, *place], w)
    return out[(..., *[slice(padding, n - padding) for n in lengths])]


test_conv2d = function(
    F.conv2d, convolved, "any", "any", shapes=[((2, 2, 4, 3), (3, 2, 2, 3)), ((1, 1, 3, 4), (1, 1, 3, 1))],
    stride=each(1, 2), padding=each(0, 1), dtypes=(np.float32, np.float64),
)  # fmt: skip
test_conv2d_with_a_bias = function(
    lambda x, w, b: F.conv2d(x, w, b, padding=1), lambda x, w, b: convolved(x, w, padding=1) + b[:, None, None],
    "any", "any", "any", shapes=[((2, 1, 3, 3), (2, 1, 2, 2), (2,))],
)  # fmt: skip
test_conv1d_of_groups = function(
    F.conv1d, convolved, "any", "any", shapes=[((2, 4, 6), (4, 2, 2))], groups=2, dilation=each(1, 2), padding=1
)
test_conv3d = function(
    F.conv3d, convolved, "any", "any", shapes=[((1, 1, 2, 3, 3), (1, 1, 2, 1, 2))], padding=each(0, 1)
)
test_conv_transpose = function(
    F.conv_transpose2d, transposed, "any", "any", shapes=[((1, 2, 2, 3), (2, 2, 2, 3)), ((2, 1, 2, 3), (1, 1, 3, 1))],
    stride=each(1, 2), padding=each(0, 1), dtypes=(np.float32, np.float64),
)  # fmt: skip
test_unfold = function(
    lambda x: F.unfold(x, (2, 2), padding=(1, 0), stride=(1, 2)),
    lambda x: np.stack([window.reshape(x.shape[0], -1) for window in windows_of(x)], -1),
    shapes=[(2, 2, 3, 4), (1, 1, 2, 2)],
)
test_fold = function(
    lambda x: F.fold(x, (3, 3), 2),
    lambda x: transposed(x.reshape(x.shape[0], 4, 2, 2), np.eye(4).reshape(4, 1, 2, 2)),
    shapes=[(2, 4, 4), (1, 4, 4)],
)


def windows_of(x):
    wide = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 0)])
    for i, j in itertools.product(range(wide.shape[2] - 1), range(0, wide.shape[3] - 1, 2)):
        yield wide[:, :, i : i + 2, j : j + 2]


def padded(mode):
    return lambda x: np.pad(x, [(0, 0), (1, 0), (2, 1)], mode=mode)


test_reflection = function(lambda x: F.pad(x, (2, 1, 1, 0), "reflect"), padded("reflect"), shapes=[(1, 2, 3)])
test_replication = function(lambda x: F.pad(x, (2, 1, 1, 0), "replicate"), padded("edge"), shapes=[(1, 2, 3)])
test_circle = function(lambda x: F.pad(x, (2, 1, 1, 0), "circular"), padded("wrap"), shapes=[(1, 2, 3)])


# ---- every way to compute it gives the same


@pytest.mark.parametrize("scattered", [(), (-2,), (-1,), (-2, -1)])
@pytest.mark.parametrize(("stride", "dilation", "groups"), [(1, 1, 1), (2, 1, 2), (1, 2, 1)])
def test_the_axes_may_be_summed_on_either_side_of_the_product(scattered, stride, dilation, groups, device, monkeypatch):
    def forced(windows, *_):
        chosen = split_of(windows, 1, 1, 1, 1)
        gathered = tuple(axis for axis in (-2, -1) if axis not in scattered)
        lattice = tuple((windows.lengths if a in scattered else windows.counts)[a] for a in (-2, -1))
        return chosen._replace(gathered=gathered, scattered=scattered, lattice=lattice)

    monkeypatch.setattr(sys.modules[split_of.__module__], "split_of", forced)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 4, 7, 6)), rng.normal(size=(4, 4 // groups, 3, 2))
    a, b = (rg.tensor(t, device=device, requires_grad=True) for t in (x, w))
    y = F.conv2d(a, b, None, stride, 1, dilation, groups)
    expected = convolved(x, w, stride, 1, dilation, groups)
    np.testing.assert_allclose(y.detach().cpu().numpy(), expected, rtol=1e-12, atol=1e-12)
    g = rng.normal(size=expected.shape)
    y.backward(rg.tensor(g, device=device))
    for t, leaf in ((x, a), (w, b)):  # the map is linear in each: <g, f(t)> = <∂/∂t, t>
        np.testing.assert_allclose((leaf.grad.cpu().numpy() * t).sum(), (g * expected).sum(), rtol=1e-10)


def test_a_batch_in_many_parts_is_one_batch(monkeypatch):
    from retrograd.backends import numpy as backend

    x, w = rg.randn(7, 3, 9, 8, requires_grad=True), rg.randn(5, 3, 3, 3, requires_grad=True)
    whole = F.conv2d(x, w, padding=1)
    expected = rg.autograd.grad(whole.square().sum(), (x, w))
    monkeypatch.setattr(backend, "scratch_bytes", 2**14)
    parts = F.conv2d(x, w, padding=1)
    assert rg.allclose(whole, parts, atol=1e-5)
    for g, h in zip(expected, rg.autograd.grad(parts.square().sum(), (x, w)), strict=True):
        assert rg.allclose(g, h, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_batch_shared_out_among_threads_is_one_batch(groups, monkeypatch):
    from retrograd.backends import threads

    monkeypatch.setattr(sys.modules[split_of.__module__], "GRAIN", 1)
    x, w = rg.randn(5, 4, 9, 8, requires_grad=True), rg.randn(6, 4 // groups, 3, 3, requires_grad=True)
    found = []
    before = threads.get_num_threads()
    try:
        for number in (1, 2, 3):
            threads.set_num_threads(number)
            y = F.conv2d(x, w, rg.ones(6), padding=1, groups=groups)
            found.append((y, *rg.autograd.grad(y.square().sum(), (x, w))))
    finally:
        threads.set_num_threads(before)
    for one, *several in zip(*found, strict=True):
        assert all(rg.allclose(one, other, rtol=1e-4, atol=1e-3) for other in several)


@pytest.mark.parametrize(
    ("x", "y"),
    [((6, 25), (25, 5000)), ((3, 16, 40), (3, 40, 2048)), ((1, 5, 7), (1, 7, 200_001)), ((5, 40_001), (40_001, 3))],
)
@pytest.mark.parametrize("transpose", [False, True])
def test_long_thin_products_in_blocks_are_the_product(x, y, transpose, monkeypatch):
    monkeypatch.setattr(numpy_products, "LONG", 512)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=x), rng.normal(size=y[:-2] + y[:-3:-1] if transpose else y)
    b = b.swapaxes(-1, -2) if transpose else b
    np.testing.assert_allclose(numpy_products.matmul(a, b), np.matmul(a, b), rtol=1e-9, atol=1e-9)


def test_a_step_never_waits_for_the_device(device, forbid_synchronization):
    net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ConvTranspose2d(4, 2, 2, stride=2), nn.ReflectionPad2d(1))
    net = net.to(device)
    x = rg.ones(2, 2, 5, 5, device=device)
    net(x).square().sum().backward()


def test_the_cheaper_side_is_chosen_by_the_number_of_channels():
    def numbers(size, length):
        return Windows((length,) * 2, (length - size + 1,) * 2, (size,) * 2, (1, 1), (0, 0), (1, 1))

    assert split_of(numbers(5, 28), 1, 32, RUN, 0).scattered == ()  # few inputs: copies of them are cheap
    assert split_of(numbers(3, 28), 64, 64, RUN, 0).scattered == (-1,)
    assert split_of(numbers(3, 28), 64, 1, RUN, 0).scattered == (-2, -1)  # few outputs
    assert split_of(numbers(1, 28), 64, 64, RUN, 0)[:3] == ((), (), (28, 28))  # 1×1 is a product and nothing else


def test_float16_is_summed_in_float32(device):
    x, w = rg.ones(1, 64, 8, 8, device=device).half(), rg.full((1, 64, 5, 5), 1.25, device=device).half()
    y = F.conv2d(x, w)
    assert y.dtype == "float16"
    assert y.cpu().numpy().min() == y.cpu().numpy().max() == 2000


# ---- mistakes


MISTAKES = [
    (lambda f, x, w: f.conv2d(x[:, :2], w), r"expects 3 channels, but the input \(2, 2, 6, 6\) has 2"),
    (lambda f, x, w: f.conv2d(x[..., :2], w), r"kernel \(3, 3\).*more than the padded input \(6, 2\)"),
    (lambda f, x, w: f.conv2d(x, w, dilation=3), r"spans \(7, 7\)"),
    (lambda f, x, w: f.conv2d(x[0, 0], w), r"expected 3D \(unbatched\) or 4D \(batched\) input, got \(6, 6\)"),
    (lambda f, x, w: f.conv2d(x, w, w[0, 0, 0]), r"bias must be \(4,\)"),
    (lambda f, x, w: f.conv2d(x, w, stride=0), "stride must be at least 1, got 0"),
    (lambda f, x, w: f.conv2d(x, w, groups=2), "expects 6 channels"),
    (lambda f, x, w: f.conv2d(x, w, groups=3), "groups=3 must be positive and divide"),
    (lambda f, x, w: f.conv2d(x.double(), w), "convert to one dtype"),
    (lambda f, x, w: f.conv2d(x, w, padding="full"), 'invalid padding string: "full"'),
    (lambda f, x, w: f.conv_transpose2d(x, w), "expects 4 channels"),
    (lambda f, x, w: f.conv_transpose2d(x[:, [0, 1, 2, 0]], w, output_padding=2), "output padding must be smaller"),
    (lambda f, x, w: f.unfold(x, 7), "no window of"),
    (lambda f, x, w: f.fold(x[:, :, 0], 3, 2), "expected"),
    (lambda f, x, w: f.pad(x[0], (6, 0), "reflect"), "at most 5"),
    (lambda f, x, w: f.pad(x[0], (7, 0), "circular"), "at most 6"),
    (lambda f, x, w: f.pad(x, (1,)), "pairs"),
]


@pytest.mark.parametrize(("call", "words"), MISTAKES)
def test_mistakes_say_what_was_asked(call, words, device):
    x, w = rg.ones(2, 3, 6, 6, device=device), rg.ones(4, 3, 3, 3, device=device)
    with raises_clearly(RuntimeError, words):
        call(F, x, w)


def test_mistakes_of_layers_are_found_when_they_are_built():
    with raises_clearly(ValueError, "in_channels=3 must be divisible by groups=2"):
        nn.Conv2d(3, 4, 3, groups=2)
    with raises_clearly(ValueError, "padding_mode must be one of"):
        nn.Conv1d(3, 4, 3, padding_mode="mirror")
    with raises_clearly(ValueError, "valid sizes range from"):
        nn.ConvTranspose1d(2, 2, 3, stride=2)(rg.ones(1, 2, 4), output_size=(12,))
