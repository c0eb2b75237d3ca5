"""Helpers of the backend tests: comparison on the host, and the layouts that a function must not depend on."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends import backend_of_array

DTYPES = [np.float16, np.float32, np.float64]


def host(x: Any) -> np.ndarray[Any, Any]:
    """x on the host, whichever backend owns it."""
    return np.asarray(backend_of_array[type(x)].to_host(x))


def agree(result: Any, wanted: Any) -> None:
    """Same shape, same dtype, same values to a few units in the last place; NaN agrees with NaN."""
    actual, wanted = host(result), np.asarray(wanted)
    assert actual.shape == wanted.shape
    assert actual.dtype == wanted.dtype
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(actual, wanted)
        return
    eps = float(np.finfo(wanted.dtype).eps)
    np.testing.assert_allclose(actual.astype(float), wanted.astype(float), rtol=16 * eps, atol=4 * eps)


def layouts(a: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """The same numbers contiguous, transposed, reversed, strided, as nothing and as a single value."""
    return [a, a.T, a[::-1], a[:, ::2], a[:0], a[0, 0:1].reshape(())]
