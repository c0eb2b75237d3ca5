"""Losses of margins, similarities, counts and measurements against PyTorch: values, gradients, mistakes."""

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

REDUCTIONS = ("mean", "sum", "none")
rng = np.random.default_rng(0)


def signs(*shape):
    return rng.choice([-1.0, 1.0], shape)


def compare(name, settings, inputs, constants=(), tensors=None, dtype="float64", second=True):
    """The loss in both libraries, its gradients by all inputs, and the gradients of their squared sum."""
    rtol = 1e-9 if dtype == "float64" else 2e-5
    results = []
    for lib in (rg, torch):
        kind = getattr(lib, dtype)
        weights = {k: lib.tensor(v, dtype=kind) for k, v in (tensors or {}).items()}
        loss = getattr(lib.nn, name)(**settings, **weights)
        xs = [lib.tensor(a, dtype=kind, requires_grad=True) for a in inputs]
        rest = [lib.tensor(a, dtype=None if a.dtype.kind == "i" else kind) for a in map(np.asarray, constants)]
        out = loss(*xs, *rest)
        cotangent = np.random.default_rng(3).normal(size=tuple(out.shape))
        gs = lib.autograd.grad((out * lib.tensor(cotangent, dtype=kind)).sum(), xs, create_graph=True)
        squares = sum((g * g).sum() for g in gs)
        hs = ()
        if second and squares.requires_grad:
            hs = lib.autograd.grad(squares, xs, allow_unused=True, materialize_grads=True)
        results.append([out, *gs, *hs])
    for ours, theirs in zip(*results):
        assert ours.shape == tuple(theirs.shape)
        assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
        ours, theirs = ours.detach().numpy(), theirs.detach().numpy(force=True)
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * max(1.0, np.abs(theirs).max(initial=0)))


