"""Every program of the benchmarks compiles, and trains as it does uncompiled."""

import numpy as np
import pytest

import retrograd as rg
from benchmarks.libraries import retrograd as library
from benchmarks.libraries import retrograd_compiled as compiled
from benchmarks.worker import build
from benchmarks.workloads import WORKLOADS

STEPS = 5


def numbers(result):
    return [np.array(t.detach().numpy()) for t in (result if isinstance(result, (tuple, list)) else [result])]


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_compiled_program_gives_the_numbers_of_the_program_itself(name):
    rg.manual_seed(0)
    plain = build(library, name)
    rg.manual_seed(0)
    replayed = build(compiled, name)  # raises where it cannot be compiled
    for _ in range(STEPS):
        for expected, found in zip(numbers(plain()), numbers(replayed()), strict=True):
            if rg.get_kernels() == "numba":  # exponentials and sums in loops differ in the last places
                np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
            else:
                assert np.array_equal(expected, found)
    assert replayed.reason is None
    assert len(replayed.variants) == 1
