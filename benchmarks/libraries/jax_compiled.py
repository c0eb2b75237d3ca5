"""JAX with the whole step compiled by `jax.jit`, its buffers donated; an operation is compiled alone.

Compiled once per workload and process; compilation is not timed.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.libraries.jax_programs import program
from benchmarks.machine import keep_to_cores
from benchmarks.workloads import SGD, Adam, Chain, Network, Operation

__all__ = ["chain", "configure", "network", "operation", "program", "version", "wait"]

Step = Callable[[], Any]

ACTIVATIONS = {"tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu}


def configure(threads: int) -> None:
    """Keep JAX on the CPU and to `threads` cores, by whose number XLA sizes its thread pool: it heeds nothing else."""
    keep_to_cores(threads)
    jax.config.update("jax_platforms", "cpu")


def version() -> str:
    """Return JAX's version."""
    return str(jax.__version__)


def wait(result: Any) -> None:
    """Wait for the computation, which JAX dispatches asynchronously."""
    jax.block_until_ready(result)


@cache
def _compiled_chain(rounds: int) -> Callable[..., Any]:
    def end(w: Any, x: Any) -> Any:
        for _ in range(rounds):
            x = jnp.tanh(x * w + w) - w
        return x

    return jax.jit(jax.value_and_grad(end))


def chain(workload: Chain) -> Step:
    """Return the chain's step, compiled as one program of all its operations."""
    start, weight = (jnp.asarray(array) for array in workload.operands())
    function = _compiled_chain(workload.links // 4)
    return lambda: function(weight, start)


def _loss(workload: Network, parameters: list[Any], inputs: Any, targets: Any) -> Any:
    activate = ACTIVATIONS[workload.hidden]
    x = inputs
    for index in range(0, len(parameters), 2):
        x = x @ parameters[index].T + parameters[index + 1]
        if index + 2 < len(parameters):
            x = activate(x)
    if workload.loss == "bce":
        p = jax.nn.sigmoid(x)
        return -jnp.mean(targets * jnp.log(p) + (1 - targets) * jnp.log1p(-p))
    if workload.loss == "mse":
        return jnp.mean((x - targets) ** 2)
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x), targets[:, None], axis=1))


def _descend(settings: SGD | Adam, parameters: Any, gradients: Any, state: Any) -> tuple[Any, Any]:
    first, second, steps = state
    if isinstance(settings, SGD):
        first = [settings.momentum * m + g for m, g in zip(first, gradients, strict=True)]
        return [p - settings.lr * m for p, m in zip(parameters, first, strict=True)], (first, second, steps)
    steps = steps + 1  # Kingma & Ba 2015, algorithm 1
    first = [settings.beta1 * m + (1 - settings.beta1) * g for m, g in zip(first, gradients, strict=True)]
    second = [settings.beta2 * v + (1 - settings.beta2) * g * g for v, g in zip(second, gradients, strict=True)]
    rate = settings.lr / (1 - settings.beta1**steps)
    root = jnp.sqrt(1 - settings.beta2**steps)
    moved = [
        p - rate * m / (jnp.sqrt(v) / root + settings.eps) for p, m, v in zip(parameters, first, second, strict=True)
    ]
    return moved, (first, second, steps)


@cache
def _compiled_step(workload: Network) -> Callable[..., Any]:
    def train(parameters: Any, state: Any, inputs: Any, targets: Any) -> tuple[Any, Any, Any]:
        loss, gradients = jax.value_and_grad(lambda p: _loss(workload, p, inputs, targets))(parameters)
        return loss, *_descend(workload.optimizer, parameters, gradients, state)

    return jax.jit(train, donate_argnums=(0, 1))


def network(workload: Network) -> Step:
    """Return the training step."""
    inputs, targets = (jnp.asarray(array) for array in workload.data())
    parameters = [jnp.array(array) for array in workload.parameters()]
    stateless = isinstance(workload.optimizer, SGD)
    second = [] if stateless else [jnp.zeros_like(p) for p in parameters]
    state = ([jnp.zeros_like(p) for p in parameters], second, jnp.zeros((), jnp.float32))
    function = _compiled_step(workload)

    def step() -> Any:
        nonlocal parameters, state
        loss, parameters, state = function(parameters, state, inputs, targets)
        return loss

    return step


@cache
def _compiled_operation(row: Operation, backward: bool) -> Callable[..., Any]:
    def forward(*operands: Any) -> Any:
        return row.apply(jnp, *operands)

    def forward_and_backward(cotangent: Any, *operands: Any) -> Any:
        _, vjp = jax.vjp(forward, *operands)
        return vjp(cotangent)

    return jax.jit(forward_and_backward if backward else forward)


def operation(row: Operation, backward: bool) -> Step:
    """Return one call of the compiled operation."""
    arguments = [jnp.asarray(array) for array in ([row.cotangent()] if backward else []) + row.operands()]
    function = _compiled_operation(row, backward)
    return lambda: function(*arguments)
