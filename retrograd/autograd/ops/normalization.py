"""Normalisation over axes: one primitive for batch, layer, group, instance and root-mean-square norm.

All of them are γ·x̂ + β with x̂ = (x − μ)/σ; they differ in the axes over which μ and σ are taken and in those along
which γ and β are constant. The input is therefore brought to a `layout` whose axes are these: (batch, channels, places)
for batch and instance norm, (batch, groups, channels of a group, places) for group norm, (rows, features) for layer
norm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from retrograd.autograd.ops.normalization_kernels import (
    channel_gradients,
    normalized_by_channels,
    normalized_by_rows,
    row_gradients,
)
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor

Axes = tuple[int, ...]
ROW = range(16, 4097)
"""Lengths of rows that a matrix product sums faster than a reduction, and still accurately."""


# ---- sums over axes, which stay with length 1


def total(xp: Any, x: Any, axes: Axes) -> Any:
    """Σ x over the axes."""
    return xp.sum(x, axis=axes, keepdims=True) if axes else x


def inner(xp: Any, x: Any, y: Any, axes: Axes) -> Any:
    """Σ x·y over the axes; y broadcasts."""
    last = len(x.shape) - 1
    if last not in axes or x.shape[last] not in ROW:
        return total(xp, x * y, axes)
    row = xp.reshape(x, shape=(*x.shape[:-1], 1, x.shape[last]))
    product = xp.matmul(row, xp.reshape(y, shape=(*y.shape, 1)))
    return total(xp, xp.reshape(product, shape=(*x.shape[:-1], 1)), tuple(a for a in axes if a != last))


def wide(xp: Any, x: Any) -> Any:
    """float16 as float32, in which it is summed."""
    return xp.astype(x, dtype="float32") if x.dtype.char == "e" else x


def less(x: Any, y: Any) -> Any:
    """x − y, written over x where it is an array: x is nobody else's, and y broadcasts to it."""
    if isinstance(x, Tensor):
        return x - y
    x -= y
    return x


def centred(xp: Any, x: Any, axes: Axes) -> tuple[Any, Any]:
    """Mean over the axes, which stay with length 1, and what x deviates from it.

    The deviations' own mean is what rounding missed: it would matter where all values are equal.
    """
    count = math.prod(x.shape[a] for a in axes)
    mean = total(xp, x, axes) / count
    d = x - mean
    if isinstance(x, Tensor):
        return mean, d
    rest = total(xp, d, axes) / count
    return mean + rest, less(d, rest)


def variance(xp: Any, d: Any, axes: Axes) -> Any:
    """Mean square over the axes."""
    return inner(xp, d, d, axes) / math.prod(d.shape[a] for a in axes)


# ---- the primitive


@primitive(residuals=("mean", "rstd"))
def normalize(
    xp: Any,
    x: Any,
    weight: Any,
    bias: Any,
    *,
    layout: tuple[int, ...],
    axes: Axes,
    affine: tuple[int, ...],
    eps: float,
    subtract_mean: bool = True,
    observe: Callable[[Any, Any], None] | None = None,
) -> Any:
    """γ·(x − μ)/√(σ² + eps) + β, x brought to `layout`, weight γ and bias β (None: 1 and 0) to `affine`.

    `subtract_mean=False` takes 0 for μ. `observe` gets the mean and the biased variance, for running statistics.
    """
    values = wide(xp, xp.reshape(x, layout))
    form = form_of(layout, axes)
    if form is not None:
        gamma, beta = (None if p is None else xp.reshape(wide(xp, p), shape=(-1,)) for p in (weight, bias))
        if form == "rows":
            out, mean, spread = normalized_by_rows(xp, values, gamma, beta, eps, subtract_mean)
        else:
            values = xp.reshape(values, shape=(*layout[:2], -1))
            out, mean, spread = normalized_by_channels(xp, values, gamma, beta, eps)
        if observe is not None:
            observe(mean, spread)
        return xp.astype(xp.reshape(out, x.shape), x.dtype), mean, 1 / xp.sqrt(spread + eps)
    mean, out = centred(xp, values, axes) if subtract_mean else (None, values)
    spread = variance(xp, out, axes)
    if observe is not None:
        observe(mean, spread)
    rstd = 1 / xp.sqrt(spread + eps)
    scale = rstd if weight is None else rstd * xp.reshape(wide(xp, weight), affine)
    if mean is None:
        out = out * scale
    else:
        out *= scale
    if bias is not None:
        out += xp.reshape(wide(xp, bias), affine)
    return xp.astype(xp.reshape(out, x.shape), x.dtype), mean, rstd


