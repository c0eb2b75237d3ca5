"""Random programs of eight steps, run by PyTorch and by retrograd: values, gradients and second gradients.

Left out are functions whose second gradient PyTorch itself gets wrong or does not have (copysign, atan2 at the origin,
logcumsumexp, cdist).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import retrograd as rg

torch = pytest.importorskip("torch")

SHAPES = [(3, 4), (4,), (), (3, 1), (1, 4), (2, 3, 4), (3, 3), (2, 1, 1)]
STEPS: list[Callable[[Any, Any, Any], Any]] = [
    lambda T, x, y: x.sin(),
    lambda T, x, y: x.clamp(-3, 3).exp(),
    lambda T, x, y: (x * x + 0.3).log(),
    lambda T, x, y: (x * x + 0.5).rsqrt(),
    lambda T, x, y: x.clamp(-0.5, 0.8),
    lambda T, x, y: T.nn.functional.gelu(x),
    lambda T, x, y: x + y,
    lambda T, x, y: x - 2 * y,
    lambda T, x, y: x * y,
    lambda T, x, y: x / (y * y + 1),
    lambda T, x, y: (x * x + 0.5) ** y.clamp(-2, 2),
    lambda T, x, y: T.maximum(x, y),
    lambda T, x, y: T.where(x > 0.1, x * y, y),
    lambda T, x, y: T.hypot(x, y + 2.5),
    lambda T, x, y: T.addcmul(x, x, y, value=0.7),
    lambda T, x, y: x.sum(dim=-1, keepdim=True),
    lambda T, x, y: x.mean(0),
    lambda T, x, y: x.var(dim=-1, correction=0),
    lambda T, x, y: x.amax(-1),
    lambda T, x, y: (x * 0.5 + 1).prod(-1),
    lambda T, x, y: x.logsumexp(0, keepdim=True),
    lambda T, x, y: x.softmax(-1),
    lambda T, x, y: x.cumsum(0),
    lambda T, x, y: x.cumprod(-1),
    lambda T, x, y: x.sort(dim=-1).values,
    lambda T, x, y: x.median(0).values,
    lambda T, x, y: (x + 0.01).norm(dim=-1),
    lambda T, x, y: x.transpose(0, -1),
    lambda T, x, y: x.reshape(-1, 1),
    lambda T, x, y: x.expand(2, *x.shape),
    lambda T, x, y: x.flip(0).roll(1, -1),
    lambda T, x, y: T.cat([x, x * 2], dim=0),
    lambda T, x, y: T.stack([x, x.sin()], dim=-1),
    lambda T, x, y: x.unbind(0)[0] * x.unbind(0)[-1],
    lambda T, x, y: x.squeeze().tril(),
    lambda T, x, y: x.reshape(-1).repeat_interleave(2, dim=0),
    lambda T, x, y: x[..., ::2],
    lambda T, x, y: x[[0, -1, 0]],
    lambda T, x, y: x[x > x.mean()],
    lambda T, x, y: x.gather(-1, x.argsort(-1)),
    lambda T, x, y: x.masked_fill(x > 0.2, 0.3),
    lambda T, x, y: x.scatter_add(0, (x > 0).long() * 0, x.sin()),
    lambda T, x, y: x @ x.transpose(-1, -2),
    lambda T, x, y: T.einsum("...i,...i", x, x.cos()),
    lambda T, x, y: T.linalg.inv(x.tanh() @ x.tanh().transpose(-1, -2) + T.eye(x.shape[-2], dtype=x.dtype)),
    lambda T, x, y: (x * 1.0).mul_(x).add_(1.0).sin_(),
    lambda T, x, y: assigned(x * 1.0, (..., 0), x[..., -1] * 3),
    lambda T, x, y: assigned(x * 1.0, x > 0.3, 0.25),
    lambda T, x, y: x.detach() * x,
    lambda T, x, y: x * T.arange(x.shape[-1]),
    lambda T, x, y: x * (x > 0) + (x < 0.5),
    lambda T, x, y: x.float().double(),
]


def assigned(target: Any, index: Any, value: Any) -> Any:
    target[index] = value
    return target


def weights(T: Any, x: Any) -> Any:
    return T.cos(T.arange(float(x.numel()), dtype=T.float64).reshape(x.shape))


def run(T: Any, seed: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Values of all steps, and the gradients of a function of the last ones to first and second order."""
    choice = random.Random(seed)
    numbers = np.random.default_rng(seed)
    leaves = [
        T.tensor(numbers.normal(size=choice.choice(SHAPES)).tolist(), dtype=T.float64, requires_grad=True)
        for _ in range(choice.choice([2, 3]))
    ]
    pool = list(leaves)
    for _ in range(8):
        step, x, y = choice.choice(STEPS), choice.choice(pool), choice.choice(pool)
        try:
            out = step(T, x, y)
        except (RuntimeError, IndexError):  # the shapes do not fit; the other library must find so too
            pool.append(leaves[0] * 1.5)
            continue
        small = 0 < out.numel() < 200 and float(out.detach().abs().max()) < 1e3
        pool.append(out if small else leaves[0] * 0.5)
    total = sum((x * weights(T, x)).sum() for x in pool[-4:]) + (pool[-1] ** 2).sum()
    first = T.autograd.grad(total, leaves, create_graph=True, allow_unused=True)
    again = sum((g * weights(T, g)).sum() for g in first if g is not None and g.requires_grad)
    second = T.autograd.grad(again, leaves, allow_unused=True) if hasattr(again, "requires_grad") else ()
    return pool, list(first), list(second)


def plain(tensor: Any) -> Any:
    return 0.0 if tensor is None else np.asarray(tensor.detach().numpy())


@pytest.mark.parametrize("first_seed", range(0, 400, 50))
def test_random_programs_have_pytorchs_values_gradients_and_second_gradients(first_seed):
    for seed in range(first_seed, first_seed + 50):
        ours, theirs = run(rg, seed), run(torch, seed)
        for what, mine, reference in zip(("value", "gradient", "second gradient"), ours, theirs, strict=True):
            for a, b in zip(map(plain, mine), map(plain, reference), strict=True):
                scale = max(1.0, float(np.abs(b).max(initial=0)))
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * scale, err_msg=f"{what}, seed {seed}")
