"""Activation functions that are more than one elementary function: one node each, with PyTorch's subgradients."""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor


@primitive
def leaky_relu(xp: Any, x: Any, *, slope: float) -> Any:
    """x where it is positive, else slope · x."""
    return xp.where(x > 0, x, slope * x)


leaky_relu.vjp(lambda xp, g, x, slope: xp.where(x > 0, g, slope * g))


@primitive
def elu(xp: Any, x: Any, *, alpha: float, scale: float, inner: float) -> Any:
    """scale · x where it is positive, else scale · alpha · (exp(inner · x) − 1). ELU: Clevert et al. 2016, eq. 15."""
    return scale * xp.where(x > 0, x, alpha * xp.expm1(inner * xp.clip(x, None, 0)))


@elu.vjp
def _(xp: Any, g: Any, x: Any, alpha: float, scale: float, inner: float) -> Any:
    falling = xp.exp(inner * xp.where(x < 0, x, 0.0))
    return (scale * g) * xp.where(x > 0, 1.0, (alpha * inner) * falling)


@primitive
def softplus(xp: Any, x: Any, *, beta: float, threshold: float) -> Any:
    """log(1 + exp(beta · x)) / beta; x itself where beta · x exceeds the threshold."""
    return xp.where(beta * x > threshold, x, xp.log1p(xp.exp(xp.clip(beta * x, None, threshold))) / beta)


@softplus.vjp
def _(xp: Any, g: Any, x: Any, beta: float, threshold: float) -> Any:
    scaled = beta * x
    curved = xp.where(scaled < threshold, scaled, threshold)  # PyTorch's second derivative is 0 from there on
    return g * xp.where(scaled > threshold, 1.0, xp.sigmoid(curved))


@primitive
def log_sigmoid(xp: Any, x: Any) -> Any:
    """log σ(x), without overflow at either end."""
    return xp.clip(x, None, 0) - xp.log1p(xp.exp(-xp.abs(x)))


log_sigmoid.vjp(lambda xp, g, x: g * xp.sigmoid(-x))


@primitive(name="Gelu", residuals=("slope",))
def gelu(xp: Any, x: Any) -> Any:
    """x Φ(x), Φ the normal distribution function. Hendrycks & Gimpel 2016, eq. 1. The slope costs little more."""
    return xp.gelu(x)


@gelu.vjp
def _(xp: Any, g: Any, x: Any, slope: Any) -> Any:
    if isinstance(x, Tensor):  # the gradient is recorded, so the slope must depend on x
        below = 0.5 * xp.erf(x * math.sqrt(0.5)) + 0.5
        slope = below + x * (math.sqrt(0.5 / math.pi) * xp.exp(-0.5 * (x * x)))
    return g * slope


@primitive(name="Gelu")
def gelu_tanh(xp: Any, x: Any) -> Any:
    """GELU's approximation by tanh. Hendrycks & Gimpel 2016, section 2."""
    return 0.5 * x * (1 + xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))


@gelu_tanh.vjp
def _(xp: Any, g: Any, x: Any) -> Any:
    square = x * x
    tanh = xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (square * x)))
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * square)
    return 0.5 * g * (1 + tanh + x * (1 - tanh * tanh) * slope)


@primitive
def hardtanh(xp: Any, x: Any, *, low: float, high: float) -> Any:
    """x held between two numbers; unlike clip's, its gradient is 0 at both ends."""
    return xp.clip(x, low, high)


hardtanh.vjp(lambda xp, g, x, low, high: xp.where((x > low) & (x < high), g, 0.0))


@primitive
def hardsigmoid(xp: Any, x: Any) -> Any:
    """x/6 + 1/2, held between 0 and 1."""
    return xp.clip(x + 3, 0, 6) / 6


hardsigmoid.vjp(lambda xp, g, x: xp.where((x > -3) & (x < 3), g / 6, 0.0))


@primitive
def hardswish(xp: Any, x: Any) -> Any:
    """x · hardsigmoid(x). Howard et al. 2019, section 5.2."""
    return x * (xp.clip(x + 3, 0, 6) / 6)


hardswish.vjp(lambda xp, g, x: g * xp.where(x <= -3, 0.0, xp.where(x < 3, x / 3 + 0.5, 1.0)))


@primitive
def threshold(xp: Any, x: Any, *, threshold: float, value: float) -> Any:
    """x where it exceeds the threshold, else the value."""
    return xp.where(x > threshold, x, value)


threshold.vjp(lambda xp, g, x, threshold: xp.where(x > threshold, g, 0.0))


@primitive
def hardshrink(xp: Any, x: Any, *, lambd: float) -> Any:
    """x outside of [−lambd, lambd], 0 inside."""
    return xp.where((x >= -lambd) & (x <= lambd), 0.0, x)


hardshrink.vjp(lambda xp, g, x, lambd: xp.where((x >= -lambd) & (x <= lambd), 0.0, g))


@primitive
def softshrink(xp: Any, x: Any, *, lambd: float) -> Any:
    """x moved towards 0 by lambd, 0 where it would pass it."""
    return x - xp.clip(x, -lambd, lambd)


softshrink.vjp(lambda xp, g, x, lambd: xp.where((x >= -lambd) & (x <= lambd), 0.0, g))
