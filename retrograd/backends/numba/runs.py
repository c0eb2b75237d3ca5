"""Loops over one run of an array (*, *, numbers), which is named by its two indices: a view that is
handed over would be counted. Inner loops go over `range(run.size)` of a view, which needs no test for negative indices.

Sums are taken in blocks, and those of the blocks in float64.
"""

from __future__ import annotations

from typing import Any

from retrograd.backends.numba.jit import compiled

__all__ = ["affine", "moments", "products", "slopes", "total", "weighted_products"]

Array = Any
BLOCK = 1024
"""Numbers that are added in their own dtype."""


@compiled(reassociate=True)
def total(x: Array, n: int, c: int) -> float:
    """Σ x."""
    result, row = 0.0, x[n, c]
    for start in range(0, row.size, BLOCK):
        part, run = x.dtype.type(0), row[start : start + BLOCK]
        for i in range(run.size):
            part += run[i]
        result += part
    return result


@compiled(reassociate=True)
def moments(x: Array, n: int, c: int, near: Any) -> tuple[float, float]:
    """Σ (x − near) and Σ (x − near)²."""
    first, second, row = 0.0, 0.0, x[n, c]
    for start in range(0, row.size, BLOCK):
        part, square, run = x.dtype.type(0), x.dtype.type(0), row[start : start + BLOCK]
        for i in range(run.size):
            d = run[i] - near
            part += d
            square += d * d
        first += part
        second += square
    return first, second


@compiled(reassociate=True)
def products(g: Array, x: Array, n: int, c: int, mean: Any) -> tuple[float, float]:
    """Σ g and Σ g (x − mean)."""
    first, second, row, slopes = 0.0, 0.0, x[n, c], g[n, c]
    for start in range(0, row.size, BLOCK):
        part, product = x.dtype.type(0), x.dtype.type(0)
        run, slope = row[start : start + BLOCK], slopes[start : start + BLOCK]
        for i in range(run.size):
            part += slope[i]
            product += slope[i] * (run[i] - mean)
        first += part
        second += product
    return first, second


@compiled(reassociate=True)
def weighted_products(g: Array, x: Array, weight: Array, n: int, c: int, mean: Any) -> tuple[float, float]:
    """Σ γg and Σ γg (x − mean), γ one of each number."""
    first, second, row, slopes = 0.0, 0.0, x[n, c], g[n, c]
    for start in range(0, row.size, BLOCK):
        part, product, gamma = x.dtype.type(0), x.dtype.type(0), weight[start : start + BLOCK]
        run, slope = row[start : start + BLOCK], slopes[start : start + BLOCK]
        for i in range(run.size):
            value = slope[i] * gamma[i]
            part += value
            product += value * (run[i] - mean)
        first += part
        second += product
    return first, second


@compiled
def affine(x: Array, n: int, c: int, near: Any, scale: Any, shift: Any, out: Array) -> None:
    """(x − near) · scale + shift."""
    row, result = x[n, c], out[n, c]
    for i in range(row.size):
        result[i] = (row[i] - near) * scale + shift


@compiled
def slopes(g: Array, x: Array, n: int, c: int, mean: Any, scale: Any, shift: Any, tilt: Any, dx: Array) -> None:
    """g · scale − shift − (x − mean) · tilt."""
    row, slope, result = x[n, c], g[n, c], dx[n, c]
    for i in range(row.size):
        result[i] = slope[i] * scale - shift - (row[i] - mean) * tilt
