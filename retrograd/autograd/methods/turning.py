"""Tensors turned over, rolled and rotated."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.registry import method, public
from retrograd.autograd.methods.shape import dimensions
from retrograd.autograd.tensor import Tensor

__all__: list[str] = []

xp: Any = ops


def _dims(dims: tuple[Any, ...], ndim: int, who: str) -> tuple[int, ...]:
    if not dims:
        raise TypeError(f'{who}() missing 1 required positional arguments: "dims"')
    return dimensions(dims[0] if len(dims) == 1 else dims, ndim, f"{who}()")


def flip(self: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """A copy with the order of these dimensions reversed."""
    axes = _dims(order if dims is None else (dims,), self.ndim, "flip")
    return xp.flip(self, axis=axes) if axes and self.ndim else xp.copy(self)  # type: ignore[no-any-return]


def _flip(input: Tensor, dims: Any) -> Tensor:
    """A copy with the order of these dimensions reversed."""
    return flip(input, dims)


def fliplr(input: Tensor) -> Tensor:
    """A copy with the second dimension reversed."""
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """A copy with the first dimension reversed."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """A copy shifted along dimensions; what leaves at one end comes back at the other. Without `dims`, flat."""
    by = tuple(shifts) if isinstance(shifts, (list, tuple)) else (operator.index(shifts),)
    along = () if dims is None else tuple(dims) if isinstance(dims, (list, tuple)) else (dims,)
    if not along and len(by) == 1:
        return xp.roll(input, shift=by[0])  # type: ignore[no-any-return]
    if len(by) != len(along):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(by)}, dims:{len(along)}")
    return xp.roll(input, shift=by, axis=tuple(dimension(d, input.ndim) for d in along))  # type: ignore[no-any-return]


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A copy turned k times by 90 degrees, from the first towards the second of two dimensions."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    a, b = dimension(dims[0], input.ndim), dimension(dims[1], input.ndim)
    if a == b:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    if k % 4 == 0:
        return xp.copy(input)  # type: ignore[no-any-return]
    if k % 4 == 2:
        return flip(input, (a, b))
    axes = list(range(input.ndim))
    axes[a], axes[b] = b, a
    return xp.permute_dims(flip(input, b if k % 4 == 1 else a), axes=tuple(axes))  # type: ignore[no-any-return]


_function: Any
for _function in (fliplr, flipud, roll, rot90):
    public(_function)
method(flip)
public(_flip, name="flip", method=False)
