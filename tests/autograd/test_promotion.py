"""Mixed operands: their common dtype, numbers and arrays on either side, and errors that say what to do."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg

MIXES = {
    "an integer never widens a float": (
        lambda: rg.ones(2, dtype=rg.float16) + rg.ones(2, dtype=rg.int64),
        "float16",
    ),
    "a number never widens a tensor": (lambda: rg.ones(2, dtype=rg.float16) * 2.5, "float16"),
    "a 0-d tensor never widens one with dimensions": (
        lambda: rg.ones(2) * rg.ones((), dtype=rg.float64),
        "float32",
    ),
    "a float number makes integers the default float": (lambda: rg.ones(2, dtype=rg.int8) * 2.5, "float32"),
    "a 0-d float tensor makes integers its own dtype": (
        lambda: rg.ones(2, dtype=rg.int8) * rg.ones((), dtype=rg.float64),
        "float64",
    ),
    "integers divided are floats": (lambda: rg.ones(2, dtype=rg.int8) / rg.ones(2, dtype=rg.int64), "float32"),
    "unsigned and signed meet in a wider signed": (
        lambda: rg.ones(2, dtype=rg.uint8) + rg.ones(2, dtype=rg.int8),
        "int16",
    ),
    "a number makes truth values integers": (lambda: rg.tensor([True]) + 2, "int64"),
}


@pytest.mark.parametrize(("mix", "dtype"), MIXES.values(), ids=MIXES)
def test_the_common_dtype_follows_pytorchs_categories(mix, dtype):
    assert mix().dtype == dtype


def test_gradients_come_back_in_each_operands_own_dtype(device):
    x = rg.ones(2, dtype=rg.float16, device=device, requires_grad=True)
    y = rg.ones(2, dtype=rg.float64, device=device, requires_grad=True)
    (x * y).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (rg.float16, rg.float64)


OPERANDS = {
    "an integer": 2,
    "a float": 2.0,
    "a NumPy scalar": np.float32(2),
    "a NumPy integer": np.int64(2),
    "a NumPy array": np.array([2.0, 2.0], np.float32),
}
ARITHMETIC = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
    "<": lambda a, b: a < b,
    "==": lambda a, b: a == b,
}


@pytest.mark.parametrize("operand", OPERANDS.values(), ids=OPERANDS)
@pytest.mark.parametrize("compute", ARITHMETIC.values(), ids=ARITHMETIC)
def test_numbers_and_arrays_stand_on_either_side_of_every_operator(compute, operand):
    values = np.array([3.5, -1.5], np.float32)
    x = rg.tensor(values, requires_grad=True)
    for result, wanted in (
        (compute(x, operand), compute(values, operand)),
        (compute(operand, x), compute(operand, values)),
    ):
        assert isinstance(result, rg.Tensor)
        np.testing.assert_allclose(result.detach().numpy(), wanted, rtol=1e-6)
        assert result.dtype == (bool if wanted.dtype == bool else "float32")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: rg.ones(2, 3) + rg.ones(4, 3), RuntimeError, r"add: shapes \(2, 3\) and \(4, 3\) do not broadcast"),
        (lambda: rg.tensor([True]) - rg.tensor([True]), RuntimeError, "subtract"),
        (lambda: rg.tensor([True]) - 1, RuntimeError, "logical_not"),
        (lambda: -rg.tensor([True]), RuntimeError, "negative"),
        (lambda: rg.tensor([2]) ** -1, RuntimeError, "negative integer powers"),
        (lambda: rg.tensor([2]) // 0, RuntimeError, "ZeroDivisionError"),
        (lambda: rg.tensor([2.0]) & 1, NotImplementedError, "float32"),
        (lambda: rg.tensor([2.0]) + "a", TypeError, "str 'a'"),
        (lambda: rg.tensor([2.0]) + None, TypeError, "NoneType"),
        (lambda: rg.exp(2.0), TypeError, "must be a Tensor"),
        (lambda: rg.div(rg.ones(2), 2, rounding_mode="up"), RuntimeError, "'up'"),
        (lambda: rg.add(rg.tensor([1]), 2, alpha=0.5), RuntimeError, "alpha"),
        (lambda: rg.clamp(rg.ones(2)), RuntimeError, "min"),
        (lambda: rg.where(rg.ones(2), 1, 2), RuntimeError, "boolean"),
        (lambda: rg.lerp(rg.ones(2), rg.ones(2, dtype=rg.float64), 0.5), RuntimeError, "float64"),
        (lambda: rg.isclose(rg.ones(2), rg.ones(2, dtype=rg.float64)), RuntimeError, "did not match"),
        (lambda: rg.ones(2).mean(dim=2), IndexError, "out of range"),
        (lambda: rg.ones(2, dtype=rg.int64).mean(), RuntimeError, "int64"),
        (lambda: rg.ones(2, 2).sum((0, 0)), RuntimeError, "multiple times"),
        (lambda: rg.zeros(0).max(), RuntimeError, "without elements"),
        (lambda: rg.zeros(0, 2).argmax(0), IndexError, "non-zero size"),
        (lambda: rg.ones(2).topk(3), RuntimeError, "k=3"),
        (lambda: rg.ones(2).quantile(1.5), RuntimeError, "1.5"),
    ],
)
def test_mistakes_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_number_is_not_equal_to_what_is_no_number():
    x = rg.ones(2)
    assert (x == None) is False  # noqa: E711  # the comparison itself is under test
    assert (x != "a") is True
