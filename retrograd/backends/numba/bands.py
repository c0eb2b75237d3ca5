"""Convolution, band by band: windows are laid out, multiplied and summed while they are in the cache
(`convolution.py`).

A band is some rows of a sample's output. Along the last axis the input is copied once for every place in a window; on
these lines a window's rows begin some lines apart, so that the product for each of them reads the same copies from
another point on. Where windows move by more than one, the input is parted into phases first: every second row and
column, and those in between. Where there are few channels, the rows of a window are copied too, since BLAS wants long
columns. It multiplies within the compiled loop, matrices so small that it neither packs them nor waits for memory.

The numbers of an axis are (length, count, size, stride, padding, dilation). Indices are unsigned where they cannot be
negative: for others numba asks, and the loop does not run on vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.backends.numba.blas import product
from retrograd.backends.numba.jit import compiled

__all__ = ["MAPS", "as_kernels", "as_matrices", "new_total", "where"]

Array = Any
Shape = tuple[int, ...]
SHORT = 16
"""Lines below which the rows of a window are copied too."""
MOST = 512
"""Points of the output to a product."""
SMALL = 10**6
"""Multiplications of a product that BLAS takes without packing its matrices."""
FEWEST = 40
"""Points below which that does not pay."""
COPIED = 2**17
"""Elements of a band's copies: half a megabyte of float32, which a core keeps to itself."""
MANY = 128
"""Elements of a window from which on it pays to transpose the outputs that they are multiplied with."""


# ---- copies: of rows from `start` on, (starts, channels, places in a row, rows · width)


