"""MyGrad as its users run it, its memory guard on; updates on flat buffers."""

from collections.abc import Callable, Sequence
from typing import Any

import mygrad as mg
from mygrad.nnet.activations import relu, sigmoid
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.libraries.mygrad_programs import program, training
from benchmarks.workloads import Array, Chain, Network, Operation

__all__ = ["chain", "configure", "network", "operation", "program", "version"]

Step = Callable[[], Any]

ACTIVATIONS = {"tanh": mg.tanh, "sigmoid": sigmoid, "relu": relu}


def configure(threads: int) -> None:
    """Do nothing: NumPy's BLAS reads its thread count from the environment."""


def version() -> str:
    """Return MyGrad's version."""
    return str(mg.__version__)


def chain(workload: Chain) -> Step:
    """Return the chain's step."""
    start, weight = workload.operands()
    first = mg.tensor(start, constant=True)
    w = mg.tensor(weight)
    rounds = workload.links // 4

    def step() -> Any:
        w.null_grad()
        x = first
        for _ in range(rounds):
            x = x * w
            x = x + w
            x = mg.tanh(x)
            x = x - w
        x.backward()
        return x, w.grad

    return step


def network(workload: Network) -> Step:
    """Return the training step."""
    inputs, targets = workload.data()
    activate = ACTIVATIONS[workload.hidden]
    misses = 1 - targets  # of the binary loss
    one = mg.tensor(1, dtype="float32", constant=True)  # a bare 1 becomes an int64 tensor, then all float64

    def loss_of(x: Any) -> Any:
        if workload.loss == "cross_entropy":
            return softmax_crossentropy(x, targets)
        if workload.loss == "mse":
            difference = x - targets
            return mg.mean(difference * difference)
        p = sigmoid(x)
        return -mg.mean(targets * mg.log(p) + misses * mg.log(one - p))

    def objective(parameters: Sequence[Any]) -> Any:
        x = inputs
        for index in range(0, len(parameters), 2):
            x = mg.matmul(x, parameters[index].T) + parameters[index + 1]
            if index + 2 < len(parameters):
                x = activate(x)
        return loss_of(x)

    return training(objective, workload.parameters(), workload.optimizer)


def operation(row: Operation, backward: bool) -> Step:
    """Return one call of the operation."""
    operands = [mg.tensor(array) for array in row.operands()]
    if not backward:
        return lambda: row.apply(mg, *operands)
    cotangent: Array = row.cotangent()

    def step() -> Any:
        for operand in operands:
            operand.null_grad()
        row.apply(mg, *operands).backward(cotangent)
        return [operand.grad for operand in operands]

    return step
