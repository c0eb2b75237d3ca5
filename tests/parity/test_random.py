"""Random tensors equal PyTorch's on the CPU for the same seed, and leave the stream where PyTorch's stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import retrograd as rg

torch = pytest.importorskip("torch")

DRAWS: dict[str, Callable[[Any], Any]] = {
    "rand": lambda m: m.rand(3, 5),
    "rand of a tuple": lambda m: m.rand((40,)),
    "rand of nothing": lambda m: m.rand(0, 3),
    "rand 0-d": lambda m: m.rand(()),
    "rand float64": lambda m: m.rand(20, dtype=m.float64),
    "randn of fifteen": lambda m: m.randn(15),
    "randn of sixteen": lambda m: m.randn(16),
    "randn of a matrix": lambda m: m.randn(7, 9),
    "randn float64": lambda m: m.randn(33, dtype=m.float64),
    "randint to a bound": lambda m: m.randint(10, (30,)),
    "randint between bounds": lambda m: m.randint(-5, 5, (3, 4)),
    "randint by name": lambda m: m.randint(low=2, high=9, size=(11,), dtype=m.int32),
    "randint of floats": lambda m: m.randint(7, (5,), dtype=m.float32),
    "randperm": lambda m: m.randperm(100),
    "randperm int32": lambda m: m.randperm(9, dtype=m.int32),
    "randperm of none": lambda m: m.randperm(0),
    "normal of numbers": lambda m: m.normal(1.0, 2.0, (20,)),
    "normal of means": lambda m: m.normal(m.arange(20.0), 0.5),
    "normal of deviations": lambda m: m.normal(2.0, m.arange(1.0, 6.0)),
    "normal of both": lambda m: m.normal(m.arange(20.0), m.arange(1.0, 21.0)),
    "bernoulli": lambda m: m.bernoulli(m.linspace(0, 1, 50)),
    "bernoulli float64": lambda m: m.bernoulli(m.linspace(0, 1, 50, dtype=m.float64)),
    "bernoulli with p": lambda m: m.bernoulli(m.zeros(30), 0.3),
    "multinomial": lambda m: m.multinomial(m.tensor([1.0, 2.0, 3.0, 4.0]), 3),
    "multinomial with replacement": lambda m: m.multinomial(m.tensor([[1.0, 2.0], [3.0, 4.0]]), 9, replacement=True),
    "rand_like": lambda m: m.rand_like(m.zeros(2, 3)),
    "randn_like": lambda m: m.randn_like(m.zeros(5, 4), dtype=m.float64),
    "randint_like": lambda m: m.randint_like(m.zeros(2, 3), 9),
    "randint_like between bounds": lambda m: m.randint_like(m.zeros(2, 3), 5, 9),
    "uniform_": lambda m: m.zeros(20).uniform_(-1, 3),
    "normal_": lambda m: m.zeros(20).normal_(1, 3),
    "normal_ of few": lambda m: m.zeros(4).normal_(1, 3),
    "random_": lambda m: m.zeros(20, dtype=m.int64).random_(),
    "random_ to a bound": lambda m: m.zeros(20).random_(6),
    "random_ between bounds": lambda m: m.zeros(20, dtype=m.int32).random_(-6, 6),
    "bernoulli_": lambda m: m.zeros(20).bernoulli_(),
    "bernoulli_ with p": lambda m: m.zeros(20, dtype=m.int64).bernoulli_(0.2),
    "bernoulli_ with a tensor": lambda m: m.zeros(20).bernoulli_(m.linspace(0, 1, 20)),
    "exponential_": lambda m: m.zeros(20).exponential_(2.0),
    "geometric_": lambda m: m.zeros(20).geometric_(0.3),
    "cauchy_": lambda m: m.zeros(20).cauchy_(),
    "log_normal_": lambda m: m.zeros(20).log_normal_(),
    "uniform_ of a transposed tensor": lambda m: m.from_numpy(np.zeros((3, 5), np.float32).T).uniform_(),
    "normal_ of a transposed tensor": lambda m: m.from_numpy(np.zeros((4, 6), np.float32).T).normal_(),
    "normal_ of a strided tensor": lambda m: m.from_numpy(np.zeros((5, 12), np.float32)[:, ::2]).normal_(),
    "rand_like of a transposed tensor": lambda m: m.rand_like(m.from_numpy(np.zeros((3, 5), np.float32).T)),
    "randn_like of a transposed tensor": lambda m: m.randn_like(m.from_numpy(np.zeros((4, 6), np.float32).T)),
    "randn_like of a strided tensor": lambda m: m.randn_like(m.from_numpy(np.zeros((5, 12), np.float32)[:, ::2])),
}


def same(ours: Any, theirs: Any) -> None:
    assert ours.shape == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    tolerance = 3e-6 if ours.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
@pytest.mark.parametrize("seed", [0, 1, 2**40 + 3])
def test_a_seed_gives_pytorch_s_values(draw: Callable[[Any], Any], seed: int) -> None:
    rg.manual_seed(seed)
    torch.manual_seed(seed)
    for _ in range(2):
        same(draw(rg), draw(torch))
    np.testing.assert_array_equal(rg.get_rng_state().numpy(), torch.get_rng_state().numpy())


def test_a_generator_of_its_own_gives_pytorch_s_values() -> None:
    ours, theirs = rg.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    for draw in (
        lambda m, g: m.rand(4, generator=g),
        lambda m, g: m.randn(20, generator=g),
        lambda m, g: m.randint(5, (4,), generator=g),
        lambda m, g: m.randperm(12, generator=g),
        lambda m, g: m.bernoulli(m.full((8,), 0.5), generator=g),
        lambda m, g: m.multinomial(m.ones(5), 2, generator=g),
        lambda m, g: m.zeros(9).exponential_(generator=g),
    ):
        same(draw(rg, ours), draw(torch, theirs))
    assert ours.initial_seed() == theirs.initial_seed() == 5


def test_a_state_of_pytorch_continues_here_and_back() -> None:
    torch.manual_seed(11)
    torch.rand(7)
    rg.set_rng_state(rg.from_numpy(torch.get_rng_state().numpy()))
    same(rg.randn(5), torch.randn(5))
    torch.set_rng_state(torch.from_numpy(rg.get_rng_state().numpy()))
    same(rg.randn(5), torch.randn(5))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda m: m.rand(-1),
        lambda m: m.rand(2.5),
        lambda m: m.rand(2, dtype=m.int64),
        lambda m: m.randint(5, 5, (2,)),
        lambda m: m.randint(0, 300, (2,), dtype=m.uint8),
        lambda m: m.randperm(-1),
        lambda m: m.randperm(300, dtype=m.uint8),
        lambda m: m.normal(0.0, -1.0, (2,)),
        lambda m: m.normal(m.zeros(2), m.tensor([-1.0, 1.0])),
        lambda m: m.bernoulli(m.tensor([2.0])),
        lambda m: m.bernoulli(m.tensor([1])),
        lambda m: m.multinomial(m.tensor([-1.0, 2.0]), 1),
        lambda m: m.multinomial(m.tensor([1.0, 2.0]), 3),
        lambda m: m.multinomial(m.tensor([0.0, 0.0]), 1),
        lambda m: m.zeros(2, dtype=m.int64).uniform_(),
        lambda m: m.zeros(2).uniform_(3, 1),
        lambda m: m.zeros(2).normal_(0, -1),
        lambda m: m.zeros(2).exponential_(0),
        lambda m: m.zeros(2).geometric_(1.5),
        lambda m: m.zeros(2, requires_grad=True).normal_(),
        lambda m: m.rand(2, generator=3),
        lambda m: m.manual_seed("a"),
    ],
)
def test_the_same_mistakes_raise_the_same_type(wrong: Callable[[Any], Any]) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011  # whatever PyTorch raises
        wrong(torch)
    with pytest.raises(theirs.type):
        wrong(rg)
