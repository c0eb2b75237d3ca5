"""The same steps written by hand in NumPy: no graph, no tensors, derivatives worked out on paper, buffers reused.

The honest floor for anything that runs on NumPy: parameters and gradients are views of flat buffers, every array is
allocated once, every pass writes in place.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.flat import FlatParameters, update
from benchmarks.libraries.numpy_losses import bce, cross_entropy, mse, sigmoid
from benchmarks.libraries.numpy_programs import program
from benchmarks.workloads import Array, Chain, Network, Operation

__all__ = ["chain", "configure", "network", "operation", "program", "version"]

Step = Callable[[], Any]


def configure(threads: int) -> None:
    """Do nothing: NumPy's BLAS reads its thread count from the environment."""


def version() -> str:
    """Return NumPy's version."""
    return np.__version__


def chain(workload: Chain) -> Step:
    """Return the chain's step: d/dw of each group of four links, xₖ₊₁ = tanh(xₖ w + w) - w, summed on the way back."""
    start, weight = (array[()] for array in workload.operands())
    rounds = workload.links // 4
    one = np.float32(1)

    def step() -> Any:
        x = start
        w = weight
        inputs, outputs = [], []
        for _ in range(rounds):
            inputs.append(x)
            y = np.tanh(x * w + w)
            outputs.append(y)
            x = y - w
        g, gradient = one, np.float32(0)
        for x_in, y in zip(reversed(inputs), reversed(outputs), strict=True):
            inner = g * (one - y * y)
            gradient = gradient - g + inner * x_in + inner
            g = inner * w
        return x, gradient

    return step


def network(workload: Network) -> Step:
    """Return the training step of a fully connected network."""
    inputs, targets = workload.data()
    parameters = FlatParameters(workload.parameters())
    descend = update(parameters, workload.optimizer)
    weights, biases = parameters.values[::2], parameters.values[1::2]
    weight_gradients, bias_gradients = parameters.gradients[::2], parameters.gradients[1::2]
    outputs = [np.empty((workload.batch, width), np.float32) for width in workload.widths[1:]]
    cotangents = [np.empty_like(output) for output in outputs]
    activate, differentiate = ACTIVATIONS[workload.hidden]
    loss_and_cotangent = LOSSES[workload.loss](targets, outputs[-1], cotangents[-1])
    ones = np.ones(workload.batch, np.float32)
    last = len(weights) - 1
    forward = [(x, w.T, b, out) for x, w, b, out in zip([inputs, *outputs[:-1]], weights, biases, outputs, strict=True)]

    def step() -> Any:
        for index, (x, w, b, out) in enumerate(forward):
            np.matmul(x, w, out=out)
            np.add(out, b, out=out)
            if index < last:
                activate(out)
        loss = loss_and_cotangent()
        for index in range(last, -1, -1):
            g = cotangents[index]
            np.matmul(g.T, forward[index][0], out=weight_gradients[index])
            np.matmul(ones, g, out=bias_gradients[index])  # a sum over the batch, by BLAS
            if index:
                np.matmul(g, weights[index], out=cotangents[index - 1])
                differentiate(outputs[index - 1], cotangents[index - 1])
        descend()
        return loss

    return step


# The derivatives take the activation's output, which they may overwrite, and multiply the cotangent in place.
def _sigmoid_backward(y: Array, g: Array) -> None:
    np.multiply(g, y, out=g)
    np.subtract(1, y, out=y)
    np.multiply(g, y, out=g)


def _tanh_backward(y: Array, g: Array) -> None:
    np.multiply(y, y, out=y)
    np.subtract(1, y, out=y)
    np.multiply(g, y, out=g)


def _relu_backward(y: Array, g: Array) -> None:
    np.greater(y, 0, out=y, casting="unsafe")
    np.multiply(g, y, out=g)


def _in_place(ufunc: Callable[..., Any], *operands: float) -> Callable[[Array], Any]:
    return lambda x: ufunc(x, *operands, out=x)


ACTIVATIONS: dict[str, tuple[Callable[[Array], Any], Callable[[Array, Array], None]]] = {
    "sigmoid": (sigmoid, _sigmoid_backward),
    "tanh": (_in_place(np.tanh), _tanh_backward),
    "relu": (_in_place(np.maximum, 0), _relu_backward),
}


LOSSES = {"bce": bce, "cross_entropy": cross_entropy, "mse": mse}


def operation(row: Operation, backward: bool) -> Step:
    """Return one call of the operation, alone or followed by its derivative worked out by hand."""
    operands = row.operands()
    apply = row.apply
    if not backward:
        return lambda: apply(np, *operands)
    derivative = partial(DERIVATIVES[row.kind], row.cotangent())
    return lambda: derivative(apply(np, *operands), *operands)


def _index_backward(g: Array, out: Array, x: Array) -> list[Array]:
    gradient = np.zeros_like(x)
    gradient[3] = g
    return [gradient]


def _matmul_backward(g: Array, out: Array, x: Array, y: Array) -> list[Array]:
    return [g * y, g * x] if x.ndim == 1 else [g @ y.T, x.T @ g]


DERIVATIVES: dict[str, Callable[..., list[Array]]] = {
    "add": lambda g, out, x, y: [g, g],
    "mul": lambda g, out, x, y: [g * y, g * x],
    "tanh": lambda g, out, x: [g * (1 - out * out)],
    "matmul": _matmul_backward,
    "sum": lambda g, out, x: [np.broadcast_to(g, x.shape)],
    "index": _index_backward,
    "reshape": lambda g, out, x: [g.reshape(x.shape)],
}
