"""MyGrad as its users run it, its memory guard on; updates on flat buffers."""

from collections.abc import Callable
from typing import Any

import mygrad as mg
from mygrad.nnet.activations import relu, sigmoid
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.flat import FlatParameters, update
from benchmarks.libraries import NO_TWIN, NotApplicable
from benchmarks.programs.arrays import SCALE, SHIFT, Data, distances, elementwise
from benchmarks.workloads import Array, Chain, Network, Operation, Program

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
    parameters = FlatParameters(workload.parameters())
    tensors = [mg.tensor(view, copy=False) for view in parameters.values]
    descend = update(parameters, workload.optimizer)
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

    def step() -> Any:
        for tensor in tensors:
            tensor.null_grad()
        x = inputs
        for index in range(0, len(tensors), 2):
            x = mg.matmul(x, tensors[index].T) + tensors[index + 1]
            if index + 2 < len(tensors):
                x = activate(x)
        loss = loss_of(x)
        loss.backward()
        parameters.gather([tensor.grad for tensor in tensors])
        descend()
        return loss

    return step


def program(workload: Program) -> Step:
    """Return the step of a program on arrays."""
    scale, shift = (mg.tensor(number, dtype="float32", constant=True) for number in (SCALE, SHIFT))
    if workload.name == "elementwise":
        operands = [mg.tensor(Data.elementwise())]
        return _differentiated(operands, lambda x: elementwise(mg, x, scale, shift))
    if workload.name == "distances":
        operands = [mg.tensor(points) for points in Data.distances()]
        return _differentiated(operands, lambda a, b: distances(mg, a, b))
    if workload.name == "cross-entropy":
        logits, targets = Data.cross_entropy()
        return _differentiated([mg.tensor(logits)], lambda x: softmax_crossentropy(x, targets))
    raise NotApplicable(NO_TWIN)


def _differentiated(operands: list[Any], function: Callable[..., Any]) -> Step:
    def step() -> Any:
        for operand in operands:
            operand.null_grad()
        loss = function(*operands)
        loss.backward()
        return loss, [operand.grad for operand in operands]

    return step


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
