"""The CuPy backend: the contract (`contract.py`) on NVIDIA GPUs. Import it through the registry (`device.py`).

Where CuPy means what the contract means, a name is CuPy's function; the rest of this file absorbs the differences, each
with its reason. Nothing here copies to the host unless its docstring says so. Array operands belong to the current GPU.
Reading and writing by index is in `cupy_indexing.py`, decompositions in `cupy_linalg.py`, copies that the GPU makes by
itself in `cupy_copies.py`, the fused updates of optimizers in `cupy_updates.py`, CUDA graphs in `cupy_graphs.py`.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

import cupy as cp
import numpy as np

from retrograd.backends.contract import Array, Axis, DType, Shape
from retrograd.backends.cupy_copies import finish_copy as finish_copy
from retrograd.backends.cupy_copies import is_pinned as is_pinned
from retrograd.backends.cupy_copies import pinned as pinned
from retrograd.backends.cupy_copies import start_copy as start_copy
from retrograd.backends.cupy_copies import under_way as under_way
from retrograd.backends.cupy_graphs import Captured as Captured
from retrograd.backends.cupy_graphs import concatenated as _concatenated
from retrograd.backends.cupy_graphs import matmul as _matmul
from retrograd.backends.cupy_indexing import add_along_axis as add_along_axis
from retrograd.backends.cupy_indexing import getitem as getitem
from retrograd.backends.cupy_indexing import index_add as index_add
from retrograd.backends.cupy_indexing import index_sum as index_sum
from retrograd.backends.cupy_indexing import put_along_axis as put_along_axis
from retrograd.backends.cupy_indexing import setitem as setitem
from retrograd.backends.cupy_indexing import take_along_axis as take_along_axis
from retrograd.backends.cupy_kernels import kernels
from retrograd.backends.cupy_linalg import cholesky as cholesky
from retrograd.backends.cupy_linalg import det as det
from retrograd.backends.cupy_linalg import eigh as eigh
from retrograd.backends.cupy_linalg import inv as inv
from retrograd.backends.cupy_linalg import lstsq as lstsq
from retrograd.backends.cupy_linalg import qr as qr
from retrograd.backends.cupy_linalg import slogdet as slogdet
from retrograd.backends.cupy_linalg import solve as solve
from retrograd.backends.cupy_linalg import svd as svd
from retrograd.backends.cupy_updates import adam_step as adam_step
from retrograd.backends.cupy_updates import sgd_step as sgd_step
from retrograd.backends.shapes import elements_along, normalized_axis, window_layout

name = "cuda"
array_types: tuple[type, ...] = (cp.ndarray,)
scratch_bytes = 2**28

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
_INT32 = np.dtype(np.int32)
_INT64 = np.dtype(np.int64)
_WIDENED = frozenset("?bBhHiI")  # dtype characters whose sums and products are taken in int64


# ---- creation, on the current GPU
def asarray(obj: Any, *, dtype: DType | None = None, copy: bool | None = None) -> Array:
    return cp.asarray(obj, dtype=dtype, copy=copy)


def empty(shape: Shape, *, dtype: DType | None = None) -> Array:
    return cp.empty(shape, _FLOAT64 if dtype is None else dtype)


def zeros(shape: Shape, *, dtype: DType | None = None) -> Array:
    return cp.zeros(shape, _FLOAT64 if dtype is None else dtype)


def ones(shape: Shape, *, dtype: DType | None = None) -> Array:
    return cp.ones(shape, _FLOAT64 if dtype is None else dtype)


def full(shape: Shape, fill_value: Any, *, dtype: DType | None = None) -> Array:
    return cp.full(shape, fill_value, dtype)


def new_zeros(x: Array, *, shape: tuple[int, ...]) -> Array:
    return cp.zeros(shape, x.dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, *, dtype: DType | None = None) -> Array:
    return cp.arange(start, stop, step, dtype)


def linspace(start: Any, stop: Any, num: int, *, dtype: DType | None = None) -> Array:
    return cp.linspace(start, stop, num, dtype=dtype)


def eye(n_rows: int, n_cols: int | None = None, *, k: int = 0, dtype: DType | None = None) -> Array:
    return cp.eye(n_rows, n_cols, k, _FLOAT64 if dtype is None else dtype)


def tril(x: Array, *, k: int = 0) -> Array:
    return cp.tril(x, k)


def triu(x: Array, *, k: int = 0) -> Array:
    return cp.triu(x, k)


def astype(x: Array, dtype: DType) -> Array:
    return x.astype(dtype, copy=False)


def copy(x: Array) -> Array:
    return x.copy()


# ---- elementwise, one input
abs = cp.absolute
negative = cp.negative
sign = cp.sign
exp = cp.exp
exp2 = cp.exp2
expm1 = cp.expm1
log = cp.log
log2 = cp.log2
log10 = cp.log10
log1p = cp.log1p
sqrt = cp.sqrt
square = cp.square
reciprocal = cp.reciprocal
sin = cp.sin
cos = cp.cos
tan = cp.tan
asin = cp.arcsin
acos = cp.arccos
atan = cp.arctan
sinh = cp.sinh
cosh = cp.cosh
tanh = cp.tanh
asinh = cp.arcsinh
acosh = cp.arccosh
atanh = cp.arctanh
floor = cp.floor
ceil = cp.ceil
trunc = cp.trunc
isnan = cp.isnan
isinf = cp.isinf
isfinite = cp.isfinite
signbit = cp.signbit
logical_not = cp.logical_not
bitwise_invert = cp.invert


def round(x: Array) -> Array:
    return cp.rint(x) if x.dtype.kind in "fc" else x.copy()


def relu(x: Array) -> Array:
    return cp.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    return kernels["sigmoid"](_floating(x))


def erf(x: Array) -> Array:
    return kernels["erf"](_floating(x))


def erfc(x: Array) -> Array:
    return kernels["erfc"](_floating(x))


def gelu(x: Array) -> tuple[Array, Array]:
    below = 0.5 * erf(x * math.sqrt(0.5)) + 0.5
    return x * below, below + x * (math.sqrt(0.5 / math.pi) * cp.exp(-0.5 * (x * x)))


def _floating(x: Array) -> Array:
    return x if x.dtype.kind == "f" else x.astype(_FLOAT64)


# ---- elementwise, two inputs
add = cp.add
subtract = cp.subtract
multiply = cp.multiply
divide = cp.true_divide
atan2 = cp.arctan2
hypot = cp.hypot
logaddexp = cp.logaddexp
copysign = cp.copysign
maximum = cp.maximum
minimum = cp.minimum
fmax = cp.fmax
fmin = cp.fmin
equal = cp.equal
not_equal = cp.not_equal
less = cp.less
less_equal = cp.less_equal
greater = cp.greater
greater_equal = cp.greater_equal
logical_and = cp.logical_and
logical_or = cp.logical_or
logical_xor = cp.logical_xor
bitwise_and = cp.bitwise_and
bitwise_or = cp.bitwise_or
bitwise_xor = cp.bitwise_xor
bitwise_left_shift = cp.left_shift
bitwise_right_shift = cp.right_shift


def power(x: Array, y: Array, out: Array | None = None) -> Array:
    if isinstance(y, int) and y < 0 and x.dtype.kind in "iu":  # CuPy would give 0 where NumPy raises
        raise ValueError("Integers to negative integer powers are not allowed.")
    return cp.power(x, y, out)


def fmod(x: Array, y: Array) -> Array:
    dtype = cp.result_type(x, y)
    if dtype.kind != "i":
        return cp.fmod(x, y)
    # CuPy takes integers through float64, which holds 53 bits.
    size = cp.remainder(cp.absolute(x), cp.absolute(y) if isinstance(y, cp.ndarray) else builtins.abs(y))
    return cp.where(cp.less(x, 0), cp.negative(size), size)


def remainder(x: Array, y: Array) -> Array:
    """CuPy's x - floor(x/y) y rounds twice and turns an infinite y into NaN; this is C's fmod, moved to y's sign."""
    if cp.result_type(x, y).kind != "f":
        return cp.remainder(x, y)
    rest = cp.fmod(x, y)
    astray = cp.logical_and(cp.not_equal(rest, 0), cp.not_equal(cp.less(rest, 0), cp.less(y, 0)))
    return cp.where(astray, cp.add(rest, y), rest)


