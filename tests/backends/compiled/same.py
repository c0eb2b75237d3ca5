"""A kernel and the NumPy calls that it stands for, on the same arrays."""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from retrograd.backends import numpy as xp

KERNELS: dict[str, Callable[..., Any]] = pytest.importorskip("retrograd.backends.numba", exc_type=ImportError).KERNELS
FLOATS = ("float32", "float64")


def same(function: Callable[..., Any], *args: Any, ulps: float = 0, **kwargs: Any) -> Any:
    """Runs the kernel and the `fusable` function, asserts that what they return and what they have written agrees to
    so many units in the last place of the largest number, and returns the kernel's result."""
    kernel, plain = KERNELS[function.__name__], function.__wrapped__  # type: ignore[attr-defined]
    own, others = ([fresh(args), fresh(kwargs)] for _ in range(2))
    found = kernel(*own[0], **own[1])
    assert found is not NotImplemented, "the kernel takes these arrays"
    expected = plain(*others[0], **others[1])
    agree((found, *own), (expected, *others), ulps)
    return found


def fresh(nest: Any) -> Any:
    """A copy of nested arrays; a namespace stays the same."""
    return copy.deepcopy(nest, {id(xp): xp})


def agree(found: Any, expected: Any, ulps: float) -> None:
    if isinstance(expected, (tuple, list)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            agree(one, other, ulps)
    elif isinstance(expected, dict):
        agree(list(found.values()), list(expected.values()), ulps)
    elif isinstance(expected, np.ndarray):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        floats = expected.dtype.kind == "f"
        size = np.max(np.abs(expected[np.isfinite(expected)]), initial=0) if floats else 0
        bound = ulps * float(np.finfo(expected.dtype).eps) * float(size) if floats else 0
        np.testing.assert_allclose(found, expected, rtol=0, atol=bound, equal_nan=True)
    elif isinstance(expected, (int, float)):
        assert found == expected or (math.isnan(found) and math.isnan(expected))


def draws(dtype: str, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Standard normal arrays of these shapes, the same at every call."""
    generator = np.random.default_rng(0)
    return [generator.standard_normal(shape).astype(dtype) for shape in shapes]
