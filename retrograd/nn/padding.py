"""Layers that pad: elements before and after the last one, two or three dimensions.

`padding` is an integer for all sides, or a number for each, pairs counted from the last dimension; negative ones cut
off. Input (N, C, *lengths) or (C, *lengths); the constant ones take any shape.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from retrograd.autograd.tensor import Tensor
from retrograd.nn import functional as F
from retrograd.nn.module import Module

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _Pad(Module):
    rank: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, Iterable) else (padding,) * (2 * self.rank)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    mode = "constant"
    value: Any

    def __init__(self, padding: int | tuple[int, ...], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: int | tuple[int, ...]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ReflectionPad(_Pad):
    mode = "reflect"


class _ReplicationPad(_Pad):
    mode = "replicate"


class _CircularPad(_Pad):
    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (self.rank + 1, self.rank + 2):
            raise ValueError(
                f"{type(self).__name__}: expected {self.rank + 1}D or {self.rank + 2}D input, got {input.shape}"
            )
        return super().forward(input)


class ConstantPad1d(_ConstantPad):
    """Pads the last dimension with a number."""

    rank = 1


class ConstantPad2d(_ConstantPad):
    """Pads the last two dimensions with a number."""

    rank = 2


class ConstantPad3d(_ConstantPad):
    """Pads the last three dimensions with a number."""

    rank = 3


class ZeroPad1d(_ZeroPad):
    """Pads the last dimension with zeros."""

    rank = 1


class ZeroPad2d(_ZeroPad):
    """Pads the last two dimensions with zeros."""

    rank = 2


class ZeroPad3d(_ZeroPad):
    """Pads the last three dimensions with zeros."""

    rank = 3


class ReflectionPad1d(_ReflectionPad):
    """Pads the last dimension by mirroring at the first and the last element.

    >>> import retrograd as rg
    >>> rg.nn.ReflectionPad1d(2)(rg.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]]
    """

    rank = 1


class ReflectionPad2d(_ReflectionPad):
    """Pads the last two dimensions by mirroring at the first and the last element."""

    rank = 2


class ReflectionPad3d(_ReflectionPad):
    """Pads the last three dimensions by mirroring at the first and the last element."""

    rank = 3


class ReplicationPad1d(_ReplicationPad):
    """Pads the last dimension by repeating the first and the last element."""

    rank = 1


class ReplicationPad2d(_ReplicationPad):
    """Pads the last two dimensions by repeating the first and the last element."""

    rank = 2


class ReplicationPad3d(_ReplicationPad):
    """Pads the last three dimensions by repeating the first and the last element."""

    rank = 3


class CircularPad1d(_CircularPad):
    """Pads the last dimension by starting again at the other end."""

    rank = 1


class CircularPad2d(_CircularPad):
    """Pads the last two dimensions by starting again at the other end."""

    rank = 2


class CircularPad3d(_CircularPad):
    """Pads the last three dimensions by starting again at the other end."""

    rank = 3
