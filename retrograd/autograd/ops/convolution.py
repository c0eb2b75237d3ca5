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
goes through in parts whose copies stay in the cache. Chetlur et al. 2014, "cuDNN", section 3, for the trade-offs.

Padding is never laid out: places that would fall into it keep their zeros.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from retrograd.autograd.ops.shape import along
from retrograd.autograd.primitive import primitive
from retrograd.autograd.view import apply
from retrograd.autograd.windows import Windows, overlaps

Shape = tuple[int, ...]

COPY, ADD = 12, 30
"""What copying an element, or adding it to another, costs in multiplications within a matrix product."""
RUN = 24
"""How many elements the start of a run costs: it counts along the last axis, where runs are short."""


class Split(NamedTuple):
    """On which side of the product every axis of the kernel is summed; axes count from the end."""

    gathered: Shape
    scattered: Shape
    lattice: Shape
    """The positions at which the product is taken: windows along gathered axes, elements along scattered ones."""


@functools.lru_cache(4096)
def split_of(windows: Windows, inputs: int, outputs: int, input_cost: int = COPY, output_cost: int = COPY) -> Split:
    """The cheapest split for so many channels per group; the costs say which side is copied and which added up."""
    rank = len(windows.size)
    busy = [axis for axis, numbers in windows.axes() if numbers != (numbers[0], numbers[0], 1, 1, 0, numbers[5])]
    best, lowest = None, math.inf
    for scattered in itertools.chain.from_iterable(itertools.combinations(busy, n) for n in range(len(busy) + 1)):
        gathered = tuple(axis for axis in busy if axis not in scattered)
        lattice = tuple(
            windows.lengths[axis] if axis in scattered else windows.counts[axis] for axis in range(-rank, 0)
        )
        multiplications = inputs * outputs * math.prod(windows.size)
        moves = input_cost * moved(windows, inputs, gathered) + output_cost * moved(windows, outputs, scattered)
        cost = math.prod(lattice) * (multiplications + moves)
        if cost < lowest:
            best, lowest = Split(gathered, scattered, lattice), cost
    assert best is not None
    return best


def moved(windows: Windows, channels: int, axes: Shape) -> float:
    """How many elements per point of the lattice one side of the product moves, axis after axis."""
    total = float(channels)
    for axis in reversed(axes):
        channels *= windows.size[axis]
        total += channels * (1 + RUN / windows.counts[axis] if axis == -1 else 1)
    return total


# ---- the two sides of the product. Laid out, an array is (groups, *places, channels of a group, samples, *lattice)


def laid_out(xp: Any, x: Any, groups: int, axes: Shape, windows: Windows, transposed: bool) -> Any:
    """x (samples, channels, *positions) copied once for every place in the window along the axes, as a matrix.

    Transposed, x has windows for positions, and each stands where its places fall on the input.
    """
    x = by_group(xp, x, groups)
    for axis in reversed(axes):
        moves, length = moves_along(axis, windows, transposed)
        shape = [x.shape[0], len(moves), *x.shape[1:]]
        shape[axis] = length
        copies = xp.empty(tuple(shape), dtype=x.dtype)
        rows = axis == -1 and len(windows.size) > 1 and windows.stride[-1] == 1 and length == x.shape[-1]
        for place, (target, source) in enumerate(moves):
            if rows and target.stop:
                put_rows(xp, copies[:, place], target, source, x)
            else:
                put(xp, copies[:, place], axis, target, x[along(axis, x.ndim, source)])
        x = copies
    points = -len(windows.size) - 1
    return xp.reshape(x, (groups, math.prod(x.shape[1:points]), math.prod(x.shape[points:])))


