"""Compiled words of the Mersenne Twister are NumPy's, and leave its generator where NumPy would."""

import copy

import numpy as np
import pytest

import retrograd as rg
from retrograd.backends import distributions, mt19937
from tests.backends.compiled.same import KERNELS, same


@pytest.mark.parametrize("before", [0, 1, 227, 623, 624, 1000])
@pytest.mark.parametrize("count", [0, 1, 3, 624, 625, 5000])
def test_words_are_those_of_the_generator(before: int, count: int) -> None:
    twister = np.random.MT19937(7)
    twister.random_raw(before)
    same(mt19937.words32, twister, count)
    same(mt19937.words64, twister, count)
    other = copy.deepcopy(twister)
    KERNELS["words32"](twister, count)
    KERNELS["words64"](twister, count)
    np.testing.assert_array_equal(twister.random_raw(700), other.random_raw(3 * count + 700)[3 * count :])


@pytest.mark.parametrize("count", [0, 1, 2, 100, 9999])
def test_a_shuffle(count: int) -> None:
    same(distributions.shuffle, np.random.MT19937(3).random_raw(count).astype("uint32"))


def test_a_seed_gives_the_same_numbers_whatever_computes() -> None:
    found = {}
    before = rg.get_kernels()
    for name in ("numpy", "numba"):
        rg.set_kernels(name)
        rg.manual_seed(5)
        drawn = [rg.rand(1000), rg.randn(33), rg.randn(5, dtype=rg.float64), rg.randperm(50), rg.randint(9, (70,))]
        rg.set_rng_state(rg.get_rng_state())
        drawn += [rg.rand(3, dtype=rg.float64), rg.bernoulli(rg.full((700,), 0.3)), rg.get_rng_state()]
        found[name] = [x.numpy() for x in drawn]
    rg.set_kernels(before)
    for one, other in zip(found["numpy"], found["numba"], strict=True):
        np.testing.assert_array_equal(one, other)


def test_of_wide_words_numpy_makes_the_shuffle() -> None:
    assert KERNELS["shuffle"](np.arange(3, dtype="uint64")) is NotImplemented
