"""Pooling: what stands in a window becomes one number. 1-d to 3-d are one implementation each.

Shapes: input (batch, channels, *lengths) or (channels, *lengths); the last one, two or three dimensions are pooled.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.autograd.windows import Windows, extent, output_length, per_axis
from retrograd.backends import flags

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]

Sizes = Any
"""An integer, or one per pooled dimension."""


def of_rank(pool: Callable[..., Any], rank: int, **fixed: Any) -> Callable[..., Any]:
    """The public function of one rank: `pool` without its first two parameters, and with some others fixed."""
    suffix = "_with_indices" if "return_indices" in fixed else ""
    name = f"{pool.__name__}{rank}d{suffix}"

    def public(*args: Any, **kwargs: Any) -> Any:
        return pool(name, rank, *args, **kwargs, **fixed)

    signature = inspect.signature(pool)
    kept = [parameter for parameter in list(signature.parameters.values())[2:] if parameter.name not in fixed]
    public.__name__ = public.__qualname__ = name
    public.__doc__ = pool.__doc__
    public.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    return public


# ---- what all of them check


def check_planes(function: str, input: Tensor, rank: int, what: str = "f") -> None:
    """Raises unless the input has the dimensions and the kind of dtype that the pooling takes, and elements to pool."""
    if input.ndim not in (rank + 1, rank + 2) or 0 in input.shape[-rank - 1 :]:
        raise RuntimeError(
            f"{function}: the input must be (batch, channels, *lengths) or (channels, *lengths) with {rank} lengths, "
            f"and only the batch may be empty, got {input.shape}."
        )
    if input.dtype.kind not in what:
        raise NotImplementedError(f"{function} is not implemented for {input.dtype}; convert the input, e.g. x.float()")


def windows_over(
    function: str,
    input: Tensor,
    rank: int,
    size: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
) -> Windows:
    """The windows that the arguments describe; RuntimeError where they are none, or more padding than pooling."""
    size = per_axis(function, "kernel_size", size, rank)
    stride = size if stride is None or stride == [] or stride == () else per_axis(function, "stride", stride, rank)
    padding = per_axis(function, "padding", padding, rank, 0)
    dilation = per_axis(function, "dilation", dilation, rank)
    lengths = input.shape[-rank:]
    for pad, reach in zip(padding, map(extent, size, dilation)):
        if pad > reach // 2:
            raise RuntimeError(
                f"{function}: pad should be at most half of the window, but padding {padding} is more for "
                f"kernel_size {size} and dilation {dilation}."
            )
    counts = tuple(map(output_length, lengths, size, stride, padding, dilation, (bool(ceil_mode),) * rank))
    if min(counts) < 1:
        raise RuntimeError(
            f"{function}: input {input.shape} is smaller than the window: kernel_size {size} with dilation {dilation} "
            f"and padding {padding} would leave {counts}. Use a smaller window, or fewer poolings before it."
        )
    return Windows(lengths, counts, size, stride, padding, dilation)


# ---- the maximum


def max_pool(
    function: str,
    rank: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of every window, and where it stands."""
    check_planes(function, input, rank, "fiu")
    windows = windows_over(function, input, rank, kernel_size, stride, padding, dilation, ceil_mode)
    check_windows_meet_the_input(function, windows)
    out = ops.max_pool(input, windows=windows)
    return (out, ops.places_of_maxima(input, windows=windows)) if return_indices else out


def check_windows_meet_the_input(function: str, windows: Windows) -> None:
    """Dilated windows may straddle the input, and nothing has no maximum."""
    for length, count, size, stride, padding, dilation in zip(*windows, strict=True):
        if dilation == 1 or not padding:
            continue
        for start in range(-padding, count * stride - padding, stride):
            if not any(0 <= start + i * dilation < length for i in range(size)):
                raise RuntimeError(
                    f"{function}: a window of kernel_size {windows.size} and dilation {windows.dilation} with padding "
                    f"{windows.padding} has no element on the input's lengths {windows.lengths}."
                )


# ---- the mean


