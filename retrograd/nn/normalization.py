"""Normalisation layers: batch, instance, layer, group, root mean square, local response."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from retrograd.autograd.methods.creation import ones, tensor, zeros
from retrograd.autograd.tensor import Tensor
from retrograd.nn import functional as F
from retrograd.nn import init
from retrograd.nn.functional.normalization import cross_map_norm
from retrograd.nn.module import Module
from retrograd.nn.parameter import blank

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
]


class ChannelNorm(Module):
    """What batch and instance norm share: γ and β of every channel, and running statistics."""

    ranks: ClassVar[tuple[int, ...]]
    """How many dimensions an input may have."""

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        *,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        for name, there in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, blank((num_features,), device, dtype) if there else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, device=device, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", ones(num_features, device=device, dtype=dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0, dtype=np.int64, device=device) if tracked else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forgets the batches seen: mean 0, variance 1."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """γ = 1, β = 0, and no batches seen."""
        self.reset_running_stats()
        start(self.weight, self.bias)

    def check_rank(self, input: Tensor) -> None:
        """ValueError for an input of other than the right number of dimensions."""
        if input.ndim not in self.ranks:
            wanted = " or ".join(f"{rank}D" for rank in self.ranks)
            raise ValueError(f"expected {wanted} input (got {input.ndim}D input)")

    def channel_axis(self, input: Tensor) -> int:
        """Which dimension of an input the channels are."""
        return 1

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm(ChannelNorm):
    """Batch norm of every rank."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        self.check_rank(input)
        momentum: Any = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the mean of all batches so far, without waiting for the device
                momentum = self.num_batches_tracked.to(self.running_mean.dtype).reciprocal()
        return F.batch_norm(
            input,
            self.running_mean if not self.training or self.track_running_stats else None,
            self.running_var if not self.training or self.track_running_stats else None,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            momentum,
            self.eps,
        )


class BatchNorm1d(BatchNorm):
    """Batch norm of features or sequences: input (batch, features) or (batch, features, length).

    In training every channel is brought to mean 0 and variance 1 over the batch, and running statistics follow, by
    `momentum` (None: their plain mean); in evaluation these are used. Then γ·x̂ + β. Ioffe & Szegedy 2015.
    Parameters weight γ and bias β (features,) if `affine`; buffers running_mean, running_var, num_batches_tracked if
    `track_running_stats`. Raises ValueError for another rank, or for one value per channel in training.

    >>> import retrograd as rg
    >>> norm = rg.nn.BatchNorm1d(2)
    >>> norm(rg.tensor([[1.0, 10.0], [3.0, 30.0]])).tolist()[0][0] < -0.99
    True
    >>> norm.running_mean
    tensor([0.2000, 2.0000])
    """

    ranks = (2, 3)


class BatchNorm2d(BatchNorm):
    """Batch norm of images: input (batch, channels, height, width); otherwise as BatchNorm1d."""

    ranks = (4,)


class BatchNorm3d(BatchNorm):
    """Batch norm of volumes: input (batch, channels, depth, height, width); otherwise as BatchNorm1d."""

    ranks = (5,)


class InstanceNorm(ChannelNorm):
    """Instance norm of every rank."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        self.check_rank(input)
        unbatched = input.ndim == self.ranks[0]
        channels = input.shape[self.channel_axis(input)]
        if channels != self.num_features and self.affine:
            raise ValueError(
                f"{type(self).__name__}: input {input.shape} has {channels} channels, "
                f"the layer num_features={self.num_features}."
            )
        out = F.instance_norm(
            input[None] if unbatched else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return out[0] if unbatched else out

    def channel_axis(self, input: Tensor) -> int:
        """Which dimension of an input the channels are: the first, or the second after a batch."""
        return 0 if input.ndim == self.ranks[0] else 1


class InstanceNorm1d(InstanceNorm):
    """Instance norm of sequences: input (batch, channels, length) or (channels, length).

    Every channel of every sample is brought to mean 0 and variance 1 over its places, in training and evaluation,
    unless `track_running_stats`. Then γ·x̂ + β if `affine`. Ulyanov et al. 2016.
    Raises ValueError for another rank, or for one place per channel.
    """

    ranks = (2, 3)


class InstanceNorm2d(InstanceNorm):
    """Instance norm of images: input (batch, channels, height, width) or without the batch."""

    ranks = (3, 4)


class InstanceNorm3d(InstanceNorm):
    """Instance norm of volumes: input (batch, channels, depth, height, width) or without the batch."""

    ranks = (4, 5)


class LayerNorm(Module):
    """γ (x − μ)/√(σ² + eps) + β, μ and σ² of every sample over its last dimensions. Ba et al. 2016.

    Shapes: input (*, *normalized_shape), weight and bias normalized_shape (there unless elementwise_affine, or bias, is
    False). Raises RuntimeError when the input does not end in normalized_shape.

    >>> import retrograd as rg
    >>> rg.nn.LayerNorm(4)(rg.ones(2, 4)).tolist()[0]
    [0.0, 0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = shape_of(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        for name, there in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            self.register_parameter(name, blank(self.normalized_shape, device, dtype) if there else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """γ = 1, β = 0."""
        start(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """γ x/√(E[x²] + eps), the mean square of every sample over its last dimensions. Zhang & Sennrich 2019.

    Shapes: input (*, *normalized_shape), weight normalized_shape. eps None is the dtype's epsilon.
    Raises RuntimeError when the input does not end in normalized_shape.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = shape_of(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.register_parameter("weight", blank(self.normalized_shape, device, dtype) if elementwise_affine else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """γ = 1."""
        start(self.weight, None)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """γ (x − μ)/√(σ² + eps) + β, μ and σ² of every sample over the channels of a group and their places. Wu & He 2018.

    Shapes: input (batch, num_channels, *), weight and bias (num_channels,).
    Raises ValueError when num_groups does not divide num_channels.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_groups <= 0:
            raise ValueError(f"GroupNorm: num_groups must be at least 1, got {num_groups}.")
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        for name, there in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, blank((num_channels,), device, dtype) if there else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """γ = 1, β = 0."""
        start(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """x/(k + alpha · mean of x² over `size` neighbouring channels)^beta. Krizhevsky et al. 2012, section 3.3."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(LocalResponseNorm):
    """Torch 7's local response normalization of (batch, channels, height, width), with PyTorch's values.

    x/(k + alpha/size · the sum of x² over the nearest channels, `(size + 1)//2 − 1` on each side)^beta. As in PyTorch,
    whose running sum never lets go of it, the first channel counts for every other. The gradient is the derivative of
    these values. Raises ValueError unless the input has 4 dimensions. `LocalResponseNorm` is the usual choice.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__(size, alpha, beta, k)

    def forward(self, input: Tensor) -> Tensor:
        return cross_map_norm(input, self.size, self.alpha, self.beta, self.k)


def start(weight: Tensor | None, bias: Tensor | None) -> None:
    """γ = 1 and β = 0, where they are."""
    if weight is not None:
        init.ones_(weight)
    if bias is not None:
        init.zeros_(bias)


def shape_of(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """An integer stands for one dimension."""
    return (int(normalized_shape),) if isinstance(normalized_shape, numbers.Integral) else tuple(normalized_shape)  # type: ignore[arg-type]
