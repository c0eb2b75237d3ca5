"""gradcheck and gradgradcheck pass right gradients, and find every way of being wrong."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck


def inputs(device, *shapes):
    values = np.random.default_rng(1).uniform(0.5, 2, 20)
    return [
        rg.tensor(values[: int(np.prod(s))].reshape(s), dtype=rg.float64, device=device, requires_grad=True)
        for s in shapes
    ]


def with_wrong_second_derivative(x):
    y = x * x
    if y.requires_grad:
        y.register_hook(lambda g: g.detach())
    return y


WRONG = {
    "a factor of two": lambda x: x * x.detach(),
    "a missing gradient": lambda x: x.detach() * 2,
    "a gradient that is NaN": lambda x: (x - x).sqrt() + x,
}


@pytest.mark.parametrize("function", WRONG.values(), ids=WRONG)
def test_a_wrong_gradient_is_found(function, device):
    (x,) = inputs(device, (2, 3))
    with pytest.raises(GradcheckError):
        gradcheck(function, (x,))
    assert gradcheck(function, (x,), raise_exception=False) is False


def test_the_message_names_the_output_the_input_and_both_numbers():
    (x,) = inputs("cpu", (3,))
    with pytest.raises(GradcheckError, match="output 0 with respect to input 1.*\n.*numerical 2.*analytical 1"):
        gradcheck(lambda a, b: a.detach() * 0 + b + b.detach(), (rg.zeros(3, dtype=rg.float64), x))


def test_a_second_derivative_that_is_missing_is_found(device):
    (x,) = inputs(device, (2,))
    assert gradcheck(with_wrong_second_derivative, (x,))
    with pytest.raises(GradcheckError):
        gradgradcheck(with_wrong_second_derivative, (x,))
    assert gradgradcheck(with_wrong_second_derivative, (x,), raise_exception=False) is False


def test_a_backward_that_differs_between_two_passes_is_found():
    (x,) = inputs("cpu", (2,))
    noise = itertools.count()

    def unsteady(x):
        y = x * 1
        if y.requires_grad:
            y.register_hook(lambda g: g * (1 + 1e-7 * next(noise)))
        return y

    with pytest.raises(GradcheckError, match="reentrant"):
        gradcheck(unsteady, (x,))
    assert gradcheck(unsteady, (x,), nondet_tol=1e-3)


def test_every_output_and_every_input_is_checked(device):
    x, y = inputs(device, (2, 2), (2,))
    assert gradcheck(lambda a, b: (a * b, a.exp(), a > 1), (x, y))
    assert gradgradcheck(lambda a, b: (a * b, a.exp()), (x, y))
    with pytest.raises(GradcheckError, match="output 1 with respect to input 0"):
        gradcheck(lambda a, b: (a * b, a * a.detach()), (x, y))


def test_inputs_that_stand_twice_and_those_reached_by_closure_are_varied(device):
    (x,) = inputs(device, (3,))
    assert gradcheck(lambda a, b: a * b, (x, x))
    assert gradcheck(lambda _: x * x, (x,))


def test_inputs_keep_their_values_and_get_no_grad(device):
    x, y = inputs(device, (2, 3), ())
    before = [np.array(t.tolist()) for t in (x, y)]
    gradcheck(lambda a, b: a * b, (x, y))
    gradgradcheck(lambda a, b: a * b, (x, y))
    for t, old in zip((x, y), before):
        np.testing.assert_array_equal(np.array(t.tolist()), old)
        assert t.grad is None


def test_empty_and_scalar_inputs_are_checked(device):
    x, y = inputs(device, (0, 2), ())
    assert gradcheck(lambda a, b: a * b, (x, y))
    with pytest.raises(GradcheckError):
        gradcheck(lambda b: b * b.detach(), (y,))


def test_single_precision_earns_a_warning():
    x = rg.tensor([1.0], requires_grad=True)
    with pytest.warns(UserWarning, match="float64"):
        gradcheck(lambda x: x * 1, (x,), atol=1, raise_exception=False)


REFUSED = {
    "nothing to check": (lambda x: gradcheck(lambda x: x, (x.detach(),)), ValueError),
    "a result that is no tensor": (lambda x: gradcheck(lambda x: 1.0, (x,)), (ValueError, TypeError)),
    "shared memory": (lambda x: gradcheck(lambda x: x * 1, (x.detach().expand(4, 2).requires_grad_(),)), RuntimeError),
    "forward mode": (lambda x: gradcheck(lambda x: x, (x,), check_forward_ad=True), NotImplementedError),
    "batched gradients": (lambda x: gradcheck(lambda x: x, (x,), check_batched_grad=True), NotImplementedError),
    "fast mode": (lambda x: gradcheck(lambda x: x, (x,), fast_mode=True), NotImplementedError),
    "no backward mode": (lambda x: gradcheck(lambda x: x, (x,), check_backward_ad=False), NotImplementedError),
    "forward over reverse": (lambda x: gradgradcheck(lambda x: x, (x,), check_fwd_over_rev=True), NotImplementedError),
    "a function without a graph": (lambda x: gradgradcheck(lambda x: x.detach(), (x,)), ValueError),
}


@pytest.mark.parametrize(("call", "error"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_checked_is_refused(call, error):
    with pytest.raises(error):
        call(inputs("cpu", (2,))[0])


def test_given_cotangents_are_used():
    (x,) = inputs("cpu", (2,))
    cotangent = rg.tensor([1.0, 0.0], dtype=rg.float64, requires_grad=True)
    assert gradgradcheck(lambda x: x**3, (x,), cotangent)


def test_the_names_stand_in_autograd():
    assert rg.autograd.gradcheck is gradcheck
    assert rg.autograd.gradgradcheck is gradgradcheck
