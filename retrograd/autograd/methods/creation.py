"""Constructors: tensors from data, from a rule, and like another tensor."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from retrograd.autograd.graph import AccumulateGrad
from retrograd.autograd.methods.arguments import built, checked_dtype, place_of, refusing, sizes
from retrograd.autograd.methods.conversion import converted
from retrograd.autograd.methods.data import checked_number, host_array
from retrograd.autograd.methods.interop import from_dlpack
from retrograd.autograd.methods.registry import method, public
from retrograd.autograd.promotion import get_default_dtype
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.backends import Device, backend_of_array, device_of

__all__ = ["finish", "from_host"]

_INT64 = np.dtype(np.int64)

creating = refusing("out", "layout", "pin_memory", "memory_format")


def finish(array: Any, requires_grad: bool = False) -> Tensor:
    """A leaf around an array."""
    out = make(array)
    if requires_grad:
        if array.dtype.kind not in "fc":
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, got {array.dtype}; use x.float()."
            )
        out._node = AccumulateGrad(out)
    return out


def from_host(array: np.ndarray[Any, Any], device: Any = None, requires_grad: bool = False) -> Tensor:
    """A leaf with a NumPy array's values on a device; on the CPU around the array itself."""
    return finish(built(device, lambda xp: xp.from_host(array)), requires_grad)


# ---- from data


