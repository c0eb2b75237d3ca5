"""A batch normalisation in evaluation is affine, so it can be part of the layer before it."""

from __future__ import annotations

import copy
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def fused(
    weight: Tensor, bias: Tensor | None, mean: Tensor, var: Tensor, eps: float, gamma: Tensor | None,
    beta: Tensor | None, axis: int,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of the layer that does both; `axis` is that of the weight's outputs."""
    zeros = make(namespace(mean).new_zeros(mean._array, shape=mean.shape))
    scale = (zeros + 1 if gamma is None else gamma) / ops.sqrt(var + eps)
    shape = tuple(-1 if a == axis else 1 for a in range(weight.ndim))
    new_bias = ((zeros if bias is None else bias) - mean) * scale + (zeros if beta is None else beta)
    new_weight = weight * ops.reshape(scale, shape=shape)
    learned = weight.requires_grad
    return Parameter(new_weight.detach(), learned), Parameter(
        new_bias.detach(), learned if bias is None else bias.requires_grad
    )


def fuse_conv_bn_weights(
    conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None,
    bn_b: Tensor | None, transpose: bool = False,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of a convolution that includes the batch normalisation after it."""
    return fused(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, int(transpose))


def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of a Linear layer that includes the batch normalisation after it."""
    return fused(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """A copy of a convolution that includes the batch normalisation after it; both must be in evaluation mode."""
    return with_norm(conv, bn, int(transpose))


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """A copy of a Linear layer that includes the batch normalisation after it; both must be in evaluation mode.

    Raises ValueError unless it has as many features as the layer gives, or one.
    """
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise ValueError(
            f"fuse_linear_bn_eval: a layer of {linear.out_features} outputs and a normalisation of {bn.num_features} "
            "features do not fit; the latter must be the same, or 1."
        )
    return with_norm(linear, bn, 0)


def with_norm(layer: Module, bn: Any, axis: int) -> Module:
    """A copy of a layer with a batch normalisation's weights in its own."""
    if layer.training or bn.training:
        raise RuntimeError("fusion is only for evaluation; call .eval() on both.")
    if bn.running_mean is None or bn.running_var is None:
        raise RuntimeError("fusion needs running statistics; this normalisation keeps none.")
    made = copy.deepcopy(layer)
    made.weight, made.bias = fused(
        made.weight, made.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, axis
    )
    return made
