"""Interpolation: an image in another size. It is separable, so each axis has a table of its own (`Taps`).

An element i of the result stands at scale·(i + ½) − ½ in the input, or at scale·i where the corners are aligned. The
places are computed in the precision in which PyTorch does it, so that rounding chooses the same neighbours.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.ops.resampling import HostArray, Taps
from retrograd.autograd.tensor import Tensor
from retrograd.nn.functional.adaptive_pooling import adaptive_avg_pool

__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]

RANKS = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "area": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
    "trilinear": (3,),
    "lanczos": (2,),
}
"""The modes, and the numbers of dimensions that each takes."""


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """The input in another size: (batch, channels, *lengths), of which one to three lengths change.

    Give `size`, an integer or one per length, or `scale_factor`, a number or one per length. mode: "nearest",
    "nearest-exact", "area"; "linear" for one length, "bilinear", "bicubic", "lanczos" for two, "trilinear" for three.
    align_corners: the outermost elements keep their places. recompute_scale_factor: places are computed from the
    rounded size, not from the factor. antialias: reducing averages over all elements between; "bilinear" and "bicubic"
    may, "lanczos" must.

    >>> import retrograd as rg
    >>> rg.nn.functional.interpolate(rg.tensor([[[0.0, 1.0]]]), scale_factor=2, mode="linear")
    tensor([[[0.0000, 0.2500, 0.7500, 1.0000]]])
    """
    rank = input.ndim - 2
    check_mode(input, mode, align_corners, antialias)
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: only one of size or scale_factor should be defined, and one must be.")
    if recompute_scale_factor and size is not None:
        raise ValueError("interpolate: recompute_scale_factor is not meaningful with an explicit size.")
    lengths = input.shape[2:]
    factors: tuple[float | None, ...] = (None,) * rank
    if size is not None:
        sizes = tuple(operator.index(n) for n in per_length("size", size, rank))
    else:
        given = tuple(float(f) for f in per_length("scale_factor", scale_factor, rank))
        sizes = tuple(math.floor(n * f) for n, f in zip(lengths, given))
        if not recompute_scale_factor and mode != "area":
            factors = given
    if mode == "area":
        return adaptive_avg_pool("interpolate", rank, input, sizes)
    if min((*lengths, *sizes)) < 1 or not input.shape[1]:
        raise RuntimeError(f"interpolate: input {input.shape} and output {sizes} sizes should be greater than 0.")
    return resampled(input, sizes, factors, mode, bool(align_corners), antialias)


def check_mode(input: Tensor, mode: str, align_corners: bool | None, antialias: bool) -> None:
    """Raises where a mode is none, or does not fit the input or the other options."""
    rank = input.ndim - 2
    if mode not in RANKS:
        raise NotImplementedError(f"interpolate: mode must be one of {', '.join(RANKS)}, got {mode!r}.")
    if align_corners is not None and mode in ("nearest", "nearest-exact", "area"):
        raise ValueError(
            f"interpolate: align_corners option can only be set with the interpolating modes: "
            f"linear, bilinear, bicubic, trilinear, lanczos; the mode is {mode!r}."
        )
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and rank == 2):
        raise ValueError(f"interpolate: antialias needs 4-D input and bilinear, bicubic or lanczos mode, got {mode!r}.")
    if mode == "lanczos" and rank == 2 and (align_corners or not antialias):
        raise ValueError("interpolate: mode 'lanczos' requires antialias=True, and does not align corners.")
    if rank not in RANKS[mode]:
        fitting = " or ".join(f"{r + 2}-D" for r in RANKS[mode])
        raise NotImplementedError(
            f"interpolate: mode {mode!r} takes {fitting} input (batch, channels, *lengths), got {input.shape}."
        )
    if input.dtype.kind != "f" and not (input.dtype == "uint8" and mode.startswith("nearest")):
        raise NotImplementedError(f"interpolate: mode {mode!r} is not implemented for {input.dtype}; use x.float().")


def per_length(name: str, value: Any, rank: int) -> tuple[Any, ...]:
    """A number, or one for each length."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
    if len(values) != rank:
        raise ValueError(f"interpolate: {name} must be a number or {rank} of them, one per length, got {value!r}.")
    return values