CASES = {
    "hinge": ("HingeEmbeddingLoss", {}, [rng.normal(size=(4, 3))], [signs(4, 3)]),
    "hinge, wide": ("HingeEmbeddingLoss", {"margin": 2.5}, [rng.normal(size=(4, 3))], [signs(3)]),
    "hinge, neither": ("HingeEmbeddingLoss", {}, [rng.normal(size=3)], [np.array([2.0, 1.0, -1.0])]),
    "ranking": ("MarginRankingLoss", {}, [rng.normal(size=5), rng.normal(size=5)], [signs(5)]),
    "ranking, margin": (
        "MarginRankingLoss", {"margin": 0.4}, [rng.normal(size=(5, 2)), rng.normal(size=(1, 2))], [signs(5, 1)],
    ),
    "soft": ("SoftMarginLoss", {}, [rng.normal(size=(4, 3)) * 5], [signs(4, 3)]),
    "multi-label soft": ("MultiLabelSoftMarginLoss", {}, [rng.normal(size=(4, 3)) * 5], [rng.random((4, 3))]),
    "multi-label soft, one": ("MultiLabelSoftMarginLoss", {}, [rng.normal(size=3)], [rng.random(3)]),
    "multi-label soft, deep": ("MultiLabelSoftMarginLoss", {}, [rng.normal(size=(2, 3, 4))], [rng.random((2, 3, 4))]),
    "multi": ("MultiMarginLoss", {}, [rng.normal(size=(4, 3))], [rng.integers(0, 3, 4)]),
    "multi, squared": ("MultiMarginLoss", {"p": 2, "margin": 0.6}, [rng.normal(size=(4, 3))], [rng.integers(0, 3, 4)]),
    "multi, one": ("MultiMarginLoss", {}, [rng.normal(size=3)], [np.array(1)]),
    "multi, one of one": ("MultiMarginLoss", {}, [rng.normal(size=3)], [np.array([1])]),
    "multi-label": (
        "MultiLabelMarginLoss", {}, [rng.normal(size=(4, 3))],
        [np.array([[0, -1, 1], [2, 1, -1], [-1, 1, 2], [0, 1, 2]])],
    ),
    "multi-label, twice": ("MultiLabelMarginLoss", {}, [rng.normal(size=4)], [np.array([1, 1, -1, 0])]),
    "cosine": ("CosineEmbeddingLoss", {}, [rng.normal(size=(5, 3)), rng.normal(size=(5, 3))], [signs(5)]),
    "cosine, margin": (
        "CosineEmbeddingLoss", {"margin": 0.2}, [rng.normal(size=(5, 3)), rng.normal(size=(1, 3))], [signs(5)],
    ),
    "cosine, one": ("CosineEmbeddingLoss", {}, [rng.normal(size=3), rng.normal(size=3)], [np.array(-1.0)]),
    "triplet": ("TripletMarginLoss", {}, [rng.normal(size=(4, 3)) for _ in range(3)], []),
    "triplet, swap": ("TripletMarginLoss", {"swap": True}, [rng.normal(size=(4, 3)) for _ in range(3)], []),
    "triplet, p": ("TripletMarginLoss", {"p": 3.0, "margin": 2.0}, [rng.normal(size=(4, 3)) for _ in range(3)], []),
    "triplet, p 1": ("TripletMarginLoss", {"p": 1.0, "eps": 0.1}, [rng.normal(size=(4, 3)) for _ in range(3)], []),
    "triplet, one": ("TripletMarginLoss", {}, [rng.normal(size=3) for _ in range(3)], []),
    "triplet, distance": ("TripletMarginWithDistanceLoss", {}, [rng.normal(size=(4, 3)) for _ in range(3)], []),
    "triplet, distance, swap": (
        "TripletMarginWithDistanceLoss", {"swap": True, "margin": 0.5}, [rng.normal(size=(4, 3)) for _ in range(3)], [],
    ),
    "poisson": ("PoissonNLLLoss", {}, [rng.normal(size=(4, 3))], [rng.poisson(2.0, (4, 3)).astype(float)]),
    "poisson, full": (
        "PoissonNLLLoss", {"full": True}, [rng.normal(size=(4, 3))], [rng.poisson(2.0, (4, 3)).astype(float)],
    ),
    "poisson, rates": (
        "PoissonNLLLoss", {"log_input": False, "eps": 1e-3}, [rng.random((4, 3))],
        [rng.poisson(2.0, (4, 3)).astype(float)],
    ),
    "gauss": ("GaussianNLLLoss", {}, [rng.normal(size=(4, 3)) for _ in range(2)] + [rng.random((4, 3))], []),
    "gauss, full": (
        "GaussianNLLLoss", {"full": True, "eps": 0.3}, [*rng.normal(size=(2, 4, 3)), rng.random(4)], [],
    ),
    "gauss, column": (
        "GaussianNLLLoss", {}, [rng.normal(size=(4, 3)) for _ in range(2)] + [rng.random((4, 1))], [],
    ),
    "distance": ("PairwiseDistance", {"p": 1.5, "keepdim": True}, [rng.normal(size=(4, 3)) for _ in range(2)], []),
    "likeness": ("CosineSimilarity", {"dim": 0}, [rng.normal(size=(4, 3)), rng.normal(size=(4, 1))], []),
    "likeness, deep": ("CosineSimilarity", {"dim": -1}, [rng.normal(size=(2, 4, 3)), rng.normal(size=(4, 3))], []),
}  # fmt: skip


FIRST_ORDER_IN_PYTORCH = ("MultiMarginLoss", "MultiLabelMarginLoss")
"""What it cannot differentiate twice; tests/nn/test_losses.py has finite differences."""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", CASES)
def test_losses_equal_pytorchs(case, reduction, dtype):
    name, settings, inputs, constants = CASES[case]
    if "Loss" in name:
        settings = {**settings, "reduction": reduction}
    elif reduction != "mean":
        pytest.skip("not a loss: it has no reduction")
    compare(name, settings, inputs, constants, dtype=dtype, second=name not in FIRST_ORDER_IN_PYTORCH)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["MultiMarginLoss", "MultiLabelSoftMarginLoss"])
