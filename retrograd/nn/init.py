"""Initialisers: functions that fill a Tensor in place and return it. The same seed gives PyTorch's values.

Xavier: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", eq. 16.
Kaiming: He et al. 2015, "Delving deep into rectifiers", eq. 10 and 14. Orthogonal: Saxe et al. 2014.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from retrograd.autograd.methods.creation import empty_like
from retrograd.autograd.methods.random import randperm
from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor, make, namespace

__all__ = [
    "calculate_gain",
    "constant",
    "constant_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "normal",
    "normal_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "sparse",
    "sparse_",
    "trunc_normal_",
    "uniform",
    "uniform_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros_",
]

F = TypeVar("F", bound=Callable[..., Tensor])


def unrecorded(fill: F) -> F:
    """Keeps the filling out of the graph."""
    return cast(F, no_grad(fill))


_GAINS = {"sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2.0), "selu": 3 / 4, "linear": 1.0} | {
    f"conv{transposed}{n}d": 1.0 for transposed in ("", "_transpose") for n in (1, 2, 3)
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity; `param` is leaky_relu's negative slope (0.01).

    >>> calculate_gain("relu")
    1.4142135623730951
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {slope} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}; known are leaky_relu, {', '.join(_GAINS)}")
    return _GAINS[nonlinearity]


# ---- constants


@unrecorded
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fills with one number."""
    return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fills with 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fills with 0."""
    return constant_(tensor, 0.0)


@unrecorded
def eye_(tensor: Tensor) -> Tensor:
    """Makes a matrix the identity: as the weight of a Linear layer it passes as many inputs as possible."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_: only tensors with 2 dimensions are supported, got shape {tensor.shape}")
    return _put(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


@unrecorded
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Makes a convolution's weight (out, in, *kernel) pass as many channels as possible, in each group."""
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"dirac_: only tensors with 3, 4, or 5 dimensions are supported, got shape {tensor.shape}")
    if tensor.shape[0] % groups:
        raise ValueError(f"dirac_: dim 0 ({tensor.shape[0]}) must be divisible by groups ({groups})")
    array = np.zeros(tensor.shape)
    middle = tuple(n // 2 for n in tensor.shape[2:])
    per_group = tensor.shape[0] // groups
    for group in range(groups):
        for channel in range(min(per_group, tensor.shape[1])):
            array[(group * per_group + channel, channel, *middle)] = 1
    return _put(tensor, array)


# ---- random


@unrecorded
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fills from the uniform distribution on [a, b)."""
    return tensor.uniform_(a, b, generator=generator)


@unrecorded
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fills from the normal distribution."""
    return tensor.normal_(mean, std, generator=generator)


@unrecorded
def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Fills from the normal distribution restricted to [a, b], by rejection.

    Where much of the normal distribution lies in [a, b] the candidates are normal, otherwise they are uniform there.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "trunc_normal_: mean is more than 2 std from [a, b]; the values may not have the distribution asked for.",
            stacklevel=2,
        )
    share = (math.erf((b - mean) / std / math.sqrt(2)) - math.erf((a - mean) / std / math.sqrt(2))) / 2
    draw = _truncated_by_normals if share > 0.3 else _truncated_by_uniforms
    return _put(tensor, draw(tensor, mean, std, a, b, generator))


def _truncated_by_normals(tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Any) -> Any:
    like = empty_like(tensor, device="cpu")
    low, high = (np.asarray(end, dtype=tensor.dtype) for end in (a, b))
    values = like.normal_(mean, std, generator=generator).array.copy()
    while (outside := (values < low) | (values > high)).any():
        values = np.where(outside, like.normal_(mean, std, generator=generator).array, values)
    return values


def _truncated_by_uniforms(tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Any) -> Any:
    like = empty_like(tensor, device="cpu")
    log_peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2

    def candidates_and_refused() -> tuple[Any, Any]:
        candidates = like.uniform_(a, b, generator=generator).array.copy()
        log_density = ((candidates - mean) / std) ** 2 * -0.5 - log_peak
        return candidates, np.log(like.uniform_(generator=generator).array) > log_density

    values, refused = candidates_and_refused()
    while refused.any():
        candidates, again = candidates_and_refused()
        values = np.where(refused, candidates, values)
        refused &= again
    return values


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform with variance gain² · 2 / (fan_in + fan_out)."""
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with variance gain² · 2 / (fan_in + fan_out)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Uniform with variance gain² / fan; `a` is leaky_relu's slope, `mode` chooses fan_in or fan_out."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    bound = math.sqrt(3.0) * (calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Normal with variance gain² / fan; `a` is leaky_relu's slope, `mode` chooses fan_in or fan_out."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)), generator)


@unrecorded
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """A (semi-)orthogonal matrix times gain; dimensions beyond the first are flattened together."""
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: only tensors with 2 or more dimensions are supported, got {tensor.shape}")
    if 0 in tensor.shape:
        return tensor
    rows = tensor.shape[0]
    normals = empty_like(tensor, device="cpu").normal_(0, 1, generator=generator).array.reshape(rows, -1)
    wide = normals.shape[1] > rows
    q, r = np.linalg.qr(normals.T if wide else normals)
    q = q * np.sign(np.diagonal(r))  # makes the distribution uniform: Mezzadri 2007, section 5
    return _put(tensor, gain * (q.T if wide else q).reshape(tensor.shape))


@unrecorded
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Normal, with the share `sparsity` of every column set to 0 (Martens 2010)."""
    if tensor.ndim != 2:
        raise ValueError(f"sparse_: only tensors with 2 dimensions are supported, got shape {tensor.shape}")
    rows, columns = tensor.shape
    values = empty_like(tensor, device="cpu").normal_(0, std, generator=generator).array
    for column in range(columns):
        values[randperm(rows, device="cpu").array[: math.ceil(sparsity * rows)], column] = 0
    return _put(tensor, values)


# ---- PyTorch's old names


def _deprecated(current: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The initialiser under its name without the underscore; gives a FutureWarning."""
    name = current.__name__

    def old(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(f"nn.init.{name[:-1]} is deprecated; use nn.init.{name}.", FutureWarning, stacklevel=2)
        return current(*args, **kwargs)

    old.__name__ = old.__qualname__ = name[:-1]
    old.__doc__ = f"The old name of `{name}`; gives a FutureWarning."
    return old


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)


# ---- parts


def fans(tensor: Tensor) -> tuple[int, int]:
    """Inputs that reach one output, and outputs that one input reaches, of a weight (out, in, *kernel)."""
    if tensor.ndim < 2:
        raise ValueError(f"fan-in and fan-out need a tensor of at least 2 dimensions, got shape {tensor.shape}.")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def _fan(tensor: Tensor, mode: str) -> int:
    modes = ("fan_in", "fan_out")
    if mode.lower() not in modes:
        raise ValueError(f"mode must be one of {modes}, got {mode!r}.")
    return fans(tensor)[modes.index(mode.lower())]


def _put(tensor: Tensor, values: Any) -> Tensor:
    """Writes host values into a Tensor, wherever it is."""
    with tensor.device:
        array = namespace(tensor).from_host(np.asarray(values, dtype=tensor.dtype))
    return tensor.copy_(make(array))
