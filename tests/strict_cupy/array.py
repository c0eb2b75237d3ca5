"""The array: NumPy's memory behind CuPy's manners."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from tests.strict_cupy import rules
from tests.strict_cupy.memory import Memory, MemoryPointer
from tests.strict_cupy.rules import SIGNATURES, StrictError, launching, state, wait

_SCALARS = (bool, int, float, complex, np.generic)


@cache
def signature(text: str) -> inspect.Signature:
    """The signature that `generate.py` wrote down."""
    namespace: dict[str, Any] = {}
    exec(f"def function{text}: ...", namespace)
    return inspect.signature(namespace["function"])


def bind(name: str, text: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name, if CuPy's signature takes them."""
    try:
        return dict(signature(text).bind(*args, **kwargs).arguments)
    except TypeError as error:
        raise TypeError(f"cupy.{name}{text}: {error}") from None


def wrap(value: Any) -> Any:
    """NumPy's results as CuPy gives them: scalars become 0-d arrays."""
    if isinstance(value, (np.ndarray, np.generic)):
        return ndarray._of(np.asarray(value))
    if isinstance(value, tuple):
        return tuple(wrap(part) for part in value)
    return value


def operand(value: Any, what: str) -> Any:
    """An operand's NumPy form; only device arrays and scalars are operands."""
    if isinstance(value, ndarray):
        if value._device != state.device:
            raise StrictError(f"{what}: array on device {value._device}, but the current device is {state.device}.")
        return value._a
    if isinstance(value, _SCALARS):
        return value
    raise TypeError(f"{what}: unsupported type {type(value)}; only device arrays and scalars are operands.")


class Flags:
    def __init__(self, flags: Any) -> None:
        self.c_contiguous = self.C_CONTIGUOUS = flags.c_contiguous
        self.f_contiguous = self.F_CONTIGUOUS = flags.f_contiguous
        self.owndata = self.OWNDATA = flags.owndata


_owners: WeakValueDictionary[int, ndarray] = WeakValueDictionary()
"""The array around every memory of NumPy's."""


