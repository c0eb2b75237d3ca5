"""Losses against PyTorch: values, gradients of both orders, exceptions."""

import itertools

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

REDUCTIONS = ("mean", "sum", "none")
rng = np.random.default_rng(0)
START = rng.bit_generator.state


@pytest.fixture(autouse=True)
def _the_same_numbers_whatever_ran_before() -> None:
    rng.bit_generator.state = START


def compare(name, settings, arrays, target, tensors=None, rtol=1e-10, second=True):
    """The loss, its gradient and its gradient's gradient in both libraries; the first array is the input."""
    results = []
    for lib in (rg, torch):
        weights = {k: lib.tensor(v) for k, v in (tensors or {}).items()}
        loss = getattr(lib.nn, name)(**settings, **weights)
        x = lib.tensor(arrays, requires_grad=True)
        out = loss(x, lib.tensor(target))
        cotangent = np.random.default_rng(3).normal(size=tuple(out.shape))
        (g,) = lib.autograd.grad((out * lib.tensor(cotangent)).sum(), x, create_graph=True)
        h = None
        if second and g.requires_grad:
            h = lib.autograd.grad((g * g).sum(), x, allow_unused=True, materialize_grads=True)[0]
        results.append([out, g, h])
    for ours, theirs in zip(*results, strict=True):
        if ours is None or theirs is None:
            continue
        assert ours.shape == tuple(theirs.shape)
        assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ignore", [-100, 2])
@pytest.mark.parametrize("shape", [(5,), (7, 5), (3, 5, 4), (2, 5, 3, 2)])
def test_cross_entropy_over_class_indices(shape, ignore, smoothing, weighted, reduction):
    x = rng.normal(size=shape) * 3
    target = rng.integers(0, 5, shape[:1] + shape[2:] if len(shape) > 1 else ())
    if len(shape) > 1:
        target.reshape(-1)[0] = ignore
    tensors = {"weight": rng.random(5) + 0.1} if weighted else None
    settings = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": ignore}
    compare("CrossEntropyLoss", settings, x, target, tensors, rtol=1e-8)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(5,), (7, 5), (3, 5, 4)])
def test_cross_entropy_over_probabilities(shape, smoothing, weighted, reduction):
    x, target = rng.normal(size=shape) * 3, rng.random(shape)
    tensors = {"weight": rng.random(5) + 0.1} if weighted else None
    compare("CrossEntropyLoss", {"reduction": reduction, "label_smoothing": smoothing}, x, target, tensors, rtol=1e-8)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(5,), (7, 5), (3, 5, 4)])
def test_nll(shape, weighted, reduction):
    x = np.log(rng.random(shape))
    target = rng.integers(0, 5, shape[:1] + shape[2:] if len(shape) > 1 else ())
    if len(shape) > 1:
        target.reshape(-1)[1] = -100
    tensors = {"weight": rng.random(5) + 0.1} if weighted else None
    compare("NLLLoss", {"reduction": reduction}, x, target, tensors)


def test_cross_entropy_of_huge_logits_and_of_nothing_equals_pytorchs():
    x = np.array([[1e4, -1e4, 0.0], [3e4, 3e4, 3e4]])
    compare("CrossEntropyLoss", {}, x, np.array([1, 2]))
    compare("CrossEntropyLoss", {}, np.zeros((2, 3)), np.array([-100, -100]))  # nan, as there is nothing to average
    compare("CrossEntropyLoss", {"reduction": "sum"}, np.zeros((0, 3)), np.zeros(0, np.int64))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["BCELoss", "BCEWithLogitsLoss"])
def test_binary_cross_entropies(name, weighted, reduction):
    x, target = rng.random((6, 4)), rng.random((6, 4))
    if name == "BCEWithLogitsLoss":
        x = x * 200 - 100
    tensors = {"weight": rng.random((6, 4))} if weighted else None
    compare(name, {"reduction": reduction}, x, target, tensors, rtol=1e-8)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_positive_weights(reduction):
    x, target = rng.normal(size=(6, 4)) * 10, rng.random((6, 4))
    compare("BCEWithLogitsLoss", {"reduction": reduction}, x, target, {"pos_weight": rng.random(4) * 3}, rtol=1e-8)


def test_bce_is_clipped_as_pytorchs_at_0_and_1():
    x, target = np.array([0.0, 1.0, 0.0, 1.0, 1e-60, 0.5]), np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.3])
    compare("BCELoss", {"reduction": "none"}, x, target, second=False, rtol=1e-8)  # PyTorch's 1e-12 is a float32
    loss = rg.nn.BCELoss()(rg.tensor([0.0, 1.0]), rg.tensor([1.0, 0.0]))
    assert loss.item() == 100.0


@pytest.mark.filterwarnings("ignore:.*batchmean")
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_divergence(log_target, reduction):
    x = np.log(rng.dirichlet(np.ones(5), 4))
    target = rng.dirichlet(np.ones(5), 4)
    target[0, 0] = 0 if not log_target else 0.1
    compare(
        "KLDivLoss", {"reduction": reduction, "log_target": log_target}, x, np.log(target) if log_target else target
    )


