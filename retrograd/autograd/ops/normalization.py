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
    group_gradients,
    normalized_by_channels,
    normalized_by_groups,
    normalized_by_rows,
    row_gradients,
)
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor

Axes = tuple[int, ...]


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
    values, gamma, beta = wide(xp, xp.reshape(x, shape=form(layout, axes))), flat(xp, weight), flat(xp, bias)
    if axes == (1,):
        out, mean, spread = normalized_by_rows(xp, values, gamma, beta, eps, subtract_mean)
    elif 0 in axes:
        out, mean, spread = normalized_by_channels(xp, values, gamma, beta, eps)
    else:
        out, mean, spread = normalized_by_groups(xp, values, gamma, beta, eps)
    if observe is not None:
        observe(mean, spread)
    return xp.astype(xp.reshape(out, x.shape), x.dtype), mean, 1 / xp.sqrt(spread + eps)


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
    """dx = (γg − E[γg] − x̂ E[γg x̂])/σ, dγ = Σ g·x̂, dβ = Σ g: Ioffe & Szegedy 2015, section 3, simplified."""
    if isinstance(g, Tensor):
        return recorded(xp, g, x, weight, layout, axes, affine, eps, mean is not None)
    shape, gamma = form(layout, axes), flat(xp, weight)
    slope, values = (wide(xp, xp.reshape(part, shape=shape)) for part in (g, x))
    gradients = row_gradients if axes == (1,) else channel_gradients if 0 in axes else group_gradients
    dx, dweight, dbias = gradients(xp, slope, values, gamma, mean, rstd)
    parameter = (math.prod(affine),) if weight is None else weight.shape
    return xp.reshape(dx, shape=x.shape), xp.reshape(dweight, shape=parameter), xp.reshape(dbias, shape=parameter)


def recorded(
    xp: Any, g: Any, x: Any, weight: Any, layout: tuple[int, ...], axes: Axes, affine: tuple[int, ...], eps: float,
    subtract_mean: bool,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """The gradients where they are recorded themselves, so that the statistics must depend on x."""
    d, slope = (wide(xp, xp.reshape(part, shape=layout)) for part in (x, g))
    if subtract_mean:
        d = d - xp.mean(d, axis=axes, keepdims=True)
    rstd = 1 / xp.sqrt(xp.mean(d * d, axis=axes, keepdims=True) + eps)
    normal = d * rstd
    lead = len(layout) - len(affine)
    constant = tuple(a for a in range(len(layout)) if a < lead or affine[a - lead] == 1)
    dweight, dbias = (xp.sum(part, axis=constant) for part in (slope * normal, slope))
    if weight is not None:
        slope = slope * xp.reshape(wide(xp, weight), shape=affine)
    dx = slope - normal * xp.mean(slope * normal, axis=axes, keepdims=True)
    if subtract_mean:
        dx = dx - xp.mean(slope, axis=axes, keepdims=True)
    parameter = (math.prod(affine),) if weight is None else weight.shape
    return (
        xp.reshape(dx * rstd, shape=x.shape),
        xp.reshape(dweight, shape=parameter),
        xp.reshape(dbias, shape=parameter),
    )


def form(layout: tuple[int, ...], axes: Axes) -> tuple[int, ...]:
    """The layout as the kernels take it: a matrix of rows, (batch, channels, places), or groups of channels."""
    if axes == (1,) or len(layout) == 4:
        return layout
    batch, channels, *places = layout
    return (batch, channels, math.prod(places)) if 0 in axes else (batch, channels, 1, *places)


def wide(xp: Any, x: Any) -> Any:
    """float16 as float32, in which it is summed."""
    return xp.astype(x, dtype="float32") if x.dtype.char == "e" else x


def flat(xp: Any, parameter: Any) -> Any:
    return None if parameter is None else xp.reshape(wide(xp, parameter), shape=(-1,))
