"""The NumPy backend: the contract (`contract.py`) on the host.

Names are plain aliases wherever NumPy's meaning is the contract's, so that a call costs no frame of ours; reductions
call `ufunc.reduce` and shape functions call methods, which take a fraction of the time of NumPy's functions.
NumPy returns scalars (`np.float32`) for results without dimensions, and every function here accepts them.
Reading and writing by index is in `numpy_indexing.py`, products in `numpy_products.py`, the fused updates of optimizers
in `numpy_updates.py`, sums of large arrays in `numpy_sums.py`, activations in `numpy_activations.py`, the error
function and GELU in `numpy_special.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.backends.allocator import keep_large_blocks
from retrograd.backends.contract import Array, Axis, DType, Shape
from retrograd.backends.kernels import fusable
from retrograd.backends.numpy_activations import relu as relu
from retrograd.backends.numpy_activations import sigmoid as sigmoid
from retrograd.backends.numpy_indexing import add_along_axis as add_along_axis
from retrograd.backends.numpy_indexing import getitem as getitem
from retrograd.backends.numpy_indexing import index_add as index_add
from retrograd.backends.numpy_indexing import index_sum as index_sum
from retrograd.backends.numpy_indexing import put_along_axis as put_along_axis
from retrograd.backends.numpy_indexing import reduce_at as reduce_at
from retrograd.backends.numpy_indexing import setitem as setitem
from retrograd.backends.numpy_indexing import take_along_axis as take_along_axis
from retrograd.backends.numpy_products import matmul as matmul
from retrograd.backends.numpy_ranks import first_places
from retrograd.backends.numpy_ranks import partition as partition
from retrograd.backends.numpy_special import erf as erf
from retrograd.backends.numpy_special import erfc as erfc
from retrograd.backends.numpy_special import gelu as gelu
from retrograd.backends.numpy_sums import MANY, sum_many
from retrograd.backends.numpy_updates import adam_step as adam_step
from retrograd.backends.numpy_updates import sgd_step as sgd_step
from retrograd.backends.shapes import elements_along, normalized_axis, window_layout
from retrograd.backends.threads import in_ranges as in_ranges
from retrograd.backends.threads import share as share

keep_large_blocks()
np.setbufsize(1024)  # elements; rows shorter than the buffer, which by default has 8192, are copied to be broadcast

name = "cpu"
array_types: tuple[type, ...] = (np.ndarray, *dict.fromkeys(np.sctypeDict.values()))
scratch_bytes = 2**23

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
_FLOAT16 = np.dtype(np.float16)
_INT64 = np.dtype(np.int64)
_WIDENED = frozenset("?bBhHiI")  # dtype characters whose sums and products are taken in int64

# ---- creation
asarray = np.asarray
empty = np.empty
zeros = np.zeros
ones = np.ones
full = np.full
arange = np.arange
eye = np.eye


def new_zeros(x: Array, *, shape: tuple[int, ...]) -> Array:
    return np.zeros(shape, dtype=x.dtype)


def linspace(start: Any, stop: Any, num: int, *, dtype: DType | None = None) -> Array:
    return np.linspace(start, stop, num, dtype=dtype)


def tril(x: Array, *, k: int = 0) -> Array:
    return np.tril(x, k)


def triu(x: Array, *, k: int = 0) -> Array:
    return np.triu(x, k)


def astype(x: Array, dtype: DType) -> Array:
    return x.astype(dtype, copy=False)


def copy(x: Array) -> Array:
    return x.copy()


# ---- elementwise, one input
abs = np.absolute
negative = np.negative
sign = np.sign
exp = np.exp
exp2 = np.exp2
expm1 = np.expm1
log = np.log
log2 = np.log2
log10 = np.log10
log1p = np.log1p
sqrt = np.sqrt
square = np.square
reciprocal = np.reciprocal
sin = np.sin
cos = np.cos
tan = np.tan
asin = np.arcsin
acos = np.arccos
atan = np.arctan
sinh = np.sinh
cosh = np.cosh
tanh = np.tanh
asinh = np.arcsinh
acosh = np.arccosh
atanh = np.arctanh
isnan = np.isnan
isinf = np.isinf
isfinite = np.isfinite
signbit = np.signbit
logical_not = np.logical_not
bitwise_invert = np.invert


def floor(x: Array) -> Array:
    return np.floor(x) if x.dtype.kind == "f" else x.copy()


def ceil(x: Array) -> Array:
    return np.ceil(x) if x.dtype.kind == "f" else x.copy()


def trunc(x: Array) -> Array:
    return np.trunc(x) if x.dtype.kind == "f" else x.copy()


def round(x: Array) -> Array:
    return x.round()


# ---- elementwise, two inputs
add = np.add
subtract = np.subtract
multiply = np.multiply
divide = np.divide
floor_divide = np.floor_divide
remainder = np.remainder
fmod = np.fmod
power = np.power
atan2 = np.arctan2
hypot = np.hypot
logaddexp = np.logaddexp
copysign = np.copysign
maximum = np.maximum
minimum = np.minimum
fmax = np.fmax
fmin = np.fmin
equal = np.equal
not_equal = np.not_equal
less = np.less
less_equal = np.less_equal
greater = np.greater
greater_equal = np.greater_equal
logical_and = np.logical_and
logical_or = np.logical_or
logical_xor = np.logical_xor
bitwise_and = np.bitwise_and
bitwise_or = np.bitwise_or
bitwise_xor = np.bitwise_xor
bitwise_left_shift = np.left_shift
bitwise_right_shift = np.right_shift
where = np.where


_BITS = {"e": np.dtype(np.int16), "f": np.dtype(np.int32), "d": np.dtype(np.int64)}


def keep(x: Array, condition: Array) -> Array:
    """The bits of x times 0 or 1: a tenth of the time of `where`, which guesses every branch."""
    return np.multiply(x.view(_BITS[x.dtype.char]), condition).view(x.dtype)


def clip(x: Array, min: Any = None, max: Any = None) -> Array:
    if min is None and max is None:
        return x.copy()
    if x.size > 4096 and x.dtype.char in "fd":  # two bounds take a third of the time of one
        return x.clip(-np.inf if min is None else min, np.inf if max is None else max)
    if min is None:
        return np.minimum(x, max)
    return np.maximum(x, min) if max is None else x.clip(min, max)


def add_into(out: Array, x: Array) -> None:
    np.add(out, x, out)


def matmul_into(out: Array, x: Array, y: Array) -> None:
    if x.dtype.char == "e":
        out[...] = matmul(x, y)
    else:
        np.matmul(x, y, out)


# ---- reductions
_Reduce = Callable[..., Any]  # NumPy's overloads of `reduce` want a literal for keepdims
_add_reduce: _Reduce = np.add.reduce
_multiply_reduce: _Reduce = np.multiply.reduce
_maximum_reduce: _Reduce = np.maximum.reduce
_minimum_reduce: _Reduce = np.minimum.reduce
_and_reduce: _Reduce = np.logical_and.reduce
_or_reduce: _Reduce = np.logical_or.reduce


def sum(x: Array, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Array:
    if dtype is None:
        char = x.dtype.char
        if char == "e":
            return _add_reduce(x, axis, _FLOAT32, None, keepdims).astype(_FLOAT16)
        if char in _WIDENED:
            dtype = _INT64
        elif x.size >= MANY:
            return sum_many(x, axis, keepdims)
    return _add_reduce(x, axis, dtype, None, keepdims)


def prod(x: Array, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Array:
    if dtype is None:
        char = x.dtype.char
        if char == "e":
            return _multiply_reduce(x, axis, _FLOAT32, None, keepdims).astype(_FLOAT16)
        if char in _WIDENED:
            dtype = _INT64
    return _multiply_reduce(x, axis, dtype, None, keepdims)


def mean(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    count = elements_along(x.shape, axis)
    if count == 0:
        return np.full_like(_add_reduce(x, axis, None, None, keepdims), np.nan)[()]
    if x.dtype.char == "e":
        return (_add_reduce(x, axis, _FLOAT32, None, keepdims) / count).astype(_FLOAT16)
    return (sum_many if x.size >= MANY else _add_reduce)(x, axis=axis, keepdims=keepdims) / count


def max(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    if x.size > 4096 and (axis == -1 or axis == x.ndim - 1) and x.shape[-1] <= 256 and x.dtype.char in "fd":
        return _largest_of_rows(x, keepdims)
    return _maximum_reduce(x, axis, None, None, keepdims)


def _largest_of_rows(x: Array, keepdims: bool) -> Array:
    """What `maximum.reduce` gives for short rows, in half its time: the search for the place is the faster one."""
    places = x.argmax(-1)
    places += np.arange(0, x.size, x.shape[-1]).reshape(places.shape)
    largest = x.reshape(-1).take(places)
    return largest[..., None] if keepdims else largest


def min(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return _minimum_reduce(x, axis, None, None, keepdims)


def all(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return _and_reduce(x, axis, None, None, keepdims)


def any(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return _or_reduce(x, axis, None, None, keepdims)


def count_nonzero(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    if axis is None and not keepdims:
        return np.int64(np.count_nonzero(x))
    return _add_reduce(np.not_equal(x, 0), axis, _INT64, None, keepdims)


def argmax(x: Array, *, axis: int | None = None, keepdims: bool = False) -> Array:
    return x.argmax(axis, keepdims=keepdims)


def argmin(x: Array, *, axis: int | None = None, keepdims: bool = False) -> Array:
    return x.argmin(axis, keepdims=keepdims)


# ---- scans and order; a 0-d array counts as one element, so axis 0 and -1 exist
@fusable
def cumulative_sum(x: Array, *, axis: int, dtype: DType | None = None) -> Array:
    return _scan(np.add.accumulate, x, axis, dtype)


@fusable
def cumulative_prod(x: Array, *, axis: int, dtype: DType | None = None) -> Array:
    return _scan(np.multiply.accumulate, x, axis, dtype)


def _scan(accumulate: Callable[..., Array], x: Array, axis: int, dtype: DType | None) -> Array:
    if x.ndim == 0:
        return _scan(accumulate, x.reshape(1), axis, dtype)[0]
    if dtype is None:
        char = x.dtype.char
        if char == "e":
            return accumulate(x, axis, _FLOAT32).astype(_FLOAT16)
        if char == "f":  # rounding would add up along a long axis; PyTorch too takes float64
            return accumulate(x, axis, _FLOAT64).astype(_FLOAT32)
        if char in _WIDENED:
            dtype = _INT64
    return accumulate(x, axis, dtype)


@fusable
def cumulative_max(x: Array, *, axis: int) -> tuple[Array, Array]:
    if x.ndim == 0:
        values, indices = cumulative_max(x.reshape(1), axis=axis)
        return values[0], indices[0]
    values = np.maximum.accumulate(x, axis)
    reached = np.equal(x, values)
    if x.dtype.kind in "fc":
        reached |= np.isnan(x)
    shape = [1] * x.ndim
    shape[axis] = -1
    places = np.where(reached, np.arange(x.shape[axis]).reshape(shape), 0)
    return values, np.maximum.accumulate(places, axis)


def sort(x: Array, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    if x.ndim == 0:
        return sort(x.reshape(1), axis=axis)[0]
    ordered = np.sort(x, axis=axis, stable=stable)
    return np.flip(ordered, axis) if descending else ordered


def argsort(
    x: Array, *, axis: int = -1, descending: bool = False, stable: bool = True, first: int | None = None
) -> Array:
    if x.ndim == 0:
        return argsort(x.reshape(1), axis=axis)[0]
    if first is not None:
        if 0 < 4 * first <= x.shape[axis] and x.size:
            return first_places(x, first, axis, descending, argsort)
        lead = (slice(None),) * normalized_axis(axis, x.ndim)
        return argsort(x, axis=axis, descending=descending)[(*lead, slice(first))]
    if not descending:
        return np.argsort(x, axis=axis, stable=stable)
    # Equal elements keep their order: sort the mirror image ascending, then read it backwards.
    mirrored = np.argsort(np.flip(x, axis), axis=axis, stable=stable)
    return np.flip((x.shape[axis] - 1) - mirrored, axis)


def searchsorted(x1: Array, x2: Array, *, side: str = "left") -> Array:
    return x1.searchsorted(x2, side)


nonzero = np.nonzero


def unique(x: Array, *, axis: int | None = None) -> tuple[Array, Array, Array]:
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
    return values, inverse.reshape(x.shape if axis is None else -1), counts


# ---- shape
def reshape(x: Array, shape: Shape) -> Array:
    return x.reshape(shape)


def permute_dims(x: Array, axes: tuple[int, ...]) -> Array:
    return x.transpose(axes)


def broadcast_to(x: Array, shape: tuple[int, ...]) -> Array:
    extra = len(shape) - x.ndim
    strides = [0] * extra
    for length, stride, wanted in zip(x.shape, x.strides, shape[extra:] if extra >= 0 else ()):
        if length == wanted:
            strides.append(stride)
        elif length == 1:
            strides.append(0)
        else:
            break
    if len(strides) != len(shape):
        raise ValueError(f"broadcast_to: shape {x.shape} does not broadcast to {tuple(shape)}.")
    return _view(x, shape, strides)


def _view(x: Array, shape: Sequence[int], strides: Sequence[int]) -> Array:
    """A read-only view. Contiguous memory has a constructor that takes a tenth of the time of `as_strided`."""
    if x.flags.c_contiguous and x.size:
        view = np.ndarray(shape, x.dtype, x, 0, strides)
        view.flags.writeable = False
        return view
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def concat(arrays: Sequence[Array], *, axis: int = 0) -> Array:
    return np.concatenate(arrays, axis)


def stack(arrays: Sequence[Array], *, axis: int = 0) -> Array:
    return np.stack(arrays, axis)


def flip(x: Array, *, axis: Axis = None) -> Array:
    return np.flip(x, axis)


def roll(x: Array, shift: int | tuple[int, ...], *, axis: Axis = None) -> Array:
    return np.roll(x, shift, axis)


def squeeze(x: Array, axis: int | tuple[int, ...]) -> Array:
    return x.squeeze(axis)


def expand_dims(x: Array, *, axis: int | tuple[int, ...]) -> Array:
    if isinstance(axis, int):
        axis = normalized_axis(axis, x.ndim + 1)
        return x.reshape((*x.shape[:axis], 1, *x.shape[axis:]))
    return np.expand_dims(x, axis)


def repeat(x: Array, repeats: Any, *, axis: int) -> Array:
    return x.repeat(repeats, axis)


def tile(x: Array, repetitions: tuple[int, ...]) -> Array:
    return np.tile(x, repetitions)


def ascontiguousarray(x: Array) -> Array:
    return np.asarray(x, order="C")  # np.ascontiguousarray would give a 0-d array an axis


def diagonal(x: Array, *, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Array:
    view = x.diagonal(offset, axis1, axis2)
    return writable(view) if x.flags.writeable else view


def as_strided(x: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    size = x.itemsize
    return _view(x, shape, [step * size for step in strides])


def sliding_window_view(x: Array, window: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    return _view(x, *window_layout(x.shape, x.strides, window, axes))


class _Memory:
    """What `np.asarray` makes an array of: an address, a shape and strides, and the array that owns the memory."""

    def __init__(self, x: Array) -> None:
        interface = x.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
        self.owner = x


def writable(x: Array) -> Array:
    return x if x.flags.writeable else np.asarray(_Memory(x))


# ---- products and linear algebra
def einsum(equation: str, *operands: Array) -> Array:
    return np.einsum(equation, *operands, optimize=len(operands) > 1)


inv = np.linalg.inv
det = np.linalg.det
solve = np.linalg.solve
cholesky = np.linalg.cholesky
eigh = np.linalg.eigh


def slogdet(x: Array) -> tuple[Array, Array]:
    sign_, logarithm = np.linalg.slogdet(x)
    return sign_, logarithm


def qr(x: Array, *, mode: str = "reduced") -> tuple[Array, Array]:
    q, r = np.linalg.qr(x, mode)  # type: ignore[call-overload]  # the overloads want literals
    return q, r


def svd(x: Array, *, full_matrices: bool = True) -> tuple[Array, Array, Array]:
    u, s, vh = np.linalg.svd(x, full_matrices)
    return u, s, vh


def lstsq(x: Array, y: Array) -> Array:
    return np.linalg.lstsq(x, y, rcond=None)[0]


# ---- host and device
def from_host(x: Any) -> Array:
    return x


def to_host(x: Array) -> Any:
    return x


def from_dlpack(x: Any) -> Array:
    return np.from_dlpack(x)


def device_index(x: Array) -> int | None:
    return None


def device_count() -> int:
    return 1


def select_device(index: int | None) -> int | None:
    return None


def synchronize() -> None:
    return None


scalar_functions: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "negative": operator.neg,
    "abs": operator.abs,
}
"""The same functions for NumPy's scalars, a tenth of the time of a ufunc on them."""
