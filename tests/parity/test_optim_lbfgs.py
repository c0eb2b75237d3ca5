"""L-BFGS against PyTorch: where it goes, how often it evaluates, what it remembers."""

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

SETTINGS = [
    {},
    {"lr": 0.3, "max_iter": 5},
    {"lr": 0.5, "history_size": 3, "max_iter": 7},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 2},
    {"line_search_fn": "strong_wolfe", "lr": 0.01, "max_iter": 6, "max_eval": 40},
    {"line_search_fn": "strong_wolfe", "lr": 30.0, "max_iter": 6},
    {"line_search_fn": "strong_wolfe", "max_iter": 1},
    {"line_search_fn": "strong_wolfe", "tolerance_grad": 1e-2, "tolerance_change": 1e-3},
]


def rosenbrock(lib, params):
    x, y = params[0], params[1]
    return (1 - x).pow(2).sum() + 10 * (y - x * x).pow(2).sum()


def quartic(lib, params):
    x, y = params[0], params[1]
    return ((x + y) ** 4 + 0.1 * (x - 0.3) ** 2).sum() + lib.exp(-y).sum()


def wavy(lib, params):
    x, y = params[0], params[1]
    return (lib.sin(3 * x) + 0.1 * x * x + lib.cos(y * 2) * x + 0.3 * y * y).sum()


def start(lib, dtype):
    rng = np.random.default_rng(0)
    arrays = [np.asarray(rng.normal(size=(2, 3)), dtype) for _ in range(2)]
    unused = lib.nn.Parameter(lib.ones(2, dtype=getattr(lib, dtype)))
    return [*(lib.nn.Parameter(lib.tensor(a)) for a in arrays), unused]


def descend(lib, loss_of, optimizer, params, steps):
    """Losses and positions after every step."""
    found = []
    for _ in range(steps):

        def closure():
            optimizer.zero_grad()
            loss = loss_of(lib, params)
            loss.backward()
            return loss

        loss = optimizer.step(closure)
        found.append((loss.item(), *(p.detach().numpy().copy() for p in params)))
    return found


def assert_same_path(ours, theirs, rtol, atol=0.0):
    for a, b in zip(ours, theirs, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)


CASES = [(loss_of, settings) for loss_of in (rosenbrock, quartic) for settings in SETTINGS]
CASES += [(wavy, s) for s in SETTINGS if "line_search_fn" in s]  # without a search, a chaos of rounding errors


@pytest.mark.parametrize(("loss_of", "settings"), CASES)
def test_the_path_is_pytorchs(loss_of, settings):
    found, counts = [], []
    for lib in (rg, torch):
        params = start(lib, "float64")
        optimizer = lib.optim.LBFGS(params, **settings)
        with np.errstate(all="ignore"):
            found.append(descend(lib, loss_of, optimizer, params, 4))
        state = optimizer.state[params[0]]
        counts.append((state["n_iter"], state["func_evals"]))
    assert counts[0] == counts[1]
    assert_same_path(*found, rtol=1e-6, atol=1e-8)


def test_float32_reaches_the_same_minimum():
    found = []
    for lib in (rg, torch):
        params = start(lib, "float32")
        optimizer = lib.optim.LBFGS(params, line_search_fn="strong_wolfe", max_iter=60)
        found.append(descend(lib, rosenbrock, optimizer, params, 3)[-1:])
        assert str(params[0].dtype).endswith("float32")
    assert_same_path(*found, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_pytorchs_state_continues_here_and_ours_after_saving(search):
    settings = {"lr": 0.1, "max_iter": 3, "line_search_fn": search}
    theirs = start(torch, "float64")
    b = torch.optim.LBFGS(theirs, **settings)
    descend(torch, rosenbrock, b, theirs, 2)
    ours = [rg.nn.Parameter(rg.tensor(p.detach().numpy())) for p in theirs]
    a = rg.optim.LBFGS(ours)
    a.load_state_dict(b.state_dict())
    assert_same_path(descend(rg, rosenbrock, a, ours, 2), descend(torch, rosenbrock, b, theirs, 2), rtol=1e-7)
    again = rg.optim.LBFGS(ours)
    again.load_state_dict(a.state_dict())
    assert_same_path(descend(rg, rosenbrock, again, ours, 2), descend(torch, rosenbrock, b, theirs, 2), rtol=1e-7)
    assert set(again.state_dict()["state"][0]) == set(b.state_dict()["state"][0]) - {"al"}  # PyTorch's scratch
    assert again.state_dict()["param_groups"] == b.state_dict()["param_groups"]


MISTAKES = [
    lambda lib, p: lib.optim.LBFGS([{"params": [p]}, {"params": [lib.nn.Parameter(lib.ones(1))]}]),
    lambda lib, p: lib.optim.LBFGS([p], lr=-1),
    lambda lib, p: lib.optim.LBFGS([p]).step(),
    lambda lib, p: descend(lib, lambda lib, ps: ps[0].sum(), lib.optim.LBFGS([p], line_search_fn="weak"), [p], 1),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_mistakes_raise_pytorchs_exceptions(number):
    ours, theirs = (raised_by(MISTAKES[number], lib, lib.nn.Parameter(lib.ones(2))) for lib in (rg, torch))
    assert_same_kind(ours, theirs)
