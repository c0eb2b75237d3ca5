"""JAX with the whole step compiled by `jax.jit`, its buffers donated; an operation is compiled alone.

Compiled once per workload and process; compilation is not timed.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.libraries.jax_programs import program
from benchmarks.libraries.jax_training import adam, momentum, negative_log_likelihood, training
from benchmarks.machine import keep_to_cores
from benchmarks.workloads import SGD, Chain, Network, Operation

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
    return negative_log_likelihood(x, targets)


@cache
def _objective(workload: Network) -> Callable[..., Any]:
    return lambda parameters, running, *data: (_loss(workload, parameters, *data), running)


def network(workload: Network) -> Step:
    """Return the training step."""
    settings = workload.optimizer
    if isinstance(settings, SGD):
        optimizer = momentum(settings.lr, settings.momentum)
    else:
        optimizer = adam(settings.lr, (settings.beta1, settings.beta2), settings.eps)
    return training(_objective(workload), optimizer, workload.parameters(), workload.data())


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
