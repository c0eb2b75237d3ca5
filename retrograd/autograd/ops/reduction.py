"""Reductions: primitives that fold axes."""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd.primitive import primitive


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes that are reduced, counted from 0."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim if ndim else 0 for a in (axis if isinstance(axis, tuple) else (axis,)))


def spread(xp: Any, g: Any, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Any:
    """A reduced cotangent broadcast back over the reduced axes."""
    if g.shape == shape:
        return g
    if not keepdims and g.shape:
        reduced = axes_of(axis, len(shape))
        g = xp.reshape(g, shape=tuple(1 if i in reduced else n for i, n in enumerate(shape)))
    return xp.broadcast_to(g, shape=shape)


@primitive
def sum(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Σ x over the axes."""
    return xp.sum(x, axis=axis, keepdims=keepdims)


sum.vjp(lambda xp, g, x_shape, axis, keepdims: spread(xp, g, x_shape, axis, keepdims))


@primitive
def mean(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Mean of x over the axes."""
    return xp.mean(x, axis=axis, keepdims=keepdims)


@mean.vjp
def _(xp: Any, g: Any, x_shape: tuple[int, ...], axis: Any, keepdims: bool) -> Any:
    count = math.prod(x_shape[a] for a in axes_of(axis, len(x_shape)))
    return spread(xp, g / count, x_shape, axis, keepdims)
