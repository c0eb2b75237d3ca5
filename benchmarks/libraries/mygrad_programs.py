"""The programs in MyGrad, of its own layers where it has them; updates on flat buffers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu, sigmoid
from mygrad.nnet.layers import conv_nd, max_pool
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.flat import FlatParameters, update
from benchmarks.libraries import NotApplicable
from benchmarks.programs import Program, Step, images, sequences
from benchmarks.programs.arrays import SCALE, SHIFT, Data, distances, elementwise
from benchmarks.workloads import SGD, Adam, Array

__all__ = ["program", "training"]

Taken = Iterator[Any]
"""Parameters, taken in the order of the modules."""


def program(workload: Program) -> Step:
    """Return the step of a program that the library can do."""
    if workload.kind in LACKING:
        raise NotApplicable(LACKING[workload.kind])
    return PROGRAMS[workload.kind](**workload.sizes)


def training(objective: Callable[[Sequence[Any]], Any], arrays: Sequence[Array], optimizer: SGD | Adam) -> Step:
    """Return the step that descends along the gradient of `objective(parameters)`."""
    parameters = FlatParameters(arrays)
    tensors = [mg.tensor(view, copy=False) for view in parameters.values]
    descend = update(parameters, optimizer)

    def step() -> Any:
        for tensor in tensors:
            tensor.null_grad()
        loss = objective(tensors)
        loss.backward()
        parameters.gather([tensor.grad for tensor in tensors])
        descend()
        return loss

    return step


def _differentiated(operands: Sequence[Any], function: Callable[..., Any]) -> Step:
    def step() -> Any:
        for operand in operands:
            operand.null_grad()
        loss = function(*operands)
        loss.backward()
        return loss, [operand.grad for operand in operands]

    return step


def _elementwise() -> Step:
    scale, shift = (mg.tensor(number, dtype="float32", constant=True) for number in (SCALE, SHIFT))
    return _differentiated([mg.tensor(Data.elementwise())], lambda x: elementwise(mg, x, scale, shift))


def _distances() -> Step:
    return _differentiated([mg.tensor(points) for points in Data.distances()], lambda a, b: distances(mg, a, b))


def _cross_entropy() -> Step:
    logits, targets = Data.cross_entropy()
    return _differentiated([mg.tensor(logits)], lambda x: softmax_crossentropy(x, targets))


def _embedding() -> Step:
    table, rows, targets = Data.embedding()

    def objective(values: Sequence[Any]) -> Any:
        difference = values[0][rows] - targets
        return mg.mean(difference * difference)

    return training(objective, [table], SGD(100.0))


def _linear(p: Taken, x: Any) -> Any:
    return mg.matmul(x, next(p).T) + next(p)


def _inference() -> Step:
    arrays, x = Data.inference()
    tensors = [mg.tensor(array) for array in arrays]

    def step() -> Any:
        p = iter(tensors)
        with mg.no_autodiff:
            return _linear(p, sigmoid(_linear(p, x)))

    return step


def _convolved(p: Taken, x: Any, padding: int = 0) -> Any:
    """Convolution, ReLU, maximum of squares 2×2."""
    x = conv_nd(x, next(p), stride=1, padding=padding) + next(p).reshape(-1, 1, 1)
    return max_pool(relu(x), (2, 2), 2)


def _lenet() -> Step:
    pictures, labels = images.batch(*images.MNIST)

    def objective(values: Sequence[Any]) -> Any:
        p = iter(values)
        x = _convolved(p, _convolved(p, pictures, padding=2)).reshape(len(labels), -1)
        return softmax_crossentropy(_linear(p, relu(_linear(p, relu(_linear(p, x))))), labels)

    return training(objective, images.Parameters.lenet(), SGD(0.01, 0.9))


def _two_convolutions() -> Step:
    pictures, labels = images.batch(*images.MNIST)

    def objective(values: Sequence[Any]) -> Any:
        p = iter(values)
        x = _convolved(p, _convolved(p, pictures, padding=1), padding=1).reshape(len(labels), -1)
        return softmax_crossentropy(_linear(p, relu(_linear(p, x))), labels)

    return training(objective, images.Parameters.two_convolutions(), Adam(1e-3))


def _char_lstm(steps: int = 64, batch: int = 32) -> Step:
    inputs, targets = sequences.text(steps, batch)

    def objective(values: Sequence[Any]) -> Any:
        embedding, from_inputs, from_states, bias, further_bias, weight, offset = values
        width = from_states.shape[1]
        both = bias + further_bias
        h = c = np.zeros((batch, width), np.float32)
        states = []
        for characters in inputs:
            gates = mg.matmul(embedding[characters], from_inputs.T) + mg.matmul(h, from_states.T) + both
            i, f, g, o = (gates[:, start : start + width] for start in range(0, 4 * width, width))
            c = sigmoid(f) * c + sigmoid(i) * mg.tanh(g)
            h = sigmoid(o) * mg.tanh(c)
            states.append(h)
        logits = mg.matmul(mg.concatenate(states), weight.T) + offset
        return softmax_crossentropy(logits, targets.ravel())

    return training(objective, sequences.Parameters.char_lstm(), Adam(2e-3))


PROGRAMS: dict[str, Callable[..., Step]] = {
    "elementwise": _elementwise,
    "distances": _distances,
    "cross-entropy": _cross_entropy,
    "embedding": _embedding,
    "inference": _inference,
    "lenet": _lenet,
    "two-conv": _two_convolutions,
    "lstm": _char_lstm,
}
LACKING = {
    "resnet8": "its convolution refuses a stride that leaves a remainder",
    "transformer": "no erf, which GELU needs",
    "penalty": "first order only",
    "adamw": "no optimizers",
}
