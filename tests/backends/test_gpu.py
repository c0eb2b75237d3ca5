"""What only a GPU can show: its arithmetic, atomics, streams and neighbours. The conformance tests run there too."""

from __future__ import annotations

import math

import numpy as np
import pytest

from retrograd.backends import Device, backend_of, flags
from tests.strict_cupy.plugin import has_gpu

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not has_gpu(), reason="no NVIDIA GPU with CuPy on this machine")]


@pytest.fixture
def cuda():
    return backend_of("cuda")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_kernels_are_accurate_on_the_gpu(cuda, dtype):
    a = np.linspace(-9, 9, 2001).astype(dtype)
    eps = float(np.finfo(dtype).eps)
    for function, wanted in (
        (cuda.erf, math.erf),
        (cuda.erfc, math.erfc),
        (cuda.sigmoid, lambda v: 1 / (1 + math.exp(-v))),
    ):
        exact = [wanted(float(v)) for v in a]
        tiny = float(np.finfo(dtype).smallest_normal)
        np.testing.assert_allclose(
            cuda.to_host(function(cuda.from_host(a))).astype(float), exact, rtol=8 * eps, atol=tiny
        )


def test_deterministic_scattered_sums_repeat_bit_for_bit(cuda, rng):
    rows = cuda.from_host(rng.integers(0, 50, size=100_000))
    values = cuda.from_host(rng.normal(size=(100_000, 8)).astype(np.float32))
    start = cuda.zeros((50, 8), dtype=np.float32)
    flags.use_deterministic_algorithms(True)
    try:
        results = [cuda.to_host(cuda.index_add(start, rows, values)) for _ in range(3)]
    finally:
        flags.use_deterministic_algorithms(False)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])
    np.testing.assert_allclose(results[0], cuda.to_host(cuda.index_add(start, rows, values)), rtol=1e-3, atol=1e-3)


def test_the_last_of_many_duplicates_wins(cuda):
    x = cuda.zeros((3,), dtype=np.float32)
    values = np.arange(30_000, dtype=np.float32)
    cuda.setitem(x, cuda.from_host(np.arange(30_000) % 3), cuda.from_host(values))
    assert cuda.to_host(x).tolist() == [29_997.0, 29_998.0, 29_999.0]


def test_an_index_out_of_range_raises_when_index_arrays_are_checked(cuda):
    with pytest.raises(IndexError):
        cuda.getitem(cuda.ones(3), cuda.asarray([3]))


def test_arrays_are_made_on_the_selected_gpu(cuda):
    if cuda.device_count() < 2:
        pytest.skip("this machine has one GPU")
    with Device("cuda:1"):
        assert cuda.device_index(cuda.zeros(2)) == 1
    assert cuda.device_index(cuda.zeros(2)) == 0
