"""The programs on arrays in JAX, each compiled as one function, the buffers of what it updates donated."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.libraries import NO_TWIN, NotApplicable
from benchmarks.programs import Program, Step
from benchmarks.programs.arrays import ADAMW, PENALTY, SCALE, SHIFT, Data, distances, elementwise

__all__ = ["program"]


def program(workload: Program) -> Step:
    """Return the step of a program that is written here."""
    if workload.name not in PROGRAMS:
        raise NotApplicable(NO_TWIN)
    return PROGRAMS[workload.name]()


@cache
def _compiled(function: Callable[..., Any], donated: tuple[int, ...] = ()) -> Callable[..., Any]:
    return jax.jit(function, donate_argnums=donated)


_chain_gradient = jax.value_and_grad(lambda x: elementwise(jnp, x, SCALE, SHIFT))
_distance_gradient = jax.value_and_grad(lambda a, b: distances(jnp, a, b), argnums=(0, 1))


def _elementwise() -> Step:
    x = jnp.asarray(Data.elementwise())
    return lambda: _compiled(_chain_gradient)(x)


def _distances() -> Step:
    a, b = map(jnp.asarray, Data.distances())
    return lambda: _compiled(_distance_gradient)(a, b)


def _negative_log_likelihood(logits: Any, targets: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], axis=1))


_likelihood_gradient = jax.value_and_grad(_negative_log_likelihood)


def _cross_entropy() -> Step:
    logits, targets = map(jnp.asarray, Data.cross_entropy())
    return lambda: _compiled(_likelihood_gradient)(logits, targets)


def _embedding_step(table: Any, rows: Any, targets: Any) -> tuple[Any, Any]:
    """The gradient of the looked-up rows alone, added to their places: what a user of JAX writes for speed."""
    loss, gradient = jax.value_and_grad(lambda x: jnp.mean((x - targets) ** 2))(table[rows])
    return loss, table.at[rows].add(-100.0 * gradient)


def _embedding() -> Step:
    values, *rest = Data.embedding()
    table = jnp.array(values)
    rows, targets = map(jnp.asarray, rest)
    function = _compiled(_embedding_step, (0,))

    def step() -> Any:
        nonlocal table
        loss, table = function(table, rows, targets)
        return loss

    return step


def _adam_like(parameters: Any, gradients: Any, state: Any, lr: float, betas: Any, eps: float, decay: float) -> Any:
    """Loshchilov & Hutter 2019, algorithm 2; without decay Adam."""
    first, second, steps = state
    beta1, beta2 = betas
    steps = steps + 1
    first = [beta1 * m + (1 - beta1) * g for m, g in zip(first, gradients, strict=True)]
    second = [beta2 * v + (1 - beta2) * g * g for v, g in zip(second, gradients, strict=True)]
    rate, root = lr / (1 - beta1**steps), jnp.sqrt(1 - beta2**steps)
    moved = [
        p * (1 - lr * decay) - rate * m / (jnp.sqrt(v) / root + eps)
        for p, m, v in zip(parameters, first, second, strict=True)
    ]
    return moved, (first, second, steps)


def _zeros(parameters: list[Any]) -> Any:
    return [jnp.zeros_like(p) for p in parameters], [jnp.zeros_like(p) for p in parameters], jnp.zeros(())


def _adamw_step(parameters: Any, state: Any, gradients: Any) -> Any:
    return _adam_like(parameters, gradients, state, ADAMW["lr"], ADAMW["betas"], ADAMW["eps"], ADAMW["weight_decay"])


def _adamw() -> Step:
    values, fixed = Data.adamw()
    parameters, gradients = [jnp.array(v) for v in values], [jnp.asarray(g) for g in fixed]
    state = _zeros(parameters)
    function = _compiled(_adamw_step, (0, 1))

    def step() -> Any:
        nonlocal parameters, state
        parameters, state = function(parameters, state, gradients)
        return parameters[0]

    return step


def _critic(layers: Any, x: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = layers
    return jnp.tanh(jnp.tanh(x @ w1.T + b1) @ w2.T + b2) @ w3.T + b3


def _penalty_step(layers: Any, state: Any, real: Any, fake: Any) -> Any:
    def loss(layers: Any) -> Any:
        slope = jax.grad(lambda x: jnp.sum(_critic(layers, x)))((real + fake) * 0.5)
        penalty = jnp.mean((jnp.sqrt(jnp.sum(slope * slope, 1)) - 1) ** 2)
        return jnp.mean(_critic(layers, fake)) - jnp.mean(_critic(layers, real)) + PENALTY * penalty

    value, gradients = jax.value_and_grad(loss)(layers)
    return value, *_adam_like(layers, gradients, state, 1e-4, (0.5, 0.9), 1e-8, 0.0)


def _penalty() -> Step:
    arrays, *batches = Data.penalty()
    layers = [jnp.array(a) for a in arrays]
    real, fake = map(jnp.asarray, batches)
    state = _zeros(layers)
    function = _compiled(_penalty_step, (0, 1))

    def step() -> Any:
        nonlocal layers, state
        value, layers, state = function(layers, state, real, fake)
        return value

    return step


def _answer(layers: Any, x: Any) -> Any:
    w1, b1, w2, b2 = layers
    return jax.nn.sigmoid(x @ w1.T + b1) @ w2.T + b2


def _inference() -> Step:
    arrays, image = Data.inference()
    layers, x = [jnp.asarray(a) for a in arrays], jnp.asarray(image)
    return lambda: _compiled(_answer)(layers, x)


PROGRAMS: dict[str, Callable[[], Step]] = {
    "elementwise": _elementwise,
    "distances": _distances,
    "cross-entropy": _cross_entropy,
    "embedding": _embedding,
    "adamw": _adamw,
    "penalty": _penalty,
    "inference": _inference,
}
