"""HIPS autograd: functions of NumPy arrays, traced anew at every step; updates on flat buffers."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version as installed_version
from typing import Any

import autograd
import autograd.numpy as anp

from benchmarks.flat import update
from benchmarks.libraries.hips_programs import program
from benchmarks.libraries.hips_training import cross_entropy, mean_square, sigmoid, training
from benchmarks.workloads import Array, Chain, Network, Operation

__all__ = ["chain", "configure", "network", "operation", "program", "version"]

Step = Callable[[], Any]


def configure(threads: int) -> None:
    """Do nothing: NumPy's BLAS reads its thread count from the environment."""


def version() -> str:
    """Return HIPS autograd's version."""
    return installed_version("autograd")


def chain(workload: Chain) -> Step:
    """Return the chain's step."""
    start, weight = (array[()] for array in workload.operands())
    rounds = workload.links // 4

    def end(w: Any) -> Any:
        x = start
        for _ in range(rounds):
            x = x * w
            x = x + w
            x = anp.tanh(x)
            x = x - w
        return x

    function = autograd.value_and_grad(end)
    return lambda: function(weight)


ACTIVATIONS = {"tanh": anp.tanh, "sigmoid": sigmoid, "relu": lambda x: anp.maximum(x, 0)}


def network(workload: Network) -> Step:
    """Return the training step."""
    inputs, targets = workload.data()
    activate = ACTIVATIONS[workload.hidden]
    criterion = _criterion(workload, targets)

    def objective(values: list[Any]) -> Any:
        x = inputs
        for index in range(0, len(values), 2):
            x = anp.dot(x, values[index].T) + values[index + 1]
            if index + 2 < len(values):
                x = activate(x)
        return criterion(x)

    return training(objective, workload.parameters(), partial(update, settings=workload.optimizer))


def _criterion(workload: Network, targets: Array) -> Callable[[Any], Any]:
    if workload.loss == "cross_entropy":
        return cross_entropy(targets, workload.widths[-1])
    return mean_square(targets) if workload.loss == "mse" else _binary_cross_entropy(targets)


def _binary_cross_entropy(targets: Array) -> Callable[[Any], Any]:
    misses = 1 - targets

    def loss(logits: Any) -> Any:
        p = sigmoid(logits)
        return -anp.mean(targets * anp.log(p) + misses * anp.log(1 - p))

    return loss


def operation(row: Operation, backward: bool) -> Step:
    """Return one traced call of the operation; opening the trace, which every use of the library does, is included."""
    operands = [_scalar_or_array(array) for array in row.operands()]
    cotangent = _scalar_or_array(row.cotangent())
    trace = autograd.make_vjp(lambda *xs: row.apply(anp, *xs), argnum=0 if row.arity == 1 else tuple(range(row.arity)))
    if not backward:
        return lambda: trace(*operands)[1]

    def step() -> Any:
        vjp, _ = trace(*operands)
        return vjp(cotangent)

    return step


def _scalar_or_array(array: Array) -> Any:
    return array[()] if array.ndim == 0 else array
