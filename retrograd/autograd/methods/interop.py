"""Other libraries' protocols: NumPy's functions on Tensors, the array API's namespace, DLPack.

`np.sin(t)` and `np.sum(t, axis=0)` are recorded like `t.sin()` and `t.sum(0)`. A function of NumPy that has no
counterpart here runs on the values of CPU tensors outside the graph, and refuses where a gradient would be lost.
`__cuda_array_interface__` is not offered: CuPy would take a Tensor for a plain array and drop its graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import checked_dtype
from retrograd.autograd.methods.registry import FUNCTIONS, method, public
from retrograd.autograd.modes import state
from retrograd.autograd.primitive import REGISTRY
from retrograd.autograd.tensor import Tensor, make
from retrograd.backends import backend_of, device_of

__all__: list[str] = []

Handler = Callable[..., Any]


# ---- ufuncs

UFUNCS = {
    "absolute": "abs",
    "fabs": "abs",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
    "rint": "round",
} | {f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")}
"""Primitives for the ufuncs whose names differ."""

REDUCTIONS = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "amax",
    "minimum": "amin",
    "logical_and": "all",
    "logical_or": "any",
}
"""What `ufunc.reduce` is called here."""


def __array_ufunc__(self: Tensor, ufunc: Any, how: str, *inputs: Any, **options: Any) -> Any:
    name = ufunc.__name__
    if how == "__call__" and not options:
        if name == "power":
            return _power(*inputs)
        found = REGISTRY.get(UFUNCS.get(name, name))
        if found is not None:
            return found.record(*inputs)
    elif how == "reduce" and name in REDUCTIONS and options.keys() <= {"axis", "keepdims"}:
        return _reduction(REDUCTIONS[name])(*inputs, **{"axis": 0, **options})
    result = _outside_the_graph(name, getattr(ufunc, how), inputs, options)
    return make(result) if "out" not in options and isinstance(result, (np.ndarray, np.generic)) else result


def _power(base: Any, exponent: Any) -> Any:
    return base**exponent if isinstance(base, Tensor) else ops.power(base, exponent)


# ---- functions

HANDLERS: dict[Any, Handler] = {}
"""What stands for a function of NumPy, by that function."""


def __array_function__(self: Tensor, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    handler = HANDLERS.get(function)
    if handler is not None:
        try:
            return handler(*args, **kwargs)
        except _Unsupported:
            pass
    return _outside_the_graph(function.__name__, function, args, kwargs)


class _Unsupported(Exception):
    """An argument that only NumPy's own function understands."""


def _outside_the_graph(name: str, function: Any, args: Any, kwargs: Any) -> Any:
    """NumPy's own function on the values."""

    def value(item: Any) -> Any:
        if isinstance(item, Tensor):
            if item._node is not None and state.grad:
                raise TypeError(
                    f"np.{name}, called like this, has no counterpart that records a gradient.\n"
                    "Use the functions of rg, or give it t.detach().numpy()."
                )
            place = device_of(item._array)
            if place.type != "cpu":
                raise TypeError(
                    f"np.{name} has no counterpart on {place}; use the functions of rg, or give it t.cpu()."
                )
            return item.array
        if isinstance(item, (list, tuple)):
            return type(item)(map(value, item))
        return item

    return function(*map(value, args), **{key: value(item) for key, item in kwargs.items()})


def handles(*functions: Any) -> Callable[[Handler], Handler]:
    """Registers what stands for functions of NumPy."""

    def register(handler: Handler) -> Handler:
        for function in functions:
            HANDLERS[function] = handler
        return handler

    return register


def _plain(options: dict[str, Any]) -> None:
    """Options that change nothing at their default; any other value is NumPy's own business."""
    for value in options.values():
        if value is not None and value is not np._NoValue:
            raise _Unsupported


def _reduction(name: str) -> Handler:
    def reduce(a: Any, axis: Any = None, *, keepdims: Any = False, **options: Any) -> Any:
        _plain(options)
        keep = {} if keepdims is np._NoValue or not keepdims else {"keepdim": True}
        over = {} if axis is None else {"dim": axis}
        if keep and not over:
            over = {"dim": tuple(range(a.ndim))}
        return FUNCTIONS[name](a, **over, **keep)

    return reduce


for _numpy, _name in {
    np.sum: "sum",
    np.mean: "mean",
    np.prod: "prod",
    np.max: "amax",
    np.min: "amin",
    np.all: "all",
    np.any: "any",
    np.argmax: "argmax",
    np.argmin: "argmin",
    np.nansum: "nansum",
    np.nanmean: "nanmean",
    np.count_nonzero: "count_nonzero",
}.items():
    HANDLERS[_numpy] = _reduction(_name)


