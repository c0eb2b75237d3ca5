"""Batches in page-locked memory, which a GPU reads by itself, and batches copied to it before they are wanted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.backends import Device, backend_of
from retrograd.data.collate import with_items, with_values

__all__ = ["pin", "pinning_backend", "prefetch"]


def pinning_backend(device: str) -> Any:
    """The backend that pins memory for a type of device, "cuda" if it is empty; None, with a warning, without a GPU."""
    try:
        backend: Any = backend_of(device or "cuda")
    except RuntimeError:
        warnings.warn(
            "DataLoader: pin_memory=True has no effect, because no GPU is found.", category=UserWarning, stacklevel=4
        )
        return None
    if not hasattr(backend, "pinned"):
        raise ValueError(f"DataLoader: pin_memory_device must be a type of GPU, e.g. 'cuda', got {device!r}.")
    return backend


def pin(batch: Any, backend: Any) -> Any:
    """A batch with its tensors, in whatever containers, copied into page-locked memory; other parts as they are.

    A batch with a method `pin_memory` is asked for its own. Tensors that require a gradient stay where they are.
    Raises RuntimeError for tensors on a GPU.
    """
    if hasattr(batch, "pin_memory") and not isinstance(batch, Tensor):
        return batch.pin_memory()
    return _mapped(batch, lambda tensor: _pinned(tensor, backend))


def _pinned(tensor: Tensor, backend: Any) -> Tensor:
    if namespace(tensor).name != "cpu":
        raise RuntimeError("DataLoader: pin_memory=True is for batches on the cpu, but this one is on a GPU already.")
    return tensor if tensor._node is not None else make(backend.pinned(tensor.array))


def prefetch(batches: Iterable[Any], device: Any) -> Iterator[Any]:
    """The batches of a loader on a device. A GPU copies each, from pinned memory, while it computes with the last.

    Neither the host nor the computation waits for a copy that is over in time. Without a GPU: the batches, moved.

    >>> import retrograd as rg
    >>> loader = rg.data.DataLoader(rg.data.TensorDataset(rg.arange(4)), batch_size=2)
    >>> [batch.tolist() for (batch,) in prefetch(loader, "cpu")]
    [[0, 1], [2, 3]]
    """
    place = Device(device)
    backend: Any = backend_of(place)
    if not hasattr(backend, "start_copy"):
        yield from (_mapped(batch, lambda tensor: tensor.to(place)) for batch in batches)
        return
    waiting: tuple[Any, list[Any]] | None = None
    for batch in batches:
        with place:
            coming = _started(batch, backend)
        if waiting is not None:
            yield _finished(*waiting, place, backend)
        waiting = coming
    if waiting is not None:
        yield _finished(*waiting, place, backend)


def _started(batch: Any, backend: Any) -> tuple[Any, list[Any]]:
    """The batch to be on the current GPU, and the events of its copies."""
    events = []

    def start(tensor: Tensor) -> Tensor:
        if namespace(tensor).name != "cpu" or tensor._node is not None:
            return tensor.to(Device(backend.name))
        array = tensor.array
        copy, event = backend.start_copy(array if backend.is_pinned(array) else backend.pinned(np.asarray(array)))
        events.append(event)
        return make(copy)

    return _mapped(batch, start), events


def _finished(batch: Any, events: list[Any], place: Device, backend: Any) -> Any:
    with place:
        for event in events:
            backend.finish_copy(event)
    return batch


def _mapped(data: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Data with what the function makes of every tensor in it; containers as of `default_collate`."""
    if isinstance(data, Tensor):
        return function(data)
    if isinstance(data, Mapping):
        return with_values(data, {key: _mapped(value, function) for key, value in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return with_items(data, [_mapped(item, function) for item in data])
    return data
