"""Questions about the GPUs of this machine, under PyTorch's names. CuPy is imported when the first is asked."""

from __future__ import annotations

from typing import Any

from retrograd.backends import Device, backend_of

__all__ = ["current_device", "device", "device_count", "is_available", "set_device", "synchronize"]


def device_count() -> int:
    """Number of NVIDIA GPUs that can be used; 0 without CuPy or without a driver.

    >>> device_count() >= 0
    True
    """
    try:
        return backend_of("cuda").device_count()
    except RuntimeError:
        return 0


def is_available() -> bool:
    """Whether a tensor can be put on a GPU here."""
    return device_count() > 0


def current_device() -> int:
    """Number of this thread's current GPU. Raises RuntimeError where there is none, with what is missing."""
    return _selected(backend_of("cuda").select_device(None))


def _selected(index: int | None) -> int:
    return 0 if index is None else index


def _gpu(device: Any) -> Device:
    place = Device("cuda") if device is None else Device(device)
    if place.type != "cuda":
        raise ValueError(f"expected a cuda device, got {place}; e.g. 0 or cuda:0.")
    return place


def set_device(device: Any) -> None:
    """Makes a GPU, given by number or as "cuda:1", the current one of this thread."""
    place = _gpu(device)
    backend_of(place).select_device(place.index)


def synchronize(device: Any = None) -> None:
    """Waits until all work on a GPU, by default the current one, is done."""
    with _gpu(device) as place:
        backend_of(place).synchronize()


class device(Device):
    """A GPU as a `with` block: the current one, and the default device, while the block runs. None changes nothing."""

    def __new__(cls, device: Any) -> Any:
        return _gpu(device)