def test_weights_of_classes(name, reduction):
    target = rng.integers(0, 3, 4) if name == "MultiMarginLoss" else rng.random((4, 3))
    compare(
        name, {"reduction": reduction}, [rng.normal(size=(4, 3))], [target], {"weight": rng.random(3)}, second=False
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_number_as_the_variance(reduction):
    def losses(lib):
        x = lib.tensor([1.0, 2.0], dtype=lib.float64)
        return lib.nn.functional.gaussian_nll_loss(x, x + 1, 0.25, reduction=reduction)

    np.testing.assert_allclose(losses(rg).numpy(), losses(torch).numpy(), rtol=1e-12)


def test_zero_vectors_have_pytorchs_cosine():
    compare("CosineEmbeddingLoss", {}, [np.zeros((2, 3)), np.ones((2, 3))], [np.array([1.0, -1.0])], second=False)
    compare("CosineSimilarity", {}, [np.zeros((2, 3)), np.ones((2, 3))], second=False)


LOSSES = sorted(name for name in dir(torch.nn) if name.endswith("Loss"))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_pytorch_is_there_with_its_repr_and_state(name):
    arguments = {"LinearCrossEntropyLoss": (4, 5), "AdaptiveLogSoftmaxWithLoss": (16, 20, [5, 10])}.get(name, ())
    ours, theirs = (getattr(lib.nn, name)(*arguments) for lib in (rg, torch))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_the_old_name_for_images_warns_that_it_is_old():
    for lib in (rg, torch):
        with pytest.warns(FutureWarning, match="NLLLoss2d"):
            loss = lib.nn.NLLLoss2d(reduction="sum")
        assert repr(loss) == "NLLLoss2d()"


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("out_features", [(), (4, 2)])
def test_a_loss_with_a_linear_layer_of_its_own(out_features, bias):
    x, results = rng.normal(size=(3, 6)).astype("f4"), []
    target = rng.integers(0, 5, (3, *out_features))
    probabilities = (
        rng.dirichlet(np.ones(5), (3, *out_features)).astype("f4").transpose(0, -1, *range(1, len(out_features) + 1))
    )
    for lib in (rg, torch):
        lib.manual_seed(0)
        loss = lib.nn.LinearCrossEntropyLoss(6, 5, out_features=out_features, bias=bias, label_smoothing=0.1)
        outs = [loss(lib.tensor(x), lib.tensor(t.copy())) for t in (target, probabilities)]
        sum(outs).backward()
        results.append([*outs, loss.linear.weight.grad])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("head_bias", [False, True])
def test_the_adaptive_softmax(head_bias):
    x, target = rng.normal(size=(9, 8)).astype("f4"), np.array([0, 3, 5, 9, 10, 19, 4, 7, 2])
    results = []
    for lib in (rg, torch):
        lib.manual_seed(0)
        layer = lib.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10], div_value=2.0, head_bias=head_bias)
        output, loss = layer(lib.tensor(x), lib.tensor(target))
        loss.backward()
        one = layer(lib.tensor(x[0]), lib.tensor(7))
        rows = layer.log_prob(lib.tensor(x)), layer.predict(lib.tensor(x))
        results.append([output, loss, one.output, one.loss, *rows, *(p.grad for p in layer.parameters())])
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == tuple(theirs.shape)
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=2e-5, atol=1e-6)


