"""Elementwise functions: one line each gives all facts of the factory."""

from __future__ import annotations

import math

import numpy as np

import retrograd as rg
from tests.autograd.factory import each, elementwise

_erf = np.vectorize(math.erf, otypes=[float])
_erfc = np.vectorize(math.erfc, otypes=[float])

# ---- arithmetic
test_add = elementwise(rg.add, lambda x, y, alpha: x + alpha * y, "any", "any", alpha=each(1, 2.5))
test_sub = elementwise(rg.sub, lambda x, y, alpha: x - alpha * y, "any", "any", alpha=each(1, -2))
test_rsub = elementwise(rg.rsub, lambda x, y: y - x, "any", "any")
test_mul = elementwise(rg.mul, np.multiply, "any", "any")
test_div = elementwise(rg.div, np.divide, "any", "away from zero")
test_div_rounded = elementwise(
    rg.div,
    lambda x, y, rounding_mode: getattr(np, rounding_mode)(x / y),
    "any",
    "away from zero",
    rounding_mode=each("floor", "trunc"),
)
test_true_divide = elementwise(rg.true_divide, np.divide, "any", "away from zero")
test_floor_divide = elementwise(rg.floor_divide, np.floor_divide, "any", "away from zero")
test_remainder = elementwise(rg.remainder, np.remainder, "any", "positive")
test_fmod = elementwise(rg.fmod, np.fmod, "any", "positive")
test_pow = elementwise(rg.pow, np.power, "positive", "any", repeated=True)
test_pow_with_a_number = elementwise(
    rg.pow, lambda x, exponent: x**exponent, "positive", exponent=each(2, 3, -1, 0, 1, 0.5, 2.7, -2)
)
test_pow_of_a_number = elementwise(lambda y, x: rg.pow(x, y), lambda y, x: np.power(x, y), x=each(2, 0.5))
test_neg = elementwise(rg.neg, np.negative)
test_positive = elementwise(rg.positive, np.positive)
test_abs = elementwise(rg.abs, np.abs, "away from zero")
test_sign = elementwise(rg.sign, np.sign, "away from zero")
test_square = elementwise(rg.square, np.square)
test_reciprocal = elementwise(rg.reciprocal, np.reciprocal, "away from zero")

# ---- powers and logarithms
test_exp = elementwise(rg.exp, np.exp)
test_exp2 = elementwise(rg.exp2, np.exp2)
test_expm1 = elementwise(rg.expm1, np.expm1)
test_log = elementwise(rg.log, np.log, "positive")
test_log2 = elementwise(rg.log2, np.log2, "positive")
test_log10 = elementwise(rg.log10, np.log10, "positive")
test_log1p = elementwise(rg.log1p, np.log1p, "positive")
test_sqrt = elementwise(rg.sqrt, np.sqrt, "positive")
test_rsqrt = elementwise(rg.rsqrt, lambda x: 1 / np.sqrt(x), "positive")
test_logaddexp = elementwise(rg.logaddexp, np.logaddexp, "any", "any")
test_logaddexp2 = elementwise(rg.logaddexp2, np.logaddexp2, "any", "any")

# ---- trigonometric and hyperbolic
test_sin = elementwise(rg.sin, np.sin)
test_cos = elementwise(rg.cos, np.cos)
test_tan = elementwise(rg.tan, np.tan, "unit")
test_asin = elementwise(rg.asin, np.arcsin, "unit")
test_acos = elementwise(rg.acos, np.arccos, "unit")
test_atan = elementwise(rg.atan, np.arctan)
test_sinh = elementwise(rg.sinh, np.sinh)
test_cosh = elementwise(rg.cosh, np.cosh)
test_tanh = elementwise(rg.tanh, np.tanh)
test_asinh = elementwise(rg.asinh, np.arcsinh)
test_acosh = elementwise(rg.acosh, np.arccosh, "above one")
test_atanh = elementwise(rg.atanh, np.arctanh, "unit")
test_atan2 = elementwise(rg.atan2, np.arctan2, "away from zero", "away from zero")
test_hypot = elementwise(rg.hypot, np.hypot, "away from zero", "away from zero")
test_deg2rad = elementwise(rg.deg2rad, np.deg2rad)
test_rad2deg = elementwise(rg.rad2deg, np.rad2deg)

# ---- of probability
test_sigmoid = elementwise(rg.sigmoid, lambda x: 1 / (1 + np.exp(-x)))
test_erf = elementwise(rg.erf, lambda x: _erf(x).reshape(x.shape))
test_erfc = elementwise(rg.erfc, lambda x: _erfc(x).reshape(x.shape))
test_logit = elementwise(rg.logit, lambda x: np.log(x / (1 - x)), "probability")
test_logit_held_off_the_ends = elementwise(
    rg.logit, lambda x, eps: np.log(np.clip(x, eps, 1 - eps) / (1 - np.clip(x, eps, 1 - eps))), "probability", eps=0.3
)
test_relu = elementwise(rg.relu, lambda x: np.maximum(x, 0), "away from zero")
test_softmax = elementwise(
    rg.softmax,
    lambda x, dim: np.exp(x) / np.exp(x).sum(dim, keepdims=True),
    shapes=[(2, 3), (3,), (2, 0), (2, 2, 2)],
    dim=each(0, -1),
)
test_log_softmax = elementwise(
    rg.log_softmax,
    lambda x, dim: x - np.log(np.exp(x).sum(dim, keepdims=True)),
    shapes=[(2, 3), (3,), (2, 0), (2, 2, 2)],
    dim=each(0, -1),
)

