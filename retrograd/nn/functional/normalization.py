"""Normalisation: over a batch, a layer, groups of channels, an instance; and of vectors to length 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.modes import no_grad
from retrograd.autograd.promotion import NUMBER
from retrograd.autograd.tensor import Tensor, make, namespace

__all__ = [
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "normalize",
    "rms_norm",
]

Shape = tuple[int, ...]


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """γ (x − μ)/√(σ² + eps) + β for every channel, over the batch and all places (Ioffe & Szegedy 2015, algorithm 1).

    input (batch, channels, *); all else (channels,). In training μ and σ² are the batch's, and the running ones move
    towards them by `momentum` (the variance unbiased); otherwise they are the running ones.
    Raises ValueError in training for one value per channel, RuntimeError for sizes and dtypes that do not fit.
    """
    channels = channels_of("batch_norm", input)
    check_channels("batch_norm", input, channels, running_mean, running_var, weight, bias)
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("batch_norm: evaluation needs running_mean and running_var, or pass training=True.")
        return with_given_statistics(input, running_mean, running_var, weight, bias, eps)
    batch, places = input.shape[0], math.prod(input.shape[2:])
    if batch * places == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    flat = input.ndim == 2
    shape, axes = ((batch, channels), (0,)) if flat else ((batch, channels, places), (0, 2))
    affine = (channels,) if flat else (channels, 1)

    def observe(mean: Any, variance: Any) -> None:
        unbiased = namespace(input).multiply(variance, batch * places / (batch * places - 1))
        follow(running_mean, mean, momentum)
        follow(running_var, unbiased, momentum)

    tracked = running_mean is not None or running_var is not None
    return normalized(input, weight, bias, shape, axes, affine, eps, observe=observe if tracked else None)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`batch_norm` of every sample by itself: μ and σ² over its places (Ulyanov et al. 2016, eq. 2).

    input (batch, channels, *). The running statistics follow the means of the samples' own.
    Raises ValueError for one place per channel, RuntimeError for sizes and dtypes that do not fit.
    """
    channels = channels_of("instance_norm", input)
    check_channels("instance_norm", input, channels, running_mean, running_var, weight, bias)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        return with_given_statistics(input, running_mean, running_var, weight, bias, eps)
    batch, places = input.shape[0], math.prod(input.shape[2:])
    if places == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    shape = (batch, channels, places)

    def observe(mean: Any, variance: Any) -> None:
        xp = namespace(input)
        unbiased = xp.multiply(xp.mean(variance, axis=0), places / (places - 1))
        follow(running_mean, xp.mean(mean, axis=0), momentum)
        follow(running_var, unbiased, momentum)

    tracked = running_mean is not None or running_var is not None
    return normalized(input, weight, bias, shape, (2,), (channels, 1), eps, observe=observe if tracked else None)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """γ (x − μ)/√(σ² + eps) + β, μ and σ² over a sample's channels of one group (Wu & He 2018, section 3.1).

    input (batch, channels, *), weight and bias (channels,). One group is layer norm over all but the batch, as many
    groups as channels is instance norm.
    Raises RuntimeError when num_groups does not divide the channels, or sizes and dtypes do not fit.
    """
    if input.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    batch, channels, places = input.shape[0], input.shape[1], math.prod(input.shape[2:])
    if num_groups <= 0 or channels % num_groups:
        raise RuntimeError(
            f"group_norm: expected the number of channels to be divisible by num_groups, "
            f"got input {input.shape} and num_groups={num_groups}."
        )
    check_channels("group_norm", input, channels, weight, bias)
    size = channels // num_groups
    if batch * size * places == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    shape = (batch, num_groups, size, places)
    return normalized(input, weight, bias, shape, (2, 3), (num_groups, size, 1), eps)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """γ (x − μ)/√(σ² + eps) + β, μ and σ² over the last dimensions (Ba et al. 2016, section 3).

    input (*, *normalized_shape), weight and bias of shape normalized_shape.
    Raises RuntimeError for sizes and dtypes that do not fit.
    """
    features = features_of("layer_norm", input, normalized_shape, weight, bias)
    return normalized(input, weight, bias, (rows_of(input, normalized_shape), features), (1,), (features,), eps)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """γ x/√(E[x²] + eps), the mean square over the last dimensions (Zhang & Sennrich 2019, eq. 4).

    input (*, *normalized_shape), weight of shape normalized_shape; eps is by default the dtype's epsilon.
    Raises RuntimeError for sizes and dtypes that do not fit.
    """
    features = features_of("rms_norm", input, normalized_shape, weight)
    if eps is None:
        eps = float(np.finfo(input.dtype).eps)
    shape = (rows_of(input, normalized_shape), features)
    return normalized(input, weight, None, shape, (1,), (features,), eps, subtract_mean=False)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x/(k + alpha · mean of x² over `size` neighbouring channels)^beta (Krizhevsky et al. 2012, section 3.3).

    input (batch, channels, *); channels beyond the first and last count as 0.
    Raises ValueError for an input of fewer than three dimensions.
    """
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if size < 1:
        raise ValueError(f"local_response_norm: size must be at least 1, got {size}.")
    if 0 in input.shape:
        return input
    below, above = size // 2, (size - 1) // 2
    channels = input.shape[1]
    square = input * input
    total = square
    for shift in range(-below, above + 1):
        if shift and abs(shift) < channels:
            total = total + shifted(square, shift)
    return input / (total * (alpha / size) + k) ** beta


def cross_map_norm(input: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """`nn.CrossMapLRN2d`, the sums over channels by one product of matrices."""
    if input.ndim != 4:
        raise ValueError(f"CrossMapLRN2d: expected input of 4 dimensions, got {input.shape}.")
    batch, channels, height, width = input.shape
    xp = namespace(input)
    with input.device:
        place = xp.arange(channels)
    near = xp.abs(place[:, None] - place) < int((size - 1) / 2 + 1)
    counted = make(xp.astype(near | (place == 0), input.dtype))
    square = ops.reshape(input * input, shape=(batch, channels, height * width))
    total = ops.reshape(counted @ square, shape=input.shape)
    return input * (total * (alpha / size) + k) ** -beta


def shifted(x: Tensor, by: int) -> Tensor:
    """x[:, c + by], 0 where there is no such channel."""
    nothing = ops.new_zeros(x, shape=(x.shape[0], abs(by), *x.shape[2:]))
    parts = [x[:, by:], nothing] if by > 0 else [nothing, x[:, :by]]
    return ops.concat(*parts, axis=1)


def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: None = None) -> Tensor:
    """x/max(‖x‖ₚ, eps), the norm over dim."""
    if out is not None:
        raise NotImplementedError("normalize: out= is not supported; use the result.")
    return input / input.norm(p, dim, keepdim=True).clamp_min(eps)


# ---- what they share


def normalized(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    shape: Shape,
    axes: Shape,
    affine: Shape,
    eps: float,
    subtract_mean: bool = True,
    observe: Callable[[Any, Any], None] | None = None,
) -> Tensor:
    """`ops.normalize` with parameters that may be missing, of inputs that may be empty."""
    if 0 in input.shape:
        return empty(input, weight, bias, affine)
    with input.device:
        out: Tensor = ops.normalize(
            input,
            NUMBER if weight is None else weight,
            NUMBER if bias is None else bias,
            layout=shape,
            axes=axes,
            affine=affine,
            eps=eps,
            subtract_mean=subtract_mean,
            observe=observe,
        )
    return out


def empty(input: Tensor, weight: Tensor | None, bias: Tensor | None, affine: Shape) -> Tensor:
    """Nothing normalised is nothing, with a gradient of zeros for the parameters."""
    out = input * 1
    for parameter in (weight, bias):
        if parameter is not None:
            out = out + parameter.sum() * 0
    return out


def with_given_statistics(
    input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """γ (x − mean)/√(variance + eps) + β as one affine map for every channel."""
    scale = ops.rsqrt(variance + eps)
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale
    if bias is not None:
        shift = shift + bias
    column = (-1, *[1] * (input.ndim - 2))
    out: Tensor = input * ops.reshape(scale, shape=column) + ops.reshape(shift, shape=column)
    return out if out.dtype == input.dtype else out.to(input.dtype)


def follow(running: Tensor | None, now: Any, momentum: float | Tensor) -> None:
    """running ← (1 − momentum) · running + momentum · now, in place."""
    if running is None:
        return
    with no_grad():
        current = ops.reshape(make(now), shape=running.shape)
        running.mul_(1 - momentum).add_(current * momentum)


# ---- checks


def channels_of(name: str, input: Tensor) -> int:
    """Length of dimension 1."""
    if input.ndim < 2:
        raise IndexError(f"{name}: input must have a batch and a channel dimension, got shape {input.shape}.")
    check_floating(name, input)
    return input.shape[1]


def check_channels(name: str, input: Tensor, channels: int, *parameters: Tensor | None) -> None:
    """Everything that belongs to channels has one value for each, in the input's dtype."""
    for parameter in parameters:
        if parameter is not None:
            if parameter.shape != (channels,):
                raise RuntimeError(
                    f"{name}: input {input.shape} has {channels} channels; statistics, weight and bias must have the "
                    f"shape ({channels},), got {parameter.shape}."
                )
            check_dtype(name, input, parameter)


