"""Rotations and other affine maps of images, by sampling: each pixel of the result looks up where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrograd.autograd import ops
from retrograd.autograd.methods.random import Generator
from retrograd.autograd.tensor import Tensor
from retrograd.data.transforms.base import Transform, checked_floating, gathered, on_device_of

__all__ = ["RandomAffine", "RandomRotation", "affine_matrices", "sampled"]

Array = NDArray[np.float64]
Range = float | Sequence[float]

_INTERPOLATIONS = ("nearest", "bilinear")


def affine_matrices(angle: Array, scale: Array, shear: Array) -> Array:
    """Scale · R(angle) · shear along y · shear along x, (N, 2, 2), of degrees (N,), factors (N,), degrees (N, 2).

    In image coordinates, y downwards, so that a positive angle turns clockwise.
    """
    a, x, y = np.deg2rad(angle), np.tan(np.deg2rad(shear[:, 0])), np.tan(np.deg2rad(shear[:, 1]))
    one, nil = np.ones_like(a), np.zeros_like(a)
    turn, along_y, along_x = (
        np.stack([np.stack(row, -1) for row in rows], -2)
        for rows in (
            [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]],
            [[one, nil], [-y, one]],
            [[one, -x], [nil, one]],
        )
    )
    matrices: Array = scale[:, None, None] * (turn @ along_y @ along_x)
    return matrices


def sampled(
    images: Tensor, matrices: Array, shifts: Array, interpolation: str, fill: float, center: Sequence[float] | None
) -> Tensor:
    """Every image mapped by its matrix around its center, then moved by its shift (x, y) in pixels; (N, C, H, W).

    Pixels from outside are `fill`. center: (x, y) from the upper left corner, by default the middle.
    """
    height, width = images.shape[2:]
    middle = np.array([width, height]) / 2 if center is None else np.asarray(center, np.float64)
    across, down = (np.arange(n) + 0.5 - m for n, m in zip((width, height), middle))
    origins = np.linalg.inv(matrices)
    kind = np.result_type(images.dtype, np.float32)  # float16 cannot tell the pixels of larger images apart
    start = -np.einsum("nij,nj->ni", origins, shifts) + middle - 0.5
    x, y = (
        ops.reshape(
            on_device_of(images, (origins[:, i, :1] * across + start[:, i : i + 1])[:, None, :], kind)
            + on_device_of(images, (origins[:, i, 1:] * down)[:, :, None], kind),
            shape=(len(images), height * width),
        )
        for i in (0, 1)
    )
    if interpolation == "nearest":
        found = _looked_up(images, ops.round(x), ops.round(y), fill)
    else:
        checked_floating("bilinear interpolation", images)
        left, top = ops.floor(x), ops.floor(y)
        right_share, lower_share = x - left, y - top
        found = None
        for dy, row_weight in ((0, 1 - lower_share), (1, lower_share)):
            for dx, column_weight in ((0, 1 - right_share), (1, right_share)):
                weight = ops.astype(row_weight * column_weight, dtype=images.dtype)
                part = _looked_up(images, left + dx, top + dy, fill) * weight[:, None]
                found = part if found is None else found + part
    out: Tensor = ops.reshape(found, shape=images.shape)
    return out


def _looked_up(images: Tensor, x: Any, y: Any, outside: float) -> Any:
    """Pixels (N, C, places) at whole coordinates (N, places), also outside of the images."""
    height, width = images.shape[2:]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    column, row = (ops.astype(v.clamp(0, n - 1), dtype=np.dtype(np.int64)) for v, n in ((x, width), (y, height)))
    return ops.where(inside[:, None], gathered(images, row * width + column), outside)


def _range(caller: str, name: str, value: Range) -> tuple[float, float]:
    """(low, high); of one number ±it."""
    if isinstance(value, (int, float)):
        if not value >= 0:
            raise ValueError(
                f"{caller}: one number of {name} must not be negative, got {value!r}; or give (low, high)."
            )
        return -value, value
    low, high = value
    return low, high


def _checked_interpolation(caller: str, interpolation: str) -> str:
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(f"{caller}: interpolation must be 'nearest' or 'bilinear', got {interpolation!r}.")
    return interpolation


class RandomRotation(Transform):
    """Every image turned counter-clockwise around its middle (or `center`, (x, y)) by an angle of its own.

    degrees: from −degrees to degrees, or (low, high). interpolation: "nearest" or "bilinear". The size stays;
    expand=True raises NotImplementedError.

    >>> import retrograd as rg
    >>> RandomRotation((90, 90))(rg.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[2., 4.],
             [1., 3.]]])
    """

    def __init__(
        self,
        degrees: Range,
        interpolation: str = "nearest",
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: float = 0,
        *,
        generator: Generator | None = None,
    ) -> None:
        if expand:
            raise NotImplementedError("RandomRotation: expand=True is not supported; pad the images before.")
        self.degrees = _range("RandomRotation", "degrees", degrees)
        self.interpolation = _checked_interpolation("RandomRotation", interpolation)
        self.center, self.fill, self.generator = center, fill, generator

    def _apply(self, images: Tensor) -> Tensor:
        count = len(images)
        angle = -self._uniform(*self.degrees, count)
        matrices = affine_matrices(angle, np.ones(count), np.zeros((count, 2)))
        return sampled(images, matrices, np.zeros((count, 2)), self.interpolation, self.fill, self.center)

    def _facts(self) -> dict[str, Any]:
        return {"degrees": self.degrees, "interpolation": self.interpolation}


class RandomAffine(Transform):
    """Every image turned clockwise, moved, scaled and sheared by amounts of its own, around its middle.

    degrees       from −degrees to degrees, or (low, high)
    translate     (x, y): at most these fractions of width and height, in whole pixels, either way
    scale         (low, high) of a factor
    shear         degrees: along x of ±one number or (low, high), and along y of (x low, x high, y low, y high)
    interpolation "nearest" or "bilinear"; pixels from outside are `fill`

    >>> import retrograd as rg
    >>> RandomAffine(15, translate=(0.1, 0.1), scale=(0.9, 1.1), shear=5)(rg.rand(8, 1, 28, 28)).shape
    (8, 1, 28, 28)
    """

    def __init__(
        self,
        degrees: Range,
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: Range | None = None,
        interpolation: str = "nearest",
        fill: float = 0,
        center: Sequence[float] | None = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        self.degrees = _range("RandomAffine", "degrees", degrees)
        if translate is not None and (len(translate) != 2 or not all(0 <= part <= 1 for part in translate)):
            raise ValueError(f"RandomAffine: translate must be two fractions from 0 to 1, got {translate!r}.")
        if scale is not None and (len(scale) != 2 or not all(factor > 0 for factor in scale)):
            raise ValueError(f"RandomAffine: scale must be two factors above 0, got {scale!r}.")
        if not (shear is None or isinstance(shear, (int, float)) or len(shear) in (2, 4)):
            raise ValueError(f"RandomAffine: shear must be 1, 2 or 4 numbers of degrees, got {shear!r}.")
        self.translate, self.scale, self.shear = translate, scale, shear
        self.interpolation = _checked_interpolation("RandomAffine", interpolation)
        self.fill, self.center, self.generator = fill, center, generator

    def _apply(self, images: Tensor) -> Tensor:
        count, (height, width) = len(images), images.shape[2:]
        angle, shifts, scale = self._uniform(*self.degrees, count), np.zeros((count, 2)), np.ones(count)
        if self.translate is not None:
            limits = np.array(self.translate) * (width, height)
            shifts = np.round(limits * self._uniform(-1, 1, count, 2))
        if self.scale is not None:
            scale = self._uniform(self.scale[0], self.scale[1], count)
        matrices = affine_matrices(angle, scale, self._shears(count))
        return sampled(images, matrices, shifts, self.interpolation, self.fill, self.center)

    def _shears(self, count: int) -> Array:
        """Degrees along x and y, (count, 2)."""
        shears = np.zeros((count, 2))
        if self.shear is None:
            return shears
        limits = [self.shear] if isinstance(self.shear, (int, float)) else list(self.shear)
        first = _range("RandomAffine", "shear", limits[0] if len(limits) == 1 else limits[:2])
        shears[:, 0] = self._uniform(*first, count)
        if len(limits) == 4:
            shears[:, 1] = self._uniform(limits[2], limits[3], count)
        return shears

    def _facts(self) -> dict[str, Any]:
        facts = {"degrees": self.degrees, "translate": self.translate, "scale": self.scale, "shear": self.shear}
        return {name: value for name, value in facts.items() if value is not None}
