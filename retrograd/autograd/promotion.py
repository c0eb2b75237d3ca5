"""Dtypes of mixed operands, as PyTorch decides them, and what to say when operands do not fit."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.autograd.tensor import Tensor, make
from retrograd.backends import backend_of_array, device_of

if TYPE_CHECKING:
    from retrograd.autograd.primitive import Primitive

__all__ = [
    "LinAlgError",
    "coerce",
    "explain",
    "floating",
    "get_default_dtype",
    "promote",
    "promote_difference",
    "promote_types",
    "result_type",
    "set_default_dtype",
]

DType = np.dtype[Any]
_default: DType = np.dtype(np.float32)


class LinAlgError(RuntimeError, np.linalg.LinAlgError):
    """A matrix is singular, or not positive definite, where it must not be (PyTorch's name and base class)."""


def get_default_dtype() -> DType:
    """The dtype of floats made from Python numbers; float32 unless changed."""
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Sets the dtype of floats made from Python numbers: float16, float32 or float64."""
    global _default
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"only floating-point types are supported as the default type, got {dtype}")
    _default = dtype


_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


@functools.cache
def promote_types(a: Any, b: Any) -> DType:
    """The smallest dtype to which both convert, an integer never widening a float.

    >>> promote_types(np.dtype("int64"), np.dtype("float32"))
    dtype('float32')
    """
    a, b = np.dtype(a), np.dtype(b)
    low: DType
    high: DType
    low, high = sorted((a, b), key=lambda d: _CATEGORY[d.kind])
    if _CATEGORY[low.kind] < _CATEGORY[high.kind] and high.kind in "fc":
        if high.kind == "c" and low == np.float64:
            return np.dtype(np.complex128)
        return high
    return np.promote_types(a, b)


@functools.cache
def _common(kinds: tuple[tuple[DType, bool], ...]) -> DType:
    """Common dtype of operands given as (dtype, has dimensions): those without count only by their category."""
    groups: dict[bool, DType] = {}
    for dtype, dimensioned in kinds:
        groups[dimensioned] = promote_types(groups[dimensioned], dtype) if dimensioned in groups else dtype
    if len(groups) == 1:
        return next(iter(groups.values()))
    if _CATEGORY[groups[False].kind] > _CATEGORY[groups[True].kind]:
        return promote_types(groups[True], groups[False])
    return groups[True]


def result_type(*operands: Any) -> DType:
    """The dtype that arithmetic on these Tensors and numbers would have."""
    arrays = [o._array for o in operands if isinstance(o, Tensor)]
    dtype = _common(tuple((a.dtype, a.ndim > 0) for a in arrays)) if arrays else None
    for number in operands:
        if not isinstance(number, Tensor):
            own = _default if isinstance(number, float) else np.dtype(bool if isinstance(number, bool) else np.int64)
            if dtype is None or _CATEGORY[own.kind] > _CATEGORY[dtype.kind]:
                dtype = own
    if dtype is None:
        raise ValueError("result_type: no operands")
    return dtype


def promote(*arrays: Any) -> tuple[Any, ...]:
    """The arrays in their common dtype."""
    common = _common(tuple((a.dtype, a.ndim > 0) for a in arrays))
    return tuple(a if a.dtype == common else a.astype(common) for a in arrays)


def promote_difference(*arrays: Any) -> tuple[Any, ...]:
    """`promote` for a subtraction, which truth values do not have."""
    _refuse_bool(list(arrays))
    return promote(*arrays)


def floating(*arrays: Any) -> Any:
    """Integer and boolean arrays in the default float dtype, unless a float is among them."""
    if len(arrays) == 1:
        return arrays[0].astype(_default) if arrays[0].dtype.kind in "iub" else arrays[0]
    if any(a.dtype.kind in "fc" if hasattr(a, "dtype") else isinstance(a, float) for a in arrays):
        return arrays
    return tuple(a.astype(_default) if hasattr(a, "dtype") else a for a in arrays)


class Constant:
    """A Python number in the place of a Tensor operand: it has no node and is never changed."""

    __slots__ = ("_array",)
    _node = None
    _stamp = (0,)

    def __init__(self, number: Any) -> None:
        self._array = number


NUMBER: Constant = Constant(None)
"""Stands for every number whose value is at hand."""


def coerce(primitive: Primitive, *operands: Any) -> tuple[Any, Sequence[Any], Any]:
    """Operands of which some are not Tensors: as Tensors or Constants, their arrays, and the forward to call.

    Or, where the right operand's type knows the operation itself, its answer, with None for the forward.
    """
    if len(operands) == len(primitive.promotes) == 2:  # 1 - x and 1 / x need no more
        x, y = operands
        if (x.__class__ is float or x.__class__ is int) and isinstance(y, Tensor) and y._array.dtype.kind == "f":
            return (NUMBER, y), (x, y._array), primitive.kernels[y._array.__class__]
    try:
        tensors = [operand if isinstance(operand, Tensor) else _operand(primitive, operand) for operand in operands]
    except TypeError:
        answer = _answer(primitive, *operands)
        if answer is NotImplemented:
            raise
        return answer, (), None
    names = [str(primitive.variadic)] * len(tensors) if primitive.variadic else primitive.inputs
    if not any(isinstance(operand, Tensor) for operand in operands):
        given = " and ".join(map(_described, operands))
        raise TypeError(f"{primitive.name}: an operand must be a Tensor, got {given}; make one with rg.tensor(...).")
    kernel = primitive.kernels[next(t._array.__class__ for t in tensors if isinstance(t, Tensor))]
    arrays = [t._array for t in tensors]
    mixed = [i for i, n in enumerate(names) if n in primitive.promotes]
    if mixed and not primitive.variadic:
        common = result_type(*[tensors[i] if isinstance(tensors[i], Tensor) else arrays[i] for i in mixed])
        if primitive.name == "subtract":
            _refuse_bool(arrays)
        for i in mixed:
            if not isinstance(tensors[i], Tensor):
                if common.kind in "iu" and not primitive.floating and primitive.name not in _COMPARISONS:
                    arrays[i] = _wrapped(arrays[i], common)
            elif arrays[i].dtype != common:
                arrays[i] = arrays[i].astype(common)
        if not any(isinstance(tensors[i], Tensor) for i in mixed):
            like = next(a for a in arrays if a.__class__ in backend_of_array)
            arrays[mixed[0]] = backend_of_array[like.__class__].asarray(arrays[mixed[0]], dtype=common)
    for i, t in enumerate(tensors):
        if i not in mixed and not isinstance(t, Tensor):
            raise TypeError(f"{primitive.name}: argument {names[i]!r} must be a Tensor, got {_described(operands[i])}")
    return tensors, arrays, kernel


_REFLECTED = {
    "add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__", "divide": "__rtruediv__", "power": "__rpow__",
    "floor_divide": "__rfloordiv__", "remainder": "__rmod__", "matmul": "__rmatmul__", "bitwise_and": "__rand__",
    "bitwise_or": "__ror__", "bitwise_xor": "__rxor__", "bitwise_left_shift": "__rlshift__",
    "bitwise_right_shift": "__rrshift__", "less": "__gt__", "less_equal": "__ge__", "greater": "__lt__",
    "greater_equal": "__le__",
}  # fmt: skip
"""The method with which the right operand of an operator answers."""


def _answer(primitive: Primitive, first: Any, other: Any = None, *rest: Any) -> Any:
    """What `tensor op other` is for an object of another library: Python's own protocol for operators."""
    method = getattr(type(other), _REFLECTED.get(primitive.name, ""), None)
    if method is None or not isinstance(first, Tensor) or type(other).__module__ == "builtins":
        return NotImplemented
    return method(other, first)


_COMPARISONS = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}


