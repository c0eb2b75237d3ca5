"""Layers that take windows apart and put them together."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.tensor import Tensor
from retrograd.nn import functional as F
from retrograd.nn.module import Module

__all__ = ["Fold", "Unfold"]


class Unfold(Module):
    """Every window of (N, C, H, W) as a column of (N, C · kernel, number of windows); without N too.

    A convolution is the product of its weights with these. Raises RuntimeError where no window fits.
    """

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """Columns (N, C · kernel, number of windows) added up where Unfold takes them from: (N, C, *output_size).

    Raises RuntimeError where the columns are not of that length or number.
    """

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )
