"""Activation functions. `inplace=True` writes the result over the input."""

from __future__ import annotations

import math
import warnings
from functools import partial
from typing import Any

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.methods.arithmetic import hardshrink, prelu
from retrograd.autograd.methods.random import default_generator
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.autograd.view import overwrite

__all__ = [
    "celu",
    "celu_",
    "elu",
    "elu_",
    "gelu",
    "glu",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "leaky_relu",
    "leaky_relu_",
    "log_softmax",
    "logsigmoid",
    "maxout",
    "mish",
    "prelu",
    "relu",
    "relu_",
    "relu6",
    "rrelu",
    "rrelu_",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
]

SELU_ALPHA = 1.6732632423543772848170429916717  # Klambauer et al. 2017, eq. 14
SELU_SCALE = 1.0507009873554804934193349852946


def finished(input: Tensor, out: Tensor, inplace: bool, name: str) -> Tensor:
    """The result, written over the input if that was asked for."""
    return overwrite(input, out, name) if inplace else out


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)."""
    out: Tensor = ops.relu(input)
    return overwrite(input, out, "relu_") if inplace else out


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(−x))."""
    return ops.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """(exp x − exp −x) / (exp x + exp −x) = 2 σ(2x) − 1."""
    return ops.tanh(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where it is positive, else negative_slope · x (Maas et al. 2013)."""
    return finished(input, ops.leaky_relu(input, slope=negative_slope), inplace, "leaky_relu_")


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """x where it is positive, else a · x, a drawn uniformly from lower to upper in training, else their mean.

    Xu et al. 2015, section 2.4. One number is drawn for every x ≤ 0, on the host: the same seed gives PyTorch's slopes
    on every device, at the price of waiting for the device. Raises RuntimeError when lower exceeds upper.
    """
    if not (math.isfinite(lower) and math.isfinite(upper)) or lower > upper:
        raise RuntimeError(f"rrelu: lower must be finite and not exceed upper, got {lower} and {upper}.")
    if not training:
        return finished(input, ops.leaky_relu(input, slope=(lower + upper) / 2), inplace, "rrelu_")
    xp = namespace(input)
    falling = np.asarray(xp.to_host(input.array)) <= 0
    slopes = np.ones(input.shape, input.dtype)
    slopes[falling] = default_generator.uniform((int(falling.sum()),), np.float64) * (upper - lower) + lower
    with input.device:
        out = input * make(xp.from_host(slopes))
    return finished(input, out, inplace, "rrelu_")


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, else alpha · (exp x − 1)."""
    return finished(input, ops.elu(input, alpha=alpha, scale=1.0, inner=1.0), inplace, "elu_")


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, else alpha · (exp(x / alpha) − 1) (Barron 2017)."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: celu: alpha cannot be 0")
    return finished(input, ops.elu(input, alpha=alpha, scale=1.0, inner=1 / alpha), inplace, "celu_")


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """1.0507 · ELU with alpha 1.67326: keeps mean 0 and variance 1 (Klambauer et al. 2017)."""
    return finished(input, ops.elu(input, alpha=SELU_ALPHA, scale=SELU_SCALE, inner=1.0), inplace, "selu_")


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x Φ(x), Φ the standard normal distribution function; approximate="tanh" is its approximation."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}.")
    return ops.gelu(input) if approximate == "none" else ops.gelu_tanh(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x σ(x)."""
    return finished(input, input * ops.sigmoid(input), inplace, "silu_")


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x)) (Misra 2019)."""
    return finished(input, input * ops.tanh(softplus(input)), inplace, "mish_")


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta · x)) / beta; x itself where beta · x exceeds the threshold."""
    return ops.softplus(input, beta=beta, threshold=threshold)


def logsigmoid(input: Tensor) -> Tensor:
    """log σ(x), without overflow."""
    return ops.log_sigmoid(input)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (ops.abs(input) + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """x − tanh x."""
    return input - ops.tanh(input)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x held between min_val and max_val."""
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val, got {min_val} and {max_val}")
    return finished(input, ops.hardtanh(input, low=min_val, high=max_val), inplace, "hardtanh_")


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """x held between 0 and 6."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """x/6 + 1/2, held between 0 and 1."""
    return finished(input, ops.hardsigmoid(input), inplace, "hardsigmoid_")


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x · hardsigmoid(x)."""
    return finished(input, ops.hardswish(input), inplace, "hardswish_")


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where it exceeds the threshold, else the value."""
    return finished(input, ops.threshold(input, threshold=threshold, value=value), inplace, "threshold_")


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by lambd, 0 where it would pass it."""
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return ops.softshrink(input, lambd=lambd)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a σ(b), a and b the halves of the input along dim (Dauphin et al. 2017)."""
    if input.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    if input.shape[dim] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {input.shape[dim]}")
    a, b = input.chunk(2, dim)
    return a * ops.sigmoid(b)


def maxout(input: Tensor, pieces: int, dim: int = -1) -> Tensor:
    """The largest of every `pieces` neighbours along dim (Goodfellow et al. 2013): (*, C · pieces) → (*, C).

    The gradient goes to the largest; where several are, in equal parts.
    """
    axis = range(input.ndim)[dim]
    if pieces < 1 or input.shape[axis] % pieces:
        raise RuntimeError(f"maxout: dimension {dim} of {input.shape} does not divide into pieces of {pieces}")
    split = (*input.shape[:axis], input.shape[axis] // pieces, pieces, *input.shape[axis + 1 :])
    return ops.reshape(input, shape=split).amax(axis + 1)


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp x / Σ exp x along dim, shifted by its maximum so that nothing overflows."""
    input = input if dtype is None else input.to(dtype)
    return ops.softmax(input, axis=axis_of("softmax", input, dim, _stacklevel))


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax(−x)."""
    return softmax(-input, axis_of("softmin", input, dim, _stacklevel), dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log softmax(x), exact where softmax would underflow."""
    input = input if dtype is None else input.to(dtype)
    return ops.log_softmax(input, axis=axis_of("log_softmax", input, dim, _stacklevel))


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """softmax((logits + G)/tau), G Gumbel noise: a sample of classes that has a gradient (Jang et al. 2017, eq. 2).

    With `hard` one-hot, while the gradient is that of the soft sample. The same seed gives PyTorch's sample.
    """
    if eps != 1e-10:
        warnings.warn("gumbel_softmax: `eps` is deprecated and has no effect", UserWarning, stacklevel=2)
    noise = -np.log(default_generator.exponential(logits.shape, logits.dtype))
    with logits.device:
        soft = softmax((logits + make(namespace(logits).from_host(noise))) / tau, dim)
    if not hard:
        return soft
    index = soft.argmax(dim, keepdim=True)
    chosen = ops.new_zeros(soft.detach(), shape=soft.shape).scatter(dim, index, 1.0)
    out: Tensor = chosen - soft.detach() + soft
    return out


def axis_of(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    """The dimension asked for; left out, the one that PyTorch chooses, with its warning."""
    if dim is not None:
        if not -max(input.ndim, 1) <= dim < max(input.ndim, 1):
            raise IndexError(f"{name}: dim {dim} is out of range for shape {input.shape}")
        return dim
    warnings.warn(f"{name}: choosing a dimension is deprecated; pass dim=", UserWarning, stacklevel=stacklevel)
    return 0 if input.ndim in (0, 1, 3) else 1


# ---- over the input

celu_ = partial(celu, inplace=True)
elu_ = partial(elu, inplace=True)
hardtanh_ = partial(hardtanh, inplace=True)
leaky_relu_ = partial(leaky_relu, inplace=True)
relu_ = partial(relu, inplace=True)
rrelu_ = partial(rrelu, inplace=True)
selu_ = partial(selu, inplace=True)
threshold_ = partial(threshold, inplace=True)