class ndarray:
    """cupy.ndarray. Everything that is not here does not exist, as in CuPy: no __index__, no __array__."""

    __slots__ = ("__weakref__", "_a", "_device", "_m", "_owns")
    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None  # np.sin(x) raises; np.float32(2) * x reaches __rmul__
    __array_priority__ = 100

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"
    ) -> None:
        if memptr is None:
            self._a, self._owns = np.empty(shape, dtype, order), False
            _owners[id(self._a)] = self
        else:
            offset = memptr.ptr - memptr.mem.ptr
            self._a, self._owns = np.ndarray(shape, dtype, memptr.mem.root, offset, strides, order), True
        self._device, self._m = state.device, Memory.of(self._a)

    @classmethod
    def _of(cls, array: np.ndarray[Any, Any]) -> ndarray:
        made = cls.__new__(cls)
        made._a, made._device, made._m, made._owns = array, state.device, Memory.of(array), False
        if array.base is None:
            _owners[id(array)] = made
        return made

    @property
    def base(self) -> Any:
        """The array that owns the memory, always the same object."""
        if self._a.base is None or self._owns:
            return None
        owner = _owners.get(id(self._a.base))
        return ndarray._of(self._a.base) if owner is None else owner

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` explicitly.")

    def __array_function__(self, function: Any, *_: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} was called on a device array; use the backend's function.")

    # ---- what an array is
    shape = property(lambda self: self._a.shape)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    itemsize = property(lambda self: self._a.itemsize)
    nbytes = property(lambda self: self._a.nbytes)
    strides = property(lambda self: self._a.strides)
    flags = property(lambda self: Flags(self._a.flags))
    device = property(lambda self: Device(self._device))
    data = property(lambda self: MemoryPointer(self._m, self._a.__array_interface__["data"][0] - self._m.ptr))
    T = property(lambda self: ndarray._of(self._a.T))
    real = property(lambda self: ndarray._of(self._a.real))
    imag = property(lambda self: ndarray._of(self._a.imag))

    def __len__(self) -> int:
        if not self._a.ndim:
            raise TypeError("len() of unsized object")
        return len(self._a)

    def set(self, arr: Any, stream: Any = None) -> None:
        """From page-locked memory, on a stream: when that gets to it."""
        if not isinstance(arr, np.ndarray) or arr.dtype != self.dtype or arr.shape != self.shape:
            raise ValueError(f"cupy.ndarray.set: {arr!r} does not fit {self.dtype} {self.shape}")
        if stream is None:
            self._a[...] = arr
            return
        stream.work.append(lambda: np.copyto(self._a, arr))

    # ---- what makes the host wait
    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> Any:
        wait("get")
        return self._a.copy()

    def item(self) -> Any:
        wait("item")
        return self._a.item()

    def tolist(self) -> Any:
        wait("tolist")
        return self._a.tolist()

    def __bool__(self) -> bool:
        wait("bool")
        return bool(self._a)

    def __int__(self) -> int:
        wait("int")
        return int(self._a)

    def __float__(self) -> float:
        wait("float")
        return float(self._a)

    def __complex__(self) -> complex:
        wait("complex")
        return complex(self._a)

    def __repr__(self) -> str:
        wait("repr")
        return repr(self._a)

    def __str__(self) -> str:
        wait("str")
        return str(self._a)

    def __format__(self, spec: str) -> str:
        wait("format")
        return format(self._a[()], spec)

    # ---- indexing
    @launching
    def __getitem__(self, index: Any) -> ndarray:
        return wrap(self._a[device_index(self, index)])

    @launching
    def __setitem__(self, index: Any, value: Any) -> None:
        place = device_index(self, index)
        new = operand(value, "setitem")
        _refuse_ambiguous(self._a, place, new)
        self._a[place] = new

    def __getattr__(self, name: str) -> Any:
        text = SIGNATURES["methods"].get(name)
        if text is None or text == "property" or name not in METHODS:
            raise AttributeError(f"cupy.ndarray has no attribute {name!r} (or the stand-in lacks it).")
        method = METHODS[name]

        def bound(*args: Any, **kwargs: Any) -> Any:
            bind(f"ndarray.{name}", text, args, kwargs)
            return state.launch(method, self, *args, **kwargs)

        return bound


def device_index(x: ndarray, index: Any) -> tuple[Any, ...]:
    """CuPy's index as NumPy's: integer arrays wrapped (and the wrap recorded), views even of single elements."""
    parts = list(index) if isinstance(index, tuple) else [index]
    taken = sum(_axes_taken(part) for part in parts)
    axis = 0
    for position, part in enumerate(parts):
        if isinstance(part, (np.ndarray, list)):
            raise StrictError(
                "index: a host array or list is copied to the device at every call; copy it once, explicitly."
            )
        if isinstance(part, slice) and any(isinstance(end, ndarray) for end in (part.start, part.stop, part.step)):
            raise TypeError("slice: cupy.ndarray has no __index__.")
        if isinstance(part, float):
            raise IndexError("a float is not an index")
        if part is Ellipsis:
            axis += x.ndim - taken
        if isinstance(part, ndarray):
            parts[position] = _index_array(operand(part, "index"), x.shape, axis)
        axis += _axes_taken(part)
    if axis > x.ndim:
        raise IndexError(f"too many indices for array: array is {x.ndim}-dimensional")
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)  # NumPy then gives a view of a single element instead of a scalar
    return tuple(parts)


def _axes_taken(part: Any) -> int:
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return int(part.ndim) if isinstance(part, ndarray) and part.dtype.kind == "b" else 1


def _index_array(index: Any, shape: tuple[int, ...], axis: int) -> Any:
    if index.dtype.kind == "b":
        wait("indexing with a boolean mask")
        return index
    if index.dtype.kind not in "iu":
        raise IndexError(f"arrays used as indices must be of integer or boolean type, not {index.dtype}")
    length = shape[axis] if axis < len(shape) else 0
    wrong = (index < -length) | (index >= length)
    if wrong.any():
        if state.recording() is None:  # while a stream captures, the values are not there yet
            rules.recorded.append(f"index {index[wrong].flat[0]} for axis {axis} of shape {shape}")
        return index % max(length, 1)
    return index


def _refuse_ambiguous(array: Any, place: tuple[Any, ...], value: Any) -> None:
    """Duplicates in an assignment race on a GPU, unless all of them write the same value."""
    if not any(isinstance(part, np.ndarray) and part.dtype.kind != "b" for part in place) or np.size(value) <= 1:
        return
    if state.recording() is not None:
        return
    places = np.arange(array.size).reshape(array.shape)[place]
    values = np.broadcast_to(value, places.shape).ravel()
    order = np.argsort(places, axis=None, kind="stable")
    places, values = places.ravel()[order], values[order]
    same = (values[1:] == values[:-1]) | ((values[1:] != values[1:]) & (values[:-1] != values[:-1]))
    if np.any((places[1:] == places[:-1]) & ~same):
        raise StrictError("setitem: duplicate indices with different values; which one wins is undefined on a GPU.")


class Device:
    def __init__(self, device: int | None = None) -> None:
        self.id = state.device if device is None else int(device)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def use(self) -> None:
        state.device = self.id

    def synchronize(self) -> None:
        wait("Device.synchronize")


METHODS: dict[str, Callable[..., Any]] = {}
"""Methods that have no place above; `functions.py` fills it."""
