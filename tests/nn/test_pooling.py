"""Pooling without PyTorch at hand: definitions, gradients to second order, and what it answers to mistakes."""

import itertools
import sys

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.nn import functional as F
from tests.autograd.factory import each, function
from tests.data.errors import raises_clearly


def windows_of(x, size, stride, padding, dilation=1):
    """Every window over the last two axes, padding being NaN, for a reader's loop."""
    wide = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(padding, padding)] * 2, constant_values=np.nan)
    reach = (size - 1) * dilation + 1
    rows, columns = ((n - reach) // stride + 1 for n in wide.shape[-2:])
    for i, j in itertools.product(range(rows), range(columns)):
        top, left = i * stride, j * stride
        yield i, j, wide[..., top : top + reach : dilation, left : left + reach : dilation]


def pooled(x, size, stride, padding, dilation, reduce):
    found = {(i, j): reduce(window, axis=(-2, -1)) for i, j, window in windows_of(x, size, stride, padding, dilation)}
    rows, columns = (n + 1 for n in max(found))
    return np.stack([np.stack([found[i, j] for j in range(columns)], -1) for i in range(rows)], -2)


def max_reference(x, kernel_size, stride, padding, dilation):
    return pooled(x, kernel_size, stride, padding, dilation, np.nanmax)


def avg_reference(x, kernel_size, stride, padding, count_include_pad):
    if count_include_pad:
        return pooled(x, kernel_size, stride, padding, 1, np.nansum) / kernel_size**2
    return pooled(x, kernel_size, stride, padding, 1, np.nanmean)


SHAPES = [(1, 2, 5, 4), (1, 4, 4)]
test_max_pool = function(
    F.max_pool2d, max_reference, "distinct", shapes=SHAPES,
    kernel_size=each(2, 3), stride=each(1, 2), padding=each(0, 1), dilation=1,
)  # fmt: skip
test_dilated_max_pool = function(
    F.max_pool2d, max_reference, "distinct", shapes=[(1, 5, 6)],
    kernel_size=2, stride=each(1, 3), padding=each(0, 1), dilation=3,
)  # fmt: skip
test_avg_pool = function(
    F.avg_pool2d, avg_reference, shapes=SHAPES,
    kernel_size=each(2, 3), stride=each(1, 2), padding=each(0, 1), count_include_pad=each(False, True),
)  # fmt: skip
test_adaptive_avg_pool = function(
    F.adaptive_avg_pool1d,
    lambda x, output_size: np.stack([x[..., s].mean(-1) for s in EVEN[output_size]], -1),
    shapes=[(1, 2, 7), (1, 7)],
    output_size=each(2, 3, 9),
)
test_adaptive_max_pool = function(
    F.adaptive_max_pool1d,
    lambda x, output_size: np.stack([x[..., s].max(-1) for s in EVEN[output_size]], -1),
    "distinct",
    shapes=[(1, 2, 7), (1, 7)],
    output_size=each(2, 3, 9),
)
test_lp_pool = function(F.lp_pool2d, None, "positive", shapes=[(1, 2, 5, 4)], norm_type=each(2, 3.5), kernel_size=2)
test_max_unpool = function(
    lambda x: F.max_unpool1d(x, rg.tensor([[[3, 0, 6], [1, 4, 5]]], device=x.device), 2, output_size=(7,)),
    lambda x: np.stack([[x[0, 0, 1], 0, 0, x[0, 0, 0], 0, 0, x[0, 0, 2]],
                        [0, x[0, 1, 0], 0, 0, x[0, 1, 1], x[0, 1, 2], 0]])[None],
    shapes=[(1, 2, 3)],
)  # fmt: skip

EVEN = {
    2: [slice(0, 4), slice(3, 7)],
    3: [slice(0, 3), slice(2, 5), slice(4, 7)],
    9: [slice(i * 7 // 9, -(-(i + 1) * 7 // 9)) for i in range(9)],
}


def host(t):
    return t.detach().cpu().numpy()


def test_of_equal_elements_the_first_has_the_gradient(device):
    x = rg.ones(1, 2, 4, 4, device=device, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert host(x.grad[0, 0]).tolist() == [[1, 0, 1, 0], [0] * 4] * 2


def test_overlapping_windows_add_their_gradients_up_at_a_common_maximum(device):
    x = rg.tensor([[0.0, 5, 0, 1]], device=device, requires_grad=True)
    F.max_pool1d(x, 2, 1).backward(rg.tensor([[1.0, 10, 100]], device=device))
    assert host(x.grad).tolist() == [[0, 11, 0, 100]]


def test_nan_is_the_maximum_and_has_the_gradient(device):
    x = rg.tensor([[1.0, float("nan"), 3, 0]], device=device, requires_grad=True)
    out, places = F.max_pool1d(x, 4, return_indices=True)
    out.sum().backward()
    assert np.isnan(host(out)).all()
    assert host(places).tolist() == [[1]]
    assert host(x.grad).tolist() == [[0, 1, 0, 0]]


def test_a_window_of_negative_infinities_has_its_first_element_as_its_maximum(device):
    out, places = F.max_pool1d(rg.full((1, 4), -float("inf"), device=device), 2, return_indices=True)
    assert host(out).tolist() == [[-float("inf")] * 2]
    assert host(places).tolist() == [[0, 2]]


def test_a_window_of_more_than_255_elements_finds_its_maximum(device):
    x = np.random.default_rng(0).permutation(800).reshape(2, 20, 20).astype(float)
    _, places = F.max_pool2d(rg.tensor(x, device=device), 20, return_indices=True)
    assert host(places).reshape(-1).tolist() == x.reshape(2, -1).argmax(1).tolist()


@pytest.mark.parametrize("dtype", [rg.int32, rg.int64, rg.uint8])
def test_integers_keep_their_dtype_and_their_smallest_number(device, dtype):
    low = int(np.iinfo(dtype).min)
    out = F.max_pool1d(rg.tensor([[low, low, low + 1, 3]], dtype=dtype, device=device), 2)
    assert out.dtype == dtype
    assert host(out).tolist() == [[low, 3]]


def test_a_window_as_large_as_the_input_that_starts_before_it_is_not_the_whole_input(device):
    out, places = F.max_pool1d(rg.tensor([[1.0, 2, 9]], device=device), 3, 10, 1, return_indices=True)
    assert host(out).tolist() == [[2]]
    assert host(places).tolist() == [[1]]


def test_fractional_pooling_covers_the_input_from_its_first_to_its_last_element(device):
    x = rg.arange(40.0, device=device).reshape(1, 1, 5, 8)
    out, places = nn.FractionalMaxPool2d(2, output_size=(3, 5), return_indices=True)(x)
    np.testing.assert_array_equal(host(out), host(places))  # every pixel holds its own place
    assert host(out)[0, 0, 0, 0] == 9
    assert host(out)[0, 0, -1, -1] == 39
    assert (np.diff(host(out)[0, 0]) > 0).all()


def test_unpooling_puts_the_maxima_back_among_zeros(device):
    x = rg.tensor(np.random.default_rng(0).normal(size=(2, 3, 6, 4)), device=device)
    out, places = F.max_pool2d(x, 2, return_indices=True)
    back = F.max_unpool2d(out, places, 2)
    kept = host(back) != 0
    assert kept.sum() == out.numel()
    np.testing.assert_array_equal(host(back)[kept], host(x)[kept])


def test_float16_windows_are_summed_in_float32(device):
    x = rg.full((1, 1, 64, 64), 100.0, dtype=rg.float16, device=device)
    assert host(F.avg_pool2d(x, 32)).tolist() == [[[[100.0] * 2] * 2]]


def test_an_empty_batch_gives_an_empty_batch(device):
    x = rg.zeros(0, 3, 8, 8, device=device, requires_grad=True)
    for layer in (nn.MaxPool2d(2), nn.AvgPool2d(3, 2, 1), nn.AdaptiveMaxPool2d(3), nn.AdaptiveAvgPool2d(5)):
        out = layer(x)
        assert out.shape[:2] == (0, 3)
        out.sum().backward()
        assert x.grad.shape == x.shape


def test_a_training_step_never_waits_for_the_gpu(device, forbid_synchronization):
    x = rg.ones(2, 3, 9, 9, device=device, requires_grad=True)
    out = nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2, 1), nn.AdaptiveAvgPool2d(3), nn.AdaptiveMaxPool2d(2))(x)
    out.sum().backward()


IMAGE = rg.zeros(2, 3, 8, 8)
MISTAKES = {
    "a kernel larger than the input": (lambda: F.max_pool2d(IMAGE, 9), RuntimeError, "smaller than the window"),
    "too much padding": (lambda: F.max_pool2d(IMAGE, 3, padding=2), RuntimeError, "at most half"),
    "too much padding for a mean": (lambda: F.avg_pool2d(IMAGE, 3, padding=2), RuntimeError, "at most half"),
    "a stride of zero": (lambda: F.max_pool2d(IMAGE, 3, stride=0), RuntimeError, "stride must be at least 1"),
    "a kernel of zero": (lambda: nn.MaxPool2d(0)(IMAGE), RuntimeError, "kernel_size must be at least 1"),
    "three sizes in two dimensions": (lambda: F.avg_pool2d(IMAGE, (2, 2, 2)), RuntimeError, "an integer or 2"),
    "a matrix": (lambda: nn.MaxPool2d(2)(IMAGE[0, 0]), RuntimeError, "batch, channels"),
    "no channels": (lambda: F.max_pool2d(IMAGE[:, :0], 2), RuntimeError, "only the batch may be empty"),
    "truth values": (lambda: F.max_pool2d(IMAGE > 0, 2), NotImplementedError, "not implemented for bool"),
    "a divisor of zero": (lambda: F.avg_pool2d(IMAGE, 2, divisor_override=0), RuntimeError, "must be not zero"),
    "a divisor in one dimension": (lambda: F.avg_pool1d(IMAGE[0], 2, divisor_override=2), TypeError, "divisor_"),
    "a window between the elements": (
        lambda: F.max_pool1d(IMAGE[0, :, :, :1], 2, padding=2, dilation=4), RuntimeError, "no element",
    ),
    "a negative size": (lambda: F.adaptive_avg_pool2d(IMAGE, -1), RuntimeError, "greater than or equal to 0"),
    "three adaptive sizes": (lambda: nn.AdaptiveMaxPool2d((1, 2, 3))(IMAGE), RuntimeError, "output_size must be 2"),
    "adaptive integers": (lambda: F.adaptive_max_pool2d(IMAGE.long(), 2), NotImplementedError, "int64"),
    "indices of another shape": (
        lambda: F.max_unpool2d(IMAGE, IMAGE[:1].long(), 2), RuntimeError, "indices must have the input's shape",
    ),
    "indices of another dtype": (lambda: F.max_unpool2d(IMAGE, IMAGE.int(), 2), RuntimeError, "int64, got int32"),
    "an index out of range": (lambda: F.max_unpool2d(IMAGE, IMAGE.long() + 256, 2), RuntimeError, "max index: 256"),
    "a negative index": (lambda: F.max_unpool2d(IMAGE, IMAGE.long() - 1, 2), RuntimeError, "invalid max index: -1"),
    "a size that no pooling had": (
        lambda: F.max_unpool2d(IMAGE, IMAGE.long(), 2, output_size=(20, 20)), ValueError, "invalid output_size",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake):
    action, kind, words = MISTAKES[mistake]
    with raises_clearly(kind, words):
        action()


def test_a_batch_in_parts_and_threads_is_one_batch(monkeypatch):
    from retrograd.backends import numpy as backend

    x = rg.randn(5, 3, 8, 9, requires_grad=True)
    whole = F.max_pool2d(x, 3, 2, 1)
    expected = rg.autograd.grad(whole.square().sum(), x)[0]
    before = rg.get_num_threads()
    monkeypatch.setattr(backend, "scratch_bytes", 16 * 300)
    monkeypatch.setattr(sys.modules["retrograd.autograd.ops.pooling"], "GRAIN", 1)
    try:
        rg.set_num_threads(2)
        parts = F.max_pool2d(x, 3, 2, 1)
        assert rg.equal(whole, parts)
        assert rg.equal(expected, rg.autograd.grad(parts.square().sum(), x)[0])
    finally:
        rg.set_num_threads(before)


@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 1), (3, 1, 1), (5, 5, 0), (6, 1, 0)])
def test_the_gradient_goes_to_the_first_of_equal_maxima_and_to_nan(window, device):
    low = -np.inf
    for seed in range(5):
        choices = np.array([low, 0.0, 1.0, 1.0, np.nan] if seed % 2 else [low, low, low, 1.0])
        values = np.random.default_rng(seed).choice(choices, (2, 1, 6, 6)).astype(np.float32)
        x = rg.tensor(values, device=device, requires_grad=True)
        out, places = F.max_pool2d_with_indices(x, *window)
        out.backward(rg.ones(*out.shape, device=device))
        counts = np.zeros((2, 36), np.float32)
        for plane, at in zip(counts, places.cpu().numpy().reshape(2, -1), strict=True):
            np.add.at(plane, at, 1)
        np.testing.assert_array_equal(x.grad.cpu().numpy().reshape(2, 36), counts)
        taken = np.take_along_axis(values.reshape(2, 36), places.cpu().numpy().reshape(2, -1), 1)
        np.testing.assert_array_equal(taken, out.detach().cpu().numpy().reshape(2, -1))
