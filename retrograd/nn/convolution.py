"""Convolutional layers and their transposed counterparts, 1-d to 3-d."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from retrograd.autograd.tensor import Tensor
from retrograd.nn import functional as F
from retrograd.nn import init
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter, blank

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

Sizes = int | tuple[int, ...]
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def spread(value: Any, rank: int) -> tuple[int, ...]:
    """An integer once per dimension; several as they are."""
    return tuple(value) if isinstance(value, Iterable) else (value,) * rank


class _ConvNd(Module):
    """What all convolutional layers hold: the numbers of the windows, the weight and the bias.

    Weight (out, in/groups, *kernel_size), or transposed (in, out/groups, *kernel_size); bias (out,). Both start uniform
    in ±1/√(weight's second dimension · kernel), with PyTorch's values for the same seed.
    """

    rank: ClassVar[int]
    transposed: ClassVar[bool] = False

    padding: Any
    """A number per dimension, or the name "same" or "valid"."""
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        output_padding: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError(f"{type(self).__name__}: groups must be a positive integer, got {groups}")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{type(self).__name__}: {name}={channels} must be divisible by groups={groups}")
        if padding_mode not in PADDING_MODES:
            raise ValueError(
                f"{type(self).__name__}: padding_mode must be one of {PADDING_MODES}, got {padding_mode!r}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = spread(kernel_size, self.rank), spread(stride, self.rank)
        self.padding = padding if isinstance(padding, str) else spread(padding, self.rank)
        self.dilation, self.output_padding = spread(dilation, self.rank), spread(output_padding, self.rank)
        self.padding_mode = padding_mode
        if isinstance(padding, str):
            self._check_named_padding(padding)
        self.weight = blank(self._weight_shape(), device, dtype)
        self.register_parameter("bias", blank((out_channels,), device, dtype) if bias else None)
        self.reset_parameters()

    def _check_named_padding(self, padding: str) -> None:
        if padding not in ("same", "valid"):
            raise ValueError(f'{type(self).__name__}: padding must be numbers, "same" or "valid", got {padding!r}')
        if padding == "same" and any(s != 1 for s in self.stride):
            raise ValueError(f"{type(self).__name__}: padding='same' is not supported for strided convolutions")

    def _weight_shape(self) -> tuple[int, ...]:
        first, second = (self.in_channels, self.out_channels)[:: 1 if self.transposed else -1]
        return (first, second // self.groups, *self.kernel_size)

    def reset_parameters(self) -> None:
        """Draws weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # the bound that this gives is 1/√fan_in
        fan_in = math.prod(self.weight.shape[1:])
        if self.bias is not None and fan_in:
            bound = 1 / math.sqrt(fan_in)
            init.uniform_(self.bias, -bound, bound)

    def _padded_lengths(self) -> tuple[int, ...]:
        """What `F.pad` wants: elements before and after, from the last dimension to the first."""
        if self.padding == "valid":
            return (0,) * (2 * self.rank)
        if self.padding == "same":
            both = [(k - 1) * d for k, d in zip(self.kernel_size, self.dilation)]
            return tuple(n for b in reversed(both) for n in (b // 2, b - b // 2))
        return tuple(n for p in reversed(self.padding) for n in (p, p))

    def extra_repr(self) -> str:
        none, one = (0,) * self.rank, (1,) * self.rank
        shown = [f"{self.in_channels}, {self.out_channels}"]
        shown += [f"kernel_size={self.kernel_size}, stride={self.stride}"]
        optional = {"padding": none, "dilation": one, "output_padding": none, "groups": 1}
        shown += [f"{name}={getattr(self, name)}" for name, usual in optional.items() if getattr(self, name) != usual]
        shown += ["bias=False"] if self.bias is None else []
        shown += [f"padding_mode={self.padding_mode}"] if self.padding_mode != "zeros" else []
        return ", ".join(shown)


class _Conv(_ConvNd):
    def __init__(
        self,
        in_channels: int,
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
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._padded_lengths(), mode=self.padding_mode), 0
        convolve = getattr(F, f"conv{self.rank}d")
        return convolve(  # type: ignore[no-any-return]
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )


class Conv1d(_Conv):
    """Convolution over sequences: input (N, C, L) or (C, L), output (N, out, L′) or (out, L′).

    L′ = ⌊(L + 2·padding − dilation·(kernel_size − 1) − 1)/stride⌋ + 1. `padding` counts elements on either side, or is
    "same" or "valid"; padding_mode says what they hold: "zeros", "reflect", "replicate" or "circular".
    Raises ValueError for options that contradict each other, and RuntimeError for an input that does not fit.
    """

    rank = 1


class Conv2d(_Conv):
    """Convolution over images: input (N, C, H, W) or (C, H, W), output (N, out, H′, W′) or (out, H′, W′).

    Arguments, lengths and errors as of Conv1d; each of the sizes is an integer or a pair.

    >>> import retrograd as rg
    >>> conv = rg.nn.Conv2d(3, 6, kernel_size=5, stride=2, padding=2)
    >>> conv
    Conv2d(3, 6, kernel_size=(5, 5), stride=(2, 2), padding=(2, 2))
    >>> conv(rg.ones(4, 3, 32, 32)).shape
    (4, 6, 16, 16)
    """

    rank = 2


class Conv3d(_Conv):
    """Convolution over volumes: input (N, C, D, H, W) or (C, D, H, W), output (N, out, D′, H′, W′) or without N.

    Arguments, lengths and errors as of Conv1d; each of the sizes is an integer or three.
    """

    rank = 3


class _ConvTranspose(_ConvNd):
    transposed = True

    def __init__(
        self,
        in_channels: int,
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
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}, got {padding_mode!r}')
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        extra = self.output_padding if output_size is None else self._extra_for(input, list(output_size))
        transpose = getattr(F, f"conv_transpose{self.rank}d")
        return transpose(  # type: ignore[no-any-return]
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _extra_for(self, input: Tensor, wanted: list[int]) -> tuple[int, ...]:
        """The output_padding that gives the wanted lengths; ValueError where none does."""
        others = input.ndim - self.rank
        if len(wanted) == others + self.rank:
            wanted = wanted[others:]
        if len(wanted) != self.rank:
            raise ValueError(
                f"{type(self).__name__}: output_size must have {self.rank} or {others + self.rank} elements for an "
                f"input of {input.ndim} dimensions, got {len(wanted)}."
            )
        numbers = zip(input.shape[-self.rank :], self.kernel_size, self.stride, self.padding, self.dilation)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in numbers]
        extra = tuple(w - m for w, m in zip(wanted, least))
        if any(not 0 <= e < s for e, s in zip(extra, self.stride)):
            most = [m + s - 1 for m, s in zip(least, self.stride)]
            raise ValueError(
                f"{type(self).__name__}: requested an output size of {wanted}, but valid sizes range from {least} to "
                f"{most} (for an input of {tuple(input.shape[-self.rank :])})."
            )
        return extra


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution over sequences: input (N, C, L) or (C, L), output (N, out, L′) or (out, L′).

    L′ = (L − 1)·stride − 2·padding + dilation·(kernel_size − 1) + output_padding + 1. Calling it with `output_size`
    chooses the output_padding. Raises ValueError for options or sizes that are impossible, RuntimeError for an input
    that does not fit.
    """

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution over images: input (N, C, H, W) or (C, H, W), output (N, out, H′, W′) or without N.

    Arguments, lengths and errors as of ConvTranspose1d; each of the sizes is an integer or a pair.

    >>> import retrograd as rg
    >>> rg.nn.ConvTranspose2d(16, 8, kernel_size=4, stride=2, padding=1)(rg.ones(1, 16, 8, 8)).shape
    (1, 8, 16, 16)
    """

    rank = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution over volumes: input (N, C, D, H, W) or (C, D, H, W), output (N, out, D′, H′, W′).

    Arguments, lengths and errors as of ConvTranspose1d; each of the sizes is an integer or three.
    """

    rank = 3