def collect(xp: Any, out: Any, y: Any, axes: Shape, windows: Windows, transposed: bool) -> None:
    """Writes to `out`, grouped, the sum over the places along the axes of a product y: the adjoint of `laid_out`."""
    for axis in axes:
        moves, length = moves_along(axis, windows, transposed)
        shape = [y.shape[0], *y.shape[2:]]
        shape[axis] = length
        total = out if axis == axes[-1] else xp.empty(tuple(shape), dtype=y.dtype)
        for place, (target, source) in enumerate(moves):
            part = y[:, place][along(axis, total.ndim, source)]
            if place == 0:
                put(xp, total, axis, target, part)
            else:
                xp.add_into(total[along(axis, total.ndim, target)], part)
        y = total
    if not axes:
        xp.setitem(out, ..., y)


def moves_along(axis: int, windows: Windows, transposed: bool) -> tuple[list[tuple[slice, slice]], int]:
    """For every place in the window the slices of an axis it moves to and from, and the axis' length thereafter."""
    moves = overlaps(*(numbers[axis] for numbers in windows))
    if transposed:
        return [(seen, taken) for taken, seen in moves], windows.lengths[axis]
    return moves, windows.counts[axis]


def put(xp: Any, out: Any, axis: int, target: slice, part: Any) -> None:
    """Writes a part to a slice of an axis, and zeros to the rest of it."""
    if target.step in (None, 1):
        clear(xp, out, axis, target)
    else:
        xp.setitem(out, ..., 0)
    xp.setitem(out[along(axis, out.ndim, target)], ..., part)


def put_rows(xp: Any, out: Any, target: slice, source: slice, x: Any) -> None:
    """Writes a slice of the last axis of x to one of `out`, which is as long, and zeros to the rest of it.

    It moves all rows as one: what runs over into the next row is overwritten with the zeros. A run of memory is then as
    long as an image, and not as a row.
    """
    long, wide = ((*a.shape[:-2], a.shape[-2] * a.shape[-1]) for a in (out, x))
    shift = (target.start or 0) - (source.start or 0)
    into, of = slice(max(shift, 0), long[-1] + min(shift, 0)), slice(max(-shift, 0), long[-1] - max(shift, 0))
    xp.setitem(xp.reshape(out, long)[..., into], ..., xp.reshape(x, wide)[..., of])
    clear(xp, out, -1, target)


def clear(xp: Any, out: Any, axis: int, but: slice) -> None:
    """Writes zeros before and behind a slice of an axis."""
    for gap in (slice(0, but.start or 0), slice(but.stop, out.shape[axis])):
        if gap.start < gap.stop:
            xp.setitem(out[along(axis, out.ndim, gap)], ..., 0)


