"""`pad`: elements before and after the dimensions of a tensor, constant or taken from it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.ops.indexing import getitem
from retrograd.autograd.tensor import Tensor

__all__ = ["pad"]

xp: Any = ops
Width = tuple[int, int]


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """So many elements added before and after each dimension, pairs counted from the last one; negative ones cut off.

    mode "constant" fills with `value` (0 if None) and pads any number of dimensions. The others pad the last one, two
    or three dimensions of an input with one or two more: "reflect" mirrors the tensor at its last element, "replicate"
    repeats that, "circular" starts again at the other end.
    Raises RuntimeError, ValueError or NotImplementedError for widths that the tensor or the mode does not have.

    >>> import retrograd as rg
    >>> rg.nn.functional.pad(rg.tensor([[1, 2, 3]]), (2, 1), mode="reflect").tolist()
    [[3, 2, 1, 2, 3, 2]]
    """
    pad = [operator.index(n) for n in pad]
    if mode != "constant" and mode not in PLACES:
        raise NotImplementedError(f"pad: mode must be constant, reflect, replicate or circular, got {mode!r}.")
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise RuntimeError(f"pad: the widths must be pairs, at most one for each of {input.shape}, got {pad}.")
    pairs = list(zip(pad[::2], pad[1::2]))[::-1]
    if mode == "constant":
        input, pairs = cut(input, pairs)
        widths = ((0, 0),) * (input.ndim - len(pairs)) + tuple(pairs)
        return xp.pad(input, widths=widths, value=0 if value is None else value)  # type: ignore[no-any-return]
    if value is not None and value != 0:
        raise RuntimeError(f'pad: mode "{mode}" does not take a value, got {value!r}.')
    if len(pairs) not in (1, 2, 3) or input.ndim not in (len(pairs) + 1, len(pairs) + 2):
        raise NotImplementedError(
            f'pad: mode "{mode}" pads the last 1, 2 or 3 dimensions of an input with one or two more, '
            f"got widths {pad} for {input.shape}."
        )
    check_widths(input, pairs, mode)
    if mode == "circular":  # what is cut off does not come back at the other end
        input, pairs = cut(input, pairs)
    for axis, pair in zip(range(-len(pairs), 0), pairs):
        if pair != (0, 0):
            input = around(input, axis, pair, mode)
    return input if any(map(any, pairs)) else xp.copy(input)


def cut(input: Tensor, pairs: list[Width]) -> tuple[Tensor, list[Width]]:
    """What negative widths leave, and the positive ones. RuntimeError where they cut off more than there is."""
    others = input.ndim - len(pairs)
    lengths = input.shape[others:]
    if any(n + min(before, 0) + min(after, 0) < 0 for n, (before, after) in zip(lengths, pairs)):
        raise RuntimeError(f"pad: widths {pairs} leave a negative length of {input.shape}.")
    if any(min(pair) < 0 for pair in pairs):
        left = [slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(lengths, pairs)]
        input = getitem(input, (*[slice(None)] * others, *left))
    return input, [(max(before, 0), max(after, 0)) for before, after in pairs]


def check_widths(input: Tensor, pairs: list[Width], mode: str) -> None:
    """RuntimeError where there is not as much to mirror, to repeat or to go around."""
    lengths = input.shape[-len(pairs) :]
    batch = input.ndim - len(pairs) - 1
    if mode != "circular" and 0 in input.shape[batch:]:
        raise RuntimeError(f'pad: mode "{mode}" needs an input with elements, got {input.shape}.')
    for length, pair in zip(lengths, pairs):
        most = {"reflect": length - 1, "circular": length}.get(mode)
        if most is not None and max(pair) > most:
            raise RuntimeError(
                f'pad: mode "{mode}" can add at most {most} to a dimension of length {length}, got {pair} '
                f"for {input.shape}."
            )
        if length + sum(pair) < (mode != "circular"):
            raise RuntimeError(f"pad: widths {pair} leave nothing of a dimension of length {length} ({input.shape}).")


def mirrored(place: int, length: int) -> int:
    place = abs(place)
    return 2 * (length - 1) - place if place >= length else place


PLACES: dict[str, Callable[[int, int], int]] = {
    "reflect": mirrored,
    "replicate": lambda place, length: min(max(place, 0), length - 1),
    "circular": lambda place, length: place % length,
}
"""The element that stands at a place before or after a dimension of some length."""


def around(input: Tensor, axis: int, pair: Width, mode: str) -> Tensor:
    """One dimension padded or cut; the elements are slices of the input, so that no index need reach a device."""
    length = input.shape[axis]
    places = [PLACES[mode](place, length) for place in range(-pair[0], length + pair[1])]
    parts = [getitem(input, along(input.ndim, axis, run)) for run in runs(places)]
    return xp.concat(*parts, axis=axis) if len(parts) > 1 else xp.copy(parts[0])  # type: ignore[no-any-return]


def along(ndim: int, axis: int, part: slice) -> tuple[Any, ...]:
    return (*[slice(None)] * (ndim + axis), part, ...)


def runs(places: list[int]) -> list[slice]:
    """Neighbouring places as slices that go up."""
    found: list[slice] = []
    for place in places:
        if found and found[-1].stop == place:
            found[-1] = slice(found[-1].start, place + 1)
        else:
            found.append(slice(place, place + 1))
    return found