MISTAKES = [
    lambda lib: lib.nn.MultiMarginLoss()(lib.zeros(2, 3), lib.tensor([0, 3])),
    lambda lib: lib.nn.MultiMarginLoss()(lib.zeros(2, 3), lib.tensor([0, 1, 2])),
    lambda lib: lib.nn.MultiMarginLoss()(lib.zeros(2, 3), lib.tensor([0.0, 1.0])),
    lambda lib: lib.nn.MultiMarginLoss()(lib.zeros(2, 3, 4), lib.tensor([0, 1])),
    lambda lib: lib.nn.MultiMarginLoss(p=3),
    lambda lib: lib.nn.MultiMarginLoss(weight=lib.ones(2, 2)),
    lambda lib: lib.nn.MultiMarginLoss(weight=lib.ones(4))(lib.zeros(2, 3), lib.tensor([0, 1])),
    lambda lib: lib.nn.MultiMarginLoss(reduction="all")(lib.zeros(2, 3), lib.tensor([0, 1])),
    lambda lib: lib.nn.MultiLabelMarginLoss()(lib.zeros(2, 3), lib.tensor([[0, 3, 1], [0, 1, 2]])),
    lambda lib: lib.nn.MultiLabelMarginLoss()(lib.zeros(2, 3), lib.tensor([[0, -2, 1], [0, 1, 2]])),
    lambda lib: lib.nn.MultiLabelMarginLoss()(lib.zeros(2, 3), lib.tensor([[0, 1], [0, 1]])),
    lambda lib: lib.nn.MultiLabelSoftMarginLoss()(lib.zeros(2, 3), lib.zeros(2, 4)),
    lambda lib: lib.nn.MultiLabelSoftMarginLoss()(lib.tensor(1.0), lib.tensor(1.0)),
    lambda lib: lib.nn.SoftMarginLoss()(lib.zeros(2, 3), lib.zeros(4)),
    lambda lib: lib.nn.HingeEmbeddingLoss()(lib.zeros(2, 3), lib.zeros(4)),
    lambda lib: lib.nn.CosineEmbeddingLoss()(lib.zeros(2, 3), lib.zeros(2, 3), lib.zeros(3)),
    lambda lib: lib.nn.CosineEmbeddingLoss()(lib.zeros(3), lib.zeros(3), lib.zeros(1)),
    lambda lib: lib.nn.MarginRankingLoss()(lib.zeros(2, 3), lib.zeros(2), lib.zeros(2, 3)),
    lambda lib: lib.nn.TripletMarginLoss(margin=-1),
    lambda lib: lib.nn.TripletMarginLoss()(lib.zeros(2, 3), lib.zeros(2, 3), lib.zeros(2, 3, 4)),
    lambda lib: lib.nn.TripletMarginLoss(reduction="all")(lib.zeros(2, 3), lib.zeros(2, 3), lib.zeros(2, 3)),
    lambda lib: lib.nn.TripletMarginWithDistanceLoss(margin=0),
    lambda lib: lib.nn.functional.triplet_margin_loss(lib.zeros(2, 3), lib.zeros(2, 3), lib.zeros(2, 3), margin=0.0),
    lambda lib: lib.nn.PoissonNLLLoss()(lib.zeros(2), lib.zeros(3)),
    lambda lib: lib.nn.PoissonNLLLoss(reduction="all")(lib.zeros(2), lib.zeros(2)),
    lambda lib: lib.nn.GaussianNLLLoss()(lib.zeros(2, 3), lib.zeros(2, 3), -1.0),
    lambda lib: lib.nn.GaussianNLLLoss()(lib.zeros(2, 3), lib.zeros(2, 3), lib.ones(4)),
    lambda lib: lib.nn.GaussianNLLLoss()(lib.zeros(2, 3), lib.zeros(2, 3), lib.tensor(1.0)),
    lambda lib: lib.nn.GaussianNLLLoss()(lib.zeros(2, 3), lib.zeros(2, 3), 1),
    lambda lib: lib.nn.KLDivLoss(reduction="sum")(lib.zeros(2, 3), lib.zeros(2, 3, dtype=lib.int64)),
    lambda lib: lib.nn.MSELoss()(lib.zeros(2, dtype=lib.int64), lib.zeros(2, dtype=lib.int64)),
    lambda lib: lib.nn.L1Loss()(lib.zeros(2, dtype=lib.int64), lib.zeros(2, dtype=lib.int64)),
    lambda lib: lib.nn.SmoothL1Loss()(lib.zeros(2, dtype=lib.int64), lib.zeros(2, dtype=lib.int64)),
    lambda lib: lib.nn.functional.mse_loss(lib.zeros(2, 3), lib.zeros(2, 3), weight=lib.ones(3)),
    lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [10, 5]),
    lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 5]),
    lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 20]),
    lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(8, 20, []),
    lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5])(lib.zeros(2, 8), lib.tensor([0, 20])),
    lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5])(lib.zeros(2, 8), lib.tensor([0, 1, 2])),
    lambda lib: lib.nn.LinearCrossEntropyLoss(4, 3, weight=lib.ones(4)),
    lambda lib: lib.nn.LinearCrossEntropyLoss(4, 3, label_smoothing=2.0),
    lambda lib: lib.nn.LinearCrossEntropyLoss(4, 3)(lib.zeros(2, 5), lib.tensor([0, 1])),
    lambda lib: lib.nn.LinearCrossEntropyLoss(4, 3, out_features=(2,))(lib.zeros(4), lib.tensor([0, 1])),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_mistakes_raise_pytorchs_exceptions(number):
    assert_same_kind(raised_by(MISTAKES[number], rg), raised_by(MISTAKES[number], torch))