def by_group(xp: Any, x: Any, groups: int) -> Any:
    """(samples, channels, *positions) as a view (groups, channels of a group, samples, *positions)."""
    samples, channels, *positions = x.shape
    parted = xp.reshape(x, (samples, groups, channels // groups, *positions))
    return xp.permute_dims(parted, (1, 2, 0, *range(3, x.ndim + 1)))


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


def parts(xp: Any, samples: int, elements: int) -> Iterator[slice]:
    """The batch in equal parts that need as much scratch memory as is fast, given the elements per sample."""
    most = max(1, xp.scratch_bytes // (4 * elements))
    size = -(-samples // -(-samples // most)) if samples else 1
    return (slice(start, min(start + size, samples)) for start in range(0, samples, size))


def scratch(windows: Windows, inputs: int, outputs: int, split: Split) -> int:
    """How many elements a sample takes on both sides of the product."""
    many = math.prod(windows.size[axis] for axis in split.scattered)
    return math.prod(split.lattice) * (inputs * (math.prod(windows.size) // many) + outputs * many)


# ---- the three maps, on arrays


def widened(xp: Any, *arrays: Any) -> tuple[Any, ...]:
    """float16 as float32, in which it is summed."""
    return tuple(xp.astype(a, dtype="float32") if a.dtype == "float16" else a for a in arrays)


def convolve(xp: Any, x: Any, weight: Any, bias: Any, windows: Windows, groups: int) -> Any:
    """(samples, outputs, *counts): the windows of x times the weights, plus the bias unless it is None."""
    dtype, shape = x.dtype, (x.shape[0], weight.shape[0], *windows.counts)
    x, weight = widened(xp, x, weight)
    inputs, outputs = weight.shape[1], weight.shape[0] // groups
    split = split_of(windows, inputs, outputs, COPY, ADD)
    matrix = as_matrix(xp, weight, groups, split)
    if bias is not None:
        bias = xp.reshape(xp.astype(bias, dtype=x.dtype), (-1, *(1,) * len(windows.size)))
    out = xp.empty(shape, dtype=x.dtype)
    for part in parts(xp, shape[0], groups * scratch(windows, inputs, outputs, split)):
        columns = laid_out(xp, x[part], groups, split.gathered, windows, False)
        product = xp.reshape(xp.matmul(matrix, columns), places_of(split.scattered, windows, groups, outputs, split))
        collect(xp, by_group(xp, out[part], groups), product, split.scattered, windows, False)
        if bias is not None:
            xp.add_into(out[part], bias)
    return out if out.dtype == dtype else xp.astype(out, dtype=dtype)


def places_of(axes: Shape, windows: Windows, groups: int, channels: int, split: Split) -> Shape:
    """The shape of a laid out array of any number of samples."""
    return (groups, *(windows.size[axis] for axis in axes), channels, -1, *split.lattice)


@primitive
def convolution(xp: Any, x: Any, weight: Any, *, windows: Windows, groups: int) -> Any:
    """Cross-correlation: x (N, C, *lengths) and weight (O, C/groups, *size) give (N, O, *counts)."""
    return convolve(xp, x, weight, None, windows, groups)


@primitive(name="Convolution")
def convolution_with_bias(xp: Any, x: Any, weight: Any, bias: Any, *, windows: Windows, groups: int) -> Any:
    """The same plus a bias (O,)."""
    return convolve(xp, x, weight, bias, windows, groups)


@primitive(name="ConvolutionTransposed")
def transposed_convolution(xp: Any, x: Any, weight: Any, *, windows: Windows, groups: int) -> Any:
    """The transposed map: x (N, O, *counts) and weight (O, C/groups, *size) give (N, C, *lengths)."""
    dtype, shape = x.dtype, (x.shape[0], weight.shape[1] * groups, *windows.lengths)
    x, weight = widened(xp, x, weight)
    inputs, outputs = weight.shape[1], weight.shape[0] // groups
    split = split_of(windows, inputs, outputs, ADD, COPY)
    matrix = xp.permute_dims(as_matrix(xp, weight, groups, split), (0, 2, 1))
    out = xp.empty(shape, dtype=x.dtype)
    for part in parts(xp, shape[0], groups * scratch(windows, inputs, outputs, split)):
        columns = laid_out(xp, x[part], groups, split.scattered, windows, True)
        product = xp.reshape(xp.matmul(matrix, columns), places_of(split.gathered, windows, groups, inputs, split))
        collect(xp, by_group(xp, out[part], groups), product, split.gathered, windows, True)
    return out if out.dtype == dtype else xp.astype(out, dtype=dtype)


@primitive
def convolution_weight(xp: Any, x: Any, y: Any, *, windows: Windows, groups: int) -> Any:
    """What pairs windows with outputs: x (N, C, *lengths) and y (N, O, *counts) give (O, C/groups, *size)."""
    dtype, shape = x.dtype, (y.shape[1], x.shape[1] // groups, *windows.size)
    x, y = widened(xp, x, y)
    inputs, outputs = shape[1], shape[0] // groups
    split = split_of(windows, inputs, outputs)
    total = None
    for part in parts(xp, x.shape[0], groups * scratch(windows, inputs, outputs, split)):
        left = laid_out(xp, y[part], groups, split.scattered, windows, True)
        right = laid_out(xp, x[part], groups, split.gathered, windows, False)
        product = paired(xp, left, right)
        if total is None:
            total = product
        else:
            xp.add_into(total, product)
    if total is None:
        return xp.new_zeros(x, shape=shape)
    kernel = as_kernel(xp, total, shape, groups, split)
    return xp.astype(kernel, dtype=dtype)


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
