"""Normalisation layers against PyTorch: values, gradients of both orders, running statistics, repr, mistakes."""

import warnings

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

BATCH = [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}, {"eps": 0.1, "momentum": 0.3}]
BATCH += [{"bias": False}]
INSTANCE = [{}, {"affine": True}, {"track_running_stats": True, "affine": True}, {"affine": True, "bias": False}]
CASES = [
    *[("BatchNorm1d", (4,), kw, (6, 4)) for kw in BATCH],
    *[("BatchNorm1d", (4,), kw, (3, 4, 20)) for kw in BATCH],
    *[("BatchNorm2d", (4,), kw, (3, 4, 5, 2)) for kw in BATCH],
    *[("BatchNorm3d", (4,), kw, (3, 4, 2, 5, 2)) for kw in BATCH],
    *[("InstanceNorm1d", (4,), kw, (3, 4, 20)) for kw in INSTANCE],
    *[("InstanceNorm1d", (4,), kw, (4, 20)) for kw in INSTANCE],
    *[("InstanceNorm2d", (4,), kw, (3, 4, 5, 2)) for kw in INSTANCE],
    *[("InstanceNorm3d", (4,), kw, (3, 4, 2, 5, 2)) for kw in INSTANCE],
    *[("LayerNorm", (5,), kw, (3, 4, 5)) for kw in ({}, {"bias": False}, {"elementwise_affine": False}, {"eps": 0.1})],
    ("LayerNorm", ((4, 20),), {}, (3, 4, 20)),
    ("LayerNorm", ([3, 4],), {}, (3, 4)),
    *[("RMSNorm", (5,), kw, (3, 4, 5)) for kw in ({}, {"eps": 0.1}, {"elementwise_affine": False})],
    ("RMSNorm", ((4, 20),), {}, (3, 4, 20)),
    *[("GroupNorm", (groups, 4), {}, (3, 4, 5, 6)) for groups in (1, 2, 4)],
    *[("GroupNorm", (2, 4), kw, (3, 4)) for kw in ({}, {"affine": False}, {"bias": False}, {"eps": 0.1})],
    *[("LocalResponseNorm", (size,), {"alpha": 0.5, "k": 2.0}, (3, 4, 5)) for size in (1, 2, 3, 4, 9)],
]


def same(ours, theirs, rtol, atol):
    assert ours.shape == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol)


