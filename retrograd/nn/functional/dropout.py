"""Dropout: of elements, of whole channels, and the kind that keeps the statistics of SELU networks.

Masks are drawn on the host from the library's stream: the same seed gives PyTorch's masks, on every device.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.random import default_generator
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.autograd.view import overwrite

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

NEGATIVE_SATURATION = 1.7580993408473766
"""SELU's scale times its alpha: minus its limit at −∞ (Klambauer et al. 2017, section 4)."""


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zeros each element with probability p and divides the others by 1 − p (Srivastava et al. 2014).

    The expectation stays, so evaluation gives the input itself. Raises ValueError for p outside of [0, 1].
    """
    check_probability(p)
    if not training or p == 0 or 0 in input.shape:
        return input
    out = input * on_device(input, scaled(mask_in_memory_order(p, input), p))
    return overwrite(input, out, "dropout_") if inplace else out


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels: input (batch, channels, length) or (channels, length) (Tompson et al. 2015)."""
    check_probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: expected 2D or 3D input, got shape {input.shape}.")
    return of_channels(input, p, training, inplace, batched=input.ndim == 3)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels: input (batch, channels, height, width) (Tompson et al. 2015).

    As in PyTorch three dimensions are (batch, channels, length), with a warning, as for all but four.
    """
    check_probability(p)
    if input.ndim != 4:
        warnings.warn(f"dropout2d: {input.ndim}D input is taken as (batch, channels, *)", UserWarning, stacklevel=2)
    return of_channels(input, p, training, inplace, batched=True)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels: input (batch, channels, depth, height, width), or without the batch."""
    check_probability(p)
    if input.ndim not in (4, 5):
        warnings.warn(f"dropout3d: {input.ndim}D input is taken as (channels, *)", UserWarning, stacklevel=2)
    return of_channels(input, p, training, inplace, batched=input.ndim == 5)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout to SELU's saturation, followed by the affine map that keeps mean 0 and variance 1.

    Klambauer et al. 2017, section 4, "new dropout technique". Raises ValueError for p outside of [0, 1].
    """
    check_probability(p)
    return saturated(input, p, training, inplace, input.shape)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels: input (batch, channels, *)."""
    check_probability(p)
    return saturated(input, p, training, inplace, (*input.shape[:2], *[1] * (input.ndim - 2)), least=2)


# ---- what they share


def check_probability(p: float) -> None:
    """ValueError for p outside of [0, 1]."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: the probability p must lie between 0 and 1, got {p}.")


def mask_in_memory_order(p: float, input: Tensor) -> Any:
    """Zeros with probability p, else ones, on the host: drawn in the order of the input's elements in memory.

    So does PyTorch: the mask of x.transpose(0, 1) is the transposed mask of x.
    """
    array, shape = input._array, input.shape
    if array.flags.c_contiguous or 0 in array.strides:
        return default_generator.dropout_mask(p, shape, input.dtype)
    order = sorted(range(len(shape)), key=array.strides.__getitem__, reverse=True)
    mask = default_generator.dropout_mask(p, tuple(shape[axis] for axis in order), input.dtype)
    return mask.transpose(sorted(range(len(shape)), key=order.__getitem__))


def scaled(mask: Any, p: float) -> Any:
    """The mask, its ones divided by 1 − p."""
    if p < 1:
        mask /= mask.dtype.type(1 - p)
    return mask


def on_device(input: Tensor, values: Any) -> Tensor:
    """Values of the host where the input is."""
    with input.device:
        return make(namespace(input).from_host(values))


def of_channels(input: Tensor, p: float, training: bool, inplace: bool, batched: bool) -> Tensor:
    """Dropout of the channels, which follow the batch or come first."""
    lead = 2 if batched else 1
    if training and input.ndim < lead:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    if not training or p == 0 or 0 in input.shape:
        return input
    shape = (*input.shape[:lead], *[1] * (input.ndim - lead))
    out = input * on_device(input, scaled(default_generator.dropout_mask(p, shape, input.dtype), p))
    return overwrite(input, out, "feature_dropout_") if inplace else out


def saturated(input: Tensor, p: float, training: bool, inplace: bool, shape: tuple[int, ...], least: int = 0) -> Tensor:
    """a·(x where the mask keeps it, else −α′) + b, with a and b after eq. 8 there."""
    if training and input.ndim < least:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    if not training or p == 0 or 0 in input.shape:
        return input
    whole = shape == input.shape
    mask = mask_in_memory_order(p, input) if whole else default_generator.dropout_mask(p, shape, input.dtype)
    if p == 1:
        out = input * on_device(input, mask)
    else:
        alpha = NEGATIVE_SATURATION
        a = 1 / math.sqrt((alpha * alpha * p + 1) * (1 - p))
        shift = (mask - 1) * (alpha * a) + alpha * a * p
        out = ops.add(input * on_device(input, mask * a), on_device(input, shift))
    return overwrite(input, out, "alpha_dropout_") if inplace else out