def resampled(
    input: Tensor, sizes: tuple[int, ...], factors: tuple[float | None, ...], mode: str, align: bool, antialias: bool
) -> Tensor:
    """One axis after the other: an image that grows is cheaper to widen before it has more rows."""
    kind = "antialias-" + mode if antialias else mode
    precision = "float64" if input.dtype == "float64" else "float32"
    axes = list(zip(range(-len(sizes), 0), input.shape[2:], sizes, factors))
    if math.prod(sizes) > math.prod(input.shape[2:]):
        axes.reverse()
    for axis, length, size, factor in axes:
        if size != length or (factor is not None and "linear" not in mode):
            input = ops.resample(input, axis=axis, taps=table(kind, length, size, factor, align, precision))
    return input


# ---- tables, one per axis


@functools.lru_cache(256)
def table(kind: str, length: int, size: int, factor: float | None, align: bool, precision: str) -> Taps:
    """Which elements of an axis make an element of the result, and how much of each."""
    real = np.dtype(precision).type
    if align:
        scale = real(length - 1) / real(size - 1) if size > 1 else real(0)
    else:
        scale = real(1 / factor) if factor else real(length) / real(size)
    if kind in KERNELS:
        return averaged(length, size, scale, *KERNELS[kind])
    steps = np.arange(size).astype(precision)
    if kind == "nearest":
        return Taps(length, nearest(scale * steps, length))
    exact = np.float64(scale)  # a fused multiply-add rounds once
    places = scale * steps if align else (exact * (steps + real(0.5)) - 0.5).astype(precision)
    if kind == "nearest-exact":
        return Taps(length, nearest(places + real(0.5), length))
    return cubic(places, length) if kind == "bicubic" else linear(np.maximum(places, 0), length)


def nearest(places: HostArray, length: int) -> HostArray:
    """The elements at or before the places, rounded as a float32 is."""
    before: HostArray = np.floor(places.astype(np.float32)).astype(np.int64)
    return np.clip(before, 0, length - 1)[:, None]


def linear(places: HostArray, length: int) -> Taps:
    """The two neighbours, each weighted by the distance to the other."""
    first = np.minimum(places.astype(np.int64), length - 1)
    share = np.clip(places - first, 0, 1)
    return Taps(length, np.stack([first, np.minimum(first + 1, length - 1)], 1), np.stack([1 - share, share], 1))


def cubic(places: HostArray, length: int) -> Taps:
    """The four neighbours, those beyond the ends being the outermost elements. Keys 1981 with a = −3/4."""
    first = np.floor(places)
    share = places - first
    offsets = np.arange(-1, 3)
    sources = np.clip(first.astype(np.int64)[:, None] + offsets, 0, length - 1)
    return Taps(length, sources, keys(share[:, None] - offsets.astype(places.dtype), -0.75))


def keys(distance: HostArray, a: float) -> HostArray:
    """The kernel of cubic convolution. Keys 1981."""
    x = np.abs(distance)
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def triangle(distance: HostArray) -> HostArray:
    """The kernel of linear interpolation."""
    return (1 - np.abs(distance)).clip(0)


def lanczos(distance: HostArray) -> HostArray:
    """A sinc, windowed by one three times as wide. Duchon 1979."""
    return np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)


KERNELS: dict[str, tuple[float, Callable[[HostArray], HostArray]]] = {
    "antialias-bilinear": (1, triangle),
    "antialias-bicubic": (2, lambda distance: keys(distance, -0.5)),
    "antialias-lanczos": (3, lanczos),
}
"""Kernels that reducing widens, with half their width."""


def averaged(length: int, size: int, scale: Any, reach: float, kernel: Callable[[HostArray], HostArray]) -> Taps:
    """A kernel widened by the scale where that reduces: every element of the input counts somewhere."""
    widened = max(scale, type(scale)(1))
    support = reach * widened
    centers = scale * (np.arange(size).astype(type(scale)) + type(scale)(0.5))
    first = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    stop = np.minimum((centers + support + 0.5).astype(np.int64), length)
    places = first[:, None] + np.arange((stop - first).max())
    weights = kernel((places - centers[:, None] + 0.5) / widened)
    weights = np.where(places < stop[:, None], weights, 0)
    return Taps(length, np.minimum(places, stop[:, None] - 1), weights / weights.sum(1, keepdims=True))


# ---- older names


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """`interpolate`, under its older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` by the nearest neighbours."""
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """Bilinear `interpolate` with aligned corners."""
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
