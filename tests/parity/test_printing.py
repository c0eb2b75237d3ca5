"""A Tensor is written as PyTorch writes it, with `rg.` for `torch.`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import retrograd as rg

torch = pytest.importorskip("torch")

_random = np.random.RandomState(0)
F32 = np.float32

ARRAYS: dict[str, Any] = {
    "whole floats": F32([1, 2, 3]),
    "fractions": F32([1.5, 2, 100]),
    "wide range": F32([1.5, 2, 1e5]),
    "float64": np.array([1.5]),
    "0-d": np.array(3.25, F32),
    "0-d integer": np.array(7),
    "0-d bool": np.array(True),
    "0-d nan": np.array(np.nan, F32),
    "empty": np.zeros(0, F32),
    "empty float64": np.zeros(0),
    "empty matrix": np.zeros((0, 3), F32),
    "empty integer matrix": np.zeros((2, 0), np.int64),
    "not finite": F32([np.nan, 1, np.inf, -np.inf]),
    "not finite with fractions": F32([np.nan, 1.5, np.inf, -np.inf]),
    "only nan": F32([np.nan]),
    "zeros": F32([0, 0]),
    "negative zero": F32([-0.0, 1.5]),
    "large and small": F32([1e9, 1]),
    "small": F32([1e-5, 1]),
    "tiny": F32([1e-5]),
    "huge": F32([1e10]),
    "at the limit of the plain form": F32([1e8]),
    "exactly a thousand apart": F32([0.5, 500]),
    "extremes of float64": np.array([1e300, 1e-300]),
    "denormal": np.array([5e-324]),
    "integers": np.arange(5),
    "wide integers": np.arange(30) * 10000,
    "negative integers": np.array([1, -100], np.int8),
    "unsigned": np.array([1, 200], np.uint8),
    "truth values": np.array([True, False]),
    "several lines": _random.randn(30).astype(F32),
    "matrix": _random.randn(3, 4),
    "three dimensions": _random.randn(2, 3, 4).astype(F32),
    "four dimensions with long rows": _random.randn(2, 2, 3, 30).astype(F32),
    "just beyond the threshold": _random.randn(1001).astype(F32),
    "just at the threshold": _random.randn(1000).astype(F32),
    "large matrix": _random.randn(50, 50).astype(F32),
    "large in three dimensions": _random.randn(10, 11, 12),
    "many integers": np.arange(2000),
    "few long rows": _random.randn(2, 600).astype(F32),
    "many short rows": _random.randn(600, 2) > 0,
    "half": _random.randn(20).astype(np.float16),
    "all nan, shortened": np.full(1200, np.nan, F32),
    "transposed": _random.randn(40, 60).T,
}

OPTIONS: list[dict[str, Any]] = [
    {},
    {"profile": "short"},
    {"profile": "full"},
    {"precision": 2},
    {"linewidth": 40},
    {"sci_mode": True},
    {"sci_mode": False},
    {"edgeitems": 1, "threshold": 5},
    {"edgeitems": 0, "threshold": 5},
]


@pytest.fixture(autouse=True)
def _default_options() -> Iterator[None]:
    yield
    rg.set_printoptions(profile="default")
    torch.set_printoptions(profile="default")


def theirs(tensor: Any) -> str:
    return repr(tensor).replace("torch.", "rg.")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS.keys())
def test_values_are_written_as_pytorch_writes_them(array: Any, options: dict[str, Any]) -> None:
    rg.set_printoptions(**options)
    torch.set_printoptions(**options)
    ours = repr(rg.from_numpy(array))
    expected = theirs(torch.from_numpy(array))
    if "dtype=" in expected:  # "torch." is longer than "rg.": the dtype may go to a line of its own there alone
        ours, expected = " ".join(ours.split()), " ".join(expected.split())
    assert ours == expected


def test_a_leaf_that_requires_a_gradient_says_so() -> None:
    assert repr(rg.ones(2, requires_grad=True)) == theirs(torch.ones(2, requires_grad=True))


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x * x,
        lambda x: x + x,
        lambda x: x - x,
        lambda x: x / x,
        lambda x: -x,
        lambda x: x.exp(),
        lambda x: x.sum(),
        lambda x: x.mean(),
        lambda x: x.tanh(),
        lambda x: x.clone(),
        lambda x: x.double(),
        lambda x: x.reshape(2, 1),
    ],
)
def test_a_result_names_the_operation_that_made_it(compute: Any) -> None:
    ours, expected = (
        compute(rg.tensor([1.0, 2.0], requires_grad=True)),
        compute(torch.tensor([1.0, 2.0], requires_grad=True)),
    )
    assert repr(ours) == theirs(expected)


def test_str_and_repr_are_one() -> None:
    assert str(rg.tensor([1.5])) == repr(rg.tensor([1.5])) == "tensor([1.5000])"


def test_options_that_are_read_can_be_set_again() -> None:
    rg.set_printoptions(precision=7, sci_mode=True)
    options = rg.get_printoptions()
    rg.set_printoptions(profile="default")
    rg.set_printoptions(**options)
    assert repr(rg.tensor([1.0])) == "tensor([1.0000000e+00])"
