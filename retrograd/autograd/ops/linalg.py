"""Products of vectors and matrices, and norms. A matrix is the last two axes, those before it a batch that broadcasts.

Rules: Giles 2008, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation".
"""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor


def mT(xp: Any, x: Any) -> Any:
    """The matrix transposed."""
    n = len(x.shape)
    return xp.permute_dims(x, axes=(1, 0) if n == 2 else (*range(n - 2), n - 1, n - 2))


def same_dtype(name: str, *arrays: Any) -> None:
    """A product promotes nothing. RuntimeError for operands of several dtypes."""
    for array in arrays:
        if array.dtype != arrays[0].dtype:
            floating = next((a.dtype for a in (array, *arrays) if a.dtype.kind == "f"), array.dtype)
            raise RuntimeError(
                f"{name}: operands must have the same dtype, got {arrays[0].dtype} and {array.dtype}; "
                f"convert one, e.g. x.to(rg.{floating})."
            )


# ---- matrix products


@primitive(name="Mm")
def matmul(xp: Any, x: Any, y: Any) -> Any:
    """Matrix product; a 1-d operand is a row on the left and a column on the right."""
    if x.dtype is not y.dtype:
        same_dtype("matmul", x, y)
    try:
        return xp.matmul(x, y)
    except ValueError:
        raise misfit(x.shape, y.shape) from None


def misfit(left: tuple[int, ...], right: tuple[int, ...]) -> RuntimeError:
    """What is wrong with the shapes of a product."""
    if not left or not right:
        return RuntimeError(f"matmul: both operands need at least one dimension, got shapes {left} and {right}.")
    inner = right[-2] if len(right) > 1 else right[0]
    if left[-1] != inner:
        which = "last but one" if len(right) > 1 else "only"
        return RuntimeError(
            f"matmul: shapes {left} and {right} cannot be multiplied: the last dimension of the first, {left[-1]}, "
            f"must be the {which} of the second, {inner}."
        )
    return RuntimeError(
        f"matmul: the batch dimensions {left[:-2]} and {right[:-2]} do not broadcast (shapes {left} and {right})."
    )


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
    if len(x.shape) > 2 and len(y_shape) == 2:  # one GEMM instead of a batch of them that would be summed
        return xp.matmul(mT(xp, rows(xp, x)), rows(xp, g))
    return xp.matmul(mT(xp, x), g)


matmul.vjps(x=matmul_left, y=matmul_right)


@primitive
def bmm(xp: Any, x: Any, y: Any) -> Any:
    """A batch of matrix products."""
    return xp.matmul(x, y)


bmm.vjps(x=lambda xp, g, y: xp.matmul(g, mT(xp, y)), y=lambda xp, g, x: xp.matmul(mT(xp, x), g))


@primitive
def mv(xp: Any, x: Any, y: Any) -> Any:
    """A matrix times a vector."""
    return xp.matmul(x, y)


mv.vjps(x=lambda xp, g, y: xp.reshape(g, shape=(-1, 1)) * y, y=lambda xp, g, x: xp.matmul(mT(xp, x), g))


@primitive
def dot(xp: Any, x: Any, y: Any) -> Any:
    """The inner product of two vectors."""
    return xp.matmul(x, y)


dot.vjps(x=lambda xp, g, y: g * y, y=lambda xp, g, x: g * x)


@primitive(name="Addmm")
def linear(xp: Any, x: Any, weight: Any, bias: Any) -> Any:
    """x Wᵀ + b over the last axis of x: weight (out, in), bias (out,) or a number."""
    if not (x.dtype is weight.dtype is bias.dtype):
        same_dtype("linear", x, weight, bias)
    try:
        out = xp.matmul(x, weight.T)
    except ValueError:
        got = f"got {x.shape[-1]}" if x.shape else "got a scalar"
        raise RuntimeError(
            f"linear: input {x.shape} does not fit weight {weight.shape}: "
            f"the last dimension must be {weight.shape[-1]}, {got}."
        ) from None
    if bias.shape != out.shape[-1:] and bias.size != 1:
        raise RuntimeError(
            f"linear: bias {bias.shape} does not fit weight {weight.shape}: it must be {out.shape[-1:]}."
        )
    xp.add_into(out, bias)
    return out