@normalize.vjp
def _(
    xp: Any,
    g: Any,
    x: Any,
    weight: Any,
    layout: tuple[int, ...],
    axes: Axes,
    affine: tuple[int, ...],
    eps: float,
    mean: Any,
    rstd: Any,
    needs: tuple[bool, ...],
) -> tuple[Any, Any, Any]:
    """dx = (γg − E[γg] − x̂ E[γg x̂])/σ, dγ = Σ g·x̂, dβ = Σ g: Ioffe & Szegedy 2015, section 3, simplified.

    Sums are taken first over the axes along which γ is constant, where it can wait.
    """
    x_shape, x, g = x.shape, wide(xp, xp.reshape(x, shape=layout)), wide(xp, xp.reshape(g, shape=layout))
    d = x
    if isinstance(g, Tensor):  # the gradient is recorded, so the statistics must depend on x
        if mean is not None:
            mean, d = centred(xp, x, axes)
        rstd = 1 / xp.sqrt(variance(xp, d, axes) + eps)
    elif (form := form_of(layout, axes)) is not None:
        gamma = None if weight is None else xp.reshape(wide(xp, weight), shape=(-1,))
        if form == "rows":
            dx, dweight, dbias = row_gradients(xp, g, x, gamma, mean, rstd)
        else:
            x, g = (xp.reshape(part, shape=(*layout[:2], -1)) for part in (x, g))
            dx, dweight, dbias = channel_gradients(xp, g, x, gamma, mean, rstd)
        flat = (math.prod(affine),) if weight is None else weight.shape
        return xp.reshape(dx, shape=x_shape), xp.reshape(dweight, shape=flat), xp.reshape(dbias, shape=flat)
    elif mean is not None:
        d = x - mean
    lead = len(layout) - len(affine)
    constant = tuple(a for a in range(len(layout)) if a < lead or affine[a - lead] == 1)
    shared, other = tuple(a for a in axes if a in constant), tuple(a for a in axes if a not in constant)
    batch = tuple(a for a in constant if a not in axes)

    sum_g, sum_gd = total(xp, g, shared), inner(xp, g, d, shared)
    dx = dweight = dbias = None
    if needs[0]:
        gamma = 1.0 if weight is None else xp.reshape(wide(xp, weight), shape=affine)
        count = math.prod(layout[a] for a in axes)
        slope = rstd * rstd * rstd * weighted(xp, sum_gd, gamma, other) / count
        dx = less(g * (rstd * gamma), d * slope)
        if mean is not None:
            dx = less(dx, rstd * weighted(xp, sum_g, gamma, other) / count)
        dx = xp.reshape(dx, shape=x_shape)
    if needs[1]:
        dweight = xp.reshape(over_rows(xp, sum_gd, rstd, batch), shape=weight.shape)
    if needs[2]:
        flat = (math.prod(affine),) if weight is None else weight.shape
        dbias = xp.reshape(total(xp, sum_g, batch), shape=flat)
    return dx, dweight, dbias


def form_of(layout: tuple[int, ...], axes: Axes) -> str | None:
    """Which kernels of `normalization_kernels` compute it: those of "channels" or "rows", or none."""
    if axes in ((0,), (0, 2)):
        return "channels"
    return "rows" if axes == (1,) and len(layout) == 2 else None


def weighted(xp: Any, x: Any, gamma: Any, axes: Axes) -> Any:
    """Σ γ·x over the axes."""
    return total(xp, x, axes) if gamma.__class__ is float else inner(xp, x, gamma, axes)


def over_rows(xp: Any, x: Any, scale: Any, axes: Axes) -> Any:
    """Σ x·scale over the axes, which are those of a batch; for a matrix the product with a row of scales."""
    if axes == (0,) and len(x.shape) == 2 and scale.shape == (x.shape[0], 1):
        return xp.matmul(xp.permute_dims(scale, axes=(1, 0)), x)
    return total(xp, x * scale, axes)
