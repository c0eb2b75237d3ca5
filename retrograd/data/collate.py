"""From samples to a batch: tensors stacked, numbers gathered, containers kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.methods.creation import as_tensor, tensor
from retrograd.autograd.tensor import Tensor

__all__ = ["default_collate", "default_convert", "with_items", "with_values"]


def default_collate(batch: Sequence[Any]) -> Any:
    """A batch from a list of samples of one structure.

    Tensors and NumPy arrays of one shape are stacked along a new first dimension; floats become float64, ints int64,
    bools bool, NumPy numbers keep their dtype; strings and bytes stay a list; dicts, lists and named tuples are kept
    with a batch in each place, and a tuple becomes a list. Raises TypeError for anything else, RuntimeError for
    samples of different shapes or lengths, IndexError for no samples at all.

    >>> default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ('a', 'b')]
    """
    if len(batch) == 0:
        raise IndexError("default_collate: expected at least one sample, got an empty batch.")
    first = batch[0]
    if isinstance(first, Tensor):
        return _stacked(batch)
    if isinstance(first, np.ndarray):
        if first.dtype.kind not in "biuf":
            raise TypeError(_cannot("default_collate", first.dtype))
        return _stacked([as_tensor(array) for array in batch])
    if isinstance(first, (np.bool_, np.number)):
        return as_tensor(list(batch))
    if isinstance(first, float):
        return tensor(list(batch), dtype=np.float64)
    if isinstance(first, int):
        return tensor(list(batch))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return with_values(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, Sequence):
        lengths = sorted({len(sample) for sample in batch})
        if len(lengths) > 1:
            raise RuntimeError(
                f"default_collate: samples have different lengths, {', '.join(map(str, lengths))}; "
                "pad them, or give the DataLoader a collate_fn."
            )
        return with_items(first, [default_collate(items) for items in zip(*batch)])
    raise TypeError(_cannot("default_collate", type(first).__name__))


def default_convert(data: Any) -> Any:
    """One sample with its NumPy arrays and numbers as tensors, the rest as it is: for loaders that make no batches.

    >>> default_convert({"x": np.array([1.0]), "name": "a"})
    {'x': tensor([1.], dtype=rg.float64), 'name': 'a'}
    """
    if isinstance(data, np.ndarray):
        return as_tensor(data) if data.dtype.kind in "biuf" else data
    if isinstance(data, (np.bool_, np.number)):
        return as_tensor(data)
    if isinstance(data, Mapping):
        return with_values(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return with_items(data, [default_convert(item) for item in data])
    return data


def _cannot(caller: str, kind: object) -> str:
    return (
        f"{caller}: samples must be tensors, arrays, numbers, strings, or dicts, lists and tuples of them; "
        f"found {kind}.\n  Give the DataLoader a collate_fn that makes a batch of them."
    )


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    shape = tensors[0].shape
    for i, sample in enumerate(tensors):
        if sample.shape != shape:
            raise RuntimeError(
                f"default_collate: samples of different shapes, {shape} at 0 and {sample.shape} at {i} of the batch;\n"
                "  pad or crop them, or give the DataLoader a collate_fn."
            )
    stack: Callable[..., Tensor] = ops.stack
    return stack(*tensors, axis=0)


def with_values(like: Mapping[Any, Any], values: dict[Any, Any]) -> Any:
    """A mapping of the same type, where that can be made from another one or changed in a copy; else a dict."""
    try:
        if isinstance(like, MutableMapping):
            clone = copy.copy(like)
            clone.update(values)
            return clone
        return type(like)(values)  # type: ignore[call-arg]
    except TypeError:
        return values


def with_items(like: Sequence[Any], items: list[Any]) -> Any:
    """A sequence of the same type, where that can be made; a list for a tuple, as in PyTorch."""
    if isinstance(like, tuple):
        return type(like)(*items) if hasattr(like, "_fields") else items
    try:
        if isinstance(like, MutableSequence):
            clone = copy.copy(like)
            for i, item in enumerate(items):
                clone[i] = item
            return clone
        return type(like)(items)  # type: ignore[call-arg]
    except TypeError:
        return items