@compiled
def on_input(start: int, stride: int, length: int, count: int) -> Any:
    """Of so many windows those, from the first to before the last, whose element is on an axis."""
    first = min(count, max(0, -(start // stride)))
    return first, max(first, min(count, (length - 1 - start) // stride + 1))


@compiled
def clear(line: Array, width: int, top: int, bottom: int, first: int, last: int) -> None:
    """Zeros on a line where it has no input: in all rows but some, and in these beside some windows."""
    for k in range(top * width):
        line[k] = 0
    for k in range(bottom * width, line.size):
        line[np.uint64(k)] = 0
    for c in range(first):
        for r in range(top, bottom):
            line[np.uint64(r * width + c)] = 0
    for c in range(last, width):
        for r in range(top, bottom):
            line[np.uint64(r * width + c)] = 0


@compiled
def part(x: Array, length: int, parts: Array, most: int, y: int, down: int, top: int, bottom: int) -> None:
    """Writes rows of a plane x, from y on every so many, to (phases of columns, rows · columns), with zeros behind."""
    stride = len(parts)
    for r in range(top, bottom):
        of, to = (y + r * down) * length, r * most
        if stride == 2:
            even, odd, pairs = parts[0], parts[1], length // 2
            for c in range(pairs):
                even[np.uint64(to + c)] = x[np.uint64(of + 2 * c)]
                odd[np.uint64(to + c)] = x[np.uint64(of + 2 * c + 1)]
            if pairs < most:
                even[to + pairs], odd[to + pairs] = x[of + 2 * pairs], 0
        else:
            for phase in range(stride):
                for c in range(most):
                    at = c * stride + phase
                    parts[phase, to + c] = x[of + at] if at < length else 0


@compiled
def lay_out(x: Array, copies: Array, starts: Array, axes: Any, start: int) -> None:
    (height, _, _, down, above, _), (length, width, size, stride, padding, dilation) = axes
    rows, most = copies.shape[3] // width, (length + stride - 1) // stride
    parts = np.empty((stride, rows * most if stride * down > 1 else 0), x.dtype)
    for channel in range(len(x)):
        for s in range(len(starts)):
            y = start * down + starts[s] - above
            top, bottom = on_input(y, down, height, rows)
            begin = y
            if stride * down > 1:
                part(x[channel], length, parts, most, y, down, top, bottom)
                begin = 0
            for j in range(size):
                line, place = copies[s, channel, j], j * dilation - padding
                image = parts[place % stride] if stride * down > 1 else x[channel]
                first, last = on_input(place // stride, 1, most, width)
                behind = begin * most + place // stride
                if most == width:  # all rows as one
                    for k in range(max(top * width, -behind), min(bottom * width, height * length - behind)):
                        line[np.uint64(k)] = image[np.uint64(k + behind)]
                else:
                    for r in range(top, bottom):
                        for c in range(first, last):
                            line[np.uint64(r * width + c)] = image[np.uint64(r * most + c + behind)]
                clear(line, width, top, bottom, first, last)


@compiled
def collect(copies: Array, x: Array, starts: Array, axes: Any, start: int) -> None:
    """Adds copies to what they are of: the adjoint of `lay_out`. Some are cleared."""
    (height, _, _, down, above, _), (length, width, size, stride, padding, dilation) = axes
    rows = copies.shape[3] // width
    for channel in range(len(x)):
        image = x[channel]
        for s in range(len(starts)):
            y = start * down + starts[s] - above
            top, bottom = on_input(y, down, height, rows)
            for j in range(size):
                line, place = copies[s, channel, j], j * dilation - padding
                first, last = on_input(place, stride, length, width)
                behind = y * length + place
                if down == stride == 1 and width == length:
                    clear(line, width, top, bottom, first, last)
                    for k in range(max(top * width, -behind), min(bottom * width, height * length - behind)):
                        image[np.uint64(k + behind)] += line[np.uint64(k)]
                    continue
                for r in range(top, bottom):
                    at = r * down * length + behind
                    if stride == 1:
                        for c in range(first, last):
                            image[np.uint64(at + c)] += line[np.uint64(r * width + c)]
                    else:
                        for c in range(first, last):
                            image[np.uint64(at + c * stride)] += line[np.uint64(r * width + c)]


# ---- the three maps, the second of all samples, the others of some bands, counted over the samples: x (samples,
# ---- groups, channels, positions), y (samples, groups, outputs, points), weight (groups, taps, outputs, lines); a tap
# ---- is (block of copies, rows by which it begins later)


@compiled
def from_windows(
    x: Array,
    weight: Array,
    bias: Array,
    y: Array,
    axes: Any,
    starts: Array,
    taps: Array,
    sizes: Any,
    first: int,
    last: int,
) -> None:
    width, count = axes[1][1], axes[0][1]
    blocks, lines, rows, beyond, step = sizes
    copies = np.empty((blocks, lines, (rows + beyond) * width), x.dtype)
    parted = copies.reshape(len(starts), x.shape[2], axes[1][2], -1)
    bands = -(-count // rows)
    for item in range(first, last):
        n, start = item // bands, item % bands * rows
        stop = min(start + rows, count)
        for group in range(x.shape[1]):
            if bias is not None:
                for o in range(y.shape[2]):
                    y[n, group, o, start * width : stop * width] = bias[group, o]
            lay_out(x[n, group], parted, starts, axes, start)
            for r in range(start, stop, step):
                points = min(step, stop - r) * width
                for i in range(len(taps)):
                    at = (r - start + taps[i, 1]) * width
                    out = y[n, group, :, r * width : r * width + points]
                    window = copies[taps[i, 0], :, at : at + points]
                    product(out, weight[group, i], window, i > 0 or bias is not None)


@compiled
def to_windows(y: Array, weight: Array, x: Array, axes: Any, starts: Array, taps: Array, sizes: Any) -> None:
    width, count = axes[1][1], axes[0][1]
    blocks, lines, rows, beyond, step = sizes
    copies = np.empty((blocks, lines, (rows + beyond) * width), x.dtype)
    parted = copies.reshape(len(starts), x.shape[2], axes[1][2], -1)
    for n in range(len(x)):
        for group in range(x.shape[1]):
            x[n, group] = 0
            for start in range(0, count, rows):
                copies[:] = 0
                for r in range(start, min(start + rows, count), step):
                    points = min(step, min(start + rows, count) - r) * width
                    for i in range(len(taps)):
                        at = (r - start + taps[i, 1]) * width
                        window = copies[taps[i, 0], :, at : at + points]
                        product(window, weight[group, i].T, y[n, group, :, r * width : r * width + points], True)
                collect(parted, x[n, group], starts, axes, start)


@compiled
def turn(x: Array, turned: Array) -> None:
    """x transposed: products that sum over points then take a quarter less time."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            turned[j, i] = x[i, j]


@compiled
def pair_windows(
    x: Array,
    y: Array,
    total: Array,
    axes: Any,
    starts: Array,
    taps: Array,
    sizes: Any,
    first: int,
    last: int,
) -> None:
    """To `total` (groups, taps, lines, outputs) what pairs windows with outputs."""
    width, count = axes[1][1], axes[0][1]
    blocks, lines, rows, beyond, step = sizes
    turned, turns = np.empty((step * width, y.shape[2]), x.dtype), lines * len(taps) >= MANY
    copies = np.empty((blocks, lines, (rows + beyond) * width), x.dtype)
    parted = copies.reshape(len(starts), x.shape[2], axes[1][2], -1)
    bands = -(-count // rows)
    for item in range(first, last):
        n, start = item // bands, item % bands * rows
        stop = min(start + rows, count)
        for group in range(x.shape[1]):
            lay_out(x[n, group], parted, starts, axes, start)
            for r in range(start, stop, step):
                points = min(step, stop - r) * width
                of_points = y[n, group, :, r * width : r * width + points]
                if turns:
                    turn(of_points, turned[:points])
                for i in range(len(taps)):
                    at = (r - start + taps[i, 1]) * width
                    window = copies[taps[i, 0], :, at : at + points]
                    if turns:
                        product(total[group, i], window, turned[:points], True)
                    else:
                        product(total[group, i], window, of_points.T, True)


MAPS = from_windows, to_windows, pair_windows


# ---- what they are told: a kernel is (groups, outputs, channels, tall, size)


def together(kernel: Shape) -> bool:
    """Whether the rows of a window are copied too, so that there is one tap."""
    return kernel[2] * kernel[4] < SHORT


def where(axes: Any, kernel: Shape) -> tuple[int, tuple[Any, ...]]:
    """How many bands a sample has, and the axes, starts, taps, and sizes: blocks of copies, lines of each, rows of a
    band, those beyond, and rows to a product."""
    (_, count, tall, down, _, apart), width = axes[0], axes[1][1]
    if together(kernel):
        starts, taps = list(range(0, tall * apart, apart)), [(0, 0)]
        blocks, lines = 1, kernel[2] * tall * kernel[4]
    else:
        starts = sorted({i * apart % down for i in range(tall)})
        taps = [(starts.index(i * apart % down), i * apart // down) for i in range(tall)]
        blocks, lines = len(starts), kernel[2] * kernel[4]
    beyond = taps[-1][1]
    rows = max(1, min(count, COPIED // (blocks * lines * width) - beyond))
    rows = -(-count // -(-count // rows))
    points = SMALL // (lines * kernel[1])
    points = min(MOST, points if points >= FEWEST else MOST)
    step = -(-rows // -(-rows * width // points))
    return -(-count // rows), (axes, np.array(starts), np.array(taps), (blocks, lines, rows, beyond, step))


def as_matrices(weight: Array) -> Array:
    """A kernel as (groups, taps, outputs, lines)."""
    groups, outputs, _, tall, _ = weight.shape
    if together(weight.shape):
        return np.ascontiguousarray(weight.transpose(0, 1, 3, 2, 4)).reshape(groups, 1, outputs, -1)
    return np.ascontiguousarray(weight.transpose(0, 3, 1, 2, 4)).reshape(groups, tall, outputs, -1)


def new_total(kernel: Shape, dtype: Any) -> Array:
    """Zeros (groups, taps, lines, outputs)."""
    groups, outputs, channels, tall, size = kernel
    taps = 1 if together(kernel) else tall
    return np.zeros((groups, taps, tall // taps * channels * size, outputs), dtype)


def as_kernels(total: Array, kernel: Shape) -> Array:
    """The same as a kernel."""
    groups, outputs, channels, tall, size = kernel
    return np.ascontiguousarray(total.reshape(groups, tall, channels, size, outputs).transpose(0, 4, 2, 1, 3))