def pair(name, arguments, settings, dtype):
    """The layer in both libraries, with PyTorch's state after its parameters were drawn."""
    rng = np.random.default_rng(0)
    theirs = getattr(torch.nn, name)(*arguments, **settings).to(getattr(torch, dtype))
    ours = getattr(rg.nn, name)(*arguments, **settings).to(np.dtype(dtype))
    assert repr(ours) == repr(theirs)
    for (key, a), (other, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert key == other
        same(a, b, 0, 0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.tensor(rng.normal(size=parameter.shape)))
    ours.load_state_dict({key: rg.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
    return ours, theirs


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("name", "arguments", "settings", "shape"), CASES)
class TestLayers:
    def test_two_steps_give_pytorchs_values_gradients_and_statistics(self, name, arguments, settings, shape, training):
        ours, theirs = pair(name, arguments, settings, "float64")
        ours.train(training), theirs.train(training)
        rng = np.random.default_rng(1)
        for _ in range(2):
            x, weights = rng.normal(1, 2, shape), rng.normal(size=shape)
            a, b = rg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
            out_a, out_b = ours(a), theirs(b)
            same(out_a, out_b, 1e-9, 1e-11)
            leaves_a, leaves_b = [a, *ours.parameters()], [b, *theirs.parameters()]
            grads_a = rg.autograd.grad((out_a * rg.tensor(weights)).sum(), leaves_a, create_graph=True)
            grads_b = torch.autograd.grad((out_b * torch.tensor(weights)).sum(), leaves_b, create_graph=True)
            for g, h in zip(grads_a, grads_b, strict=True):
                same(g, h, 1e-9, 1e-10)
            if any(g.requires_grad for g in grads_a):
                options = {"allow_unused": True, "materialize_grads": True}
                again_a = rg.autograd.grad(sum((g * g).sum() for g in grads_a), leaves_a, **options)
                again_b = torch.autograd.grad(sum((g * g).sum() for g in grads_b), leaves_b, **options)
                for g, h in zip(again_a, again_b, strict=True):
                    same(g, h, 1e-7, 1e-8)
        for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            same(a, b, 1e-9, 1e-12)

    def test_float32_stays_float32_and_is_close(self, name, arguments, settings, shape, training):
        ours, theirs = pair(name, arguments, settings, "float32")
        ours.train(training), theirs.train(training)
        x = np.random.default_rng(1).normal(1, 2, shape).astype("float32")
        a, b = rg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        out_a, out_b = ours(a), theirs(b)
        same(out_a, out_b, 1e-5, 1e-5)
        (out_a * out_a * out_a).sum().backward()
        (out_b * out_b * out_b).sum().backward()
        same(a.grad, b.grad, 2e-3, 2e-3)


@pytest.mark.parametrize("layout", ["transposed", "expanded", "strided"])
def test_inputs_of_any_layout_give_pytorchs_values(layout):
    x = np.random.default_rng(0).normal(size=(4, 3, 6)).astype("float32")
    change = {
        "transposed": lambda t: t.transpose(0, 2),
        "expanded": lambda t: t[:, :, :1].expand(4, 3, 6),
        "strided": lambda t: t[:, :, ::2],
    }[layout]
    a, b = change(rg.tensor(x)), change(torch.tensor(x))
    F, G = rg.nn.functional, torch.nn.functional
    same(F.batch_norm(a, None, None, training=True), G.batch_norm(b, None, None, training=True), 1e-4, 1e-5)
    same(F.layer_norm(a, a.shape[-1:]), G.layer_norm(b, tuple(b.shape[-1:])), 1e-4, 1e-5)
    same(F.group_norm(a, 3), G.group_norm(b, 3), 1e-4, 1e-5)


@pytest.mark.parametrize(
    "settings", [{}, {"p": 1.0}, {"p": 3.0, "dim": 0}, {"p": float("inf"), "dim": -1}, {"dim": (0, 1)}, {"eps": 10.0}]
)
def test_normalize(settings):
    x = np.random.default_rng(0).normal(size=(4, 3, 6))
    x[0, 0] = 0
    a, b = rg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out_a, out_b = rg.nn.functional.normalize(a, **settings), torch.nn.functional.normalize(b, **settings)
    same(out_a, out_b, 1e-10, 1e-12)
    (out_a**3).sum().backward()
    (out_b**3).sum().backward()
    same(a.grad, b.grad, 1e-8, 1e-10)


def both(action):
    """The mistake in each library."""
    return [raised_by(action, library) for library in (rg, torch)]


@pytest.mark.parametrize(
    "action",
    [
        lambda lib: lib.nn.BatchNorm1d(3)(lib.ones(1, 3)),
        lambda lib: lib.nn.BatchNorm1d(3)(lib.ones(2, 4)),
        lambda lib: lib.nn.BatchNorm2d(3)(lib.ones(2, 3)),
        lambda lib: lib.nn.BatchNorm1d(3)(lib.ones(2, 3).double()),
        lambda lib: lib.nn.functional.batch_norm(lib.ones(3), None, None, training=True),
        lambda lib: lib.nn.functional.batch_norm(lib.ones(2, 3), None, None),
        lambda lib: lib.nn.functional.batch_norm(lib.ones(2, 3).long(), None, None, training=True),
        lambda lib: lib.nn.functional.layer_norm(lib.ones(2, 3), (4,)),
        lambda lib: lib.nn.functional.layer_norm(lib.ones(2, 3), 3),
        lambda lib: lib.nn.functional.layer_norm(lib.ones(2, 3), ()),
        lambda lib: lib.nn.functional.layer_norm(lib.ones(2, 3), (3,), lib.ones(4)),
        lambda lib: lib.nn.functional.rms_norm(lib.ones(2, 3), (4,)),
        lambda lib: lib.nn.functional.rms_norm(lib.ones(2, 3), ()),
        lambda lib: lib.nn.functional.group_norm(lib.ones(2, 3), 2),
        lambda lib: lib.nn.functional.group_norm(lib.ones(4), 2),
        lambda lib: lib.nn.functional.group_norm(lib.ones(1, 4), 4),
        lambda lib: lib.nn.functional.group_norm(lib.ones(2, 4), 2, lib.ones(3)),
        lambda lib: lib.nn.GroupNorm(2, 3),
        lambda lib: lib.nn.functional.instance_norm(lib.ones(2, 3, 1)),
        lambda lib: lib.nn.functional.instance_norm(lib.ones(2, 3, 4), use_input_stats=False),
        lambda lib: lib.nn.InstanceNorm1d(3, affine=True)(lib.ones(2, 4, 4)),
        lambda lib: lib.nn.functional.local_response_norm(lib.ones(2, 3), 2),
        lambda lib: lib.nn.functional.normalize(lib.ones(3)),
    ],
)
def test_a_mistake_raises_pytorchs_exception(action):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same_kind(*both(action))
