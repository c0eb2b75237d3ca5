"""Losses on every device: values, gradients to second order, and what a mistake says."""

import itertools
import math

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.autograd import ops
from retrograd.nn import functional as F
from tests.autograd.factory import each, elementwise, function
from tests.data.errors import raises_clearly

TARGET = np.array([1, 0, 2, 2])
IMAGES = np.array([[[1, 0], [2, 2]], [[0, 0], [1, 2]]])


def log_softmax(x, axis=1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return np.log(e / e.sum(axis, keepdims=True))


def reduced(losses, reduction):
    return {"mean": losses.mean, "sum": losses.sum, "none": lambda: losses}[reduction]()


def smoothed(x, reduction, smoothing):
    log_p = log_softmax(x)
    right = np.take_along_axis(log_p, IMAGES[:, None], axis=1)[:, 0]
    return reduced(-(1 - smoothing) * right - smoothing * log_p.mean(1), reduction)


def of_images(x, reduction, smoothing):
    target = rg.tensor(IMAGES, device=x.device)
    return F.cross_entropy(x, target, reduction=reduction, label_smoothing=smoothing)


def weighted(x, reduction, weight=(0.5, 1.0, 2.0)):
    factors = np.where(TARGET == 0, 0, np.array(weight)[TARGET])
    losses = -np.take_along_axis(log_softmax(x), TARGET[:, None], axis=1)[:, 0] * factors
    return losses.sum() / factors.sum() if reduction == "mean" else reduced(losses, reduction)


def with_weights(x, reduction):
    weight = rg.tensor([0.5, 1.0, 2.0], device=x.device, dtype=x.dtype)
    return F.cross_entropy(x, rg.tensor(TARGET, device=x.device), weight, ignore_index=0, reduction=reduction)


test_cross_entropy_of_images = function(
    of_images, smoothed, shapes=[(2, 3, 2, 2)], reduction=each("mean", "sum", "none"), smoothing=each(0.0, 0.2)
)
test_cross_entropy_with_weights_and_ignored_targets = function(
    with_weights, weighted, shapes=[(4, 3)], reduction=each("mean", "sum", "none")
)
test_mse = function(
    lambda x, y, reduction: F.mse_loss(x, y, reduction=reduction),
    lambda x, y, reduction: (np.mean if reduction == "mean" else np.sum)((x - y) ** 2),
    "any",
    "any",
    shapes=[[(2, 3)] * 2, [(5,)] * 2],
    reduction=each("mean", "sum"),
)
test_huber = elementwise(
    ops.huber,
    lambda x, delta: np.where(np.abs(x) < delta, x * x / 2, delta * (np.abs(x) - delta / 2)),
    "distinct",
    delta=each(0.8, 5.0),
)


def multi_margin(x, p):
    right = x[np.arange(4), TARGET][:, None]
    terms = np.maximum(0, 1 - right + x) ** p
    terms[np.arange(4), TARGET] = 0
    return terms.sum(1) / 3


test_multi_margin = function(
    lambda x, p: F.multi_margin_loss(x, rg.tensor(TARGET, device=x.device), p=p, reduction="none"),
    multi_margin,
    "distinct",
    shapes=[(4, 3)],
    p=each(1, 2),
)
test_multilabel_margin = function(
    lambda x: F.multilabel_margin_loss(x, rg.tensor([[2, -1, 0], [0, 1, -1]], device=x.device), reduction="sum"),
    lambda x: sum(
        max(0, 1 - x[n, j] + x[n, i]) / 3
        for n, j, i in [(0, 2, 0), (0, 2, 1), (1, 0, 2), (1, 1, 2)]
    ),
    "distinct",
    shapes=[(2, 3)],
)  # fmt: skip


# ---- CTC: the reference sums over every path


def collapsed(path):
    return tuple(label for label, _ in itertools.groupby(path) if label)


def every_path(x, target=((1, 1), (2, 1)), times=(4, 3), lengths=(2, 1)):
    log_p = log_softmax(x, 2)
    losses = []
    for n, (labels, frames, length) in enumerate(zip(target, times, lengths)):
        paths = itertools.product(range(x.shape[2]), repeat=frames)
        fitting = [p for p in paths if collapsed(p) == labels[:length]]
        losses.append(-np.log(sum(np.exp(sum(log_p[t, n, c] for t, c in enumerate(p))) for p in fitting)))
    return np.array(losses)


def ctc(x):
    return F.ctc_loss(x.log_softmax(2), rg.tensor([[1, 1], [2, 1]], device=x.device), (4, 3), (2, 1), reduction="none")


test_ctc = function(ctc, every_path, shapes=[(4, 2, 3)], dtypes=[np.float32, np.float64])


def test_the_gradient_of_ctc_is_the_derivative_even_of_scores_that_are_no_log_probabilities():
    scores = rg.tensor(np.random.default_rng(0).normal(size=(4, 2, 3)), requires_grad=True)
    targets = rg.tensor([[1, 1], [2, 1]])
    assert rg.autograd.gradcheck(lambda x: F.ctc_loss(x, targets, (4, 3), (2, 1), reduction="none"), [scores])


def test_where_no_path_fits_ctc_is_infinite_and_its_gradient_0(device):
    scores = rg.zeros(2, 1, 3, device=device, requires_grad=True)
    loss = F.ctc_loss(scores, rg.tensor([[1, 1]], device=device), (2,), (2,))
    loss.backward()
    assert loss.item() == math.inf
    assert scores.grad.abs().sum().item() == 0


def test_impossible_labels_leave_no_nan(device):
    scores = rg.tensor(
        [[[-math.inf, 0.0, -math.inf]], [[-math.inf, -math.inf, 0.0]]], device=device, requires_grad=True
    )
    loss = F.ctc_loss(scores, rg.tensor([[1, 2]], device=device), (2,), (2,))
    loss.backward()
    assert loss.item() == 0
    assert scores.grad.isfinite().all().item()


# ---- facts


def test_soft_margin_does_not_overflow(device):
    x, target = rg.tensor([500.0, -500.0], device=device), rg.tensor([-1.0, -1.0], device=device)
    assert F.soft_margin_loss(x, target, reduction="none").tolist() == [500.0, 0.0]


def test_the_adaptive_softmax_gives_probabilities_that_sum_to_1(device):
    rg.manual_seed(0)
    layer = nn.AdaptiveLogSoftmaxWithLoss(16, 30, [10, 20], div_value=2.0).to(device)
    x = rg.randn(6, 16).to(device)
    log_p = layer.log_prob(x)
    np.testing.assert_allclose(log_p.exp().sum(1).cpu().detach().numpy(), 1, rtol=1e-6)
    target = rg.tensor([0, 9, 10, 19, 20, 29], device=device)
    output, loss = layer(x, target)
    np.testing.assert_allclose(
        output.cpu().detach().numpy(), log_p.cpu().detach().numpy()[range(6), [0, 9, 10, 19, 20, 29]], rtol=1e-5
    )
    loss.backward()
    assert all(p.grad is not None for p in layer.parameters())


def test_float32_stays_float32_in_every_loss(device):
    x = rg.rand(4, 3).to(device).requires_grad_()
    y = rg.rand(4, 3).to(device)
    ones, classes = rg.ones(4, device=device), rg.tensor(TARGET, device=device)
    losses = [
        nn.L1Loss()(x, y), nn.MSELoss()(x, y), nn.SmoothL1Loss(beta=0.3)(x, y), nn.HuberLoss(delta=0.2)(x, y),
        nn.PoissonNLLLoss(full=True)(x, y), nn.GaussianNLLLoss(full=True)(x, y, y), nn.KLDivLoss(reduction="sum")(x, y),
        nn.BCELoss()(x, y), nn.BCEWithLogitsLoss(pos_weight=y)(x, y), nn.CrossEntropyLoss(weight=ones[:3])(x, classes),
        nn.CrossEntropyLoss(label_smoothing=0.1)(x, classes), nn.NLLLoss()(x, classes),
        nn.MultiMarginLoss()(x, classes), nn.HingeEmbeddingLoss()(x, y), nn.SoftMarginLoss()(x, y),
        nn.MultiLabelSoftMarginLoss()(x, y),
        nn.CosineEmbeddingLoss()(x, y, ones), nn.TripletMarginLoss()(x, y, y), nn.MarginRankingLoss()(x, y, y),
    ]  # fmt: skip
    for loss in losses:
        assert loss.dtype == rg.float32
        x.grad = None
        loss.backward()
        assert x.grad.dtype == rg.float32


BAD = {
    "a class that is not there": (
        lambda d: F.cross_entropy(rg.zeros(2, 3, device=d), rg.tensor([0, 3], device=d)),
        IndexError, "3 classes, 0 to 2",
    ),
    "a negative class": (
        lambda d: F.nll_loss(rg.zeros(2, 3, device=d), rg.tensor([0, -1], device=d)), IndexError, "Target -1 is out",
    ),
    "a label that is no class": (
        lambda d: F.ctc_loss(rg.zeros(4, 1, 3, device=d), rg.tensor([[1, 3]], device=d), (4,), (2,)),
        IndexError, "3 classes, 0 to 2",
    ),
    "a negative label": (
        lambda d: F.ctc_loss(rg.zeros(4, 1, 3, device=d), rg.tensor([[1, -1]], device=d), (4,), (2,)),
        IndexError, "out of bounds",
    ),
    "a class of a margin that is not there": (
        lambda d: F.multi_margin_loss(rg.zeros(2, 3, device=d), rg.tensor([0, 3], device=d)),
        RuntimeError, "3 classes, 0 to 2",
    ),
    "a probability outside of 0 and 1": (
        lambda d: F.binary_cross_entropy(rg.tensor([1.5], device=d), rg.ones(1, device=d)), RuntimeError, "logits",
    ),
    "a negative variance": (
        lambda d: F.gaussian_nll_loss(rg.zeros(2, device=d), rg.zeros(2, device=d), rg.tensor([1.0, -1.0], device=d)),
        ValueError, "negative",
    ),
    "a rare class that is not there": (
        lambda d: nn.AdaptiveLogSoftmaxWithLoss(8, 6, [2]).to(d)(rg.zeros(1, 8, device=d), rg.tensor([6], device=d)),
        RuntimeError, "between 0 and 5",
    ),
    "an unknown reduction": (
        lambda d: F.soft_margin_loss(rg.zeros(2, device=d), rg.ones(2, device=d), reduction="average"),
        ValueError, "'mean', 'sum' or 'none', got 'average'",
    ),
    "arguments from before reduction": (
        lambda d: nn.MSELoss(size_average=True), NotImplementedError, 'use reduction="mean"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_says_what_to_do(case, device):
    call, kind, words = BAD[case]
    with raises_clearly(kind, words):
        call(device)
