"""Affine maps."""

from __future__ import annotations

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor

__all__ = ["bilinear", "linear"]


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b: input (*, in), weight (out, in) or (in,), bias (out,)."""
    if input._array.dtype is not weight._array.dtype:
        check_dtype(input, weight)
    try:
        if bias is not None and weight._array.ndim == 2:
            return ops.linear(input, weight, bias)
        out = ops.matmul(input, weight.T)
        return out if bias is None else out + bias
    except RuntimeError as error:
        if input.shape[-1:] != weight.shape[-1:]:
            got = f"got {input.shape[-1]}" if input.ndim else "got a scalar"
            raise RuntimeError(
                f"linear: input {input.shape} does not fit weight {weight.shape}: "
                f"the last dimension must be {weight.shape[-1]}, {got}."
            ) from None
        raise error


def check_dtype(input: Tensor, weight: Tensor) -> None:
    """RuntimeError where the dtypes differ."""
    if input.dtype != weight.dtype:
        raise RuntimeError(f"linear: input is {input.dtype} and weight {weight.dtype}; convert one, e.g. x.to(w.dtype)")


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x₁ᵀ A x₂ + b: inputs (*, in1) and (*, in2), weight (out, in1, in2), bias (out,)."""
    out = ops.einsum("...i,oij,...j->...o", input1, weight, input2)
    return out if bias is None else out + bias
