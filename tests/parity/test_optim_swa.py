"""Averages of weights against PyTorch."""

import copy

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")


def network(lib):
    lib.manual_seed(0)
    nn = lib.nn
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).to(lib.float64)


def batches(lib, count=5):
    rng = np.random.default_rng(0)
    return [lib.from_numpy(rng.normal(size=(6, 3))) for _ in range(count)]


def trained(lib, averaged_of, after=None):
    """A network that takes a few steps, averaged at every second one."""
    net = network(lib)
    averaged = averaged_of(lib, net)
    optimizer = lib.optim.SGD(net.parameters(), lr=0.1)
    for i, x in enumerate(batches(lib, 9)):
        optimizer.zero_grad()
        net(x).pow(2).sum().backward()
        optimizer.step()
        if i % 2 == 0:
            averaged.update_parameters(net)
    return averaged


def halfway(mean, new, count):
    return (mean + new) / 2


AVERAGES = {
    "equal weights": lambda lib, net: lib.optim.swa_utils.AveragedModel(net),
    "with buffers": lambda lib, net: lib.optim.swa_utils.AveragedModel(net, use_buffers=True),
    "swa": lambda lib, net: swa(lib).AveragedModel(net, avg_fn=swa(lib).get_swa_avg_fn()),
    "ema": lambda lib, net: swa(lib).AveragedModel(net, avg_fn=swa(lib).get_ema_avg_fn(0.7)),
    "ema of lists": lambda lib, net: swa(lib).AveragedModel(net, multi_avg_fn=swa(lib).get_ema_multi_avg_fn(0.7)),
    "swa of lists": lambda lib, net: swa(lib).AveragedModel(net, multi_avg_fn=swa(lib).get_swa_multi_avg_fn()),
    "ema with buffers": lambda lib, net: swa(lib).AveragedModel(
        net, multi_avg_fn=swa(lib).get_ema_multi_avg_fn(0.7), use_buffers=True
    ),
    "of one's own": lambda lib, net: swa(lib).AveragedModel(net, avg_fn=halfway),
}


def swa(lib):
    return lib.optim.swa_utils


def assert_same_state(ours, theirs, rtol=1e-9):
    a, b = ours.state_dict(), theirs.state_dict()
    assert list(a) == list(b)
    for name in b:
        np.testing.assert_allclose(a[name].numpy(), b[name].numpy(), rtol=rtol, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("name", AVERAGES)
def test_the_average_is_pytorchs(name):
    ours, theirs = (trained(lib, AVERAGES[name]) for lib in (rg, torch))
    rtol = 1e-6 if name == "swa of lists" else 1e-9  # PyTorch's weight 1 / (n + 1) is a float32 there
    assert_same_state(ours, theirs, rtol)
    x = batches(rg)[0]
    np.testing.assert_allclose(ours(x).detach().numpy(), theirs(batches(torch)[0]).detach().numpy(), rtol=rtol)


def test_statistics_of_batch_norms_are_computed_anew():
    found = []
    for lib in (rg, torch):
        averaged = trained(lib, AVERAGES["equal weights"])
        swa(lib).update_bn([(x, None) for x in batches(lib)], averaged)
        assert averaged.training
        averaged.eval()
        swa(lib).update_bn(batches(lib, 3), averaged)
        assert not averaged.training
        assert averaged.module[1].momentum == 0.1
        found.append(averaged)
    assert_same_state(*found)


def test_a_saved_average_continues_and_a_copy_is_its_own():
    net = network(rg)
    averaged = rg.optim.swa_utils.AveragedModel(net)
    averaged.update_parameters(net)
    again = rg.optim.swa_utils.AveragedModel(network(rg))
    again.load_state_dict(copy.deepcopy(averaged.state_dict()))
    with rg.no_grad():
        for p in net.parameters():
            p.add_(1.0)
    again.update_parameters(net)
    assert again.n_averaged.item() == 2
    weights = (next(model.parameters()).detach() for model in (net, averaged, again))
    new, old, mean = (w.numpy() for w in weights)
    np.testing.assert_allclose(mean, (new + old) / 2)


MISTAKES = [
    lambda lib: swa(lib).get_ema_avg_fn(1.5),
    lambda lib: swa(lib).get_ema_multi_avg_fn(-0.1),
    lambda lib: swa(lib).AveragedModel(lib.nn.Linear(1, 1), avg_fn=halfway, multi_avg_fn=halfway),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_mistakes_raise_pytorchs_exceptions(number):
    ours, theirs = (raised_by(MISTAKES[number], lib) for lib in (rg, torch))
    assert_same_kind(ours, theirs)