linear.vjps(
    x=lambda xp, g, weight: xp.matmul(g, weight),
    weight=lambda xp, g, x: xp.matmul(mT(xp, rows(xp, g)), rows(xp, x)),
    bias=lambda xp, g: xp.sum(rows(xp, g), axis=0),
)


def rows(xp: Any, x: Any) -> Any:
    """All leading axes folded into one."""
    if len(x.shape) == 2:
        return x
    return xp.reshape(x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))


# ---- norms


@primitive(name="LinalgVectorNorm")
def vector_norm(
    xp: Any, x: Any, *, ord: float, axis: Any = None, keepdims: bool = False, flat_at_zero: bool = False
) -> Any:
    """(Σ |x|ᵖ)^(1/p) over the axes; the largest |x| for p = ∞, the smallest for −∞, the count of nonzeros for 0."""
    if x.dtype.char == "e":  # the squares of halves overflow
        wide = vector_norm.primitive.forward(xp, xp.astype(x, "float32"), ord=ord, axis=axis, keepdims=keepdims)
        return xp.astype(wide, x.dtype)
    if ord == 2:
        return xp.sqrt(xp.sum(x * x, axis=axis, keepdims=keepdims))
    if ord == 0:
        return xp.sum(xp.astype(xp.not_equal(x, 0), x.dtype), axis=axis, keepdims=keepdims)
    size = xp.abs(x)
    if ord == 1:
        return xp.sum(size, axis=axis, keepdims=keepdims)
    if math.isinf(ord):
        return (xp.max if ord > 0 else xp.min)(size, axis=axis, keepdims=keepdims)
    return xp.sum(size**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


@vector_norm.vjp
def _(xp: Any, g: Any, x: Any, out: Any, ord: float, axis: Any, keepdims: bool, flat_at_zero: bool) -> Any:
    """Where the norm is 0, or an element is 0 and the power below 2, the subgradient is 0, as in PyTorch.

    A second derivative does not exist there: it is NaN, unless the norm is to be `flat_at_zero`.
    """
    if ord == 0:
        return xp.new_zeros(g, shape=x.shape)
    if not keepdims:
        g, out = kept(xp, g, x.shape, axis), kept(xp, out, x.shape, axis)
    if ord == 1:
        return g * xp.sign(x)
    if math.isinf(ord):  # all that reach the extremum share the gradient
        reached = xp.astype(xp.abs(x) == out, dtype=g.dtype)
        return (g / xp.sum(reached, axis=axis, keepdims=True)) * xp.sign(x) * reached
    vanishes = out == 0
    norm = xp.where(vanishes, 1.0, out)
    again = isinstance(g, Tensor) and not flat_at_zero  # then 0/0 must be seen when the result is differentiated
    if ord == 2:
        return g * xp.where(vanishes, 0.0, x / out) if again else x * xp.where(vanishes, 0.0, g / norm)
    at_zero = x == 0
    powers = (xp.abs(x) if again and ord < 2 else xp.where(at_zero, 1.0, xp.abs(x))) ** (ord - 1)
    return xp.where(at_zero, 0.0, xp.sign(x) * powers) * xp.where(vanishes, 0.0, g * norm ** (1 - ord))


def kept(xp: Any, reduced: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """A result of a reduction, with the reduced axes as axes of length 1."""
    if axis is None:
        return xp.reshape(reduced, shape=(1,) * len(shape))
    axes = {a % max(len(shape), 1) for a in (axis if isinstance(axis, tuple) else (axis,))}
    return xp.reshape(reduced, shape=tuple(1 if i in axes else n for i, n in enumerate(shape)))
