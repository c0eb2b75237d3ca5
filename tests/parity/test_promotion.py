"""The dtype of every mixture is PyTorch's: tensors with dimensions, tensors without, and Python's numbers."""

from __future__ import annotations

import itertools
import operator

import numpy as np
import pytest

import retrograd as rg

torch = pytest.importorskip("torch")

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
OPERATORS = [operator.add, operator.mul, operator.truediv, operator.sub, operator.eq, operator.lt]


def operands(library):
    """One operand of every kind: a vector and a scalar of each dtype, and numbers."""
    vectors = {f"{d}[2]": library.ones(2, dtype=getattr(library, d)) for d in DTYPES}
    scalars = {f"{d}[]": library.ones((), dtype=getattr(library, d)) for d in DTYPES}
    return {**vectors, **scalars, "True": True, "2": 2, "2.5": 2.5}


OURS, THEIRS = operands(rg), operands(torch)
PAIRS = [p for p in itertools.product(OURS, OURS) if not all(n in ("True", "2", "2.5") for n in p)]


def name(dtype):
    return str(dtype).rpartition(".")[2]


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_mixtures_have_pytorchs_result_type(pair):
    a, b = pair
    assert name(rg.result_type(OURS[a], OURS[b])) == name(torch.result_type(THEIRS[a], THEIRS[b]))


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_arithmetic_computes_in_that_type_or_refuses(pair):
    a, b = pair
    for compute in OPERATORS:
        try:
            wanted = compute(THEIRS[a], THEIRS[b])
        except RuntimeError as error:
            if compute is operator.sub and not MIXED_WITH_TRUTH.issuperset({kind(a), kind(b)}):
                continue
            with pytest.raises(type(error)):
                compute(OURS[a], OURS[b])
            continue
        result = compute(OURS[a], OURS[b])
        assert name(result.dtype) == name(wanted.dtype), compute
        np.testing.assert_allclose(np.asarray(result.tolist()), np.asarray(wanted.tolist()), rtol=1e-3)


def kind(operand):
    return operand.partition("[")[0]


MIXED_WITH_TRUTH = {"bool", "True", "2", "2.5"}
"""What PyTorch refuses to subtract is refused; but a bool tensor less an integer tensor is computed."""


@pytest.mark.parametrize("pair", list(itertools.product(DTYPES, DTYPES)), ids=" ".join)
def test_promote_types_is_pytorchs(pair):
    a, b = pair
    ours = rg.promote_types(getattr(rg, a), getattr(rg, b))
    assert name(ours) == name(torch.promote_types(getattr(torch, a), getattr(torch, b)))


def test_the_default_dtype_decides_what_integers_divided_become():
    try:
        rg.set_default_dtype(rg.float64)
        torch.set_default_dtype(torch.float64)
        assert name((rg.tensor([1]) / 2).dtype) == name((torch.tensor([1]) / 2).dtype) == "float64"
        assert name((rg.tensor([1]) * 2.5).dtype) == name((torch.tensor([1]) * 2.5).dtype) == "float64"
        assert name(rg.exp(rg.tensor([1])).dtype) == "float64"
    finally:
        rg.set_default_dtype(rg.float32)
        torch.set_default_dtype(torch.float32)
