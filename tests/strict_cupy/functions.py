"""Functions and methods: CuPy's signature, NumPy's computation, CuPy's result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.strict_cupy.array import METHODS, Device, bind, ndarray, operand, wrap
from tests.strict_cupy.memory import copy_from_host
from tests.strict_cupy.rules import SIGNATURES, StrictError, launching, refuse_capture, state, wait


def _names(text: str) -> list[str]:
    return text.split()


_WAITING = set(_names("nonzero argwhere flatnonzero unique asnumpy array_equal bincount histogram piecewise"))
_JOINING = set(_names("concatenate stack vstack hstack"))
_PRODUCTS = set(_names("einsum dot tensordot inner outer"))
# CuPy's functions that NumPy has with the same meaning; the arguments go over as they were given.
_SHARED = _names("""
    empty zeros ones full arange linspace eye tril triu tri zeros_like ones_like full_like empty_like
    sum prod mean max min amax amin all any argmax argmin cumsum cumprod count_nonzero var std
    searchsorted sort argsort nonzero argwhere flatnonzero unique bincount
    reshape transpose concatenate stack flip roll squeeze expand_dims repeat tile ascontiguousarray diagonal moveaxis
    swapaxes ravel atleast_1d take take_along_axis clip einsum dot tensordot outer inner round around trace
    allclose isclose array_equal copyto copy result_type broadcast_arrays vstack hstack split diag
""")
# CuPy allows axis 0 or -1 of a 0-d array nowhere.
_ARRAYS = set(_names("a x m ar arr array v b y indices condition x1 x2"))  # parameters that are one array
_REDUCTIONS = set(_names("sum prod mean max min amax amin all any argmax argmin cumsum cumprod"))


def shared(name: str) -> Callable[..., Any]:
    """A function of CuPy that is NumPy's, behind CuPy's signature and rules."""
    text = SIGNATURES["functions"][name]
    compute = getattr(np, name)

    def function(*args: Any, **kwargs: Any) -> Any:
        arguments = bind(name, text, args, kwargs)
        for parameter in _ARRAYS & arguments.keys():
            if isinstance(arguments[parameter], list):
                raise TypeError(f"cupy.{name}: got a list for {parameter}; CuPy wants a device array.")
        if name in _WAITING:
            wait(name)
        if name in _PRODUCTS:
            refuse_capture("cuBLAS API")
        if name in _JOINING and len(args[0]) > 8:
            copy_from_host(8 * len(args[0]))  # their addresses
        if name in _REDUCTIONS:
            _refuse_axis_of_scalar(args[0], arguments.get("axis"))
        with np.errstate(all="ignore"):
            result = compute(*[_host(a, name) for a in args], **{k: _host(v, name) for k, v in kwargs.items()})
        return _listed(result) if isinstance(result, list) else wrap(result)

    function.__name__ = name
    return function


def _listed(results: list[Any]) -> list[Any]:
    return [wrap(result) for result in results]


def _host(value: Any, name: str) -> Any:
    """The NumPy form of an argument; a sequence of arrays must hold device arrays alone."""
    if isinstance(value, ndarray):
        return operand(value, name)
    if isinstance(value, np.ndarray):
        raise TypeError(f"cupy.{name}: got a NumPy array; copy it to the device first.")
    if isinstance(value, (list, tuple)) and any(isinstance(part, (ndarray, np.ndarray)) for part in value):
        return [_host(part, name) for part in value]
    return value


def _refuse_axis_of_scalar(x: Any, axis: Any) -> None:
    if isinstance(x, ndarray) and x.ndim == 0 and axis is not None and axis != ():
        raise np.exceptions.AxisError(f"axis {axis} is out of bounds for array of dimension 0")


def asarray(obj: Any, dtype: Any = None, order: Any = None, *, copy: bool | None = None, blocking: bool = False) -> Any:
    if isinstance(obj, ndarray):
        obj = operand(obj, "asarray")
        return wrap(np.array(obj, dtype=dtype, copy=copy))
    copy_from_host(1)
    if isinstance(obj, (list, tuple)):
        obj = _host_values(obj)
    if blocking:
        wait("asarray(blocking=True)")
    return wrap(np.array(obj, dtype=dtype, copy=True))


def _host_values(nested: Any) -> Any:
    """Nested sequences; CuPy gathers 0-d device arrays in them."""
    if isinstance(nested, (list, tuple)):
        return [_host_values(part) for part in nested]
    return operand(nested, "asarray") if isinstance(nested, ndarray) else nested


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> Any:
    wait("asnumpy")
    return a._a.copy() if isinstance(a, ndarray) else np.asarray(a)


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None and y is None:
        return functions["nonzero"](condition)
    return wrap(np.where(*(operand(value, "where") for value in (condition, x, y))))


def broadcast_to(array: Any, shape: Any) -> Any:
    return wrap(np.broadcast_to(operand(array, "broadcast_to"), shape))  # read-only: writing into it would race


def as_strided(x: Any, shape: Any = None, strides: Any = None) -> Any:
    return wrap(np.lib.stride_tricks.as_strided(operand(x, "as_strided"), shape, strides, writeable=False))


def put_along_axis(arr: Any, indices: Any, values: Any, axis: int) -> None:
    places = [np.arange(n).reshape([-1 if a == d else 1 for a in range(arr.ndim)]) for d, n in enumerate(indices.shape)]
    index = [wrap(place) for place in places]
    index[axis] = indices
    arr[tuple(index)] = values


def matmul(*args: Any, out: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
    bind("matmul", SIGNATURES["functions"]["matmul"], args, kwargs)
    refuse_capture("cuBLAS API")
    x, y = (operand(value, "matmul") for value in args)
    common = np.result_type(x, y)
    if common.char == "e":  # accumulated in float32
        product = np.matmul(x.astype("f"), y.astype("f")).astype("e")
    else:
        product = np.matmul(x, y)
    if out is None:
        return wrap(product)
    operand(out, "matmul")[...] = product
    return out


def decomposition(name: str) -> Callable[..., Any]:
    """A function of cupy.linalg: garbage instead of an error, unless errstate asks for the error (and waits for it)."""
    text = SIGNATURES["functions"][f"linalg.{name}"]
    compute = getattr(np.linalg, name)

    def function(*args: Any, **kwargs: Any) -> Any:
        bind(f"linalg.{name}", text, args, kwargs)
        refuse_capture("cuSOLVER API")
        host = [_host(value, name) for value in args]
        if name == "solve":
            _refuse_broadcast(*host)
        if state.linalg == "raise":
            wait(f"linalg.{name} under errstate(linalg='raise')")
        try:
            return wrap(compute(*host, **kwargs))
        except np.linalg.LinAlgError:
            if state.linalg == "raise" or host[0].shape[-1] != host[0].shape[-2]:
                raise
            return wrap(np.full_like(host[-1], np.nan))

    return function


def _refuse_broadcast(a: Any, b: Any) -> None:
    if b.ndim > 1 and a.shape[:-1] != b.shape[:-1]:
        raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")


ndarray.__matmul__ = lambda self, other: matmul(self, other)  # type: ignore[attr-defined]
functions: dict[str, Callable[..., Any]] = {name: shared(name) for name in _SHARED}
for _function in (asarray, asnumpy, where, broadcast_to, put_along_axis, matmul):
    functions[_function.__name__] = _function
linalg = {
    name: decomposition(name)
    for name in ("inv", "det", "slogdet", "solve", "cholesky", "qr", "svd", "eigh", "lstsq", "pinv", "norm")
}


# ---- methods


def _through(name: str) -> Callable[..., Any]:
    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        if name in _REDUCTIONS:  # by name: NumPy has other parameters in these places
            kwargs, args = bind(name, SIGNATURES["methods"][name], args, kwargs), ()
            _refuse_axis_of_scalar(self, kwargs.get("axis"))
        if name in _WAITING:
            wait(name)
        with np.errstate(all="ignore"):
            host = [_host(value, name) for value in args]
            return wrap(getattr(operand(self, name), name)(*host, **{k: _host(v, name) for k, v in kwargs.items()}))

    return method


for _name in _names("""
    sum prod mean max min all any argmax argmin cumsum cumprod reshape transpose squeeze ravel flatten repeat diagonal
    argsort nonzero swapaxes conj conjugate trace dot round searchsorted copy view var std