def floor_divide(x: Array, y: Array) -> Array:
    """(x - x mod y)/y, which is an integer up to rounding; floor(x/y) is one too large where x/y rounds up."""
    if cp.result_type(x, y).kind != "f":
        return cp.floor_divide(x, y)
    exact = cp.rint(cp.true_divide(cp.subtract(x, remainder(x, y)), y))
    return cp.where(cp.equal(y, 0), cp.true_divide(x, y), exact)


def where(condition: Array, x: Array, y: Array) -> Array:
    return cp.where(condition, x, y)


def keep(x: Array, condition: Array) -> Array:
    return cp.where(condition, x, 0)


def clip(x: Array, min: Any = None, max: Any = None) -> Array:
    if min is None:
        return x.copy() if max is None else cp.minimum(x, max)
    raised = cp.maximum(x, min)
    return raised if max is None else cp.minimum(raised, max)


def writable(x: Array) -> Array:
    return x


def in_ranges(function: Callable[..., Array], *arrays: Any) -> Array:
    return function(*arrays)


def share(task: Callable[[int, int], None], length: int, grain: int, *, products: bool = False) -> None:
    task(0, length)  # the device shares out every kernel itself


def add_into(out: Array, x: Array) -> None:
    cp.add(out, x, out)


def matmul_into(out: Array, x: Array, y: Array) -> None:
    _matmul(x, y, out)


