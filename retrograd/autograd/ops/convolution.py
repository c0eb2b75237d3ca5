"""Convolution: three bilinear maps, each the gradient of the others, so that any order of derivative comes free.

    convolution(x, w)           the sum over every window of x, times the weights
    transposed_convolution(y, w)      its gradient for x, from y in the place of the cotangent
    convolution_weight(x, y)    its gradient for w

An axis of the kernel can be summed on either side of one matrix product. *Gathered before it*: the input is copied once
for every place in the window, shifted, and the product sums over these copies (all axes so: the classic "im2col").
*Scattered after it*: the product gives an output for every place in the window, and these are added up, shifted. The
matrix is the kernel with rows (places of scattered axes, output channels) and columns (places of gathered axes, input
channels); the points are the columns of the other factor, in the order (sample, position), so that the innermost runs
of memory are long and no image is transposed. `split_of` chooses the sides by what is copied and multiplied. The batch
goes through in parts whose copies stay in the cache, and large batches in ranges, a thread for each.
Chetlur et al. 2014, "cuDNN", section 3, for the trade-offs.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from retrograd.autograd.ops.convolution_columns import by_group, collect, laid_out
from retrograd.autograd.primitive import primitive
from retrograd.autograd.view import apply
from retrograd.autograd.windows import Windows
from retrograd.backends.kernels import fusable

Shape = tuple[int, ...]

MOVE = 12
"""What copying an element, or adding it to another, costs in multiplications within a matrix product."""
RUN = 16
"""How many elements the start of a run costs: it counts where the last axis is copied, since a run is then a row."""
GRAIN = 20_000_000
"""Multiplications from which on a range of the batch is worth a thread."""


class Split(NamedTuple):
    """On which side of the product every axis of the kernel is summed; axes count from the end."""

    gathered: Shape
    scattered: Shape
    lattice: Shape
    """The positions at which the product is taken: windows along gathered axes, elements along scattered ones."""
    scratch: int
    """Elements on both sides of the product, per sample and group."""
    cost: float
    """Of a sample and group, in multiplications."""


@functools.lru_cache(4096)
def split_of(windows: Windows, inputs: int, outputs: int, input_run: int, output_run: int) -> Split:
    """The cheapest split for so many channels per group. A run costs RUN on a side that is copied, 0 on the other."""
    busy = [axis for axis, numbers in windows.axes() if numbers != (numbers[0], numbers[0], 1, 1, 0, numbers[5])]
    splits = []
    for scattered in itertools.chain.from_iterable(itertools.combinations(busy, n) for n in range(len(busy) + 1)):
        gathered = tuple(axis for axis in busy if axis not in scattered)
        lattice = tuple(
            windows.lengths[axis] if axis in scattered else windows.counts[axis] for axis, _ in windows.axes()
        )
        copied, added = (math.prod(windows.size[axis] for axis in axes) for axes in (gathered, scattered))
        moves = moved(windows, inputs, gathered, input_run) + moved(windows, outputs, scattered, output_run)
        multiplications = inputs * outputs * copied * added + MOVE * moves
        points = math.prod(lattice)
        scratch = points * (inputs * copied + outputs * added)
        splits.append(Split(gathered, scattered, lattice, scratch, points * multiplications))
    return min(splits, key=operator.attrgetter("cost"))


def moved(windows: Windows, channels: int, axes: Shape, run: int) -> float:
    """How many elements per point of the lattice one side of the product moves, axis after axis."""
    total = float(channels)
    for axis in reversed(axes):
        channels *= windows.size[axis]
        total += channels * (1 + run / windows.counts[axis] if axis == -1 else 1)
    return total


# ---- the kernel as a matrix


def as_matrix(xp: Any, weight: Any, groups: int, split: Split) -> Any:
    """The kernel (outputs, inputs of a group, *size) as (groups, scattered places · outputs, gathered places · inputs).

    Idle axes, of size 1, go with the gathered ones.
    """
    order = matrix_order(len(weight.shape), split)
    parted = xp.reshape(weight, (groups, -1, *weight.shape[1:]))
    rows = math.prod(parted.shape[axis] for axis in order[1 : 2 + len(split.scattered)])
    return xp.reshape(xp.permute_dims(parted, order), (groups, rows, -1))


def as_kernel(xp: Any, matrix: Any, shape: Shape, groups: int, split: Split) -> Any:
    """The inverse of `as_matrix`."""
    order = matrix_order(len(shape), split)
    parted = (groups, shape[0] // groups, *shape[1:])
    ordered = xp.reshape(matrix, tuple(parted[axis] for axis in order))
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return xp.reshape(xp.permute_dims(ordered, tuple(inverse)), shape)


def matrix_order(ndim: int, split: Split) -> Shape:
    """The axes of a grouped kernel (groups, outputs, inputs, *size) in the order of the matrix."""
    scattered = tuple(axis + ndim + 1 for axis in split.scattered)
    gathered = tuple(axis for axis in range(3, ndim + 1) if axis not in scattered)
    return (0, *scattered, 1, *gathered, 2)


# ---- the batch in parts


def share_batch(xp: Any, task: Callable[[int, Iterator[slice]], None], samples: int, split: Split, groups: int) -> None:
    """Calls task(number, parts) for ranges of the batch, in threads where that pays; parts are as large as is fast."""

    def on(start: int, stop: int) -> None:
        most = max(1, xp.scratch_bytes // (4 * groups * split.scratch))
        size = -(-(stop - start) // -(-(stop - start) // most)) if stop > start else 1
        task(start, (slice(first, min(first + size, stop)) for first in range(start, stop, size)))

    xp.share(on, samples, math.ceil(GRAIN / (groups * split.cost)), products=True)


# ---- the three maps, on arrays


def widened(xp: Any, *arrays: Any) -> tuple[Any, ...]:
    """float16 as float32, in which it is summed."""
    return tuple(xp.astype(a, dtype="float32") if a.dtype == "float16" else a for a in arrays)


def multiplied(
    xp: Any,
    matrix: Any,
    x: Any,
    shape: Shape,
    windows: Windows,
    split: Split,
    transposed: bool = False,
    bias: Any | None = None,
) -> Any:
    """An array of this shape: x laid out, times the kernel's matrix, and the product collected."""
    before, after = split.gathered, split.scattered
    if transposed:
        before, after, matrix = after, before, xp.permute_dims(matrix, (0, 2, 1))
    groups = matrix.shape[0]
    places = tuple(windows.size[axis] for axis in after)
    out = xp.empty(shape, dtype=x.dtype)

    def task(_: int, parts: Iterator[slice]) -> None:
        for part in parts:
            columns = laid_out(xp, x[part], groups, before, windows, transposed)
            product = xp.matmul(matrix, columns)
            product = xp.reshape(product, (groups, *places, shape[1] // groups, -1, *split.lattice))
            collect(xp, by_group(xp, out[part], groups), product, after, windows, transposed, bias)

    share_batch(xp, task, shape[0], split, groups)
    return out


@fusable
def convolve(xp: Any, x: Any, weight: Any, bias: Any, windows: Windows, groups: int) -> Any:
    """(samples, outputs, *counts): the windows of x times the weights, plus the bias unless it is None."""
    dtype, shape = x.dtype, (x.shape[0], weight.shape[0], *windows.counts)
    x, weight = widened(xp, x, weight)
    split = split_of(windows, weight.shape[1], shape[1] // groups, RUN, 0)
    if bias is not None:
        bias = xp.reshape(xp.astype(bias, dtype=x.dtype), (groups, -1, 1, *(1,) * len(windows.size)))
    out = multiplied(xp, as_matrix(xp, weight, groups, split), x, shape, windows, split, bias=bias)
    return xp.astype(out, dtype=dtype)


@primitive
def convolution(xp: Any, x: Any, weight: Any, *, windows: Windows, groups: int) -> Any:
    """Cross-correlation: x (N, C, *lengths) and weight (O, C/groups, *size) give (N, O, *counts)."""
    return convolve(xp, x, weight, None, windows, groups)


@primitive(name="Convolution")
def convolution_with_bias(xp: Any, x: Any, weight: Any, bias: Any, *, windows: Windows, groups: int) -> Any:
    """The same plus a bias (O,)."""
    return convolve(xp, x, weight, bias, windows, groups)


@fusable
def convolve_transposed(xp: Any, x: Any, weight: Any, windows: Windows, groups: int) -> Any:
    """The transposed map: x (samples, outputs, *counts) gives (samples, inputs, *lengths)."""
    dtype, shape = x.dtype, (x.shape[0], weight.shape[1] * groups, *windows.lengths)
    x, weight = widened(xp, x, weight)
    split = split_of(windows, weight.shape[1], weight.shape[0] // groups, 0, RUN)
    out = multiplied(xp, as_matrix(xp, weight, groups, split), x, shape, windows, split, transposed=True)
    return xp.astype(out, dtype=dtype)


@primitive(name="ConvolutionTransposed")
def transposed_convolution(xp: Any, x: Any, weight: Any, *, windows: Windows, groups: int) -> Any:
    """The transposed map: x (N, O, *counts) and weight (O, C/groups, *size) give (N, C, *lengths)."""
    return convolve_transposed(xp, x, weight, windows, groups)


@fusable
def convolve_weight(xp: Any, x: Any, y: Any, windows: Windows, groups: int) -> Any:
    """The sum over samples and positions of windows of x, times the outputs in y at their place."""
    dtype, shape = x.dtype, (y.shape[1], x.shape[1] // groups, *windows.size)
    x, y = widened(xp, x, y)
    split = split_of(windows, shape[1], shape[0] // groups, RUN, RUN)
    sums: dict[int, Any] = {}

    def task(number: int, parts: Iterator[slice]) -> None:
        for part in parts:
            left = laid_out(xp, y[part], groups, split.scattered, windows, True)
            right = laid_out(xp, x[part], groups, split.gathered, windows, False)
            if number in sums:
                xp.add_into(sums[number], paired(xp, left, right))
            else:
                sums[number] = paired(xp, left, right)

    share_batch(xp, task, x.shape[0], split, groups)
    if not sums:
        return xp.new_zeros(x, shape=shape)
    total = sums.pop(0)
    for number in sorted(sums):
        xp.add_into(total, sums[number])
    return xp.astype(as_kernel(xp, total, shape, groups, split), dtype=dtype)


@primitive
def convolution_weight(xp: Any, x: Any, y: Any, *, windows: Windows, groups: int) -> Any:
    """What pairs windows with outputs: x (N, C, *lengths) and y (N, O, *counts) give (O, C/groups, *size)."""
    return convolve_weight(xp, x, y, windows, groups)


def paired(xp: Any, left: Any, right: Any) -> Any:
    """left · rightᵀ, computed with the taller matrix on the left: the products of libraries like it so."""
    if left.shape[1] >= right.shape[1]:
        return xp.matmul(left, xp.permute_dims(right, (0, 2, 1)))
    return xp.permute_dims(xp.matmul(right, xp.permute_dims(left, (0, 2, 1))), (0, 2, 1))


# ---- and their gradients: each other


def for_input(xp: Any, g: Any, weight: Any, windows: Windows, groups: int) -> Any:
    return apply(transposed_convolution.primitive, g, weight, windows=windows, groups=groups)


def for_weight(xp: Any, g: Any, x: Any, windows: Windows, groups: int) -> Any:
    return apply(convolution_weight.primitive, x, g, windows=windows, groups=groups)


def for_bias(xp: Any, g: Any) -> Any:
    """The sum over samples and positions."""
    samples, outputs = g.shape[:2]
    return xp.sum(xp.reshape(g, shape=(samples, outputs, math.prod(g.shape[2:]))), axis=(0, 2))


convolution.vjps(x=for_input, weight=for_weight)
convolution_with_bias.vjps(x=for_input, weight=for_weight, bias=for_bias)
transposed_convolution.vjps(
    x=lambda xp, g, weight, windows, groups: apply(convolution.primitive, g, weight, windows=windows, groups=groups),
    weight=lambda xp, g, x, windows, groups: apply(convolution_weight.primitive, g, x, windows=windows, groups=groups),
)
convolution_weight.vjps(
    x=lambda xp, g, y, windows, groups: apply(transposed_convolution.primitive, y, g, windows=windows, groups=groups),
    y=lambda xp, g, x, windows, groups: apply(convolution.primitive, x, g, windows=windows, groups=groups),
)
