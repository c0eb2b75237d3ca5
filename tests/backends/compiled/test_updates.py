"""Compiled steps of optimizers equal NumPy's, bit for bit."""

import itertools

import numpy as np
import pytest

from retrograd.backends import numpy as xp
from retrograd.backends.numba import KERNELS, updates
from tests.backends.compiled.same import FLOATS, draws, same

RATES = {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8}


@pytest.fixture(autouse=True)
def _every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "FEW", -1)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_a_step_of_adam(dtype: str, decay: float, decoupled: bool, maximize: bool) -> None:
    param, grad, mean, square, largest = draws(dtype, *[(7, 33)] * 5)
    choices = {"weight_decay": decay, "decoupled": decoupled, "maximize": maximize}
    for step, amsgrad in ((1, None), (9, np.abs(largest))):
        same(xp.adam_step, param, grad, mean, np.abs(square), amsgrad, step=step, **RATES, **choices)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_a_step_of_sgd(dtype: str, momentum: float, nesterov: bool, first: bool) -> None:
    param, grad, buffer = draws(dtype, *[(7, 33)] * 3)
    choices = {"momentum": momentum, "nesterov": nesterov, "first": first}
    for decay, dampening, maximize in itertools.product((0.0, 0.1), (0.0, 0.3), (False, True)):
        others = {"weight_decay": decay, "dampening": dampening, "maximize": maximize}
        same(xp.sgd_step, param, grad, buffer, lr=0.1, **choices, **others)
    same(xp.sgd_step, param, grad, None, lr=0.1, weight_decay=0.1)


def test_what_a_first_step_does_not_read_may_be_anything() -> None:
    param, grad, buffer = draws("float32", (9,), (9,), (9,))
    buffer[:] = np.nan
    same(xp.sgd_step, param, grad, buffer, lr=0.1, momentum=0.9, dampening=0.5, first=True)


def test_an_infinite_gradient_goes_no_further_than_in_numpy() -> None:
    param, grad, mean = draws("float64", (9,), (9,), (9,))
    grad[3] = np.inf
    param[4] = np.inf
    same(xp.sgd_step, param, grad, mean, lr=0.1, momentum=0.9)
    same(xp.adam_step, param, grad, mean, np.abs(mean), None, step=1, **RATES)


def test_sgd_on_few_elements_is_left_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert KERNELS["sgd_step"](np.ones(100), np.ones(100), None, lr=0.1) is NotImplemented
