"""Special functions against PyTorch: values at ordinary and extreme points, gradients to second order, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity.expressions import agree

inf, nan = float("inf"), float("nan")
POSITIVE = np.array([0.1, 0.5, 1.0, 1.5, 2.0, 3.7, 9.0, 25.0, 170.0])
NEGATIVE = np.array([-0.3, -1.5, -7.2, -20.9])
UNIT = np.array([-0.99, -0.5, -1e-5, 0.0, 1e-9, 0.3, 0.9, 0.999, 1 - 1e-12])


@pytest.mark.parametrize("name", ["lgamma", "digamma"])
def test_the_gamma_family_agrees_to_second_gradients_on_both_sides_of_zero(name):
    agree(f"T.{name}(x)", rtol=1e-9, x=POSITIVE)
    agree(f"x.{name}()", rtol=1e-8, x=NEGATIVE)
    agree(f"T.{name}(x)", rtol=1e-4, x=POSITIVE.astype(np.float32))
    agree(f"T.{name}(x)", rtol=1e-6, x=np.array([3, 4]))
    for point in (0.0, -0.0, inf, nan, -1.0):
        agree(f"T.{name}(x.detach())", x=np.array([point]))


def test_derivatives_of_digamma_agree():
    for n in range(4):  # PyTorch's trigamma is good to nine digits
        agree(f"T.polygamma({n}, x)", rtol=1e-8, x=POSITIVE)
        agree(f"x.polygamma({n})", rtol=1e-8, x=POSITIVE)
    agree("T.polygamma(1, x.detach())", rtol=1e-8, x=NEGATIVE)
    agree("T.polygamma(-1, x)", x=POSITIVE)
    agree("x.detach().clone().polygamma_(1)", rtol=1e-8, x=POSITIVE)
    agree("x.detach().clone().lgamma_()", rtol=1e-12, x=POSITIVE)
    agree("T.mvlgamma(x, 3)", rtol=1e-9, x=POSITIVE + 1)
    agree("T.mvlgamma(x, 0)", x=POSITIVE)


def test_the_inverse_error_function_and_sinc_agree():
    agree("T.erfinv(x)", rtol=1e-9, x=UNIT)
    agree("T.erfinv(x.detach())", x=np.array([-1.0, 1.0, 2.0, nan]))
    agree("T.erfinv(x)", rtol=1e-5, x=np.array([-0.99, -0.5, 0.0, 0.3, 0.9], np.float32))
    agree("T.sinc(x)", rtol=1e-9, x=np.array([-0.99, -0.5, 0.3, 0.9, 2.5]))
    agree("T.sinc(x.detach())", x=np.array([0.0, 1.0]))
    agree("T.sinc(x)", rtol=1e-6, x=np.array([0, 1]))


def test_xlogy_vanishes_with_its_first_operand():
    agree("T.xlogy(x, y)", rtol=1e-10, x=POSITIVE, y=POSITIVE + 1)
    agree("T.xlogy(x, y)", x=np.array([0.0, 0.0, 0.0, 1.0]), y=np.array([1.0, 2.0, 0.5, 3.0]))
    agree("T.xlogy(x.detach(), y.detach())", x=np.array([0.0, 0.0, 1.0]), y=np.array([0.0, nan, 0.0]))
    for source in ("T.xlogy(x, 2.)", "T.xlogy(2, x)", "x.xlogy(x)"):
        agree(source, x=POSITIVE)
    agree("T.xlogy(i, i)", rtol=1e-6, i=np.array([1, 2]))


def test_steps_powers_of_two_and_divisors_agree():
    agree("T.heaviside(x.detach(), y.detach())", x=np.array([0.0, -2.0, 1.0]), y=np.array([0.5, 0.5, 0.5]))
    agree("T.heaviside(i, x)", i=np.array([1, 2]), x=POSITIVE[:2])
    agree("T.ldexp(x.detach(), i)", x=POSITIVE[:3], i=np.array([1, -2, 5]))  # its gradient is 0 in PyTorch for i < 0
    agree("T.ldexp(x, y)", x=POSITIVE[:3], y=POSITIVE[:3])
    agree("T.ldexp(i, i)", i=np.array([1, 2]))
    for name in ("gcd", "lcm"):
        agree(f"T.{name}(i, j)", i=np.array([12, 0, -8, 7]), j=np.array([18, 0, 6, 0]))
        agree(f"T.{name}(i, j)", i=np.array([[12], [3]]), j=np.array([18, 9]))
        agree(f"T.{name}(x, x)", x=POSITIVE)
