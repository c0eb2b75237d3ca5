"""Special functions: one line each gives all facts of the factory; the points where they are infinite."""

from __future__ import annotations

import math

import numpy as np
import pytest

import retrograd as rg
from tests.autograd.factory import each, elementwise


def bisected(function, target, low, high):
    """Where an increasing function has a value."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < target else (low, middle)
    return low


def slope(function, order):
    """A derivative by central differences of a fine grid."""

    def at(x):
        h = 1e-2
        if order == 0:
            return function(x)
        lower = slope(function, order - 1)
        # five-point stencil, Abramowitz & Stegun 25.3.6
        return (lower(x - 2 * h) - 8 * lower(x - h) + 8 * lower(x + h) - lower(x + 2 * h)) / (12 * h)

    return at


_lgamma = np.vectorize(math.lgamma, otypes=[float])

test_lgamma = elementwise(rg.lgamma, _lgamma, "positive")
test_digamma = elementwise(rg.digamma, np.vectorize(slope(math.lgamma, 1), otypes=[float]), "positive", rtol=1e-4)
test_polygamma = elementwise(
    lambda x, n: rg.polygamma(n, x),
    lambda x, n: np.vectorize(slope(math.lgamma, n + 1), otypes=[float])(x),
    "positive",
    n=each(1, 2),
    rtol=1e-3,
)
test_erfinv = elementwise(rg.erfinv, np.vectorize(lambda y: bisected(math.erf, y, -6, 6), otypes=[float]), "unit")
test_sinc = elementwise(rg.sinc, np.sinc, "away from zero")
test_xlogy = elementwise(rg.xlogy, lambda x, y: x * np.log(y), "any", "positive")
test_ldexp = elementwise(rg.ldexp, lambda x, y: x * 2.0**y, "any", "unit")


@pytest.mark.parametrize(
    ("function", "point", "value"),
    [
        (rg.lgamma, 0.0, math.inf),
        (rg.lgamma, -3.0, math.inf),
        (rg.lgamma, math.inf, math.inf),
        (rg.digamma, 0.0, -math.inf),
        (rg.digamma, -0.0, math.inf),
        (rg.digamma, -2.0, math.nan),
        (rg.erfinv, 1.0, math.inf),
        (rg.erfinv, -1.0, -math.inf),
        (rg.erfinv, 1.5, math.nan),
        (rg.sinc, 0.0, 1.0),
    ],
)
def test_a_special_function_has_its_value_at_a_special_point(function, point, value, device):
    got = function(rg.tensor([point], dtype=rg.float64, device=device)).cpu().numpy()
    np.testing.assert_array_equal(got, [value])


def test_the_divisor_and_the_multiple_of_two_numbers_multiply_to_their_product(device):
    a = rg.tensor([12, 7, 0, 100], device=device)
    b = rg.tensor([18, 3, 5, 75], device=device)
    assert rg.gcd(a, b).tolist() == [math.gcd(x, y) for x, y in [(12, 18), (7, 3), (0, 5), (100, 75)]]
    assert (rg.gcd(a, b) * rg.lcm(a, b)).tolist() == (a * b).tolist()


def test_the_step_function_takes_the_given_value_at_zero(device):
    x = rg.tensor([-2.0, 0.0, 3.0], device=device)
    assert rg.heaviside(x, rg.tensor(0.5, device=device)).tolist() == [0.0, 0.5, 1.0]
