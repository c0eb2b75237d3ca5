"""Primitives of losses: those that need care with large numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from retrograd.autograd.ops.parts import SIMPLE, by_rows
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor
from retrograd.backends.kernels import fusable


def along(xp: Any, axis: int, kernel: Callable[..., None], *inputs: Any) -> Any:
    """The array that kernel(*inputs, out) fills along an axis: the last one of matrices that it gets by their rows."""
    shape = inputs[0].shape
    out = xp.empty(shape, dtype=inputs[0].dtype)
    if not out.size:
        return out
    if len(shape) > 1 and axis in (-1, len(shape) - 1):
        matrices = [xp.reshape(x, shape=(-1, shape[-1])) for x in (*inputs, out)]
        by_rows(xp, functools.partial(kernel, -1), *matrices, grain=SIMPLE, products=True)
    else:
        kernel(axis, *inputs, out)
    return out


@fusable
def log_softmax_along(xp: Any, x: Any, axis: int) -> Any:
    def kernel(axis: int, x: Any, out: Any) -> None:
        xp.subtract(x, xp.max(x, axis=axis, keepdims=True), out=out)
        out -= xp.log(xp.sum(xp.exp(out), axis=axis, keepdims=True))

    return along(xp, axis, kernel, x)


@fusable
def log_softmax_gradient(xp: Any, g: Any, out: Any, axis: int) -> Any:
    def kernel(axis: int, g: Any, out: Any, dx: Any) -> None:
        xp.exp(out, out=dx)
        dx *= xp.sum(g, axis=axis, keepdims=True)
        xp.subtract(g, dx, out=dx)

    return along(xp, axis, kernel, g, out)


@fusable
def softmax_along(xp: Any, x: Any, axis: int) -> Any:
    def kernel(axis: int, x: Any, out: Any) -> None:
        xp.subtract(x, xp.max(x, axis=axis, keepdims=True), out=out)
        xp.exp(out, out=out)
        out /= xp.sum(out, axis=axis, keepdims=True)

    return along(xp, axis, kernel, x)


@fusable
def softmax_gradient(xp: Any, g: Any, out: Any, axis: int) -> Any:
    def kernel(axis: int, g: Any, out: Any, dx: Any) -> None:
        xp.subtract(g, xp.sum(g * out, axis=axis, keepdims=True), out=dx)
        dx *= out

    return along(xp, axis, kernel, g, out)


@primitive(floating=True)
def log_softmax(xp: Any, x: Any, *, axis: int) -> Any:
    """log(exp x / Σ exp x), shifted by the maximum so that nothing overflows."""
    return log_softmax_along(xp, x, axis)


@log_softmax.vjp
def _(xp: Any, g: Any, out: Any, axis: int) -> Any:
    if isinstance(g, Tensor):
        return g - xp.exp(out) * xp.sum(g, axis=axis, keepdims=True)
    return log_softmax_gradient(xp, g, out, axis)


@primitive(floating=True)
def softmax(xp: Any, x: Any, *, axis: int) -> Any:
    """exp x / Σ exp x, shifted by the maximum so that nothing overflows."""
    return softmax_along(xp, x, axis)


@softmax.vjp
def _(xp: Any, g: Any, out: Any, axis: int) -> Any:
    if isinstance(g, Tensor):
        return out * (g - xp.sum(g * out, axis=axis, keepdims=True))
    return softmax_gradient(xp, g, out, axis)


@primitive(name="MseLoss")
def sum_of_squares(xp: Any, x: Any, *, mean: bool) -> Any:
    """Σ x² over all elements, or its mean."""
    return (xp.mean if mean else xp.sum)(xp.square(x))


@sum_of_squares.vjp
def _(xp: Any, g: Any, x: Any, mean: bool) -> Any:
    return x * (g * (2 / math.prod(x.shape) if mean else 2))


@primitive
def huber(xp: Any, x: Any, *, delta: float) -> Any:
    """x²/2 where |x| is below delta, else delta (|x| − delta/2): Huber 1964."""
    held = xp.clip(x, -delta, delta)
    return held * (x - 0.5 * held)


huber.vjp(lambda xp, g, x, delta: g * xp.clip(x, min=-delta, max=delta))
