"""Affine maps and dropout."""

from __future__ import annotations

from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.random import default_generator
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.autograd.view import overwrite

__all__ = ["bilinear", "dropout", "linear"]


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b: input (*, in), weight (out, in) or (in,), bias (out,)."""
    if input._array.dtype != weight._array.dtype:
        raise RuntimeError(f"linear: input is {input.dtype} and weight {weight.dtype}; convert one, e.g. x.to(w.dtype)")
    try:
        if bias is None or weight._array.ndim == 1:
            out = ops.matmul(input, weight.T)
            return out if bias is None else out + bias
        return ops.linear(input, weight, bias)
    except RuntimeError as error:
        if input.shape[-1:] != weight.shape[-1:]:
            got = f"got {input.shape[-1]}" if input.ndim else "got a scalar"
            raise RuntimeError(
                f"linear: input {input.shape} does not fit weight {weight.shape}: "
                f"the last dimension must be {weight.shape[-1]}, {got}."
            ) from None
        raise error


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x₁ᵀ A x₂ + b: inputs (*, in1) and (*, in2), weight (out, in1, in2), bias (out,)."""
    out = ops.einsum("...i,oij,...j->...o", input1, weight, input2)
    return out if bias is None else out + bias


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zeros each element with probability p and divides the others by 1 − p (Srivastava et al. 2014).

    The expectation stays, so evaluation gives the input itself. The same seed gives PyTorch's mask.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: the probability p must lie between 0 and 1, got {p}.")
    if not training or p == 0 or 0 in input.shape:
        return input
    mask = mask_in_memory_order(p, input)
    if p < 1:
        mask /= mask.dtype.type(1 - p)
    with input.device:
        out = input * make(namespace(input).from_host(mask))
    return overwrite(input, out, "dropout_") if inplace else out


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