# ---- rounding
test_floor = elementwise(rg.floor, np.floor, "between integers")
test_ceil = elementwise(rg.ceil, np.ceil, "between integers")
test_trunc = elementwise(rg.trunc, np.trunc, "between integers")
test_frac = elementwise(rg.frac, lambda x: x - np.trunc(x), "between integers")
test_round = elementwise(
    rg.round, np.round, "between integers", decimals=each(0, 2, -1), dtypes=(np.float32, np.float64)
)

# ---- choosing
test_maximum = elementwise(rg.maximum, np.maximum, "any", "positive")
test_minimum = elementwise(rg.minimum, np.minimum, "any", "positive")
test_fmax = elementwise(rg.fmax, np.fmax, "any", "positive")
test_fmin = elementwise(rg.fmin, np.fmin, "any", "positive")
test_copysign = elementwise(rg.copysign, np.copysign, "away from zero", "away from zero")
test_clamp_by_numbers = elementwise(
    rg.clamp,
    lambda x, min, max: np.clip(x, min, max),
    "between integers",
    min=each(-1, 0.1),
    max=each(2, 0.5),
)
test_clamp_min = elementwise(rg.clamp_min, np.maximum, "any", "positive")
test_clamp_max = elementwise(rg.clamp_max, np.minimum, "any", "positive")
test_clamp_by_tensors = elementwise(rg.clamp, lambda x, low, high: np.clip(x, low, high), "any", "unit", "positive")
test_where = elementwise(rg.where, np.where, "booleans", "any", "any", repeated=False)
test_lerp = elementwise(rg.lerp, lambda x, y, w: x + w * (y - x), "any", "any", "probability")
test_lerp_by_a_number = elementwise(
    rg.lerp, lambda x, y, weight: x + weight * (y - x), "any", "any", weight=each(0.3, 2)
)
test_addcmul = elementwise(
    rg.addcmul, lambda x, y, z, value: x + value * y * z, "any", "any", "any", value=each(1, -0.5)
)
test_addcdiv = elementwise(
    rg.addcdiv, lambda x, y, z, value: x + value * y / z, "any", "any", "away from zero", value=each(1, -0.5)
)
test_nan_to_num = elementwise(rg.nan_to_num, np.nan_to_num)

# ---- truth values and bits
PREDICATES = {"repeated": True, "gradients": False}
test_eq = elementwise(rg.eq, np.equal, "integers", "integers", **PREDICATES)
test_ne = elementwise(rg.ne, np.not_equal, "any", "any", **PREDICATES)
test_lt = elementwise(rg.lt, np.less, "any", "any", **PREDICATES)
test_le = elementwise(rg.le, np.less_equal, "any", "any", **PREDICATES)
test_gt = elementwise(rg.gt, np.greater, "any", "any", **PREDICATES)
test_ge = elementwise(rg.ge, np.greater_equal, "any", "any", **PREDICATES)
test_isnan = elementwise(rg.isnan, np.isnan, gradients=False)
test_isinf = elementwise(rg.isinf, np.isinf, gradients=False)
test_isfinite = elementwise(rg.isfinite, np.isfinite, gradients=False)
test_isposinf = elementwise(rg.isposinf, np.isposinf, gradients=False)
test_isneginf = elementwise(rg.isneginf, np.isneginf, gradients=False)
test_isreal = elementwise(rg.isreal, np.isreal, gradients=False)
test_signbit = elementwise(rg.signbit, np.signbit, gradients=False)
test_isclose = elementwise(rg.isclose, np.isclose, "any", "any", **PREDICATES)
test_logical_and = elementwise(rg.logical_and, np.logical_and, "booleans", "integers", gradients=False)
test_logical_or = elementwise(rg.logical_or, np.logical_or, "booleans", "booleans", gradients=False)
test_logical_xor = elementwise(rg.logical_xor, np.logical_xor, "any", "booleans", gradients=False)
test_logical_not = elementwise(rg.logical_not, np.logical_not, "booleans", gradients=False)
test_bitwise_and = elementwise(rg.bitwise_and, np.bitwise_and, "integers", "integers", **PREDICATES)
test_bitwise_or = elementwise(rg.bitwise_or, np.bitwise_or, "integers", "booleans", gradients=False)
test_bitwise_xor = elementwise(rg.bitwise_xor, np.bitwise_xor, "integers", "integers", **PREDICATES)
test_bitwise_not = elementwise(rg.bitwise_not, np.invert, "integers", gradients=False)
test_bitwise_left_shift = elementwise(rg.bitwise_left_shift, np.left_shift, "integers", "naturals", gradients=False)
test_bitwise_right_shift = elementwise(rg.bitwise_right_shift, np.right_shift, "integers", "naturals", gradients=False)
