"""Products and linear algebra. A matrix is the last two axes, the axes before it are a batch that broadcasts."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.primitive import primitive


def mT(xp: Any, x: Any) -> Any:
    """The matrix transposed."""
    n = len(x.shape)
    return xp.permute_dims(x, axes=(*range(n - 2), n - 1, n - 2))


@primitive(name="Mm")
def matmul(xp: Any, x: Any, y: Any) -> Any:
    """Matrix product; a 1-d operand is a row on the left and a column on the right."""
    return xp.matmul(x, y)


def matmul_left(xp: Any, g: Any, y: Any, x_shape: tuple[int, ...]) -> Any:
    if len(y.shape) == 1:
        return xp.reshape(g, shape=(*g.shape, 1)) * y if len(x_shape) > 1 else g * y
    if len(x_shape) == 1:
        g = xp.reshape(g, shape=(*g.shape[:-1], 1, g.shape[-1]))
        return xp.reshape(folded := xp.matmul(g, mT(xp, y)), shape=(*folded.shape[:-2], folded.shape[-1]))
    return xp.matmul(g, mT(xp, y))


def matmul_right(xp: Any, g: Any, x: Any, y_shape: tuple[int, ...]) -> Any:
    if len(x.shape) == 1:
        if len(y_shape) == 1:
            return g * x
        return xp.reshape(x, shape=(-1, 1)) * xp.reshape(g, shape=(*g.shape[:-1], 1, g.shape[-1]))
    if len(y_shape) == 1:
        g = xp.reshape(g, shape=(*g.shape, 1))
        return xp.reshape(folded := xp.matmul(mT(xp, x), g), shape=folded.shape[:-1])
    return xp.matmul(mT(xp, x), g)


matmul.vjps(x=matmul_left, y=matmul_right)


@primitive(name="Addmm")
def linear(xp: Any, x: Any, weight: Any, bias: Any) -> Any:
    """x Wᵀ + b over the last axis of x: weight (out, in), bias (out,)."""
    out = xp.matmul(x, weight.T)
    xp.add_into(out, xp.broadcast_to(bias, out.shape))
    return out


linear.vjps(
    x=lambda xp, g, weight: xp.matmul(g, weight),
    weight=lambda xp, g, x: xp.matmul(mT(xp, rows(xp, g)), rows(xp, x)),
    bias=lambda xp, g: xp.sum(rows(xp, g), axis=0),
)


def rows(xp: Any, x: Any) -> Any:
    """All leading axes folded into one."""
    return x if len(x.shape) == 2 else xp.reshape(x, shape=(-1, x.shape[-1]))
