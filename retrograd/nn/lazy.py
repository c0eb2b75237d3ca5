"""Lazy layers: those that learn the number of their inputs from the first input, and then become ordinary ones."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from retrograd.autograd.methods.creation import tensor
from retrograd.autograd.tensor import Tensor
from retrograd.nn.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    Sizes,
    _Conv,
    _ConvNd,
    _ConvTranspose,
)
from retrograd.nn.linear import Linear
from retrograd.nn.module import Module
from retrograd.nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    ChannelNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from retrograd.nn.uninitialized import UninitializedBuffer, UninitializedParameter, is_lazy

__all__ = [
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
    "LazyLinear",
    "LazyModuleMixin",
]


class LazyModuleMixin(Module):
    """Mixed into a layer, has its `initialize_parameters(input)` called before the first forward.

    That gives the uninitialised parameters their shapes (`materialize`) and their values; the layer then becomes a
    `cls_to_become`. A state that is loaded before gives them shapes and values too.
    """

    cls_to_become: ClassVar[type[Module] | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._initialize_hook = self.register_forward_pre_hook(infer_parameters, with_kwargs=True)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Gives the parameters their shapes and values, for the arguments of the first forward."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer of this module has no shape yet."""
        return any(is_lazy(value) for kind in ("parameter", "buffer") for value in self._own(kind).values())


def infer_parameters(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """The forward pre-hook of lazy modules, for their first forward alone."""
    module.initialize_parameters(*args, **kwargs)
    if module.has_uninitialized_params():
        raise RuntimeError(f"module {type(module).__name__} has not been fully initialized")
    module._initialize_hook.remove()
    del module._initialize_hook
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become


class LazyLinear(LazyModuleMixin, Linear):
    """A Linear whose in_features is the length of its first input's last dimension.

    >>> import retrograd as rg
    >>> layer = rg.nn.LazyLinear(2)
    >>> layer(rg.ones(5, 3)).shape, layer
    ((5, 2), Linear(in_features=3, out_features=2, bias=True))
    """

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, False)
        self.out_features = out_features
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draws weight and bias anew, once they have a shape."""
        if not self.has_uninitialized_params() and self.in_features:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Weight (out_features, in_features) and bias (out_features,), drawn as Linear's."""
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            shape_all(self, weight=(self.out_features, self.in_features), bias=(self.out_features,))
            self.reset_parameters()
        elif not self.in_features:
            self.in_features = self.weight.shape[-1]


class LazyConvNd(LazyModuleMixin, _ConvNd):
    """A convolution whose in_channels is the length of its first input's channel dimension."""

    def _postpone(self, out_channels: int, bias: bool, device: Any, dtype: Any) -> None:
        """Leaves weight and bias open until then."""
        if out_channels % self.groups:
            name = type(self).__name__
            raise ValueError(f"{name}: out_channels={out_channels} must be divisible by groups={self.groups}")
        self.out_channels = out_channels
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draws weight and bias anew, once they have a shape."""
        if not self.has_uninitialized_params() and self.in_channels:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Weight and bias, drawn as an ordinary convolution's. RuntimeError for an input of the wrong rank."""
        if input.ndim not in (self.rank + 1, self.rank + 2):
            raise RuntimeError(
                f"{type(self).__name__}: expected {self.rank + 1}D (unbatched) or {self.rank + 2}D (batched) input, "
                f"got shape {input.shape}."
            )
        channels = input.shape[-self.rank - 1]
        if channels % self.groups:
            raise ValueError(f"{type(self).__name__}: in_channels={channels} must be divisible by groups={self.groups}")
        if self.has_uninitialized_params():
            self.in_channels = channels
            shape_all(self, weight=self._weight_shape(), bias=(self.out_channels,))
            self.reset_parameters()
        elif not self.in_channels:
            self.in_channels = channels


class LazyConv(LazyConvNd, _Conv):
    """A LazyConvNd that is not transposed."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode)
        self._postpone(out_channels, bias, device, dtype)


class LazyConv1d(LazyConv, Conv1d):
    """A Conv1d that takes in_channels from its first input."""

    cls_to_become = Conv1d


class LazyConv2d(LazyConv, Conv2d):
    """A Conv2d that takes in_channels from its first input."""

    cls_to_become = Conv2d


class LazyConv3d(LazyConv, Conv3d):
    """A Conv3d that takes in_channels from its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose(LazyConvNd, _ConvTranspose):
    """A LazyConvNd that is transposed."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode)
        self._postpone(out_channels, bias, device, dtype)


class LazyConvTranspose1d(LazyConvTranspose, ConvTranspose1d):
    """A ConvTranspose1d that takes in_channels from its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(LazyConvTranspose, ConvTranspose2d):
    """A ConvTranspose2d that takes in_channels from its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(LazyConvTranspose, ConvTranspose3d):
    """A ConvTranspose3d that takes in_channels from its first input."""

    cls_to_become = ConvTranspose3d


def shape_all(module: Module, **shapes: tuple[int, ...]) -> None:
    """Gives the uninitialised of these parameters and buffers their shapes."""
    for name, shape in shapes.items():
        value = getattr(module, name)
        if is_lazy(value):
            value.materialize(shape)


class LazyNorm(LazyModuleMixin, ChannelNorm):
    """A norm of channels whose num_features is the length of its first input's channel dimension."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self.affine, self.track_running_stats = affine, track_running_stats
        if affine:
            self.weight = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                self.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = tensor(0, dtype=np.int64, device=device)

    def reset_parameters(self) -> None:
        """γ = 1, β = 0 and no batches seen, once there are channels."""
        if not self.has_uninitialized_params() and self.num_features:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """All of shape (num_features,), at their start."""
        self.check_rank(input)
        channels = input.shape[self.channel_axis(input)]
        if self.has_uninitialized_params():
            self.num_features = channels
            shape_all(self, **dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (channels,)))
            self.reset_parameters()
        elif not self.num_features:
            self.num_features = channels


class LazyBatchNorm1d(LazyNorm, BatchNorm1d):
    """A BatchNorm1d that takes num_features from its first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(LazyNorm, BatchNorm2d):
    """A BatchNorm2d that takes num_features from its first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(LazyNorm, BatchNorm3d):
    """A BatchNorm3d that takes num_features from its first input."""

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(LazyNorm, InstanceNorm1d):
    """An InstanceNorm1d that takes num_features from its first input."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(LazyNorm, InstanceNorm2d):
    """An InstanceNorm2d that takes num_features from its first input."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(LazyNorm, InstanceNorm3d):
    """An InstanceNorm3d that takes num_features from its first input."""

    cls_to_become = InstanceNorm3d
