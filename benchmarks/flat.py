"""Parameters and gradients as views of one flat buffer each, and the optimizers that update them in a few passes.

Used by the libraries that bring no such optimizer: NumPy by hand, HIPS autograd, MyGrad.
"""

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.workloads import SGD, Adam, Array


class FlatParameters:
    """Float32 arrays laid end to end: `values` and `gradients` are lists of views of `flat` and `flat_gradient`."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.flat = np.concatenate([array.ravel() for array in arrays])
        self.flat_gradient = np.zeros_like(self.flat)
        self.values = self._views(self.flat, arrays)
        self.gradients = self._views(self.flat_gradient, arrays)

    @staticmethod
    def _views(buffer: Array, arrays: Sequence[Array]) -> list[Array]:
        ends = np.cumsum([array.size for array in arrays])
        return [buffer[end - array.size : end].reshape(array.shape) for end, array in zip(ends, arrays, strict=True)]

    def gather(self, gradients: Sequence[Array]) -> None:
        """Copy gradients that were computed elsewhere into the flat buffer."""
        for view, gradient in zip(self.gradients, gradients, strict=True):
            view[...] = gradient


def update(parameters: FlatParameters, settings: SGD | Adam) -> Callable[[], None]:
    """Return the optimizer's step on the flat buffers; it may overwrite the gradient."""
    if isinstance(settings, Adam):
        return _adam(parameters, settings)
    return _sgd(parameters, settings)


def _sgd(parameters: FlatParameters, settings: SGD) -> Callable[[], None]:
    values, gradient = parameters.flat, parameters.flat_gradient
    lr, momentum = settings.lr, settings.momentum
    velocity = np.zeros_like(values)

    def plain() -> None:
        np.multiply(gradient, lr, out=gradient)
        np.subtract(values, gradient, out=values)

    def heavy_ball() -> None:
        np.multiply(velocity, momentum, out=velocity)
        np.add(velocity, gradient, out=velocity)
        np.multiply(velocity, lr, out=gradient)
        np.subtract(values, gradient, out=values)

    return heavy_ball if momentum else plain


def adamw(
    parameters: FlatParameters, lr: float, beta1: float, beta2: float, eps: float, decay: float
) -> Callable[[], None]:
    """Loshchilov & Hutter 2019, algorithm 2; it leaves the gradient as it is, in blocks that stay in the cache."""
    values, gradient = parameters.flat, parameters.flat_gradient
    first, second = np.zeros_like(values), np.zeros_like(values)
    block = 1 << 14
    scratch = np.empty(block, values.dtype)
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        root = (1 - beta2**steps) ** 0.5
        for start in range(0, values.size, block):
            part = slice(start, start + block)
            p, g, m, v = values[part], gradient[part], first[part], second[part]
            t = scratch[: p.size]
            np.multiply(p, 1 - lr * decay, out=p)
            np.multiply(m, beta1, out=m)
            np.multiply(g, 1 - beta1, out=t)
            np.add(m, t, out=m)
            np.multiply(g, g, out=t)
            np.multiply(t, 1 - beta2, out=t)
            np.multiply(v, beta2, out=v)
            np.add(v, t, out=v)
            np.sqrt(v, out=t)
            np.add(t, eps * root, out=t)
            np.divide(m, t, out=t)
            np.multiply(t, lr * root / (1 - beta1**steps), out=t)
            np.subtract(p, t, out=p)

    return step


def _adam(parameters: FlatParameters, settings: Adam) -> Callable[[], None]:
    """Kingma & Ba 2015, algorithm 1, its two divisions by the bias corrections folded into the scalars (section 2)."""
    values, gradient = parameters.flat, parameters.flat_gradient
    first, second, scratch = np.zeros_like(values), np.zeros_like(values), np.empty_like(values)
    beta1, beta2 = settings.beta1, settings.beta2
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        root = (1 - beta2**steps) ** 0.5
        np.multiply(gradient, gradient, out=scratch)
        np.multiply(scratch, 1 - beta2, out=scratch)
        np.multiply(second, beta2, out=second)
        np.add(second, scratch, out=second)
        np.multiply(gradient, 1 - beta1, out=gradient)
        np.multiply(first, beta1, out=first)
        np.add(first, gradient, out=first)
        np.sqrt(second, out=scratch)
        np.add(scratch, settings.eps * root, out=scratch)
        np.divide(first, scratch, out=scratch)
        np.multiply(scratch, settings.lr * root / (1 - beta1**steps), out=scratch)
        np.subtract(values, scratch, out=values)

    return step
