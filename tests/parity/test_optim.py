"""Optimizers against PyTorch: trajectories of fifty steps in float64, exceptions, states."""

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

SGD_SETTINGS = [
    {"lr": 0.1},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
    {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    {"lr": 0.1, "weight_decay": 0.1},
    {"lr": 0.1, "weight_decay": 0.1, "momentum": 0.8, "maximize": True},
    {"lr": 0.01, "weight_decay": 0.1, "momentum": 0.8, "dampening": 0.1, "maximize": True},
]
ADAM_SETTINGS = [
    {},
    {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-4},
    {"lr": 0.05, "weight_decay": 0.1},
    {"lr": 0.05, "amsgrad": True},
    {"lr": 0.05, "amsgrad": True, "weight_decay": 0.1, "maximize": True},
    {"lr": 0.05, "betas": (0.0, 0.9)},
]
DECAYING = [{}, {"lr": 0.05, "weight_decay": 0.1}, {"lr": 0.05, "weight_decay": 0.1, "maximize": True}]
SETTINGS = {
    "SGD": SGD_SETTINGS,
    "Adam": [*ADAM_SETTINGS, {"decoupled_weight_decay": True, "weight_decay": 0.2}],
    "AdamW": ADAM_SETTINGS,
    "ASGD": [*DECAYING, {"lr": 0.1, "t0": 3}, {"lr": 0.1, "t0": 0, "lambd": 0.1, "alpha": 0.6}],
    "Adadelta": [*DECAYING, {"rho": 0.7, "eps": 1e-3}],
    "Adagrad": [*DECAYING, {"lr": 0.1, "lr_decay": 0.1}, {"initial_accumulator_value": 0.3, "eps": 1e-2}],
    "Adafactor": [*DECAYING, {"eps": (1e-4, 0.1), "d": 2.0}, {"beta2_decay": -0.5, "lr": 1.0}],
    "Adamax": [*DECAYING, {"betas": (0.5, 0.9), "eps": 1e-3}],
    "NAdam": [
        *DECAYING,
        {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True},
        {"betas": (0.6, 0.9), "eps": 1e-3, "momentum_decay": 0.3},
    ],
    "RAdam": [
        *DECAYING,
        {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True},
        {"betas": (0.6, 0.9), "eps": 1e-3},
        {"betas": (0.6, 0.5)},  # never rectified
    ],
    "RMSprop": [
        *DECAYING,
        {"momentum": 0.9},
        {"centered": True, "alpha": 0.9, "eps": 1e-3},
        {"centered": True, "momentum": 0.5, "weight_decay": 0.1, "maximize": True},
    ],
    "Rprop": [{}, {"lr": 0.1, "maximize": True}, {"etas": (0.3, 1.6), "step_sizes": (1e-3, 0.2)}],
    "Muon": [
        {},
        {"lr": 0.05, "momentum": 0.5, "nesterov": False},
        {"adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.0},
        {"ns_steps": 3, "ns_coefficients": (2.0, -1.5, 0.5), "eps": 0.1, "adjust_lr_fn": "original"},
    ],
}
CASES = [(name, settings) for name, several in SETTINGS.items() for settings in several]
SHAPES = [(3, 4), (5,), (), (110, 100), (2, 3, 2), (7,), (0, 3)]  # small ones and one that is updated alone
MATRICES = [(3, 4), (5, 1), (1, 2), (110, 100), (6, 2), (7, 7), (3, 3)]  # Muon takes no others


def shapes_for(name):
    if name == "Adafactor":
        return [*SHAPES[:-1], (1, 3)]  # PyTorch divides by the number of elements
    return MATRICES if name == "Muon" else SHAPES


@pytest.fixture(autouse=True)
def _muon_in_the_parameters_own_dtype(monkeypatch):
    """PyTorch's Muon iterates in bfloat16; here both iterate in the parameter's dtype, to compare the algorithm."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)


def parameters(lib, dtype="float64", shapes=SHAPES):
    rng = np.random.default_rng(0)
    return [lib.nn.Parameter(lib.tensor(np.asarray(rng.normal(size=s), dtype))) for s in shapes]


def set_gradients(lib, params, step, missing=()):
    rng = np.random.default_rng(step)
    for i, p in enumerate(params):
        g = np.asarray(rng.normal(size=p.shape), np.float64)
        p.grad = None if i in missing else lib.tensor(g).to(p.dtype)


def assert_same(ours, theirs, rtol=1e-7):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=1e-12)


def assert_same_state(ours, theirs):
    a, b = ours.state_dict(), theirs.state_dict()
    assert a["param_groups"] == b["param_groups"]
    assert set(a["state"]) == set(b["state"])
    for i, values in b["state"].items():
        assert set(a["state"][i]) == set(values)
        for name, value in values.items():
            mine = a["state"][i][name]
            assert mine.shape == tuple(value.shape)
            assert str(mine.dtype) == str(value.dtype).removeprefix("torch.")
            np.testing.assert_allclose(mine.numpy(), value.numpy(), rtol=1e-7, atol=1e-14)


@pytest.mark.parametrize(("name", "settings"), CASES)
class TestTrajectories:
    def test_fifty_steps_end_where_pytorchs_end(self, name, settings):
        ours, theirs = (parameters(lib, shapes=shapes_for(name)) for lib in (rg, torch))
        a, b = getattr(rg.optim, name)(ours, **settings), getattr(torch.optim, name)(theirs, **settings)
        assert repr(a) == repr(b)
        for step in range(50):
            set_gradients(rg, ours, step)
            set_gradients(torch, theirs, step)
            a.step()
            b.step()
        assert_same(ours, theirs)
        assert_same_state(a, b)

    def test_gradients_that_come_and_go_leave_each_parameter_where_pytorch_does(self, name, settings):
        ours, theirs = (parameters(lib, shapes=shapes_for(name)) for lib in (rg, torch))
        a, b = getattr(rg.optim, name)(ours, **settings), getattr(torch.optim, name)(theirs, **settings)
        for step in range(12):
            missing = np.flatnonzero(np.random.default_rng(100 + step).random(len(ours)) < 0.4)
            set_gradients(rg, ours, step, missing)
            set_gradients(torch, theirs, step, missing)
            a.step()
            b.step()
            if step == 5:  # freezing, new data and a new rate in the middle of it
                for params, lib in ((ours, rg), (theirs, torch)):
                    params[1].requires_grad_(False)
                    params[0].data = lib.ones(3, 4, dtype=lib.float64)
                    with lib.no_grad():
                        params[4].mul_(2)
                for optimizer in (a, b):
                    optimizer.param_groups[0]["lr"] = 0.02
        assert_same(ours, theirs)
        assert_same_state(a, b)

    def test_a_loaded_state_continues_as_pytorchs(self, name, settings):
        ours, theirs = (parameters(lib, shapes=shapes_for(name)) for lib in (rg, torch))
        b = getattr(torch.optim, name)(theirs, **settings)
        for step in range(3):
            set_gradients(torch, theirs, step, missing=[2])
            b.step()
        for p, q in zip(ours, theirs, strict=True):
            p.data = rg.tensor(q.detach().numpy())
        a = getattr(rg.optim, name)(ours, lr=0.7)
        a.load_state_dict(b.state_dict())
        again = getattr(rg.optim, name)(ours, lr=0.7)
        again.load_state_dict(a.state_dict())
        for step in range(3, 6):
            set_gradients(rg, ours, step)
            set_gradients(torch, theirs, step)
            again.step()
            b.step()
        assert_same(ours, theirs)
        assert_same_state(again, b)

    def test_float32_and_groups_of_their_own_settings_follow_pytorch(self, name, settings):
        ours, theirs = (parameters(lib, "float32", shapes_for(name)) for lib in (rg, torch))
        optimizers = []
        for lib, params in ((rg, ours), (torch, theirs)):
            groups = [{"params": params[:2], "lr": 0.5}, {"params": params[2:4]}]
            optimizer = getattr(lib.optim, name)(groups, **settings)
            extra = {"weight_decay": 0.3} if "weight_decay" in optimizer.defaults else {"lr": 0.3}
            optimizer.add_param_group({"params": params[4:], **extra})
            optimizers.append(optimizer)
        for step in range(10):
            for lib, params, optimizer in zip((rg, torch), (ours, theirs), optimizers, strict=True):
                set_gradients(lib, params, step)
                optimizer.step()
        for p, q in zip(ours, theirs, strict=True):
            assert p.dtype == np.float32
            np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_muon_differs_from_pytorchs_by_the_rounding_of_bfloat16(monkeypatch):
    monkeypatch.undo()  # now PyTorch iterates in bfloat16
    moves = []
    for lib in (rg, torch):
        params = parameters(lib, "float32", [(20, 30), (40, 10)])
        before = [p.detach().numpy().copy() for p in params]
        set_gradients(lib, params, 0)
        lib.optim.Muon(params, lr=1.0, weight_decay=0.0).step()
        moves.append([b - p.detach().numpy() for p, b in zip(params, before, strict=True)])
    for ours, theirs in zip(*moves, strict=True):
        assert 0 < np.linalg.norm(ours - theirs) < 0.03 * np.linalg.norm(theirs)


@pytest.mark.parametrize("name", ["NAdam", "ASGD"])
def test_scalars_of_a_state_have_the_default_dtype(name):
    for default in ("float64", "float32"):
        optimizers, both = [], []
        for lib in (rg, torch):
            lib.set_default_dtype(getattr(lib, default))
            try:
                params = parameters(lib)
                optimizers.append(getattr(lib.optim, name)(params, lr=0.1))
                for step in range(20):
                    set_gradients(lib, params, step)
                    optimizers[-1].step()
                optimizers[-1] = optimizers[-1].state_dict()["state"][0]
            finally:
                lib.set_default_dtype(lib.float32)
            both.append(params)
        assert_same(*both, rtol=1e-12)
        for scalar in {"step", "eta", "mu", "mu_product"} & set(optimizers[1]):
            ours, theirs = (state[scalar] for state in optimizers)
            assert str(theirs.dtype) == f"torch.{ours.dtype}"
            assert ours.item() == theirs.item()


MISTAKES = [
    lambda lib, p: lib.optim.SGD([], lr=0.1),
    lambda lib, p: lib.optim.SGD(p, lr=0.1),
    lambda lib, p: lib.optim.SGD([3], lr=0.1),
    lambda lib, p: lib.optim.SGD([p * 2], lr=0.1),
    lambda lib, p: lib.optim.SGD([{"params": {p}}], lr=0.1),
    lambda lib, p: lib.optim.SGD([p], lr=-1),
    lambda lib, p: lib.optim.SGD([p], lr=0.1, momentum=-1),
    lambda lib, p: lib.optim.SGD([p], lr=0.1, weight_decay=-1),
    lambda lib, p: lib.optim.SGD([p], lr=0.1, nesterov=True),
    lambda lib, p: lib.optim.Adam([p], lr=float("nan")),
    lambda lib, p: lib.optim.Adam([p], lr=-1),
    lambda lib, p: lib.optim.Adam([p], betas=(1.0, 0.9)),
    lambda lib, p: lib.optim.Adam([p], betas=(0.9, -0.1)),
    lambda lib, p: lib.optim.Adam([p], eps=-1),
    lambda lib, p: lib.optim.Adam([p], weight_decay=-1),
    lambda lib, p: lib.optim.Adam([p]).add_param_group({"params": [p]}),
    lambda lib, p: lib.optim.Adam([p]).add_param_group([p]),
    lambda lib, p: lib.optim.Adam([p]).load_state_dict({"state": {}, "param_groups": []}),
    lambda lib, p: lib.optim.Adam([p]).load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}),
    lambda lib, p: lib.optim.Adam([("a", p), lib.nn.Parameter(lib.ones(2))]),
    lambda lib, p: lib.optim.Optimizer([p], {}).step(),
    lambda lib, p: lib.optim.ASGD([p], lr=-1),
    lambda lib, p: lib.optim.ASGD([p], weight_decay=-1),
    lambda lib, p: lib.optim.Adadelta([p], rho=1.1),
    lambda lib, p: lib.optim.Adadelta([p], eps=-1),
    lambda lib, p: lib.optim.Adafactor([p], beta2_decay=0.1),
    lambda lib, p: lib.optim.Adafactor([p], eps=(-1.0, 0.1)),
    lambda lib, p: lib.optim.Adafactor([p], eps=(None, -0.1)),
    lambda lib, p: lib.optim.Adafactor([p], d=0.5),
    lambda lib, p: lib.optim.Adagrad([p], lr_decay=-1),
    lambda lib, p: lib.optim.Adagrad([p], initial_accumulator_value=-1),
    lambda lib, p: lib.optim.Adamax([p], betas=(0.9, 1.0)),
    lambda lib, p: lib.optim.NAdam([p], momentum_decay=-1),
    lambda lib, p: lib.optim.NAdam([p], lr=lib.ones(2)),
    lambda lib, p: lib.optim.RAdam([p], betas=(-0.9, 0.9)),
    lambda lib, p: lib.optim.RMSprop([p], alpha=-1),
    lambda lib, p: lib.optim.RMSprop([p], momentum=-1),
    lambda lib, p: lib.optim.Rprop([p], etas=(1.1, 1.2)),
    lambda lib, p: lib.optim.Rprop([p], etas=(0.5, 0.9)),
    lambda lib, p: lib.optim.Muon([p]),
    lambda lib, p: lib.optim.Muon([lib.nn.Parameter(lib.ones(2, 2))], adjust_lr_fn="square"),
    lambda lib, p: lib.optim.Muon([lib.nn.Parameter(lib.ones(2, 2))], momentum=-1),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_mistakes_raise_pytorchs_exceptions(number):
    ours, theirs = (raised_by(MISTAKES[number], lib, lib.nn.Parameter(lib.ones(2))) for lib in (rg, torch))
    assert_same_kind(ours, theirs)


def test_a_closure_is_called_with_gradients_on_and_its_loss_returned():
    for lib in (rg, torch):
        p = lib.nn.Parameter(lib.tensor([2.0]))
        optimizer = lib.optim.SGD([p], lr=0.1)

        def closure(p=p, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (p * p).sum()
            loss.backward()
            return loss

        with lib.no_grad():
            loss = optimizer.step(closure)
        assert loss.item() == 4.0
        assert p.item() == pytest.approx(1.6)


def test_named_parameters_keep_their_names():
    for lib in (rg, torch):
        net = lib.nn.Linear(2, 2)
        optimizer = lib.optim.Adam(net.named_parameters())
        assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
        assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


def test_one_hundred_losses_of_a_classifier_equal_pytorchs_from_seed_0():
    rng = np.random.default_rng(0)
    images, labels = rng.random((10, 100, 784), dtype=np.float32), rng.integers(0, 10, (10, 100))
    assert_same_losses(images, labels)


def test_one_hundred_losses_on_mnist_equal_pytorchs_from_seed_0():
    import os

    folder = os.path.join(os.environ.get("RETROGRAD_DATA", ""), "mnist")
    if not os.path.isdir(folder):
        pytest.skip("RETROGRAD_DATA/mnist is not there: MNIST is not downloaded for a test")
    data = rg.data.mnist.read_mnist(folder)
    images = (data.train_images[:10_000].reshape(100, 100, 784) / np.float32(255)).astype(np.float32)
    assert_same_losses(images, data.train_labels[:10_000].reshape(100, 100).astype(np.int64))


def assert_same_losses(images, labels):
    """784-100-10 with Adam, batches in turn."""
    losses = {}
    for lib in (rg, torch):
        lib.manual_seed(0)
        nn = lib.nn
        net = nn.Sequential(nn.Linear(784, 100), nn.Sigmoid(), nn.Linear(100, 10))
        optimizer, criterion = lib.optim.Adam(net.parameters(), lr=1e-3), nn.CrossEntropyLoss()
        found = losses[lib] = []
        for step in range(100):
            optimizer.zero_grad()
            batch = step % len(images)
            loss = criterion(net(lib.from_numpy(images[batch])), lib.from_numpy(labels[batch]))
            loss.backward()
            optimizer.step()
            found.append(loss.item())
    assert losses[rg][0] == pytest.approx(losses[torch][0], abs=1e-6)
    assert losses[rg] == pytest.approx(losses[torch], abs=1e-3)