"""):
    METHODS[_name] = _through(_name)


def _diagonal(self: ndarray, *args: Any) -> Any:
    """CuPy's diagonal can be written into."""
    view = operand(self, "diagonal").diagonal(*args)
    view.flags.writeable = self._a.flags.writeable
    return wrap(view)


METHODS["diagonal"] = _diagonal


def _astype(
    self: ndarray, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True
) -> Any:
    with np.errstate(all="ignore"):
        converted = operand(self, "astype").astype(dtype, copy=copy)
    return self if converted is self._a else wrap(converted)


def _half_sum(name: str) -> Callable[..., Any]:
    """CuPy accumulates float16 in float32."""
    plain = METHODS[name]

    def method(self: ndarray, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        if self.dtype.char == "e" and dtype is None:
            return plain(self, axis, np.float32, out, bool(keepdims)).astype(np.float16)
        return plain(self, axis, dtype, out, bool(keepdims))

    return method


def _take(self: ndarray, indices: Any, axis: int | None = None, out: Any = None) -> Any:
    x = self if axis is not None else self.reshape(-1)
    return x[(slice(None),) * ((axis or 0) % max(x.ndim, 1)) + (indices,)]


def _sort(self: ndarray, axis: int = -1, kind: Any = None) -> None:
    if not self._a.flags.c_contiguous:
        raise NotImplementedError("sorting a non-contiguous array in place")
    if not self._a.ndim:
        raise np.exceptions.AxisError("Sorting arrays with the rank of zero is not supported")
    self._a.sort(axis=axis, kind="stable")


def _repeat(self: ndarray, repeats: Any, axis: int | None = None) -> Any:
    if isinstance(repeats, ndarray):
        raise ValueError("cupy.ndarray cannot be passed as repeats")
    return wrap(operand(self, "repeat").repeat(repeats, axis))


def _fill(self: ndarray, value: Any) -> None:
    self[...] = value


METHODS.update(
    astype=_astype, sum=_half_sum("sum"), prod=_half_sum("prod"), take=_take, sort=_sort, repeat=_repeat, fill=_fill
)


def take(a: Any, indices: Any, axis: int | None = None, out: Any = None) -> Any:
    return a.take(indices, axis)


def sort(a: Any, axis: int = -1, kind: Any = None) -> Any:
    result = a.copy()
    result.sort(axis=axis, kind=kind)
    return result


def argsort(a: Any, axis: int = -1, kind: Any = None) -> Any:
    return wrap(np.argsort(operand(a, "argsort"), axis=axis, kind="stable"))


for _function in (take, sort, argsort):
    functions[_function.__name__] = _function
functions = {name: launching(function) for name, function in functions.items()}
linalg = {name: launching(function) for name, function in linalg.items()}

__all__ = ["Device", "StrictError", "as_strided", "functions", "linalg"]
