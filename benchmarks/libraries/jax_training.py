"""Training steps in JAX: loss, gradients and update compiled as one function, updated buffers donated."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.programs import Step

__all__ = ["Optimizer", "adam", "compiled", "momentum", "negative_log_likelihood", "training"]


class Optimizer(NamedTuple):
    """`start(parameters)` is the first state; `descend(parameters, gradients, state)` the next parameters and state."""

    start: Callable[[Any], Any]
    descend: Callable[[Any, Any, Any], Any]


@cache
def compiled(function: Callable[..., Any], donated: tuple[int, ...] = ()) -> Callable[..., Any]:
    """Return the function compiled, once per process."""
    return jax.jit(function, donate_argnums=donated)


@cache
def adam(
    lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0
) -> Optimizer:
    """Loshchilov & Hutter 2019, algorithm 2; without decay Adam."""
    beta1, beta2 = betas

    def start(parameters: Any) -> Any:
        return [jnp.zeros_like(p) for p in parameters], [jnp.zeros_like(p) for p in parameters], jnp.zeros(())

    def descend(parameters: Any, gradients: Any, state: Any) -> Any:
        first, second, steps = state
        steps = steps + 1
        first = [beta1 * m + (1 - beta1) * g for m, g in zip(first, gradients, strict=True)]
        second = [beta2 * v + (1 - beta2) * g * g for v, g in zip(second, gradients, strict=True)]
        rate, root = lr / (1 - beta1**steps), jnp.sqrt(1 - beta2**steps)
        moved = [
            p * (1 - lr * weight_decay) - rate * m / (jnp.sqrt(v) / root + eps)
            for p, m, v in zip(parameters, first, second, strict=True)
        ]
        return moved, (first, second, steps)

    return Optimizer(start, descend)


@cache
def momentum(lr: float, factor: float, weight_decay: float = 0.0) -> Optimizer:
    """Heavy-ball descent as torch.optim.SGD."""

    def start(parameters: Any) -> Any:
        return [jnp.zeros_like(p) for p in parameters]

    def descend(parameters: Any, gradients: Any, velocity: Any) -> Any:
        slopes = [g + weight_decay * p for p, g in zip(parameters, gradients, strict=True)]
        velocity = [factor * m + g for m, g in zip(velocity, slopes, strict=True)]
        return [p - lr * m for p, m in zip(parameters, velocity, strict=True)], velocity

    return Optimizer(start, descend)


def negative_log_likelihood(logits: Any, targets: Any) -> Any:
    """Return the mean softmax cross-entropy of logits (n, classes) and targets (n,), as Optax writes it.

    Picking from `jax.nn.log_softmax` gives the same and takes seven times as long with 10,000 classes.
    """
    right = jnp.take_along_axis(logits, targets[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - right)


@cache
def _step(loss: Callable[..., Any], optimizer: Optimizer) -> Callable[..., Any]:
    def train(parameters: Any, state: Any, running: Any, *data: Any) -> Any:
        differentiated = jax.value_and_grad(loss, has_aux=True)
        (value, running), gradients = differentiated(parameters, running, *data)
        return value, *optimizer.descend(parameters, gradients, state), running

    return train


def training(loss: Callable[..., Any], optimizer: Optimizer, arrays: Any, data: Any, averages: Any = ()) -> Step:
    """Return the step that descends along the gradient of a loss.

    `loss(parameters, running, *data)` returns its value and the new `running`: the averages that are kept beside the
    parameters without a gradient, as those of batch norm.
    """
    parameters, running = [jnp.array(array) for array in arrays], [jnp.array(array) for array in averages]
    state = optimizer.start(parameters)
    fixed = [jnp.asarray(array) for array in data]
    function = compiled(_step(loss, optimizer), (0, 1, 2))

    def step() -> Any:
        nonlocal parameters, state, running
        value, parameters, state, running = function(parameters, state, running, *fixed)
        return value

    return step
