"""Convolution, its transposed map and the gradient of its weights, compiled (`ops/convolution.py`).

Windows are laid out and multiplied band by band (`bands.py`), or channel by channel where each stands by itself
(`depthwise.py`); both have the same functions. Images have two axes here; those of one dimension get a first of length
1, and those of three are left to NumPy. The transposed map is a convolution itself where windows move by one and the
input is no larger than the output. Bands and samples are shared out among threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.backends.numba import bands, depthwise
from retrograd.backends.numba.blas import available
from retrograd.backends.numba.jit import FLOATS
from retrograd.backends.threads import share

__all__ = ["convolve", "convolve_transposed", "convolve_weight"]

Array = Any
FEW = 24
"""Points of an output up to which NumPy, which takes many samples to a product, does better."""
FEW_OUTPUTS = 4
"""Outputs up to which a channel by itself is summed without a product of matrices."""
GRAIN = 2_000_000
"""Multiplications that are worth a thread."""
DEARER = 4
"""How many of them one outside a product of matrices costs."""


class Plan:
    """A convolution of groups over images of two axes: the shapes of its arrays, the loops, and what they are told."""

    def __init__(self, windows: Any, groups: int, channels: int, outputs: int) -> None:
        rank = len(windows.size)
        axes = ((1, 1, 1, 1, 0, 1),) * (2 - rank) + tuple(zip(*windows, strict=True))
        (height, count, tall, *_), (length, width, size, *_) = axes
        self.images = (-1, groups, channels // groups, height * length)
        self.points = (-1, groups, outputs // groups, count * width)
        self.kernel = (groups, outputs // groups, channels // groups, tall, size)
        self.products = groups == 1 or channels > groups or outputs > FEW_OUTPUTS * groups
        self.loops = bands if self.products else depthwise
        self.bands, self.where = self.loops.where(axes, self.kernel)
        work = math.prod(self.kernel) * count * width * (1 if self.products else DEARER)
        self.grain, self.samples = max(1, GRAIN * self.bands // work), max(1, GRAIN // work)


def suit(windows: Any, *arrays: Array) -> bool:
    """Whether these are arrays of one dtype that BLAS multiplies, and images neither tiny nor of three axes."""
    kinds = all(type(array) is np.ndarray and array.dtype == arrays[0].dtype and array.size for array in arrays)
    points = math.prod(windows.counts)
    return kinds and available and arrays[0].dtype in FLOATS and len(windows.size) <= 2 and points > FEW


def convolve(xp: Any, x: Array, weight: Array, bias: Array | None, windows: Any, groups: int) -> Any:
    if not suit(windows, x, weight, *(() if bias is None else (bias,))):
        return NotImplemented
    plan = Plan(windows, groups, x.shape[1], len(weight))
    out = np.empty((len(x), len(weight), *windows.counts), x.dtype)
    images, points, matrices = (
        whole(x, plan.images),
        out.reshape(plan.points),
        plan.loops.as_matrices(weight.reshape(plan.kernel)),
    )
    offsets = None if bias is None else whole(bias, (groups, -1))

    def task(start: int, stop: int) -> None:
        plan.loops.MAPS[0](images, matrices, offsets, points, *plan.where, start, stop)

    share(task, len(x) * plan.bands, plan.grain, products=plan.products)
    return out


def convolve_transposed(xp: Any, x: Array, weight: Array, windows: Any, groups: int) -> Any:
    if not suit(windows, x, weight):
        return NotImplemented
    back = mirrored(windows)
    if back is not None and suit(back, x):
        return convolve(xp, x, turned(weight, groups), None, back, groups)
    plan = Plan(windows, groups, weight.shape[1] * groups, len(weight))
    out = np.empty((len(x), weight.shape[1] * groups, *windows.lengths), x.dtype)
    images, points, matrices = (
        out.reshape(plan.images),
        whole(x, plan.points),
        plan.loops.as_matrices(weight.reshape(plan.kernel)),
    )

    def task(start: int, stop: int) -> None:
        plan.loops.MAPS[1](points[start:stop], matrices, images[start:stop], *plan.where)

    share(task, len(x), plan.samples, products=plan.products)
    return out


def turned(weight: Array, groups: int) -> Array:
    """The kernel of the transposed map as a convolution: its outputs for inputs, and every axis from its end."""
    outputs, inputs, *size = weight.shape
    exchanged = weight.reshape(groups, outputs // groups, inputs, *size).swapaxes(1, 2)
    from_end = np.flip(exchanged, axis=tuple(range(3, exchanged.ndim)))
    return from_end.reshape(groups * inputs, outputs // groups, *size)


def mirrored(windows: Any) -> Any:
    """The windows over outputs that see an element of the input; None where there are more of these, or windows move by
    more than one, or padding is seen by some windows alone."""
    numbers = zip(windows.size, windows.padding, windows.dilation, strict=True)
    padding = tuple((size - 1) * dilation - before for size, before, dilation in numbers)
    if max(windows.stride) > 1 or min(padding) < 0 or math.prod(windows.lengths) > math.prod(windows.counts):
        return None
    return windows._replace(lengths=windows.counts, counts=windows.lengths, padding=padding)


def convolve_weight(xp: Any, x: Array, y: Array, windows: Any, groups: int) -> Any:
    if not suit(windows, x, y):
        return NotImplemented
    plan = Plan(windows, groups, x.shape[1], y.shape[1])
    images, points = whole(x, plan.images), whole(y, plan.points)
    totals: dict[int, Array] = {}

    def task(start: int, stop: int) -> None:
        totals[start] = plan.loops.new_total(plan.kernel, x.dtype)
        plan.loops.MAPS[2](images, points, totals[start], *plan.where, start, stop)

    share(task, len(x) * plan.bands, plan.grain, products=plan.products)
    total = sum(totals[start] for start in sorted(totals))
    return plan.loops.as_kernels(total, plan.kernel).reshape(y.shape[1], -1, *windows.size)


def whole(x: Array, shape: tuple[int, ...]) -> Array:
    return np.ascontiguousarray(x).reshape(shape)