def _deviation(name: str) -> Handler:
    def reduce(a: Any, axis: Any = None, *, ddof: int = 0, keepdims: Any = False, **options: Any) -> Any:
        _plain(options)
        keep = keepdims is not np._NoValue and bool(keepdims)
        return FUNCTIONS[name](a, axis, correction=ddof, keepdim=keep)

    return reduce


HANDLERS[np.var], HANDLERS[np.std] = _deviation("var"), _deviation("std")


def _scan(name: str) -> Handler:
    def scan(a: Any, axis: int | None = None, **options: Any) -> Any:
        _plain(options)
        return FUNCTIONS[name](a.reshape(-1), 0) if axis is None else FUNCTIONS[name](a, axis)

    return scan


HANDLERS[np.cumsum], HANDLERS[np.cumprod] = _scan("cumsum"), _scan("cumprod")


@handles(np.concatenate)
def _concatenate(arrays: Sequence[Any], axis: int | None = 0, **options: Any) -> Any:
    _plain(options)
    parts = _tensors(arrays)
    return FUNCTIONS["cat"]([p.reshape(-1) for p in parts] if axis is None else parts, 0 if axis is None else axis)


def _tensors(arrays: Sequence[Any]) -> Any:
    """Arrays and tensors in a sequence, all as tensors."""
    return [a if isinstance(a, Tensor) else FUNCTIONS["as_tensor"](a) for a in arrays]


@handles(np.stack)
def _stack(arrays: Sequence[Any], axis: int = 0, **options: Any) -> Any:
    _plain(options)
    return FUNCTIONS["stack"](_tensors(arrays), axis)


def _joining(name: str) -> Handler:
    def join(arrays: Sequence[Any], **options: Any) -> Any:
        _plain(options)
        return FUNCTIONS[name](_tensors(arrays))

    return join


for _numpy, _name in {np.vstack: "vstack", np.hstack: "hstack", np.dstack: "dstack"}.items():
    HANDLERS[_numpy] = _joining(_name)


@handles(np.where)
def _where(condition: Any, *values: Any) -> Any:
    condition, *values = _tensors([condition]) + list(values)
    return FUNCTIONS["where"](condition, *values)


@handles(np.clip)
def _clip(a: Any, a_min: Any = None, a_max: Any = None, **options: Any) -> Any:
    low = options.pop("min", a_min)
    high = options.pop("max", a_max)
    _plain(options)
    bounds = [None if bound is np._NoValue else bound for bound in (low, high)]
    return FUNCTIONS["clamp"](a, *bounds)


@handles(np.reshape)
def _reshape(a: Any, /, shape: Any = None, order: str = "C", **options: Any) -> Any:
    _plain(options)
    if order != "C" or shape is None:
        raise _Unsupported
    return a.reshape(shape)


@handles(np.transpose)
def _transpose(a: Any, axes: Any = None) -> Any:
    return a.permute(tuple(range(a.ndim))[::-1] if axes is None else tuple(axes))


@handles(np.squeeze)
def _squeeze(a: Any, axis: Any = None) -> Any:
    return a.squeeze() if axis is None else a.squeeze(axis)


@handles(np.expand_dims)
def _expand_dims(a: Any, axis: int) -> Any:
    return a.unsqueeze(axis)


@handles(np.broadcast_to)
def _broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    return array.expand(tuple(shape) if hasattr(shape, "__iter__") else (shape,))


@handles(np.roll)
def _roll(a: Any, shift: Any, axis: Any = None) -> Any:
    return FUNCTIONS["roll"](a, shift, axis)