RESIDUAL_LOSSES = [
    ("MSELoss", {}),
    ("L1Loss", {}),
    ("SmoothL1Loss", {}),
    ("SmoothL1Loss", {"beta": 0.3}),
    ("SmoothL1Loss", {"beta": 0.0}),
    ("HuberLoss", {}),
    ("HuberLoss", {"delta": 0.4}),
]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "settings"), RESIDUAL_LOSSES)
def test_losses_of_residuals(name, settings, reduction):
    x, target = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    x[0] = target[0]
    compare(name, {**settings, "reduction": reduction}, x, target)


@pytest.mark.parametrize("name", ["BCELoss", "BCEWithLogitsLoss", "MSELoss", "L1Loss", "HuberLoss", "KLDivLoss"])
@pytest.mark.filterwarnings("ignore:.*batchmean")
def test_the_target_gets_pytorchs_gradient_too(name):
    grads = []
    for lib in (rg, torch):
        x = lib.tensor(np.random.default_rng(1).random((3, 4)))
        target = lib.tensor(np.random.default_rng(2).random((3, 4)), requires_grad=True)
        getattr(lib.nn, name)()(x, target).backward()
        grads.append(target.grad.numpy())
    np.testing.assert_allclose(*grads, rtol=1e-10)


MISTAKES = [
    lambda lib: lib.nn.CrossEntropyLoss()(lib.zeros(2, 3), lib.tensor([0, 3])),
    lambda lib: lib.nn.CrossEntropyLoss()(lib.zeros(2, 3), lib.tensor([0, -1])),
    lambda lib: lib.nn.CrossEntropyLoss()(lib.zeros(2, 3), lib.tensor([0, 1, 2])),
    lambda lib: lib.nn.CrossEntropyLoss()(lib.zeros(2, 3), lib.zeros(2, 4)),
    lambda lib: lib.nn.CrossEntropyLoss(weight=lib.ones(4))(lib.zeros(2, 3), lib.tensor([0, 1])),
    lambda lib: lib.nn.CrossEntropyLoss(reduction="average")(lib.zeros(2, 3), lib.tensor([0, 1])),
    lambda lib: lib.nn.CrossEntropyLoss(label_smoothing=1.5)(lib.zeros(2, 3), lib.tensor([0, 1])),
    lambda lib: lib.nn.NLLLoss()(lib.zeros(2, 3), lib.tensor([0.0, 1.0])),
    lambda lib: lib.nn.BCELoss()(lib.zeros(2), lib.zeros(3)),
    lambda lib: lib.nn.BCELoss()(lib.tensor([1.5]), lib.zeros(1)),
    lambda lib: lib.nn.BCEWithLogitsLoss()(lib.zeros(2), lib.zeros(3)),
    lambda lib: lib.nn.SmoothL1Loss(beta=-1.0)(lib.zeros(2), lib.zeros(2)),
    lambda lib: lib.nn.HuberLoss(delta=0.0)(lib.zeros(2), lib.zeros(2)),
    lambda lib: lib.nn.MSELoss(reduction="all")(lib.zeros(2), lib.zeros(2)),
    lambda lib: lib.nn.Linear(3, 2)(lib.zeros(4, 5)),
    lambda lib: lib.nn.Linear(3, 2)(lib.zeros(4, 3, dtype=lib.float64)),
    lambda lib: lib.nn.functional.gelu(lib.zeros(2), approximate="erf"),
    lambda lib: lib.nn.functional.dropout(lib.zeros(2), 1.5),
    lambda lib: lib.nn.GLU()(lib.zeros(3)),
    lambda lib: lib.nn.Softmax(2)(lib.zeros(3, 2)),
    lambda lib: lib.nn.PReLU(3)(lib.zeros(3, 2)),
    lambda lib: lib.nn.Softshrink(-1.0)(lib.zeros(3)),
    lambda lib: lib.nn.init.xavier_uniform_(lib.zeros(3)),
    lambda lib: lib.nn.init.kaiming_uniform_(lib.zeros(3, 3), mode="fan"),
    lambda lib: lib.nn.init.kaiming_uniform_(lib.zeros(3, 3), nonlinearity="swish"),
    lambda lib: lib.nn.init.orthogonal_(lib.zeros(3)),
    lambda lib: lib.nn.init.eye_(lib.zeros(3)),
    lambda lib: lib.nn.init.dirac_(lib.zeros(3, 3)),
    lambda lib: lib.nn.init.sparse_(lib.zeros(3), 0.1),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_mistakes_raise_pytorchs_exceptions(number):
    assert_same_kind(raised_by(MISTAKES[number], rg), raised_by(MISTAKES[number], torch))


def test_a_target_that_broadcasts_warns():
    for lib, name in itertools.product((rg, torch), ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")):
        with pytest.warns(UserWarning, match="broadcast"):
            getattr(lib.nn.functional, name)(lib.zeros(3), lib.zeros(3, 3))
