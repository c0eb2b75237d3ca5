"""Elementwise functions against PyTorch: values at ordinary and extreme points, dtypes, gradients, what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.parity.expressions import agree

inf, nan = float("inf"), float("nan")
ORDINARY = np.array([[0.5, -0.7, 1.3], [-2.2, 0.1, 3.4]])
POSITIVE = np.array([[0.5, 0.7, 1.3], [2.2, 0.1, 3.4]])
EXTREME = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, inf, -inf, 1e30, -1e-30])
INTEGERS = np.array([[3, 0, -2], [7, 1, -5]])
TRUTH = np.array([[True, False, True], [False, True, True]])

UNARY = [
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "square", "reciprocal", "sin", "cos",
    "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "sigmoid", "erf", "erfc",
    "abs", "neg", "sign", "sgn", "floor", "ceil", "round", "trunc", "frac", "relu", "deg2rad", "rad2deg", "isnan",
    "isinf", "isfinite", "isposinf", "isneginf", "isreal", "signbit", "logical_not", "positive", "absolute",
    "negative", "fix", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "logit", "nan_to_num",
]  # fmt: skip
WIDE = {"tan", "sin", "cos"}  # of 1e30 libraries differ by their argument reduction
BINARY = [
    "add", "sub", "mul", "div", "true_divide", "floor_divide", "remainder", "fmod", "pow", "atan2", "hypot",
    "logaddexp", "logaddexp2", "copysign", "maximum", "minimum", "fmax", "fmin", "eq", "ne", "lt", "le", "gt", "ge",
    "logical_and", "logical_or", "logical_xor", "subtract", "multiply", "divide", "arctan2", "not_equal", "less",
    "less_equal", "greater", "greater_equal", "float_power",
]  # fmt: skip
BITS = ["bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift"]


NOT_REFUSED_FOR_BOOL = {"floor", "ceil", "trunc", "fix", "round", "square", "relu", "nan_to_num"}
"""These take truth values here, which PyTorch refuses (or, for square, squares in int64)."""


@pytest.mark.parametrize("name", [n for n in UNARY if n != "sgn"])  # PyTorch cannot show sgn's second gradient
def test_functions_of_one_tensor_agree_to_second_gradients(name):
    agree(f"T.{name}(x)", rtol=1e-10, x=ORDINARY)
    agree(f"x.{name}()", rtol=1e-10, x=POSITIVE)
    agree(f"T.{name}(input=x)", rtol=2e-5, x=POSITIVE.astype(np.float32))


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_tensor_agree_on_integers_and_truth_values(name):
    agree(f"T.{name}(x)", rtol=1e-6, x=INTEGERS)
    if name not in NOT_REFUSED_FOR_BOOL:
        agree(f"T.{name}(x)", rtol=1e-6, x=TRUTH)


@pytest.mark.parametrize("name", UNARY)
def test_values_and_gradients_agree_at_extreme_points(name):
    points = EXTREME[np.abs(EXTREME) < 1e20] if name in WIDE else EXTREME
    if name in ("acosh", "arccosh", "logit"):  # outside the domain, and at -0, the gradient is of no meaning
        points = [0.5, 1.0, 2.5, inf]
    for point in [*points, nan]:
        agree_to_first_order(f"T.{name}(x)", x=np.array([point]))


def agree_to_first_order(source, **values):
    """Second gradients at singular points are NaN in one library and infinite in another."""
    agree(f"first({source}, {', '.join(values)})", rtol=1e-9, **values, first=with_gradients)


def with_gradients(result, *leaves):
    """The value and the gradients, cut off from the graph."""
    if not result.requires_grad:
        return [result]
    result.sum().backward()
    return [result.detach(), *[t.grad.clone() for t in leaves if t.grad is not None]]


UNLIKE = {
    "hypot": "its gradient at the origin is 0 here and NaN there",
    "logaddexp2": "it is a composite here",
    "floor_divide": "its gradient is 0 here and refused there",
}


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_tensors_agree_to_second_gradients(name):
    cut = ".detach()" if name == "floor_divide" else ""
    for a, b in [
        (ORDINARY, POSITIVE),
        (ORDINARY, POSITIVE[:1]),
        (POSITIVE[:, :1], ORDINARY),
        (POSITIVE[0], POSITIVE[0]),
    ]:
        agree(f"T.{name}(x{cut}, y{cut})", rtol=1e-10, x=a, y=b)
        agree(f"x{cut}.{name}(y{cut})", rtol=1e-10, x=a, y=b)


@pytest.mark.parametrize("name", [n for n in BINARY if n not in UNLIKE])
def test_functions_of_two_tensors_agree_at_extreme_points(name):
    points = [0.0, -0.0, 1.0, -1.0, 2.5, -3.0, inf, -inf, nan]
    for a, b in itertools.product(points, points):
        if name == "copysign" and not np.isfinite(a):  # PyTorch divides by a
            continue
        agree_to_first_order(f"T.{name}(x, y)", x=np.array([a]), y=np.array([b]))


REFUSES_INTEGERS = {"hypot", "logaddexp", "logaddexp2"}
"""PyTorch does; here they are computed in float32."""


@pytest.mark.parametrize("name", [n for n in BINARY + BITS if n not in REFUSES_INTEGERS])
def test_functions_of_two_tensors_agree_on_integers(name):
    agree(f"T.{name}(x, y)", rtol=1e-6, x=INTEGERS, y=np.abs(INTEGERS) + 1)
    agree(f"T.{name}(x, y)", rtol=1e-6, x=INTEGERS.astype(np.int8), y=(np.abs(INTEGERS) + 1).astype(np.int16))
    agree(f"T.{name}(x, y)", rtol=1e-6, x=(np.abs(INTEGERS) + 1).astype(np.uint8), y=INTEGERS.astype(np.int32) ** 2 + 1)


VALUES = {"F": np.array([1.5, -0.5], np.float32), "D": np.array([2.5, 0.5]), "I": np.array([5, 3]),
          "U": np.array([5, 250], np.uint8), "B": np.array([True, False]), "S": np.array(2.0, np.float32),
          "E": np.zeros((0, 2))}  # fmt: skip

EXPRESSIONS = [
    # operators, with numbers on either side
    *[f"F {op} 2" for op in ("+", "-", "*", "/", "%", "**", "<", "<=", ">", ">=", "==", "!=")],
    "F.detach() // 2", "2 % F.detach()",
    *[f"2 {op} F" for op in ("+", "-", "*", "/", "**", "<", "<=", ">", ">=", "==", "!=")],
    *[f"I {op} 2" for op in ("+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>")],
    *[f"2 {op} I" for op in ("+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>")],
    *[f"I {op} 2.5" for op in ("+", "-", "*", "/", "//", "%", "**", "<", "==")],
    *[f"F {op} D" for op in ("+", "-", "*", "/", "**", "<", "==")],
    *[f"F {op} I" for op in ("+", "-", "*", "/", "**", "<", "==")],
    *[f"B {op} I" for op in ("+", "*", "/", "&", "|", "^", "==")],
    *[f"B {op} B" for op in ("+", "*", "/", "&", "|", "^", "==", "<")],
    "-F", "+F", "abs(F)", "-I", "~I", "~B", "-U", "abs(I)", "F + S", "I + S", "S + I", "I * True", "B + 2", "B + 1.5",
    "B ** 2", "I ** 0", "I ** 3", "I ** 2.0", "I ** 0.5", "F ** -1", "F ** 0", "D ** 3", "D ** 0.5", "D ** -2",
    "D ** -0.5", "D ** 1", "D ** 2", "2 ** D", "S ** 2", "2 ** S", "D ** D", "E * 2", "E + E",
    # promotion of numbers that do not fit
    "U + 300", "U + -1", "U * -1", "U - 6", "U == 300",
    # errors
    "B - B", "-B", "B - 1", "1 - B", "B // B", "B % B", "I // 0", "I % 0", "T.fmod(I, 0)", "I ** -1",
    "F & F", "F << 1", "F | 1", "F + 'a'", "F + None", "F < None", "F == None", "F == 'a'", "F != None", "F + [1, 2]",
    "F + L([1., 2., 3.])", "T.exp(2.0)", "T.exp()", "T.exp(F, 1)", "F.exp(1)", "T.mul(F)", "T.eq(F, 'a')",
    "T.pow(2, 2)",
    "T.sub(B, B)", "T.abs(B)", "T.frac(I)",
    # options
    "T.add(F, F, alpha=2)", "T.add(F, 2, alpha=0.5)", "T.add(I, I, alpha=1.5)", "T.add(F, F, alpha=True)",
    "T.add(B, B, alpha=True)", "T.sub(D, D, alpha=3)", "T.rsub(D, 1)", "T.rsub(D, 1, alpha=2)", "T.rsub(D, D)",
    "T.div(I, 2, rounding_mode='trunc')", "T.div(-I, 2, rounding_mode='trunc')", "T.div(-I, 2, rounding_mode='floor')",
    "T.div(D, 2, rounding_mode='floor')", "T.div(-D, L(2.), rounding_mode='trunc')",
    "T.div(I, F.detach(), rounding_mode='trunc')",
    "T.div(I, 2, rounding_mode='x')", "T.div(I, 0, rounding_mode='trunc')", "T.div(F, 0, rounding_mode='floor')",
    "T.true_divide(I, I)", "T.floor_divide(F.detach(), 0)", "T.remainder(3, I)", "T.remainder(D, 2)", "T.fmod(D, -2)",
    "T.pow(2, D)", "T.pow(D, 2)", "T.pow(I, 2)", "F.detach().float_power(2)", "T.float_power(2, I)",
    "T.round(D, decimals=1)", "T.round(D * 100, decimals=-1)", "T.round(I, decimals=1)", "T.round(I)",
    "T.clamp(D, 0, 1)", "T.clamp(D, min=1)", "T.clamp(D, max=1)", "T.clamp(D)", "T.clamp(I, 0.5)", "T.clamp(B, 0)",
    "T.clamp(D, L([1., 2.]))", "T.clamp(D, max=L([1., 0.]))", "T.clamp(D, D - 1, D * 0.5)", "T.clip(D, 2)",
    "T.clamp(D, 3, 1)", "T.clamp(I, L([2.5, 4.]))", "T.clamp_min(D, 2)", "T.clamp_max(D, L([1., 1.]))", "D.clamp(1)",
    "T.clamp(D, D, D)", "T.clamp(I, 4, 4)", "T.clamp(F, nan)",
    "T.where(B, D, 0)", "T.where(B, 1, 2)", "T.where(B, 1.0, 2)", "T.where(B, 1.0, I)", "T.where(B, F, D)",
    "T.where(B)",
    "T.where(B, D, D * 2)", "T.where(U, F, F)", "T.where(I, F, F)", "T.where(F, F, F)", "D.where(B, 0)",
    "D.where(B, D)",
    "T.where(B, F, 'a')", "T.where(B[:, None], D, 0.)", "T.where(L(True))", "T.where(B, E, 1)",
    "T.lerp(D, D * 2, 0.3)", "T.lerp(D, D * 2, 0.8)", "T.lerp(D, D * 2, D)", "T.lerp(F, D, 0.5)", "T.lerp(I, I, 0.5)",
    "T.lerp(D, L(1.).double(), 2)", "T.addcmul(D, D, D)", "T.addcmul(F, F, D, value=2)", "T.addcmul(D, D, L([2., 1.]))",
    "T.addcdiv(D, D, D, value=0.5)", "T.addcdiv(I, I, I)",
    "T.nan_to_num(L([nan, inf, -inf]))", "T.nan_to_num(L([nan, inf, -inf]), 1.0, posinf=2.0, neginf=3.0)",
    "T.nan_to_num(I)", "T.logit(L([0.2, 0.9, 0.5]))", "T.logit(L([0.01, 0.9, 1.2]), eps=0.1)", "T.logit(D, 0.2)",
    "T.softmax(D, 0)", "T.softmax(D[None] * L([[1.], [2.]]), -1)", "T.softmax(I, 0)",
    "T.softmax(I, 0, dtype=T.float64)",
    "T.softmax(S, 0)", "T.log_softmax(D, 0)", "T.log_softmax(D, 3)", "T.log_softmax(S, -1)", "T.softmax(E, 1)",
    "T.softmax(E, 0)", "D.softmax(dim=-1)", "D.log_softmax(0, dtype=T.float32)", "T.log_softmax(D * 1000, 0)",
    "T.isclose(F, F + 1e-9)", "T.isclose(F, D)", "T.isclose(I, I + 1, atol=2)",
    "T.isclose(L([nan, inf]), L([nan, inf]))",
    "T.isclose(L([nan]), L([nan]), equal_nan=True)", "T.isclose(L([inf, 1.]), L([-inf, inf]))", "T.isclose(B, B)",
    "T.isclose(F, F, rtol=-1)", "T.allclose(F, F)", "T.allclose(F, D)", "T.allclose(D, D + 1e-3)",
    "D.allclose(D, 0, 0)",
    "T.equal(F, F)", "T.equal(F, I)", "T.equal(F, 1.5)", "T.equal(F, L([1.5]))", "F.equal(F + 1)", "T.equal(E, E)",
    "T.logical_and(F, I)", "T.logical_not(I)", "T.logical_xor(B, F)", "T.bitwise_and(I, 1)", "T.bitwise_and(1, I)",
    "T.bitwise_not(B)", "T.bitwise_left_shift(I, 1)", "T.signbit(I)", "T.copysign(I, -1)", "T.copysign(D, -1)",
    "T.atan2(I, I)", "T.hypot(F, D)", "T.logaddexp(F, D)", "T.maximum(I, F)", "T.fmax(I, F)", "T.minimum(B, B)",
    "T.deg2rad(I)", "T.positive(B)", "T.sgn(I)", "T.sigmoid(B)", "T.eq(I, 5.0)", "T.gt(F, 1)", "I.eq(5)", "I.ne(I)",
    "T.where(T.isnan(L([nan, 1.])), 0., 1.)",
]  # fmt: skip


@pytest.mark.parametrize("source", EXPRESSIONS)
def test_expressions_give_what_pytorch_gives(source):
    agree(source, rtol=1e-6, **VALUES, nan=nan, inf=inf)


MASKED = {
    "where": "T.where(x > 0, x.sqrt(), 0.)",
    "clamp": "T.clamp(x, min=0).sqrt()",
    "relu": "T.relu(x).sqrt()",
    "abs": "T.where(x > 0, x, 0.).abs()",
    "maximum": "T.maximum(x, T.zeros_like(x)).sqrt()",
}


@pytest.mark.parametrize("source", MASKED.values(), ids=MASKED)
def test_an_infinite_gradient_of_what_was_masked_out_vanishes_as_in_pytorch(source):
    agree_to_first_order(source, x=np.array([-1.0, 4.0]))


def test_absolute_values_of_masked_nan_pass_no_gradient():
    agree_to_first_order("T.where(x == x, x.abs(), 0.)", x=np.array([nan, -3.0]))