# ---- reductions; CuPy accumulates float16 in float32
def sum(x: Array, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Array:
    return x.sum(_axis(x, axis), _wide(x, dtype), None, keepdims)


def prod(x: Array, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Array:
    return x.prod(_axis(x, axis), _wide(x, dtype), None, keepdims)


def mean(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    count = elements_along(x.shape, axis)
    if x.dtype.char == "e":
        total = x.sum(_axis(x, axis), _FLOAT32, None, keepdims)
        return cp.true_divide(total, count).astype(x.dtype)
    return cp.true_divide(x.sum(_axis(x, axis), None, None, keepdims), count)


def max(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return x.max(_axis(x, axis), None, keepdims)


def min(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return x.min(_axis(x, axis), None, keepdims)


def all(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return x.all(_axis(x, axis), None, keepdims)


def any(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return x.any(_axis(x, axis), None, keepdims)


def count_nonzero(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return cp.not_equal(x, 0).sum(_axis(x, axis), _INT64, None, keepdims)


def argmax(x: Array, *, axis: int | None = None, keepdims: bool = False) -> Array:
    return x.argmax(axis=_axis(x, axis), keepdims=keepdims)


def argmin(x: Array, *, axis: int | None = None, keepdims: bool = False) -> Array:
    return x.argmin(axis=_axis(x, axis), keepdims=keepdims)


def _axis(x: Array, axis: Axis) -> Axis:
    """CuPy knows no axis of a 0-d array; NumPy takes 0 and -1."""
    return None if x.ndim == 0 and axis in (0, -1, (0,), (-1,)) else axis


def _wide(x: Array, dtype: DType | None) -> DType | None:
    return _INT64 if dtype is None and x.dtype.char in _WIDENED else dtype


# ---- scans and order; a 0-d array counts as one element
def cumulative_sum(x: Array, *, axis: int, dtype: DType | None = None) -> Array:
    return _scan(cp.cumsum, x, axis, dtype)


def cumulative_prod(x: Array, *, axis: int, dtype: DType | None = None) -> Array:
    return _scan(cp.cumprod, x, axis, dtype)


def _scan(scan: Any, x: Array, axis: int, dtype: DType | None) -> Array:
    axis = normalized_axis(axis, x.ndim)
    if x.ndim == 0:
        return _scan(scan, x.reshape(1), 0, dtype)[0]
    if dtype is None and x.dtype.char == "e":
        return scan(x, axis, _FLOAT32).astype(x.dtype)
    return scan(x, axis, _wide(x, dtype))


def cumulative_max(x: Array, *, axis: int) -> tuple[Array, Array]:
    axis = normalized_axis(axis, x.ndim)
    x = ascontiguousarray(x)
    values = cp.empty(x.shape, x.dtype)
    places = cp.zeros(x.shape, _INT64)
    if x.size:
        length = x.shape[axis] if x.ndim else 1
        inner = math.prod(x.shape[axis + 1 :])
        kernels["cumulative_max"](x, length, inner, values, places, size=x.size // length)
    return values, places


def sort(x: Array, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    if x.ndim == 0:
        return sort(x.reshape(1), axis=axis)[0]
    ordered = cp.sort(x, axis)
    return cp.flip(ordered, axis) if descending else ordered


def argsort(
    x: Array, *, axis: int = -1, descending: bool = False, stable: bool = True, first: int | None = None
) -> Array:
    if x.ndim == 0:
        return argsort(x.reshape(1), axis=axis)[0]
    if first is not None:
        lead = (slice(None),) * normalized_axis(axis, x.ndim)
        return argsort(x, axis=axis, descending=descending)[(*lead, slice(first))]
    if not descending:
        return cp.argsort(x, axis)
    # Equal elements keep their order: sort the mirror image ascending, then read it backwards.
    mirrored = cp.argsort(cp.flip(x, axis), axis)
    return cp.flip(cp.subtract(x.shape[axis] - 1, mirrored), axis)


def searchsorted(x1: Array, x2: Array, *, side: str = "left") -> Array:
    return cp.searchsorted(x1, x2, side)


def nonzero(x: Array) -> tuple[Array, ...]:
    """Waits for the GPU: the shape of the result is the answer."""
    found: tuple[Array, ...] = cp.nonzero(x)
    return found


def unique(x: Array, *, axis: int | None = None) -> tuple[Array, Array, Array]:
    """Waits for the GPU: the shape of the result is the answer."""
    values, inverse, counts = cp.unique(x, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
    return values, inverse.reshape(x.shape if axis is None else -1), counts


# ---- shape
def reshape(x: Array, shape: Shape) -> Array:
    return x.reshape(shape)


def permute_dims(x: Array, axes: tuple[int, ...]) -> Array:
    return cp.transpose(x, axes)


broadcast_to = cp.broadcast_to


def concat(arrays: Sequence[Array], *, axis: int = 0) -> Array:
    return _concatenated(arrays, axis)


def stack(arrays: Sequence[Array], *, axis: int = 0) -> Array:
    return _concatenated([cp.expand_dims(x, axis) for x in arrays], axis)


def flip(x: Array, *, axis: Axis = None) -> Array:
    return cp.flip(x, axis)


def roll(x: Array, shift: int | tuple[int, ...], *, axis: Axis = None) -> Array:
    return cp.roll(x, shift, axis)


def squeeze(x: Array, axis: int | tuple[int, ...]) -> Array:
    return x.squeeze(axis)


def expand_dims(x: Array, *, axis: int | tuple[int, ...]) -> Array:
    return cp.expand_dims(x, axis)


def repeat(x: Array, repeats: Any, *, axis: int) -> Array:
    """Waits for the GPU when `repeats` is an array: the length of the result is its sum."""
    if isinstance(repeats, cp.ndarray) and repeats.size > 1:
        ends = cp.cumsum(repeats)
        source = cp.searchsorted(ends, cp.arange(int(ends[-1])), "right")
        return cp.take(x, source, axis)
    if isinstance(repeats, (cp.ndarray, np.ndarray)):
        repeats = repeats.tolist()
    return x.repeat(repeats, axis)


def tile(x: Array, repetitions: tuple[int, ...]) -> Array:
    return cp.tile(x, repetitions)


def ascontiguousarray(x: Array) -> Array:
    return x if x.ndim == 0 else cp.ascontiguousarray(x)


def diagonal(x: Array, *, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Array:
    return x.diagonal(offset, normalized_axis(axis1, x.ndim), normalized_axis(axis2, x.ndim))


def as_strided(x: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    size = x.itemsize
    return cp.lib.stride_tricks.as_strided(x, shape, tuple(step * size for step in strides))


def sliding_window_view(x: Array, window: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    return cp.lib.stride_tricks.as_strided(x, *window_layout(x.shape, x.strides, window, axes))


# ---- products
def matmul(x: Array, y: Array) -> Array:
    return _matmul(x, y)


def einsum(equation: str, *operands: Array) -> Array:
    return cp.einsum(equation, *operands, optimize=len(operands) > 1)


# ---- host and device
def from_host(x: Any) -> Array:
    """From page-locked memory CuPy copies while the host goes on, which might write there: hence it waits."""
    return cp.asarray(x, blocking=is_pinned(x))


def to_host(x: Array) -> Any:
    return cp.asnumpy(x)


def from_dlpack(x: Any) -> Array:
    return cp.from_dlpack(x)


def device_index(x: Array) -> int | None:
    return int(x.device.id)


def device_count() -> int:
    try:
        return int(cp.cuda.runtime.getDeviceCount())
    except RuntimeError:  # no driver
        return 0


def select_device(index: int | None) -> int | None:
    selected = int(cp.cuda.runtime.getDevice())
    if index is not None and index != selected:
        count = device_count()
        if index >= count:
            raise RuntimeError(f"device {name}:{index} does not exist; this machine has {count}, counted from 0.")
        cp.cuda.runtime.setDevice(index)
    return selected


def synchronize() -> None:
    cp.cuda.Device().synchronize()
