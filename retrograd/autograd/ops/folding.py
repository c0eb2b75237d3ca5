"""Windows laid out as columns, and columns added up to the array that they came from: each the other's gradient."""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd.ops.convolution_columns import by_group, collect, laid_out
from retrograd.autograd.primitive import primitive
from retrograd.autograd.view import apply
from retrograd.autograd.windows import Windows


@primitive(name="Im2Col")
def columns_of_windows(xp: Any, x: Any, *, windows: Windows) -> Any:
    """x (N, C, *lengths) as (N, C · window, number of windows)."""
    rank, (samples, channels) = len(windows.size), x.shape[:2]
    laid = laid_out(xp, x, 1, tuple(range(-rank, 0)), windows, False)
    parted = xp.reshape(laid, (math.prod(windows.size), channels, samples, math.prod(windows.counts)))
    ordered = xp.permute_dims(parted, (2, 1, 0, 3))
    return xp.reshape(ordered, (samples, channels * parted.shape[0], parted.shape[3]))


@primitive(name="Col2Im")
def windows_of_columns(xp: Any, x: Any, *, windows: Windows) -> Any:
    """x (N, C · window, number of windows) as (N, C, *lengths), where windows overlap their sum."""
    rank, window = len(windows.size), math.prod(windows.size)
    samples, channels = x.shape[0], x.shape[1] // window
    parted = xp.reshape(x, (1, samples, channels, *windows.size, *windows.counts))
    ordered = xp.permute_dims(parted, (0, *range(3, 3 + rank), 2, 1, *range(3 + rank, 3 + 2 * rank)))
    out = xp.empty((samples, channels, *windows.lengths), dtype=x.dtype)
    collect(xp, by_group(xp, out, 1), xp.copy(ordered), tuple(range(-rank, 0)), windows, True)
    return out


columns_of_windows.vjp(lambda xp, g, windows: apply(windows_of_columns.primitive, g, windows=windows))
windows_of_columns.vjp(lambda xp, g, windows: apply(columns_of_windows.primitive, g, windows=windows))
