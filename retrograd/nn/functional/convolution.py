"""Convolution and its transposed map. 1-d to 3-d are one implementation each.

Shapes: input (batch, channels, *lengths) or (channels, *lengths); the last one, two or three dimensions are positions.
As everywhere in deep learning, "convolution" does not flip the kernel. Sizes: Dumoulin & Visin 2016, "A guide to
convolution arithmetic for deep learning", relationships 6 and 14.
"""

from __future__ import annotations

import functools
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor
from retrograd.autograd.windows import Windows, extent, output_length, per_axis, transposed_length
from retrograd.nn.functional.pooling import of_rank

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]

Sizes = Any
"""An integer, or one per dimension that is slid over."""
Shape = tuple[int, ...]


def conv(
    function: str,
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Every window of the input times the weights (out, in/groups, *kernel), plus a bias (out,).

    `padding` is a number of zeros on either side, "valid" (none) or "same" (as many lengths as before). With groups,
    inputs and outputs are parted, and each part of the outputs sees its part of the inputs. All in one dtype.
    Raises RuntimeError for shapes, dtypes and options that do not fit, among them a kernel larger than the input.

    >>> import retrograd as rg
    >>> rg.nn.functional.conv2d(rg.ones(1, 1, 3, 3), rg.ones(1, 1, 2, 2)).tolist()
    [[[[4.0, 4.0], [4.0, 4.0]]]]
    """
    check_operands(function, rank, input, weight, bias, groups, "out")
    if input.shape[-rank - 1] != weight.shape[1] * groups:
        raise RuntimeError(
            f"{function}: weight {weight.shape} with groups={groups} expects {weight.shape[1] * groups} channels, "
            f"but the input {input.shape} has {input.shape[-rank - 1]}."
        )
    windows = windows_of(
        function,
        input.shape[-rank:],
        weight.shape[2:],
        per_axis(function, "stride", stride, rank),
        padding if isinstance(padding, str) else per_axis(function, "padding", padding, rank, 0),
        per_axis(function, "dilation", dilation, rank),
    )
    x = input if input.ndim == rank + 2 else ops.expand_dims(input, axis=0)
    if bias is None:
        out = ops.convolution(x, weight, windows=windows, groups=groups)
    else:
        out = ops.convolution_with_bias(x, weight, bias, windows=windows, groups=groups)
    return out if x is input else ops.squeeze(out, axis=0)


@functools.lru_cache(4096)
def windows_of(
    function: str, lengths: Shape, size: Shape, stride: Shape, padding: Shape | str, dilation: Shape
) -> Windows:
    """The windows of a convolution; RuntimeError where there is none."""
    if isinstance(padding, str):
        before, both = padding_of(function, padding, size, stride, dilation)
    else:
        before, both = padding, tuple(2 * p for p in padding)
    padded = tuple(n + b for n, b in zip(lengths, both))
    counts = tuple(map(output_length, padded, size, stride, (0,) * len(size), dilation))
    if min(size) < 1 or min(lengths) < 0 or min(counts) < 1:
        raise RuntimeError(
            f"{function}: the kernel {size} with dilation {dilation} spans {tuple(map(extent, size, dilation))}, more "
            f"than the padded input {padded}. Use a smaller kernel or more padding, or fewer layers before it."
        )
    return Windows(lengths, counts, size, stride, before, dilation)


def padding_of(function: str, padding: str, size: Shape, stride: Shape, dilation: Shape) -> tuple[Shape, Shape]:
    """Zeros before every axis, and on both sides together, for a padding given by name."""
    if padding == "valid":
        return (0,) * len(size), (0,) * len(size)
    if padding != "same":
        raise RuntimeError(f'{function}: invalid padding string: "{padding}"; use "valid", "same" or numbers.')
    if max(stride) > 1:
        raise RuntimeError(f"{function}: padding='same' is not supported for strided convolutions, got stride={stride}")
    both = tuple(extent(*numbers) - 1 for numbers in zip(size, dilation))
    return tuple(b // 2 for b in both), both  # of an odd number the last zero stands behind


def conv_transpose(
    function: str,
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Every element of the input times the weights (in, out/groups, *kernel), added up where they overlap.

    The gradient of `conv` for its input, as a layer. `padding` cuts off both ends of the result; `output_padding`
    lengthens it at the end, and must be smaller than the stride or the dilation.
    Raises RuntimeError for shapes, dtypes and options that do not fit.
    """
    check_operands(function, rank, input, weight, bias, groups, "in")
    if input.shape[-rank - 1] != weight.shape[0]:
        raise RuntimeError(
            f"{function}: weight {weight.shape} expects {weight.shape[0]} channels, "
            f"but the input {input.shape} has {input.shape[-rank - 1]}."
        )
    windows = transposed_windows_of(
        function,
        input.shape[-rank:],
        weight.shape[2:],
        per_axis(function, "stride", stride, rank),
        per_axis(function, "padding", padding, rank, 0),
        per_axis(function, "output_padding", output_padding, rank, 0),
        per_axis(function, "dilation", dilation, rank),
    )
    x = input if input.ndim == rank + 2 else ops.expand_dims(input, axis=0)
    out = ops.transposed_convolution(x, weight, windows=windows, groups=groups)
    if bias is not None:
        out = out + ops.reshape(bias, shape=(-1, *(1,) * rank))
    return out if x is input else ops.squeeze(out, axis=0)


@functools.lru_cache(4096)
def transposed_windows_of(
    function: str, counts: Shape, size: Shape, stride: Shape, padding: Shape, output_padding: Shape, dilation: Shape
) -> Windows:
    """The windows over the result of a transposed convolution; RuntimeError where it would be empty."""
    for extra, step, spread in zip(output_padding, stride, dilation):
        if extra >= max(step, spread):
            raise RuntimeError(
                f"{function}: output padding must be smaller than either stride or dilation, but got "
                f"output_padding={output_padding}, stride={stride}, dilation={dilation}."
            )
    lengths = tuple(map(transposed_length, counts, size, stride, padding, dilation, output_padding))
    if min(size) < 1 or min(counts) < 1 or min(lengths) < 1:
        raise RuntimeError(
            f"{function}: input {counts} with kernel {size}, stride {stride}, padding {padding} and dilation "
            f"{dilation} would give an output of {lengths}, which is too small."
        )
    return Windows(lengths, counts, size, stride, padding, dilation)


def check_operands(
    function: str, rank: int, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int, first: str
) -> None:
    """Raises unless dimensions, dtypes, groups and bias fit; `first` says what the weight's first dimension is."""
    for what, tensor in (("input", input), ("weight", weight), ("bias", bias)):
        if not isinstance(tensor, Tensor) and not (what == "bias" and tensor is None):
            raise TypeError(f"{function}: {what} must be a Tensor, got {type(tensor).__name__}; see rg.tensor.")
    if input.ndim not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"{function}: expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input, got {input.shape}."
        )
    if weight.ndim != rank + 2:
        raise RuntimeError(f"{function}: the weight must have {rank + 2} dimensions, got {weight.shape}.")
    if not isinstance(groups, int):
        raise TypeError(f"{function}: groups must be an integer, got {groups!r}.")
    if groups < 1 or weight.shape[0] % groups or not weight.shape[0]:
        raise RuntimeError(
            f"{function}: groups={groups} must be positive and divide the weight's first dimension ({first}_channels), "
            f"but the weight is {weight.shape}."
        )
    dtypes = [t.dtype for t in (input, weight, bias) if t is not None]
    if any(dtype != dtypes[0] for dtype in dtypes):
        raise RuntimeError(
            f"{function}: input is {input.dtype}, weight {weight.dtype} and bias "
            f"{getattr(bias, 'dtype', None)}; convert to one dtype, e.g. x.to(w.dtype)."
        )
    if input.dtype == "bool":
        raise NotImplementedError(f"{function} is not implemented for bool; convert the input, e.g. x.float().")
    outputs = weight.shape[0] if first == "out" else weight.shape[1] * groups
    if bias is not None and bias.shape != (outputs,):
        raise RuntimeError(f"{function}: bias must be ({outputs},) for weight {weight.shape}, got {bias.shape}.")


conv1d, conv2d, conv3d = (of_rank(conv, rank) for rank in (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = (of_rank(conv_transpose, rank) for rank in (1, 2, 3))
