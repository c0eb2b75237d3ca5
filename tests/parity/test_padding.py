"""`F.pad`, the padding layers, unfold and fold against PyTorch."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.nn import functional as F
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")


def drawn(*shape):
    return np.random.default_rng(shape).standard_normal(shape)


def compare(call, x):
    """The same value and gradients, or the same kind of mistake."""
    ours, theirs = rg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    try:
        z = call(torch.nn, theirs)
    except Exception as error:
        assert_same_kind(raised_by(call, nn, ours), error)
        return
    y = call(nn, ours)
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-14, atol=1e-14)
    weights = np.cos(np.arange(z.numel())).reshape(z.shape)
    (y * rg.tensor(weights)).square().sum().backward()
    (z * torch.tensor(weights)).square().sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-12, atol=1e-12)


SHAPES = [(5,), (3, 5), (2, 3, 5), (2, 3, 4, 5), (2, 3, 4, 5, 6), (0, 3, 5), (2, 0, 5), (2, 3, 0)]
WIDTHS = [
    (), (1,), (0, 0), (1, 2), (4, 3), (5, 5), (6, 0), (-1, 2), (-2, -1), (-2, -3), (0, -5),
    (1, 2, 3), (1, 2, 2, 1), (0, 0, 1, 1), (-1, 1, 2, -1), (1, 1, 1, 1, 2, 2), (0, 1, 0, 0, 0, 2), (1,) * 8,
    (1,) * 10, (1,) * 12,
]  # fmt: skip


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular", "mirror"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_pad(shape, widths, mode):
    compare(lambda lib, t: lib.functional.pad(t, widths, mode), drawn(*shape))


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate"])  # PyTorch goes around in what is not there
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_more_cut_off_than_there_is(shape, mode):
    compare(lambda lib, t: lib.functional.pad(t, (-6, 2), mode), drawn(*shape))


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("value", [None, 0, 0.0, 2.5, float("nan")])
def test_the_padded_value(mode, value):
    compare(lambda lib, t: lib.functional.pad(t, (1, 2), mode, value), drawn(2, 3, 4))


@pytest.mark.parametrize("dtype", ["int64", "bool", "float32", "float16"])
def test_padding_keeps_the_dtype(dtype):
    x = (np.arange(12).reshape(1, 3, 4) % 5).astype(dtype)
    for mode in ("constant", "reflect", "replicate", "circular"):
        try:
            z = torch.nn.functional.pad(torch.tensor(x), (2, 1), mode)
        except NotImplementedError:
            continue  # PyTorch has no kernel for some dtypes, of which nothing depends
        y = F.pad(rg.tensor(x), (2, 1), mode)
        assert y.numpy().dtype == z.numpy().dtype
        np.testing.assert_array_equal(y.numpy(), z.numpy())


LAYERS = [f"{kind}Pad{rank}d" for kind in ("Zero", "Reflection", "Replication", "Circular") for rank in (1, 2, 3)]


@pytest.mark.parametrize("name", [*LAYERS, "ConstantPad1d", "ConstantPad2d", "ConstantPad3d"])
@pytest.mark.parametrize("unbatched", [0, 1, 2])
def test_layers(name, unbatched):
    rank = int(name[-2])
    value = (3.5,) if name.startswith("Constant") else ()
    for padding in (1, tuple(range(2 * rank)), [1] * (2 * rank), (-1, 2, 1, 0, 0, 1)[: 2 * rank]):
        ours, theirs = getattr(nn, name)(padding, *value), getattr(torch.nn, name)(padding, *value)
        assert repr(ours) == repr(theirs)
        x = drawn(*(2, 3, 7, 6, 6)[unbatched : rank + 2])
        compare(lambda lib, t, pair=(ours, theirs): pair[lib is torch.nn](t), x)


WINDOWS = [
    {"kernel_size": 2},
    {"kernel_size": (2, 3), "stride": 2},
    {"kernel_size": 3, "padding": (1, 2), "dilation": (2, 1)},
    {"kernel_size": (1, 3), "stride": (2, 3), "padding": 1},
    {"kernel_size": 9},
    {"kernel_size": 0},
    {"kernel_size": 2, "stride": 0},
    {"kernel_size": 2, "padding": -1},
    {"kernel_size": (2, 2, 2)},
]


@pytest.mark.parametrize("options", WINDOWS, ids=str)
@pytest.mark.parametrize("shape", [(2, 3, 6, 7), (3, 6, 7), (0, 3, 6, 7), (6, 7), (2, 3, 4, 5, 6)], ids=str)
def test_unfold_and_fold_back(options, shape):
    compare(lambda lib, t: lib.functional.unfold(t, **options), drawn(*shape))
    compare(lambda lib, t: lib.Unfold(**options)(t), drawn(*shape))
    try:
        columns = torch.nn.functional.unfold(torch.tensor(drawn(*shape)), **options).shape
    except Exception:
        columns = (2, 12, 30)
    compare(lambda lib, t: lib.functional.fold(t, shape[-2:], **options), drawn(*columns))
    compare(lambda lib, t: lib.Fold(shape[-2:], **options)(t), drawn(*columns))


@pytest.mark.parametrize("shape", [(2, 12, 29), (2, 13, 30), (12, 30), (30,), (2, 2, 12, 30)], ids=str)
def test_columns_that_do_not_fit(shape):
    compare(lambda lib, t: lib.functional.fold(t, (6, 7), 2), drawn(*shape))


def test_layers_of_windows_show_their_options():
    assert repr(nn.Unfold(2, stride=(1, 2))) == repr(torch.nn.Unfold(2, stride=(1, 2)))
    assert repr(nn.Fold((4, 5), (2, 3), padding=1)) == repr(torch.nn.Fold((4, 5), (2, 3), padding=1))
