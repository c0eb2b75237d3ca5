"""Devices, the registry that finds a device's backend, and the default device of each thread."""

from __future__ import annotations

import builtins
import functools
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from retrograd.backends import numpy as _numpy
from retrograd.backends.contract import Array, Backend

__all__ = [
    "CPU",
    "Device",
    "backend_of",
    "backend_of_array",
    "current_device",
    "device_of",
    "devices_available",
    "get_default_device",
    "register",
    "set_default_device",
]

F = TypeVar("F", bound=Callable[..., Any])


class Device:
    """A place for tensors: a type ("cpu", "cuda") and, where there are several, a number.

    Made from a string ("cpu", "cuda", "cuda:1"), an integer N (GPU N), a type and an index, or another Device. "cuda"
    without a number is the thread's current GPU. Compares and hashes by type and index. As a context manager or
    decorator it is the default device (and the selected GPU) of the thread while the block or function runs.

    Raises RuntimeError for a type that nobody registered, and for a string that is not `type` or `type:index`.

    >>> Device("cuda:1")
    device(type='cuda', index=1)
    >>> str(Device(0)), Device("cpu") == Device("cpu")
    ('cuda:0', True)
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, device: Device | str | int, index: int | None = None) -> None:
        kind: str
        if isinstance(device, Device):
            kind, number = device.type, device.index
        elif isinstance(device, str):
            kind, number = _parse(device)
        elif isinstance(device, int):
            kind, number = "cuda", _checked_index(device, device)
        else:
            raise TypeError(f"device: expected a string, an integer or a device, got {_kind_of(device)}.")
        if index is not None:
            if number is not None:
                raise RuntimeError(f"device: {device!r} already has an index; leave index={index} out.")
            number = _checked_index(index, f"{kind}:{index}")
        object.__setattr__(self, "type", kind)
        object.__setattr__(self, "index", number)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"device.{name} cannot be assigned: make a new device.")

    def __reduce__(self) -> tuple[Any, ...]:
        return Device, (self.type, self.index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Device):
            return NotImplemented
        return self.type == other.type and self.index == other.index

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"

    def __enter__(self) -> Device:
        backend = backend_of(self)
        selected = backend.select_device(self.index)
        _state.stack.append((_state.default, backend, selected))
        _state.default = self
        return self

    def __exit__(
        self, kind: builtins.type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _state.default, backend, selected = _state.stack.pop()
        backend.select_device(selected)

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def on_this_device(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return on_this_device  # type: ignore[return-value]  # wraps keeps the signature


def _kind_of(value: object) -> str:
    return value.__class__.__name__


def _parse(text: str) -> tuple[str, int | None]:
    kind, colon, number = text.partition(":")
    if kind not in _loaders:
        raise RuntimeError(f"device {text!r}: unknown type {kind!r}; known are {', '.join(_loaders)}, e.g. 'cuda:0'.")
    if not colon:
        return kind, None
    if not (number.isascii() and number.isdigit()):
        raise RuntimeError(
            f"device {text!r}: expected 'type' or 'type:index' with an index from 0 on, e.g. '{kind}:0'."
        )
    return kind, int(number)


def _checked_index(index: int, asked: object) -> int:
    if index < 0:
        raise RuntimeError(f"device {asked!r}: an index counts from 0, got {index}.")
    return index


# ---- registry

_loaders: dict[str, Callable[[], Backend]] = {}
_loaded: dict[str, Backend] = {}

backend_of_array: dict[type, Backend] = {}
"""Backend of every array type that is loaded: one look-up, `backend_of_array[type(array)]`."""


def register(kind: str, loader: Callable[[], Backend]) -> None:
    """Make `kind` a device type; `loader` is called on first use and returns the backend module.

    Raises ValueError when the type is taken.
    """
    if kind in _loaders:
        raise ValueError(f"register: device type {kind!r} is registered already.")
    _loaders[kind] = loader


def backend_of(device: Device | str | int) -> Backend:
    """The backend module of a device, loaded on first use.

    Raises RuntimeError when its library or its hardware is missing, with the command that installs it.
    """
    if not isinstance(device, Device):
        device = Device(device)
    backend = _loaded.get(device.type)
    return _load(device.type) if backend is None else backend


def _load(kind: str) -> Backend:
    backend = _loaders[kind]()
    _loaded[kind] = backend
    for array_type in backend.array_types:
        backend_of_array[array_type] = backend
    return backend


def _load_numpy() -> Backend:
    return _numpy


def _load_cupy() -> Backend:
    try:
        import retrograd.backends.cupy as cupy
    except ImportError as error:
        raise RuntimeError(
            'device "cuda" needs CuPy 14, which cannot be imported here: pip install "retrograd[cuda12]" '
            f'(or "retrograd[cuda13]"). The import said: {error}'
        ) from error
    if cupy.device_count() == 0:
        raise RuntimeError(
            'device "cuda": CuPy is installed, but finds no NVIDIA GPU or no driver for it (see nvidia-smi). '
            'Use device="cpu"; on a machine with a GPU: pip install "retrograd[cuda12]".'
        )
    return cupy


def device_of(array: Array) -> Device:
    """The device that holds an array; a KeyError means that no loaded backend owns its type."""
    backend = backend_of_array[type(array)]
    index = backend.device_index(array)
    return CPU if index is None else _interned(backend.name, index)


@functools.cache
def _interned(kind: str, index: int) -> Device:
    return Device(kind, index)


def devices_available() -> list[Device]:
    """Every device that can be used in this process, the CPU first. Loads the backends to find out.

    >>> devices_available()[0]
    device(type='cpu')
    """
    found: list[Device] = []
    for kind in list(_loaders):
        try:
            count = backend_of(kind).device_count()
        except RuntimeError:
            continue
        found += [Device(kind)] if kind == "cpu" else [Device(kind, index) for index in range(count)]
    return found


# ---- default device


class _State(threading.local):
    def __init__(self) -> None:
        self.default: Device | None = None
        self.stack: list[tuple[Device | None, Backend, int | None]] = []


_state = _State()


def get_default_device() -> Device:
    """The device on which this thread creates tensors when none is named.

    It starts as the environment variable RETROGRAD_DEVICE, or the CPU.
    """
    device = _state.default
    if device is None:
        device = _state.default = _from_environment()
    return device


def _from_environment() -> Device:
    value = os.environ.get("RETROGRAD_DEVICE", "")
    if not value:
        return CPU
    try:
        device = Device(value)
        backend_of(device).select_device(device.index)
    except RuntimeError as error:
        raise RuntimeError(f"RETROGRAD_DEVICE={value}: {error}") from error
    return device


def set_default_device(device: Device | str | int | None) -> None:
    """Create this thread's tensors on `device` from now on; None returns to the start value.

    Raises RuntimeError when the device cannot be used.
    """
    if device is None:
        _state.default = None
        return
    chosen = Device(device)
    backend_of(chosen).select_device(chosen.index)
    _state.default = chosen


current_device = get_default_device

register("cpu", _load_numpy)
register("cuda", _load_cupy)
CPU = Device("cpu")
backend_of(CPU)
