"""How a Tensor is written: as PyTorch writes it, digit for digit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from retrograd.autograd.graph import AccumulateGrad
from retrograd.autograd.promotion import get_default_dtype
from retrograd.autograd.tensor import Tensor, namespace
from retrograd.backends import device_of

__all__ = ["PrintOptions", "get_printoptions", "represent", "set_printoptions"]


@dataclass(frozen=True)
class PrintOptions:
    """Digits after the point; elements from which on only edges are shown; length of an edge; characters in a line;
    whether powers of ten are written (None: where the numbers differ much)."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}
_options = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Sets how tensors are written, from a profile ("default", "short", "full") and single options.

    `sci_mode` returns to None, numbers deciding, unless it is given.

    >>> import retrograd as rg
    >>> rg.set_printoptions(precision=2)
    >>> rg.tensor([1.12345])
    tensor([1.12])
    >>> rg.set_printoptions(profile="default")
    """
    global _options
    if profile is not None and profile.lower() not in _PROFILES:
        raise ValueError(f"set_printoptions: unknown profile {profile!r}; known are {', '.join(_PROFILES)}.")
    start = _options if profile is None else _PROFILES[profile.lower()]
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options = replace(start, sci_mode=sci_mode, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]


def get_printoptions() -> dict[str, Any]:
    """The options in force, as `set_printoptions` takes them."""
    return {field.name: getattr(_options, field.name) for field in fields(_options)}


def represent(tensor: Tensor) -> str:
    """The text of a Tensor: its values, and what about it is not the default."""
    name = getattr(type(tensor), "_printed_as", "tensor")
    start = f"{name}("
    text = start + (written(tensor, len(start)) if tensor._array.size else "[]")
    width = len(text) - text.rfind("\n") + 1
    for remark in remarks(tensor):
        if width + len(remark) + 2 > _options.linewidth:
            text += ",\n" + " " * len(start) + remark
            width = len(start) + len(remark)
        else:
            text += ", " + remark
            width += len(remark) + 2
    return text + ")"


def remarks(tensor: Tensor) -> Iterator[str]:
    """What follows the values: device, size of nothing, dtype, place in the graph."""
    device, dtype = device_of(tensor._array), tensor.dtype
    if device.type != "cpu":
        yield f"device='{device}'"
    empty = tensor._array.size == 0
    if tensor.ndim != 1 if empty else _options.edgeitems == 0:
        yield f"size={tensor.shape}"
    if dtype != get_default_dtype() and (empty or dtype not in (np.int64, np.bool_)):
        yield f"dtype=rg.{dtype.name}"
    if isinstance(tensor._node, AccumulateGrad):
        yield "requires_grad=True"
    elif tensor._node is not None:
        yield f"grad_fn=<{tensor._node.name()}>"


def written(tensor: Tensor, indent: int) -> str:
    """The values in brackets; of a large tensor only the edges, and only they are copied to the host."""
    xp, array = namespace(tensor), tensor.array
    cut = [False] * array.ndim
    if array.size > _options.threshold:
        edge = _options.edgeitems
        for axis, length in enumerate(array.shape):
            if length > 2 * edge:
                before = (slice(None),) * axis
                array = xp.concat(
                    [array[(*before, slice(edge))], array[(*before, slice(length - edge, None))]], axis=axis
                )
                cut[axis] = True
    values = xp.to_host(array)
    return nested(values.tolist(), Numbers(values), cut, indent)


def nested(values: Any, numbers: Numbers, cut: list[bool], indent: int) -> str:
    """Nested lists in brackets: lines of numbers, a new line per row, one empty line more per further dimension."""
    if not cut:
        return numbers.format(values)
    edge = _options.edgeitems
    if len(cut) == 1:
        items = [numbers.format(value) for value in values]
        if cut[0]:
            items = [*items[:edge], " ..." if edge else "...", *items[edge:]]
        per_line = max(1, (_options.linewidth - indent) // (numbers.width + 2))
        lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    parts = [nested(part, numbers, cut[1:], indent + 1) for part in values]
    if cut[0]:
        parts = [*parts[:edge], "...", *parts[edge:]]
    return "[" + ("," + "\n" * (len(cut) - 1) + " " * (indent + 1)).join(parts) + "]"


class Numbers:
    """One way to write all the numbers of a tensor: equally wide, and in powers of ten where they differ much."""

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        self.floating = values.dtype.kind == "f"
        self.width = 1
        if not self.floating:
            self.width = max(map(len, map(str, values.ravel().tolist())), default=1)
            return
        self.whole, self.scientific = True, False
        counting = values[np.isfinite(values) & (values != 0)].astype(np.float64)
        if counting.size:
            largest, smallest = np.abs(counting).max(), np.abs(counting).min()
            self.whole = bool(np.all(counting == np.ceil(counting)))
            with np.errstate(over="ignore"):
                spread = largest / smallest
            extreme = bool(spread > 1000 or largest > 1e8 or (smallest < 1e-4 and not self.whole))
            self.scientific = extreme if _options.sci_mode is None else _options.sci_mode
            self.width = max(len(self.text(value)) for value in counting.tolist())

    def text(self, value: float) -> str:
        """A floating number without padding."""
        if self.scientific:
            return f"{value:.{_options.precision}e}"
        if self.whole:
            return f"{value:.0f}" + ("." if math.isfinite(value) else "")
        return f"{value:.{_options.precision}f}"

    def format(self, value: Any) -> str:
        """A number, padded on the left."""
        return (self.text(value) if self.floating else str(value)).rjust(self.width)