def avg_pool(
    function: str,
    rank: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of every window; divisor_override takes the place of the number of its elements."""
    check_planes(function, input, rank, "fi")
    windows = windows_over(function, input, rank, kernel_size, stride, padding, 1, ceil_mode)
    if divisor_override == 0:
        raise RuntimeError(f"{function}: divisor must be not zero, got divisor_override=0.")
    return mean_over(input, windows, divisor_override or elements_of(input, windows, count_include_pad))


def mean_over(input: Tensor, windows: Windows, divisor: Any) -> Tensor:
    """The sum of every window divided by a number, or a number for each; float16 is summed in float32."""
    if input.dtype == "float16":
        return mean_over(input.float(), windows, divisor).half()
    total: Tensor = ops.sum_pool(input, windows=windows)
    return total / divisor if input.dtype.kind == "f" else total.div(divisor, rounding_mode="trunc")


def elements_of(input: Tensor, windows: Windows, count_include_pad: bool) -> Any:
    """How many elements every window has: a number where all have the same, else a Tensor of the windows' shape."""
    counted = []
    for length, count, size, stride, padding, _ in zip(*windows, strict=True):
        low, high = (-padding, length + padding) if count_include_pad else (0, length)
        starts = range(-padding, count * stride - padding, stride)
        counted.append([min(start + size, length + padding, high) - max(start, low) for start in starts])
    if all(len(set(counts)) == 1 for counts in counted):
        return math.prod(counts[0] for counts in counted)
    with input.device:
        xp = namespace(input)
        per_dimension = [xp.asarray(counts, dtype=input.dtype) for counts in counted]
    return make(functools.reduce(lambda product, counts: xp.expand_dims(product, axis=-1) * counts, per_dimension))


def lp_pool(
    function: str,
    rank: int,
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(Σ xᵖ)^(1/p) of every window; 0 where the sum of powers is not positive. Sermanet et al. 2012.

    A window that reaches past the end counts as if it held as many elements as others of the same mean.
    """
    if abs(norm_type) == math.inf:
        sign = 1 if norm_type > 0 else -1
        return sign * max_pool(function, rank, input.abs() * sign, kernel_size, stride, 0, 1, ceil_mode)  # type: ignore[no-any-return]
    elements = math.prod(per_axis(function, "kernel_size", kernel_size, rank))
    powers = input.pow(norm_type)
    mean = avg_pool(function, rank, powers, kernel_size, stride, 0, ceil_mode)
    return (mean.sign() * mean.abs().relu() * elements).pow(1.0 / norm_type)


# ---- back


def max_unpool(
    function: str,
    rank: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes = None,
    padding: Sizes = 0,
    output_size: Any = None,
) -> Tensor:
    """Zeros, with every value at the place that max pooling took it from."""
    size = per_axis(function, "kernel_size", kernel_size, rank)
    stride = size if stride is None or stride == [] or stride == () else per_axis(function, "stride", stride, rank)
    padding = per_axis(function, "padding", padding, rank, 0)
    check_planes(function, input, rank, "fiu")
    if indices.shape != input.shape:
        raise RuntimeError(f"{function}: indices must have the input's shape {input.shape}, got {indices.shape}.")
    if indices.dtype != "int64":
        raise RuntimeError(f"{function}: indices must be int64, got {indices.dtype}.")
    lengths = unpooled_lengths(function, input.shape[-rank:], size, stride, padding, output_size)
    if (input.device.type == "cpu" or flags.check_indices) and indices.numel():
        low, high = indices.min().item(), indices.max().item()
        if low < 0 or high >= math.prod(lengths):
            wrong = low if low < 0 else high
            raise RuntimeError(
                f"{function}: Found an invalid max index: {wrong} (output volumes are of size {lengths})"
            )
    return ops.put_at_places(input, indices, shape=(*input.shape[:-rank], *lengths), rank=rank)


def unpooled_lengths(
    function: str,
    lengths: tuple[int, ...],
    size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_size: Any,
) -> tuple[int, ...]:
    """The lengths before pooling: those asked for, if pooling them could have given these, else the shortest."""
    default = tuple((n - 1) * s + k - 2 * p for n, k, s, p in zip(lengths, size, stride, padding, strict=True))
    if output_size is None:
        return default
    wanted = tuple(output_size)
    rank = len(default)
    wanted = wanted[2:] if len(wanted) == rank + 2 else wanted
    if len(wanted) != rank:
        raise ValueError(f"{function}: output_size must have {rank} or {rank + 2} elements, got {tuple(output_size)}.")
    for n, usual, s in zip(wanted, default, stride):
        if not usual - s < n < usual + s:
            raise ValueError(
                f"{function}: invalid output_size {wanted}: each must be less than a stride {stride} from {default}."
            )
    return wanted


max_pool1d, max_pool2d, max_pool3d = (of_rank(max_pool, rank) for rank in (1, 2, 3))
max_pool1d_with_indices, max_pool2d_with_indices, max_pool3d_with_indices = (
    of_rank(max_pool, rank, return_indices=True) for rank in (1, 2, 3)
)
avg_pool1d = of_rank(avg_pool, 1, divisor_override=None)
avg_pool2d, avg_pool3d = (of_rank(avg_pool, rank) for rank in (2, 3))
lp_pool1d, lp_pool2d, lp_pool3d = (of_rank(lp_pool, rank) for rank in (1, 2, 3))
max_unpool1d, max_unpool2d, max_unpool3d = (of_rank(max_unpool, rank) for rank in (1, 2, 3))
