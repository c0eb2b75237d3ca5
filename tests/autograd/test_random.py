"""One stream of random numbers for all devices."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import retrograd as rg

DRAWS = [
    lambda d: rg.rand(3, 4, device=d),
    lambda d: rg.randn(20, device=d),
    lambda d: rg.randint(0, 9, (5,), device=d),
    lambda d: rg.randperm(9, device=d),
    lambda d: rg.normal(0.0, 2.0, (5,), device=d),
    lambda d: rg.normal(rg.zeros(5, device=d), rg.ones(5, device=d)),
    lambda d: rg.bernoulli(rg.full((9,), 0.5, device=d)),
    lambda d: rg.multinomial(rg.ones(2, 5, device=d), 3),
    lambda d: rg.rand_like(rg.zeros(4, device=d)),
    lambda d: rg.zeros(9, device=d).uniform_(1, 2),
    lambda d: rg.zeros(9, device=d).normal_(),
    lambda d: rg.zeros(9, device=d).random_(5),
    lambda d: rg.zeros(9, device=d).bernoulli_(0.3),
    lambda d: rg.zeros(9, device=d).bernoulli_(rg.full((9,), 0.5, device=d)),
    lambda d: rg.zeros(9, device=d).exponential_(),
]


@pytest.mark.parametrize("draw", DRAWS)
def test_a_seed_gives_the_same_values_on_every_device(draw, device):
    rg.manual_seed(3)
    expected = draw("cpu")
    rg.manual_seed(3)
    drawn = draw(device)
    assert drawn.device.type == device.type
    assert drawn.dtype == expected.dtype
    assert drawn.tolist() == expected.tolist()


def test_the_first_uniform_numbers_of_seed_0_are_pytorch_s():
    rg.manual_seed(0)
    np.testing.assert_allclose(rg.rand(3).tolist(), [0.4962565899, 0.7682217956, 0.0884774327], rtol=1e-7)


def test_a_state_repeats_the_stream():
    state = rg.get_rng_state()
    first = rg.rand(5).tolist()
    rg.set_rng_state(state)
    assert rg.rand(5).tolist() == first


def test_a_fork_leaves_the_stream_where_it_was():
    rg.manual_seed(1)
    expected = rg.rand(3).tolist()
    rg.manual_seed(1)
    with rg.random.fork_rng():
        rg.rand(100)
    assert rg.rand(3).tolist() == expected


def test_a_generator_of_its_own_leaves_the_default_stream_alone():
    rg.manual_seed(1)
    expected = rg.rand(3).tolist()
    rg.manual_seed(1)
    own = rg.Generator().manual_seed(5)
    rg.randn(10, generator=own)
    assert rg.rand(3).tolist() == expected
    assert own.device == rg.device("cpu")


def test_a_generator_is_copied_and_pickled_where_it_stands():
    g = rg.Generator().manual_seed(2)
    rg.randn(3, generator=g)
    for twin in (copy.deepcopy(g), pickle.loads(pickle.dumps(g))):
        assert isinstance(twin, rg.Generator)
        assert rg.randn(3, generator=twin).tolist() == rg.randn(3, generator=copy.deepcopy(g)).tolist()


def test_seeds_can_be_read_back():
    assert rg.manual_seed(7) is rg.default_generator
    assert rg.initial_seed() == 7
    assert rg.seed() == rg.initial_seed()


def test_a_draw_in_place_replaces_the_value_and_its_gradient():
    x = rg.ones(3, requires_grad=True)
    y = x * 2
    y.uniform_()
    (y + x).sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


def test_a_leaf_that_requires_a_gradient_is_not_drawn_over_and_the_stream_stays():
    state = rg.get_rng_state().tolist()
    with pytest.raises(RuntimeError, match="leaf"):
        rg.ones(3, requires_grad=True).normal_()
    assert rg.get_rng_state().tolist() == state


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda: rg.rand(2, generator=3), TypeError, "rg.Generator"),
        (lambda: rg.randint(5), TypeError, "tuple"),
        (lambda: rg.normal(0.0, 1.0), TypeError, "size"),
        (lambda: rg.normal(rg.zeros(2), 1.0, (2,)), TypeError, "leave them out"),
        (lambda: rg.randperm(300, dtype=rg.uint8), RuntimeError, "299 does not fit uint8"),
        (lambda: rg.Generator("strict"), RuntimeError, "live on the cpu"),
        (lambda: rg.randint_like(rg.ones(2)), TypeError, "upper bound"),
        (lambda: rg.rand(2, out=rg.ones(2)), NotImplementedError, "out="),
        (lambda: rg.set_rng_state(rg.zeros(3, dtype=rg.uint8)), RuntimeError, "state"),
    ],
)
def test_what_cannot_be_drawn_says_why(draw, error, message):
    with pytest.raises(error, match=message):
        draw()
