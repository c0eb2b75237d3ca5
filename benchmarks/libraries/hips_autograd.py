"""HIPS autograd: functions of NumPy arrays, traced anew at every step; updates on flat buffers."""

from collections.abc import Callable
from importlib.metadata import version as installed_version
from typing import Any

import autograd
import autograd.numpy as anp
from autograd.tracer import getval

from benchmarks.flat import FlatParameters, update
from benchmarks.libraries import NO_TWIN, NotApplicable
from benchmarks.programs.arrays import SCALE, SHIFT, Data, distances, elementwise
from benchmarks.workloads import Array, Chain, Network, Operation, Program

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


def _sigmoid(x: Any) -> Any:
    return 0.5 * anp.tanh(0.5 * x) + 0.5


ACTIVATIONS = {"tanh": anp.tanh, "sigmoid": _sigmoid, "relu": lambda x: anp.maximum(x, 0)}


def network(workload: Network) -> Step:
    """Return the training step."""
    inputs, targets = workload.data()
    activate = ACTIVATIONS[workload.hidden]
    losses = {"bce": _binary_cross_entropy, "cross_entropy": _cross_entropy, "mse": _mean_square}
    criterion = losses[workload.loss](targets, workload.widths[-1])
    parameters = FlatParameters(workload.parameters())
    descend = update(parameters, workload.optimizer)

    def objective(values: list[Any]) -> Any:
        x = inputs
        for index in range(0, len(values), 2):
            x = anp.dot(x, values[index].T) + values[index + 1]
            if index + 2 < len(values):
                x = activate(x)
        return criterion(x)

    function = autograd.value_and_grad(objective)

    def step() -> Any:
        loss, gradients = function(parameters.values)
        parameters.gather(gradients)
        descend()
        return loss

    return step


def _binary_cross_entropy(targets: Array, classes: int) -> Callable[[Any], Any]:
    misses = 1 - targets

    def loss(logits: Any) -> Any:
        p = _sigmoid(logits)
        return -anp.mean(targets * anp.log(p) + misses * anp.log(1 - p))

    return loss


def _cross_entropy(targets: Array, classes: int) -> Callable[[Any], Any]:
    one_hot = anp.eye(classes, dtype="float32")[targets]  # a product; the gradient of fancy indexing is far slower

    def loss(logits: Any) -> Any:
        shifted = logits - getval(logits).max(axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(shifted), axis=1)) - anp.sum(shifted * one_hot, axis=1))

    return loss


def _mean_square(targets: Array, classes: int) -> Callable[[Any], Any]:
    def loss(outputs: Any) -> Any:
        difference = outputs - targets
        return anp.mean(difference * difference)

    return loss


def program(workload: Program) -> Step:
    """Return the step of a program on arrays."""
    if workload.name == "elementwise":
        chain = autograd.value_and_grad(lambda x: elementwise(anp, x, SCALE, SHIFT))
        return lambda: chain(Data.elementwise())
    if workload.name == "distances":
        pairs = autograd.value_and_grad(lambda points: distances(anp, *points))
        return lambda: pairs(Data.distances())
    if workload.name == "cross-entropy":
        logits, targets = Data.cross_entropy()
        loss = autograd.value_and_grad(_cross_entropy(targets, logits.shape[1]))
        return lambda: loss(logits)
    raise NotApplicable(NO_TWIN)


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
