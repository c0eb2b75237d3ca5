"""The error function for NumPy arrays, which NumPy lacks.

float64, and erfc in every dtype: the rational approximations of W. J. Cody, "Rational Chebyshev approximations for the
error function", Math. Comp. 23 (1969), 631-637, in its three intervals and with its coefficients.
float32 erf, which GELU is made of: one rational function of degree (5, 5) in x^2 for |x| < 3.92, fitted to erf(x)/x for
least relative error (2e-8) by iteratively reweighted least squares. In float32 its rounding brings the error to 4e-7;
it takes a sixth of the time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["erf", "erfc"]

Array = Any

# |x| <= 0.46875: erf(x) = x R(x^2), numerator and denominator from the highest power down.
_SMALL_P = (
    1.85777706184603153e-1,
    3.16112374387056560e0,
    1.13864154151050156e2,
    3.77485237685302021e2,
    3.20937758913846947e3,
)
_SMALL_Q = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
# 0.46875 <= x <= 4: erfc(x) = exp(-x^2) R(x).
_MIDDLE_P = (
    2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1, 2.98635138197400131e2,
    8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3,
)  # fmt: skip
_MIDDLE_Q = (
    1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
    3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
)  # fmt: skip
# x >= 4: erfc(x) = exp(-x^2)/x (1/sqrt(pi) - x^-2 R(x^-2)).
_TAIL_P = (
    1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
    1.60837851487422766e-2, 6.58749161529837803e-4,
)  # fmt: skip
_TAIL_Q = (
    1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
    2.33520497626869185e-3,
)  # fmt: skip
_INVERSE_SQRT_PI = 5.6418958354775628695e-1
_VANISHES = 26.65  # erfc is below the smallest float64 from here on


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Horner's rule, from the highest power down."""
    value = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        value *= x
        value += coefficient
    return value


def _erf_small(x: Array) -> Array:
    square = x * x
    return x * (_polynomial(square, _SMALL_P) / _polynomial(square, _SMALL_Q))


def _exp_of_minus_square(x: Array) -> Array:
    """exp(-x^2), with x split so that the rounding of x^2 is not magnified (Cody's program CALERF does the same)."""
    coarse = np.trunc(x * 16.0) / 16.0
    return np.exp(-coarse * coarse) * np.exp(-(x - coarse) * (x + coarse))


def _erfc_large(x: Array) -> Array:
    """erfc for x > 0.46875, a one-dimensional float64 array."""
    result = np.zeros_like(x)
    middle = x <= 4.0
    part = x[middle]
    result[middle] = _exp_of_minus_square(part) * (_polynomial(part, _MIDDLE_P) / _polynomial(part, _MIDDLE_Q))
    tail = (x > 4.0) & (x < _VANISHES)
    part = x[tail]
    inverse = 1.0 / (part * part)
    ratio = inverse * (_polynomial(inverse, _TAIL_P) / _polynomial(inverse, _TAIL_Q))
    result[tail] = _exp_of_minus_square(part) * ((_INVERSE_SQRT_PI - ratio) / part)
    return result


def _by_interval(x: Array, complement: bool) -> Array:
    """erf or erfc of a float64 array of any shape; NaN stays NaN."""
    shape = np.shape(x)
    flat = np.reshape(x, -1)
    magnitude = np.abs(flat)
    result = np.full_like(flat, np.nan)
    small = magnitude <= 0.46875
    value = _erf_small(flat[small])
    result[small] = 1.0 - value if complement else value
    large = magnitude > 0.46875
    part = flat[large]
    value = _erfc_large(magnitude[large])
    if complement:
        result[large] = np.where(part < 0, 2.0 - value, value)
    else:
        result[large] = np.copysign(1.0 - value, part)
    return result.reshape(shape)


# |x| <= 3.92, above which erf is 1 in float32: erf(x) = x R(x^2).
_FLOAT32_P = (
    2.050112399e-06, 2.848791297e-04, 3.765465909e-03, 5.274826148e-02, 1.904029796e-01, 1.128379146e00,
)  # fmt: skip
_FLOAT32_Q = (
    3.809178512e-05, 1.162498397e-03, 1.496891617e-02, 1.141076693e-01, 5.020729892e-01, 1.0,
)  # fmt: skip
_FLOAT32_END = 3.92
_PIECE = 1 << 13  # elements: what the polynomials touch stays in the first-level cache


def _erf_float32(x: Array) -> Array:
    flat = x.reshape(-1)
    result = np.empty_like(flat)
    for start in range(0, flat.size, _PIECE):
        part = np.minimum(np.maximum(flat[start : start + _PIECE], -_FLOAT32_END), _FLOAT32_END)
        square = part * part
        part *= _polynomial(square, _FLOAT32_P)
        part /= _polynomial(square, _FLOAT32_Q)
        np.minimum(part, 1.0, out=part)
        np.maximum(part, -1.0, out=result[start : start + _PIECE])
    return result.reshape(x.shape)


def erf(x: Array) -> Array:
    """The error function in x's dtype (integers give float64)."""
    if x.dtype.char in "ef":
        return _erf_float32(x.astype(np.float32, copy=False)).astype(x.dtype, copy=False)[()]
    return _in_float64(x, complement=False)


def erfc(x: Array) -> Array:
    """1 - erf(x) in x's dtype, with full relative accuracy in the tail."""
    return _in_float64(x, complement=True)


def _in_float64(x: Array, complement: bool) -> Array:
    result = _by_interval(np.asarray(x, dtype=np.float64), complement)
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    return result.astype(dtype, copy=False)[()]