def features_of(name: str, input: Tensor, normalized_shape: Sequence[int], *parameters: Tensor | None) -> int:
    """How many elements a row has, once everything fits."""
    if isinstance(normalized_shape, int):
        raise TypeError(f"{name}: normalized_shape must be a tuple of ints, got {normalized_shape}.")
    wanted = tuple(normalized_shape)
    if not wanted:
        raise RuntimeError(f"{name}: normalized_shape must have at least one element, got {wanted}.")
    if input.shape[-len(wanted) :] != wanted:
        raise RuntimeError(f"{name}: input {input.shape} must end in normalized_shape={wanted}.")
    for parameter in parameters:
        if parameter is not None:
            if parameter.shape != wanted:
                raise RuntimeError(
                    f"{name}: weight and bias must have the shape normalized_shape={wanted}, got {parameter.shape}."
                )
            check_dtype(name, input, parameter)
    check_floating(name, input)
    return math.prod(wanted)


def rows_of(input: Tensor, normalized_shape: Sequence[int]) -> int:
    """How many rows are normalised."""
    return math.prod(input.shape[: input.ndim - len(normalized_shape)])


def check_floating(name: str, input: Tensor) -> None:
    if input.dtype.kind != "f":
        raise NotImplementedError(f"{name}: not possible for {input.dtype}; use x.float().")


def check_dtype(name: str, input: Tensor, parameter: Tensor) -> None:
    """float16 inputs may have float32 parameters; otherwise all have one dtype."""
    if parameter.dtype != input.dtype and (input.dtype.char, parameter.dtype.char) != ("e", "f"):
        raise RuntimeError(
            f"{name}: mixed dtype: input is {input.dtype}, a parameter {parameter.dtype}; "
            "convert one, e.g. x.to(w.dtype)."
        )
