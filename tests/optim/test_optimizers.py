"""Optimizers: what they change, remember and refuse."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.optim import SGD, Adam, AdamW


def quadratic(device="cpu", sizes=((3,), (2, 2), (100, 100))):
    rng = np.random.default_rng(0)
    return [nn.Parameter(rg.tensor(rng.normal(size=s).astype(np.float32), device=device)) for s in sizes]


@pytest.mark.parametrize("make", [lambda p: SGD(p, lr=0.1, momentum=0.9), lambda p: Adam(p, lr=0.1), AdamW])
def test_every_device_takes_the_same_steps(device, make):
    ours, reference = quadratic(device), quadratic()
    for params in (ours, reference):
        optimizer = make(params)
        for _ in range(5):
            optimizer.zero_grad()
            sum((p * p).sum() for p in params).backward()
            optimizer.step()
    for p, q in zip(ours, reference, strict=True):
        np.testing.assert_allclose(p.detach().cpu().numpy(), q.detach().numpy(), rtol=1e-5, atol=1e-6)
        assert p.device == rg.device(device)


def test_aliases_of_a_parameter_see_its_steps():
    params = quadratic()
    aliases = [p.detach() for p in params]
    optimizer = SGD(params, lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        sum(p.sum() for p in params).backward()
        optimizer.step()
    for p, alias in zip(params, aliases, strict=True):
        assert alias.tolist() == p.tolist()


def test_a_step_between_forward_and_backward_is_noticed():
    weight = nn.Parameter(rg.ones(2))
    optimizer = SGD([weight], lr=0.1)
    weight.grad = rg.ones(2)
    loss = (weight * weight).sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"changed in place .* by SGD.step"):
        loss.backward()


def test_state_shows_the_tensors_of_each_parameter():
    params = quadratic()
    optimizer = Adam(params)
    sum((p * p).sum() for p in params).backward()
    optimizer.step()
    for p in params:
        assert optimizer.state[p]["exp_avg"].shape == p.shape
        np.testing.assert_allclose(optimizer.state[p]["exp_avg"].numpy(), 0.1 * p.grad.numpy(), rtol=1e-5)


def test_settings_may_be_tensors_and_change_between_steps():
    weight = nn.Parameter(rg.zeros(1))
    optimizer = SGD([weight], lr=rg.tensor(0.5))
    weight.grad = rg.ones(1)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 2.0
    optimizer.step()
    assert weight.item() == -2.5


def test_a_model_that_moves_to_another_dtype_keeps_training():
    net = nn.Linear(3, 1)
    optimizer = Adam(net.parameters(), lr=0.1)
    for dtype in (rg.float32, rg.float64):
        net.to(dtype)
        for _ in range(3):
            optimizer.zero_grad()
            (net(rg.ones(2, 3, dtype=dtype)) ** 2).sum().backward()
            optimizer.step()
    assert optimizer.state[net.weight]["exp_avg"].dtype == rg.float64
    assert optimizer.state[net.weight]["step"] == 6


def test_zero_grad_removes_or_zeroes():
    weight = nn.Parameter(rg.ones(2))
    optimizer = SGD([weight], lr=0.1)
    weight.grad = grad = rg.ones(2)
    optimizer.zero_grad(set_to_none=False)
    assert grad.tolist() == [0.0, 0.0] == weight.grad.tolist()
    optimizer.zero_grad()
    assert weight.grad is None


def test_gradients_may_be_zeroed_between_the_forward_and_the_backward_pass():
    weight = nn.Parameter(rg.ones(2))
    optimizer = SGD([weight], lr=0.5)
    for _ in range(2):
        loss = (weight * weight).sum()
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
    assert weight.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("optimizer", [SGD, Adam, AdamW])
@pytest.mark.parametrize("option", ["foreach", "differentiable", "fused", "capturable"])
def test_options_that_are_not_supported_are_refused(optimizer, option):
    if option == "capturable" and optimizer is SGD:
        with pytest.raises(TypeError):
            SGD([nn.Parameter(rg.ones(1))], capturable=True)
        return
    with pytest.raises(NotImplementedError, match=option):
        optimizer([nn.Parameter(rg.ones(1))], **{option: True})


@pytest.mark.parametrize("setting", ["lr", "momentum", "weight_decay"])
def test_nan_settings_are_refused(setting):
    with pytest.raises(ValueError, match="Invalid"):
        SGD([nn.Parameter(rg.ones(1))], **{"lr": 0.1, setting: float("nan")})


def test_a_state_that_does_not_fit_changes_nothing():
    weight = nn.Parameter(rg.ones(2))
    optimizer = Adam([weight], lr=0.5)
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match="2 parameters, not 1"):
        optimizer.load_state_dict({"state": {}, "param_groups": [{"params": [0, 1], "lr": 1.0}]})
    assert optimizer.state_dict() == before


def test_an_optimizer_of_ones_own_needs_only_a_step():
    class SignDescent(rg.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        @rg.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    state["calls"] = state.get("calls", 0) + 1
                    p.sub_(group["lr"] * p.grad.sign())

    weight = nn.Parameter(rg.tensor([3.0, -3.0]))
    optimizer = SignDescent([weight], lr=1.0)
    (weight * weight).sum().backward()
    optimizer.step()
    assert weight.tolist() == [2.0, -2.0]
    assert optimizer.state_dict()["state"] == {0: {"calls": 1}}


@pytest.mark.parametrize("make", [lambda p: SGD(p, lr=0.1), AdamW, rg.optim.RMSprop])
def test_the_number_of_threads_does_not_change_a_step(make):
    ends, before = [], rg.get_num_threads()
    try:
        for threads in (1, 2):
            rg.set_num_threads(threads)
            params = quadratic(sizes=((1, 70_000), (300, 400), (10_000,), (200_000,)))
            params[1].data = params[1].detach().T  # its elements are not one after the other
            optimizer = make(params)
            for _ in range(2):
                optimizer.zero_grad()
                sum((p * p).sum() for p in params).backward()
                optimizer.step()
            ends.append([p.detach().numpy() for p in params])
    finally:
        rg.set_num_threads(before)
    for one, two in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, two)
