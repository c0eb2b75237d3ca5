"""What public functions do with their arguments before they compute: dtypes, devices, sizes, and refusals."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from retrograd.autograd.tensor import Tensor
from retrograd.backends import Device, backend_of, current_device

__all__ = ["built", "checked_dtype", "dimension", "is_dtype", "place_of", "refusing", "same_place", "sizes"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_KNOWN = "float16, float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64 and bool"


def checked_dtype(dtype: Any) -> np.dtype[Any]:
    """The NumPy dtype meant by a dtype, a scalar type (`np.float32`, `float`) or a name; TypeError for any other."""
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype {dtype!r} is unknown; known are {_KNOWN}, e.g. rg.float32.") from None
    if found.kind not in "fiub" or found.itemsize > 8 or not found.isnative:
        raise TypeError(f"dtype {found} is not supported; supported are {_KNOWN}.")
    return found


def is_dtype(value: Any) -> bool:
    """Whether an argument that may be a dtype or a device is a dtype."""
    return isinstance(value, (np.dtype, type))


def place_of(device: Any = None) -> Device:
    """The device asked for, the default one for None; a GPU always with its number."""
    place = current_device() if device is None else device if isinstance(device, Device) else Device(device)
    if place.index is None and place.type != "cpu":
        index = backend_of(place).select_device(None)
        if index is not None:
            place = Device(place.type, index)
    return place


def same_place(a: Device, b: Device) -> bool:
    """Whether two devices are one."""
    return a.type == b.type and (a.index == b.index or a.type == "cpu")


def built(device: Any, build: Callable[[Any], T]) -> T:
    """What `build` makes of the backend of a device, while that device is current."""
    place = current_device() if device is None else Device(device)
    if place.type == "cpu":
        return build(backend_of(place))
    with place:
        return build(backend_of(place))


def sizes(args: tuple[Any, ...], name: str = "size") -> tuple[int, ...]:
    """A shape given as `f(2, 3)` or `f((2, 3))`. RuntimeError for a negative length, TypeError for no integer."""
    if len(args) == 1 and not hasattr(args[0], "__index__"):
        args = tuple(args[0]) if hasattr(args[0], "__iter__") else args
    elif len(args) == 1 and isinstance(args[0], Tensor) and args[0].ndim:
        args = tuple(args[0].tolist())
    try:
        shape = tuple([operator.index(n) for n in args])
    except TypeError:
        raise TypeError(f"{name} must be integers, got {', '.join(map(repr, args))}.") from None
    if shape and min(shape) < 0:
        raise RuntimeError(f"{name} {shape} has a negative dimension; every length must be 0 or more.")
    return shape


def dimension(dim: int, ndim: int) -> int:
    """A dimension counted from 0; IndexError when the tensor has none such (a 0-d tensor takes 0 and -1)."""
    reach = ndim or 1
    if not -reach <= dim < reach:
        raise IndexError(f"Dimension out of range: expected {-reach} to {reach - 1}, got {dim}.")
    return dim % reach


def refusing(*names: str) -> Callable[[F], F]:
    """Lets a function take PyTorch's arguments that have one value here: None or False; any other is refused."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            for name in names:
                if name in kwargs:
                    value = kwargs.pop(name)
                    if value is not None and value is not False:
                        raise NotImplementedError(
                            f"{function.__name__}: {name}={value!r} is not supported; leave it out."
                        )
            return function(*args, **kwargs)

        return checked  # type: ignore[return-value]  # the same signature, and names that do nothing

    return decorate
