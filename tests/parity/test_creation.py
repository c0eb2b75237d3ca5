"""Constructors against PyTorch: values, dtypes and the types of exceptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import retrograd as rg

torch = pytest.importorskip("torch")

Call = Callable[[Any], Any]

MADE: dict[str, Call] = {
    "float": lambda m: m.tensor(1.5),
    "int": lambda m: m.tensor(3),
    "bool": lambda m: m.tensor(True),
    "list of floats": lambda m: m.tensor([1.0, 2.5]),
    "ints and floats": lambda m: m.tensor([1, 2.5]),
    "bools and ints": lambda m: m.tensor([True, 2]),
    "bools and floats": lambda m: m.tensor([True, 2.5]),
    "nested tuples": lambda m: m.tensor(((1, 2), (3, 4))),
    "empty": lambda m: m.tensor([]),
    "empty rows": lambda m: m.tensor([[], []]),
    "range": lambda m: m.tensor(range(3)),
    "array of float64": lambda m: m.tensor(np.ones(2)),
    "array of int32": lambda m: m.tensor(np.ones(2, np.int32)),
    "numpy scalar": lambda m: m.tensor(np.float64(2)),
    "numpy scalar and int": lambda m: m.tensor([np.float32(1), 2]),
    "numpy float64 and int": lambda m: m.tensor([np.float64(1), 2]),
    "numpy int32s": lambda m: m.tensor([np.int32(1), np.int32(2)]),
    "numpy int32 and int": lambda m: m.tensor([np.int32(1), 2]),
    "arrays in a list": lambda m: m.tensor(list(np.ones((2, 2)))),
    "0-d tensors": lambda m: m.tensor([m.tensor(1.0), m.tensor(2.0, dtype=m.float64)]),
    "tensors of one element": lambda m: m.tensor([m.tensor([1.0]), m.tensor([2.0])]),
    "to float16": lambda m: m.tensor([1.1, 1e9], dtype=m.float16),
    "float to int": lambda m: m.tensor([2.7, -2.7], dtype=m.int64),
    "int to bool": lambda m: m.tensor([0, 5], dtype=m.bool),
    "negative to unsigned": lambda m: m.tensor(-1, dtype=m.uint8),
    "too large for float32": lambda m: m.tensor(1e50),
    "zeros": lambda m: m.zeros(2, 3),
    "zeros 0-d": lambda m: m.zeros(()),
    "zeros of a list": lambda m: m.zeros([2]),
    "zeros of a tensor's length": lambda m: m.zeros(m.tensor(2), 3),
    "ones int": lambda m: m.ones(2, dtype=m.int64),
    "full float": lambda m: m.full((2,), 2.5),
    "full int": lambda m: m.full((2,), 2),
    "full bool": lambda m: m.full((2,), True),
    "full of a tensor": lambda m: m.full((2,), m.tensor(3.5)),
    "full truncated": lambda m: m.full((2,), 2.7, dtype=m.int64),
    "full_like truncated": lambda m: m.full_like(m.ones(2, dtype=m.int64), 2.7),
    "eye": lambda m: m.eye(3),
    "eye wide": lambda m: m.eye(2, 4, dtype=m.int32),
    "arange": lambda m: m.arange(5),
    "arange float": lambda m: m.arange(1, 2.5, 0.5),
    "arange tenths": lambda m: m.arange(0.0, 1.0, 0.1),
    "arange many": lambda m: m.arange(0, 100, 0.37),
    "arange down": lambda m: m.arange(5, 0, -2),
    "arange half": lambda m: m.arange(1, 5, dtype=m.float16),
    "arange cast": lambda m: m.arange(0.5, 4, 1, dtype=m.int64),
    "arange of tensors": lambda m: m.arange(m.tensor(1), m.tensor(4)),
    "arange by name": lambda m: m.arange(end=3),
    "arange empty": lambda m: m.arange(3, 3),
    "linspace": lambda m: m.linspace(-1, 1, 7),
    "linspace many": lambda m: m.linspace(0.1, 17.3, 101),
    "linspace float64": lambda m: m.linspace(0, 1, 11, dtype=m.float64),
    "linspace of one": lambda m: m.linspace(2, 5, 1),
    "linspace of none": lambda m: m.linspace(2, 5, 0),
    "linspace int": lambda m: m.linspace(3, -4, 7, dtype=m.int64),
    "logspace": lambda m: m.logspace(-2, 3, 9),
    "logspace base 2": lambda m: m.logspace(0, 10, 11, base=2, dtype=m.float64),
    "logspace int": lambda m: m.logspace(0, 3, 4, base=2, dtype=m.int32),
    "as_tensor": lambda m: m.as_tensor([1, 2.0]),
    "asarray of a number": lambda m: m.asarray(np.float64(3)),
    "from_numpy": lambda m: m.from_numpy(np.arange(3)),
    "zeros_like": lambda m: m.zeros_like(m.ones(2, dtype=m.int32)),
    "new_tensor": lambda m: m.ones(2).new_tensor([1, 2]),
    "new_tensor truncated": lambda m: m.ones(2, dtype=m.int32).new_tensor([1.5]),
    "new_full": lambda m: m.ones(2, dtype=m.int32).new_full((2,), 1.5),
    "new_ones": lambda m: m.ones(2).new_ones((2, 3), dtype=m.int64),
    "one_hot": lambda m: one_hot(m)(m.tensor([[0, 2], [1, 0]])),
    "one_hot with classes": lambda m: one_hot(m)(m.tensor([1]), 4),
    "one_hot of nothing": lambda m: one_hot(m)(m.tensor([], dtype=m.int64), 3),
    "one_hot 0-d": lambda m: one_hot(m)(m.tensor(1), 3),
}


def one_hot(m: Any) -> Any:
    return rg.one_hot if m is rg else torch.nn.functional.one_hot


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list")
@pytest.mark.parametrize("make", MADE.values(), ids=MADE.keys())
def test_values_and_dtypes_are_pytorch_s(make: Call) -> None:
    ours, theirs = make(rg), make(torch)
    assert ours.shape == tuple(theirs.shape)
    assert f"torch.{ours.dtype}" == str(theirs.dtype)
    one_ulp = np.finfo(ours.dtype).eps if ours.dtype.kind == "f" else 0
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=one_ulp, atol=one_ulp)


WRONG: dict[str, Call] = {
    "ragged": lambda m: m.tensor([[1, 2], [3]]),
    "string": lambda m: m.tensor("a"),
    "none": lambda m: m.tensor(None),
    "dict": lambda m: m.tensor({1: 2}),
    "set": lambda m: m.tensor({1}),
    "too large for uint8": lambda m: m.tensor(300, dtype=m.uint8),
    "nan as an integer": lambda m: m.tensor(float("nan"), dtype=m.int64),
    "tensors with several elements": lambda m: m.tensor([m.ones(2), m.ones(2)]),
    "integers with gradient": lambda m: m.tensor([1], requires_grad=True),
    "array of strings": lambda m: m.tensor(np.array(["a"])),
    "negative length": lambda m: m.zeros(-1),
    "length no integer": lambda m: m.zeros(2.5),
    "two shapes": lambda m: m.zeros((2, 3), (1,)),
    "no shape": lambda m: m.zeros(),
    "full of a vector": lambda m: m.full(2, 3),
    "full too large": lambda m: m.full((2,), 300, dtype=m.uint8),
    "negative eye": lambda m: m.eye(-1),
    "arange away from its end": lambda m: m.arange(5, 1),
    "arange without step": lambda m: m.arange(1, 5, 0),
    "arange without end": lambda m: m.arange(0, float("inf")),
    "arange of bools": lambda m: m.arange(0, 3, dtype=m.bool),
    "negative steps": lambda m: m.linspace(0, 1, -1),
    "no steps": lambda m: m.linspace(0, 3),
    "from_numpy of a list": lambda m: m.from_numpy([1]),
    "like no tensor": lambda m: m.zeros_like(3),
    "list without copy": lambda m: m.asarray([1], copy=False),
    "one_hot of floats": lambda m: one_hot(m)(m.tensor([0.0])),
    "one_hot negative": lambda m: one_hot(m)(m.tensor([-1])),
    "one_hot beyond": lambda m: one_hot(m)(m.tensor([2]), 2),
    "one_hot of nothing": lambda m: one_hot(m)(m.tensor([], dtype=m.int64)),
    "finfo of integers": lambda m: m.finfo(m.int8),
    "iinfo of floats": lambda m: m.iinfo(m.float32),
    "unknown device": lambda m: m.zeros(1, device="nowhere"),
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG.keys())
def test_mistakes_raise_pytorch_s_types(make: Call) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011  # whatever PyTorch raises
        make(torch)
    with pytest.raises(theirs.type):
        make(rg)


def test_limits_are_pytorch_s() -> None:
    for name in ("float16", "float32", "float64"):
        ours, theirs = rg.finfo(getattr(rg, name)), torch.finfo(getattr(torch, name))
        for field in ("bits", "dtype", "eps", "max", "min", "smallest_normal", "tiny", "resolution"):
            assert getattr(ours, field) == getattr(theirs, field), (name, field)
    for name in ("uint8", "int8", "int16", "int32", "int64"):
        ours, theirs = rg.iinfo(getattr(rg, name)), torch.iinfo(getattr(torch, name))
        assert (ours.min, ours.max, ours.bits, ours.dtype) == (theirs.min, theirs.max, theirs.bits, theirs.dtype)
