"""The programs on arrays in JAX, each compiled as one function, the buffers of what it updates donated."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.libraries import NO_TWIN, NotApplicable
from benchmarks.libraries.jax_models import MODELS
from benchmarks.libraries.jax_training import adam, compiled, negative_log_likelihood, training
from benchmarks.programs import Program, Step
from benchmarks.programs.arrays import ADAMW, PENALTY, SCALE, SHIFT, Data, distances, elementwise

__all__ = ["program"]


def program(workload: Program) -> Step:
    """Return the step of a program that is written here."""
    if workload.kind in MODELS:
        return MODELS[workload.kind](workload)
    if workload.name not in PROGRAMS:
        raise NotApplicable(NO_TWIN)
    return PROGRAMS[workload.name]()


_chain_gradient = jax.value_and_grad(lambda x: elementwise(jnp, x, SCALE, SHIFT))
_distance_gradient = jax.value_and_grad(lambda a, b: distances(jnp, a, b), argnums=(0, 1))


def _elementwise() -> Step:
    x = jnp.asarray(Data.elementwise())
    function = compiled(_chain_gradient)
    return lambda: function(x)


def _distances() -> Step:
    a, b = map(jnp.asarray, Data.distances())
    function = compiled(_distance_gradient)
    return lambda: function(a, b)


_likelihood_gradient = jax.value_and_grad(negative_log_likelihood)


def _cross_entropy() -> Step:
    logits, targets = map(jnp.asarray, Data.cross_entropy())
    function = compiled(_likelihood_gradient)
    return lambda: function(logits, targets)


def _embedding_step(table: Any, rows: Any, targets: Any) -> tuple[Any, Any]:
    """The gradient of the looked-up rows alone, added to their places: what a user of JAX writes for speed."""
    loss, gradient = jax.value_and_grad(lambda x: jnp.mean((x - targets) ** 2))(table[rows])
    return loss, table.at[rows].add(-100.0 * gradient)


def _embedding() -> Step:
    values, *rest = Data.embedding()
    table = jnp.array(values)
    rows, targets = map(jnp.asarray, rest)
    function = compiled(_embedding_step, (0,))

    def step() -> Any:
        nonlocal table
        loss, table = function(table, rows, targets)
        return loss

    return step


def _adamw_step(parameters: Any, state: Any, gradients: Any) -> Any:
    return adam(**ADAMW).descend(parameters, gradients, state)


def _adamw() -> Step:
    values, fixed = Data.adamw()
    parameters, gradients = [jnp.array(v) for v in values], [jnp.asarray(g) for g in fixed]
    state = adam(**ADAMW).start(parameters)
    function = compiled(_adamw_step, (0, 1))

    def step() -> Any:
        nonlocal parameters, state
        parameters, state = function(parameters, state, gradients)
        return parameters[0]

    return step


def _critic(layers: Any, x: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = layers
    return jnp.tanh(jnp.tanh(x @ w1.T + b1) @ w2.T + b2) @ w3.T + b3


def _penalty_loss(layers: Any, running: Any, real: Any, fake: Any) -> Any:
    slope = jax.grad(lambda x: jnp.sum(_critic(layers, x)))((real + fake) * 0.5)
    penalty = jnp.mean((jnp.sqrt(jnp.sum(slope * slope, 1)) - 1) ** 2)
    return jnp.mean(_critic(layers, fake)) - jnp.mean(_critic(layers, real)) + PENALTY * penalty, running


def _penalty() -> Step:
    arrays, *batches = Data.penalty()
    return training(_penalty_loss, adam(1e-4, betas=(0.5, 0.9)), arrays, batches)


def _answer(layers: Any, x: Any) -> Any:
    w1, b1, w2, b2 = layers
    return jax.nn.sigmoid(x @ w1.T + b1) @ w2.T + b2


def _inference() -> Step:
    arrays, image = Data.inference()
    layers, x = [jnp.asarray(a) for a in arrays], jnp.asarray(image)
    function = compiled(_answer)
    return lambda: function(layers, x)


PROGRAMS: dict[str, Callable[[], Step]] = {
    "elementwise": _elementwise,
    "distances": _distances,
    "cross-entropy": _cross_entropy,
    "embedding": _embedding,
    "adamw": _adamw,
    "penalty": _penalty,
    "inference": _inference,
}