@handles(np.flip)
def _flip(m: Any, axis: Any = None) -> Any:
    dims = tuple(range(m.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return FUNCTIONS["flip"](m, dims)


@handles(np.sort)
def _sort(a: Any, axis: int | None = -1, **options: Any) -> Any:
    _plain(options)
    return FUNCTIONS["sort"](a.reshape(-1) if axis is None else a, dim=0 if axis is None else axis)[0]


@handles(np.tile)
def _tile(A: Any, reps: Any) -> Any:
    return FUNCTIONS["tile"](A, tuple(reps) if hasattr(reps, "__iter__") else (reps,))


@handles(np.dot)
def _dot(a: Any, b: Any, out: Any = None) -> Any:
    _plain({"out": out})
    a, b = _tensors([a, b])
    if min(a.ndim, b.ndim) == 0:
        return a * b
    return FUNCTIONS["matmul"](a, b) if b.ndim <= 2 else FUNCTIONS["tensordot"](a, b, ([-1], [-2]))


@handles(np.einsum)
def _einsum(subscripts: Any, *operands: Any, **options: Any) -> Any:
    options.pop("optimize", None)
    _plain(options)
    return FUNCTIONS["einsum"](subscripts, *_tensors(operands))


def _same(name: str) -> Handler:
    """A function whose arguments are the same here, in the same order."""

    def call(*args: Any, **options: Any) -> Any:
        _plain(options)
        return FUNCTIONS[name](*args)

    return call


for _numpy, _name in {
    np.swapaxes: "swapaxes",
    np.moveaxis: "movedim",
    np.ravel: "ravel",
    np.outer: "outer",
    np.kron: "kron",
    np.trace: "trace",
    np.diag: "diag",
    np.tril: "tril",
    np.triu: "triu",
    np.copy: "clone",
    np.nan_to_num: "nan_to_num",
}.items():
    HANDLERS[_numpy] = _same(_name)


def _like(name: str) -> Handler:
    def like(a: Any, *value: Any, dtype: Any = None, **options: Any) -> Any:
        options.pop("subok", None)
        _plain(options)
        return FUNCTIONS[name](a, *value, dtype=dtype)

    return like


for _numpy, _name in {
    np.zeros_like: "zeros_like",
    np.ones_like: "ones_like",
    np.empty_like: "empty_like",
    np.full_like: "full_like",
}.items():
    HANDLERS[_numpy] = _like(_name)

HANDLERS[np.shape] = lambda a: a.shape
HANDLERS[np.ndim] = lambda a: a.ndim
HANDLERS[np.size] = lambda a, axis=None: a._array.size if axis is None else a.shape[axis]
HANDLERS[np.iscomplexobj] = lambda x: x.dtype.kind == "c"
HANDLERS[np.isrealobj] = lambda x: x.dtype.kind != "c"


# ---- arrays out and in


def __array__(self: Tensor, dtype: Any = None, copy: bool | None = None) -> Any:
    array = self.numpy()
    if dtype is not None and array.dtype != dtype and copy is False:
        raise ValueError(
            f"a copy is needed to give a tensor of {array.dtype} as {np.dtype(dtype)}; leave copy=False out."
        )
    if copy:
        return np.array(array, dtype=dtype)
    return array if dtype is None else array.astype(dtype, copy=False)


def __array_namespace__(self: Tensor, *, api_version: str | None = None) -> Any:
    """The functions of the Python array API for Tensors: `retrograd.autograd.ops`."""
    return ops


def __dlpack__(self: Tensor, **options: Any) -> Any:
    if self._node is not None:
        raise BufferError("a Tensor that requires grad is not handed over, its graph would be lost: detach() it first.")
    return self.array.__dlpack__(**options)


def __dlpack_device__(self: Tensor) -> Any:
    return self.array.__dlpack_device__()


_DLPACK_DEVICES = {1: "cpu", 2: "cuda", 3: "cpu", 13: "cuda"}  # DLPack's kDLCPU, kDLCUDA, kDLCUDAHost, kDLCUDAManaged


def from_dlpack(ext_tensor: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor around the memory of another library's array, where it is; `device` and `copy` as `to` takes them.

    Raises TypeError for an object without DLPack, BufferError for memory or a dtype that cannot be taken over.

    >>> import numpy as np, retrograd as rg
    >>> a = np.ones(2)
    >>> rg.from_dlpack(a).mul_(3) is not None and a.tolist()
    [3.0, 3.0]
    """
    if not hasattr(ext_tensor, "__dlpack__") or not hasattr(ext_tensor, "__dlpack_device__"):
        raise TypeError(f"from_dlpack: {type(ext_tensor).__name__} offers no __dlpack__; use rg.as_tensor(...).")
    kind, _ = ext_tensor.__dlpack_device__()
    if int(kind) not in _DLPACK_DEVICES:
        raise BufferError(f"from_dlpack: memory of DLPack's device type {int(kind)} cannot be taken over.")
    place = _DLPACK_DEVICES[int(kind)]
    xp: Any = backend_of(place)
    array = xp.from_dlpack(ext_tensor)
    checked_dtype(array.dtype)
    tensor = make(array)
    if device is None and not copy:
        return tensor
    return tensor.to(device=device_of(array) if device is None else device, copy=bool(copy))


for _function in (__array__, __array_ufunc__, __array_function__, __array_namespace__, __dlpack__, __dlpack_device__):
    method(_function)
public(from_dlpack, method=False)