@refusing("pin_memory")
def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new leaf with a copy of the data: numbers, nested sequences, an array or a tensor.

    Python floats become the default float dtype, integers int64; arrays and tensors keep theirs. Raises ValueError for
    ragged sequences, TypeError and RuntimeError for what is no number or does not fit the dtype.

    >>> import retrograd as rg
    >>> rg.tensor([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    data, device = taken_over(data, device)
    if isinstance(data, Tensor):
        out = converted(data.detach(), dtype, device, copy=True)
        if out._array.__class__ is np.ndarray:
            out._array = out._array[()]  # of an array without dimensions NumPy's scalar: arithmetic is faster with it
        return out.requires_grad_(requires_grad)
    array, place = host_array(data, dtype), place_of(device)
    return from_host(array[()] if place.type == "cpu" else array, place, requires_grad)


def taken_over(data: Any, device: Any) -> tuple[Any, Any]:
    """Another library's array as a tensor that shares its memory, anything else as it is; and the device to use.

    Without one, what is on the host goes to the default device, and what is on a GPU stays there.
    """
    if isinstance(data, (Tensor, np.generic, list, tuple)):
        return data, device
    if isinstance(data, np.ndarray):
        data = from_numpy(data)
    elif data.__class__ in backend_of_array:
        data = make(data)
    elif hasattr(data, "__dlpack_device__"):
        data = from_dlpack(data)
    elif hasattr(data, "__array__"):
        data = from_numpy(np.asarray(data))
    else:
        return data, device
    return data, place_of(device) if device is not None or device_of(data._array).type == "cpu" else None


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """The data as a tensor, without a copy where an array or a tensor has the dtype and the device already.

    Arrays are those of NumPy, CuPy and every library with DLPack. A tensor keeps its place in the graph.
    """
    data, device = taken_over(data, device)
    if isinstance(data, Tensor):
        return converted(data, dtype, device)
    return tensor(data, dtype=dtype, device=device)


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool | None = None
) -> Tensor:
    """The object as a tensor: memory is shared where it can be, always (copy=False, else ValueError) or never (True).

    A tensor keeps its place in the graph unless `requires_grad` is False.
    """
    source, device = taken_over(obj, device)
    out = as_tensor(source, dtype, device)
    if copy is False and out is not source:
        raise ValueError(f"asarray: {type(obj).__name__} as {out.dtype} needs a copy; leave copy=False out.")
    if copy and out is source:
        out = out.clone()
    if requires_grad is None:
        return out
    if out._node is not None and not requires_grad:
        return out.detach()
    return out.requires_grad_(requires_grad)


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A CPU tensor around a NumPy array: changes of one are seen in the other.

    Raises TypeError for anything but an array, and for dtypes that no tensor has.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {type(ndarray).__name__}; use rg.tensor(...).")
    checked_dtype(ndarray.dtype)
    return make(np.asarray(ndarray))  # a subclass, as memmap, is seen as the array that it is


# ---- of a shape


def _shape(function: str, lengths: tuple[Any, ...], size: Any) -> tuple[int, ...]:
    if size is not None:
        if lengths:
            raise TypeError(f"{function}: give the shape once, by position or as size=.")
        return sizes((size,))
    if not lengths:
        raise TypeError(f"{function}: the shape is missing, e.g. {function}(2, 3); () makes a 0-d tensor.")
    return sizes(lengths)


def _dtype(dtype: Any) -> np.dtype[Any]:
    return get_default_dtype() if dtype is None else checked_dtype(dtype)


@creating
def zeros(
    *lengths: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Zeros of a shape, `zeros(2, 3)` or `zeros((2, 3))`, in the default dtype."""
    shape, kind = _shape("zeros", lengths, size), _dtype(dtype)
    return finish(built(device, lambda xp: xp.zeros(shape, dtype=kind)), requires_grad)


@creating
def ones(*lengths: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of a shape, `ones(2, 3)` or `ones((2, 3))`, in the default dtype."""
    shape, kind = _shape("ones", lengths, size), _dtype(dtype)
    return finish(built(device, lambda xp: xp.ones(shape, dtype=kind)), requires_grad)


@creating
def empty(
    *lengths: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of a shape whose values are whatever the memory held."""
    shape, kind = _shape("empty", lengths, size), _dtype(dtype)
    return finish(built(device, lambda xp: xp.empty(shape, dtype=kind)), requires_grad)


@creating
def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A shape filled with one number, whose kind decides the dtype: bool, int64 or the default float.

    >>> import retrograd as rg
    >>> rg.full((2,), 3).dtype
    dtype('int64')
    """
    if not hasattr(size, "__iter__"):
        raise TypeError(f"full: size must be a tuple of integers, got {size!r}; a vector is ({size!r},).")
    if dtype is None:
        dtype = fill_value.dtype if isinstance(fill_value, Tensor) else host_array(fill_value).dtype
    shape, kind = sizes((size,)), checked_dtype(dtype)
    value = checked_number(fill_value, kind)
    return finish(built(device, lambda xp: xp.full(shape, value, dtype=kind)), requires_grad)


@creating
def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """n rows and m columns (n, by default) with ones on the diagonal."""
    rows, columns = sizes((n, n if m is None else m), "eye: n and m")
    kind = _dtype(dtype)
    return finish(built(device, lambda xp: xp.eye(rows, columns, dtype=kind)), requires_grad)


# ---- sequences


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, (Tensor, np.ndarray, np.generic)) else value


@creating
def arange(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, … up to, and without, end; `arange(end)` starts at 0. int64 when all three are integers.

    Raises RuntimeError for a step of 0, or one that leads away from the end.

    >>> import retrograd as rg
    >>> rg.arange(1, 2.5, 0.5)
    tensor([1.0000, 1.5000, 2.0000])
    """
    if end is None:
        start, end = 0, start
    start, end, step = _number(start), _number(end), _number(step)
    if dtype is None:
        dtype = get_default_dtype() if any(isinstance(n, float) for n in (start, end, step)) else _INT64
    kind = checked_dtype(dtype)
    if kind.kind == "b":
        raise NotImplementedError("arange: a bool dtype has no range; choose an integer one.")
    if step == 0:
        raise RuntimeError("arange: the step must be nonzero.")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"arange: unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError(f"arange: from {start} to {end} no step of {step} leads; change its sign.")
    span = end - start
    count = -(-span // step) if isinstance(span, int) and isinstance(step, int) else math.ceil(span / step)
    if kind.kind in "iu":
        start, step = int(start), int(step)
    return from_host((start + np.arange(count) * step).astype(kind), device, requires_grad)


def _steps(start: Any, end: Any, steps: int, kind: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Evenly spaced values, the first half counted from the start and the second from the end, as in PyTorch."""
    steps = operator.index(steps)
    if steps < 0:
        raise RuntimeError(f"steps must be non-negative, got {steps}.")
    if kind.kind == "f":
        a, b = kind.type(start), kind.type(end)
    else:
        a, b = np.float32(int(start)), np.float32(int(end))
    if steps < 2:
        return np.full(steps, a)
    step = a.dtype.type((b - a) / a.dtype.type(steps - 1))
    index = np.arange(steps)
    ahead, behind = index.astype(a.dtype), (steps - 1 - index).astype(a.dtype)
    values: np.ndarray[Any, Any] = np.where(index < steps // 2, a + step * ahead, b - step * behind)
    return values


@creating
def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`steps` values evenly spaced from start to end, both included."""
    kind = _dtype(dtype)
    return from_host(_steps(_number(start), _number(end), steps, kind).astype(kind), device, requires_grad)


@creating
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """base to the powers that `linspace(start, end, steps)` gives."""
    kind = _dtype(dtype)
    exponents = _steps(_number(start), _number(end), steps, kind)
    values = np.power(np.float64(base), exponents.astype(np.float64))
    return from_host(values.astype(kind), device, requires_grad)


for _function in (tensor, as_tensor, asarray, from_numpy, zeros, ones, empty, full, eye, arange, linspace, logspace):
    public(_function, method=False)


# ---- like another tensor


def _like(input: Any, function: str, dtype: Any, device: Any) -> tuple[tuple[int, ...], np.dtype[Any], Device]:
    if not isinstance(input, Tensor):
        raise TypeError(f"{function}: input must be a Tensor, got {type(input).__name__}")
    kind = input.dtype if dtype is None else checked_dtype(dtype)
    return input.shape, kind, device_of(input._array) if device is None else place_of(device)


@creating
def zeros_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of a tensor's shape, in its dtype and on its device unless others are given."""
    shape, kind, place = _like(input, "zeros_like", dtype, device)
    return zeros(shape, dtype=kind, device=place, requires_grad=requires_grad)


@creating
def ones_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of a tensor's shape, in its dtype and on its device unless others are given."""
    shape, kind, place = _like(input, "ones_like", dtype, device)
    return ones(shape, dtype=kind, device=place, requires_grad=requires_grad)


@creating
def empty_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Uninitialised values of a tensor's shape, in its dtype and on its device unless others are given."""
    shape, kind, place = _like(input, "empty_like", dtype, device)
    return empty(shape, dtype=kind, device=place, requires_grad=requires_grad)


@creating
def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """One number in a tensor's shape, in its dtype and on its device unless others are given."""
    shape, kind, place = _like(input, "full_like", dtype, device)
    return full(shape, fill_value, dtype=kind, device=place, requires_grad=requires_grad)


for _like_function in (zeros_like, ones_like, empty_like, full_like):
    public(_like_function, method=False)


@creating
def new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A leaf with a copy of the data, in this tensor's dtype and on its device unless others are given."""
    _, kind, place = _like(self, "new_tensor", dtype, device)
    return tensor(data, dtype=kind, device=place, requires_grad=requires_grad)


@creating
def new_zeros(
    self: Tensor, *lengths: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Zeros of a shape, in this tensor's dtype and on its device unless others are given."""
    _, kind, place = _like(self, "new_zeros", dtype, device)
    return zeros(*lengths, size=size, dtype=kind, device=place, requires_grad=requires_grad)


@creating
def new_ones(
    self: Tensor, *lengths: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Ones of a shape, in this tensor's dtype and on its device unless others are given."""
    _, kind, place = _like(self, "new_ones", dtype, device)
    return ones(*lengths, size=size, dtype=kind, device=place, requires_grad=requires_grad)


@creating
def new_empty(
    self: Tensor, *lengths: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Uninitialised values of a shape, in this tensor's dtype and on its device unless others are given."""
    _, kind, place = _like(self, "new_empty", dtype, device)
    return empty(*lengths, size=size, dtype=kind, device=place, requires_grad=requires_grad)


@creating
def new_full(
    self: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """One number in a shape, in this tensor's dtype and on its device unless others are given."""
    _, kind, place = _like(self, "new_full", dtype, device)
    return full(size, fill_value, dtype=kind, device=place, requires_grad=requires_grad)


for _new_function in (new_tensor, new_zeros, new_ones, new_empty, new_full):
    method(_new_function)


# ---- classes


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 tensor (*, num_classes) with a 1 at the class of every element of `tensor` (*), int64, and 0 elsewhere.

    Without `num_classes` there are as many classes as the largest element needs. Raises RuntimeError for another dtype
    and for elements outside [0, num_classes).

    >>> import retrograd as rg
    >>> rg.one_hot(rg.tensor([0, 2])).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    if tensor.dtype != _INT64:
        raise RuntimeError(f"one_hot: expected classes of dtype int64, got {tensor.dtype}; convert them by long().")
    xp, array = namespace(tensor), tensor.array
    if array.size == 0:
        if num_classes <= 0:
            raise RuntimeError("one_hot: can not infer the number of classes from an empty tensor; give num_classes.")
    elif int(xp.min(array)) < 0:
        raise RuntimeError(f"one_hot: class values must be non-negative, got {int(xp.min(array))}")
    elif num_classes == -1:
        num_classes = int(xp.max(array)) + 1
    elif int(xp.max(array)) >= num_classes:
        raise RuntimeError(f"one_hot: class values must be smaller than num_classes={num_classes}")
    with device_of(array):
        classes = xp.arange(num_classes, dtype=_INT64)
        return make(xp.astype(xp.equal(xp.expand_dims(array, axis=-1), classes), _INT64))


def is_tensor(obj: Any) -> bool:
    """Whether an object is a Tensor."""
    return isinstance(obj, Tensor)


public(one_hot, method=False)
public(is_tensor, method=False)