def _wrapped(number: int, dtype: DType) -> int:
    """An integer modulo 2ⁿ, as PyTorch takes a Python integer that an n-bit dtype cannot hold."""
    limits = np.iinfo(dtype)
    return (number - int(limits.min)) % (1 << limits.bits) + int(limits.min)


def _refuse_bool(arrays: list[Any]) -> None:
    """A difference of truth values is a mistake more often than not."""
    if any(getattr(a, "dtype", None) == np.bool_ for a in arrays):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. "
            "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )


def _operand(primitive: Primitive, operand: Any) -> Any:
    if isinstance(operand, np.generic):
        operand = operand.item()
    if isinstance(operand, (bool, int, float, complex)):
        return Constant(operand)
    if operand.__class__ in backend_of_array:
        return make(operand)
    raise TypeError(f"{primitive.name}: operands must be Tensors, NumPy arrays or numbers, got {_described(operand)}")


def _described(value: Any) -> str:
    return " ".join(f"{type(value).__name__} {value!r}".split())[:80]


_NO_LOOP = ("ufunc", "numpy boolean", "Wrong type", "the dtype is")
"""What libraries say when a function does not exist for a dtype; PyTorch's error is then a NotImplementedError."""


def explain(error: Exception, primitive: Primitive, *inputs: Any) -> Exception:
    """The error to raise when a backend refused the operands: what was asked, and how to put it right."""
    name = primitive.name
    arrays = [t._array for t in inputs if isinstance(t, Tensor)]
    devices = [device_of(a) for a in arrays]
    for i, device in enumerate(devices):
        if device != devices[0]:
            return RuntimeError(
                f"{name}: operands on {devices[0]} {arrays[0].shape} and {device} {arrays[i].shape}; "
                f'move one, e.g. x.to("{device}").'
            )
    if isinstance(error, OverflowError):
        return RuntimeError(f"{name}: {error}; a value cannot be converted without overflow.")
    shapes = " and ".join(str(a.shape) for a in arrays)
    if isinstance(error, np.linalg.LinAlgError):
        return error if isinstance(error, LinAlgError) else LinAlgError(f"{name}: {error}; shape {shapes}")
    if isinstance(error, ValueError):
        if "broadcast" in str(error):
            return RuntimeError(
                f"{name}: shapes {shapes} do not broadcast; "
                "each pair of lengths, from the last dimension on, must be equal or 1."
            )
        return RuntimeError(f"{name}: {error} (shapes {shapes})")
    if isinstance(error, TypeError) and not str(error).startswith(name):
        dtypes = " and ".join(str(a.dtype) for a in arrays)
        kind = NotImplementedError if any(phrase in str(error) for phrase in _NO_LOOP) else TypeError
        return kind(f"{name}: not possible for {dtypes}: {error}")
    return error
