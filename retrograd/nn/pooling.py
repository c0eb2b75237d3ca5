"""Pooling layers: what stands in a window becomes one number. Each has a rank, the number of pooled dimensions.

Shapes: input (batch, channels, *lengths) or (channels, *lengths); a length L becomes
⌊(L + 2·padding − dilation·(kernel_size − 1) − 1)/stride⌋ + 1, rounded up with `ceil_mode`.
"""

from __future__ import annotations

from typing import Any

from retrograd.autograd.tensor import Tensor
from retrograd.nn.functional import adaptive_pooling, fractional_pooling, pooling
from retrograd.nn.module import Module

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]

Sizes = Any
"""An integer, or one per pooled dimension."""


class Pool(Module):
    """A layer whose pooled dimensions are counted by its class."""

    rank: int

    @property
    def called(self) -> str:
        """What errors call it."""
        return type(self).__name__

    def each(self, value: Sizes) -> tuple[int, ...]:
        """A number for every dimension."""
        return (value,) * self.rank if isinstance(value, int) else tuple(value)


class MaxPool(Pool):
    """The maximum of every window; all of the gradient goes to it. stride defaults to kernel_size.

    return_indices: gives where the maxima stand, for MaxUnpool, beside them.
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding, self.dilation = kernel_size, padding, dilation
        self.stride = kernel_size if stride is None else stride
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        return pooling.max_pool(
            self.called, self.rank, input, self.kernel_size, self.stride, self.padding, self.dilation,
            self.ceil_mode, self.return_indices,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(MaxPool):
    __doc__, rank = MaxPool.__doc__, 1


class MaxPool2d(MaxPool):
    """The maximum of every window; all of the gradient goes to it. stride defaults to kernel_size.

    return_indices: gives where the maxima stand, for MaxUnpool, beside them.

    >>> import retrograd as rg
    >>> rg.nn.MaxPool2d(2)(rg.arange(16.0).reshape(1, 4, 4))
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """

    rank = 2


class MaxPool3d(MaxPool):
    __doc__, rank = MaxPool.__doc__, 3


class AvgPool(Pool):
    """The mean of every window; stride defaults to kernel_size.

    count_include_pad: whether padding counts among its elements. divisor_override: divides by this instead.
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return pooling.avg_pool(
            self.called, self.rank, input, self.kernel_size, self.stride, self.padding,
            self.ceil_mode, self.count_include_pad, self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(AvgPool):
    """The mean of every window; stride defaults to kernel_size.

    count_include_pad: whether padding counts among its elements.
    """

    rank = 1

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.kernel_size = self.each(self.kernel_size)
        self.stride, self.padding = self.each(self.stride), self.each(self.padding)


class AvgPool2d(AvgPool):
    __doc__, rank = AvgPool.__doc__, 2


class AvgPool3d(AvgPool):
    __doc__, rank = AvgPool.__doc__, 3


class LPPool(Pool):
    """(Σ xᵖ)^(1/p) of every window, p being norm_type; ∞ gives the maximum of |x|. stride defaults to kernel_size."""

    def __init__(self, norm_type: float, kernel_size: Sizes, stride: Sizes = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return pooling.lp_pool(
            self.called, self.rank, input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(LPPool):
    __doc__, rank = LPPool.__doc__, 1


class LPPool2d(LPPool):
    __doc__, rank = LPPool.__doc__, 2


class LPPool3d(LPPool):
    __doc__, rank = LPPool.__doc__, 3


class AdaptiveAvgPool(Pool):
    """The means of windows that cover the input evenly, output_size of them; None leaves a length as it is."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return adaptive_pooling.adaptive_avg_pool(self.called, self.rank, input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    __doc__, rank = AdaptiveAvgPool.__doc__, 1


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    __doc__, rank = AdaptiveAvgPool.__doc__, 2


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    __doc__, rank = AdaptiveAvgPool.__doc__, 3


class AdaptiveMaxPool(Pool):
    """The maxima of windows that cover the input evenly, output_size of them; None leaves a length as it is.

    return_indices: gives where the maxima stand beside them.
    """

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Any:
        return adaptive_pooling.adaptive_max_pool(self.called, self.rank, input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    __doc__, rank = AdaptiveMaxPool.__doc__, 1


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    __doc__, rank = AdaptiveMaxPool.__doc__, 2


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    __doc__, rank = AdaptiveMaxPool.__doc__, 3


class FractionalMaxPool(Pool):
    """The maxima of windows at random places, output_size of them, or output_ratio times as many as the input is long.

    return_indices: gives where the maxima stand beside them. Graham 2014, section 2.
    """

    _random_samples: Tensor | None

    def __init__(
        self,
        kernel_size: Sizes,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{self.called}: only one of output_size and output_ratio may be given, and one must be.")
        self.kernel_size, self.return_indices = self.each(kernel_size), return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else self.each(output_size)
        ratios = (output_ratio,) * self.rank if isinstance(output_ratio, float) else output_ratio
        self.output_ratio = None if ratios is None else tuple(ratios)
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"{self.called}: output_ratio must be between 0 and 1, got {output_ratio}.")

    def forward(self, input: Tensor) -> Any:
        return fractional_pooling.fractional_max_pool(
            self.called, self.rank, input, self.kernel_size, self.output_size, self.output_ratio,
            self.return_indices, self._random_samples,
        )  # fmt: skip


class FractionalMaxPool2d(FractionalMaxPool):
    __doc__, rank = FractionalMaxPool.__doc__, 2


class FractionalMaxPool3d(FractionalMaxPool):
    __doc__, rank = FractionalMaxPool.__doc__, 3


class MaxUnpool(Pool):
    """Puts every value back where MaxPool took it from, among zeros; `forward(input, indices, output_size=None)`.

    output_size: the lengths before pooling, where pooling rounded them down.
    """

    def __init__(self, kernel_size: Sizes, stride: Sizes = None, padding: Sizes = 0) -> None:
        super().__init__()
        self.kernel_size = self.each(kernel_size)
        self.stride = self.kernel_size if stride is None else self.each(stride)
        self.padding = self.each(padding)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return pooling.max_unpool(
            self.called, self.rank, input, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(MaxUnpool):
    __doc__, rank = MaxUnpool.__doc__, 1


class MaxUnpool2d(MaxUnpool):
    __doc__, rank = MaxUnpool.__doc__, 2


class MaxUnpool3d(MaxUnpool):
    __doc__, rank = MaxUnpool.__doc__, 3
