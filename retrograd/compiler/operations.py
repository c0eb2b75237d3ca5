"""What a recorded program is made of: values, and the operations that compute them from each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Argument", "Array", "Built", "Deviation", "GiveUp", "Made", "Operation", "Recording", "Value", "values_in"]


class Deviation(Exception):
    """Values take the step another way than the one recorded."""


class GiveUp(Exception):
    """A step cannot be compiled; the message is the reason. `again`: it may be recorded at its next call."""

    def __init__(self, reason: str, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


@dataclass(eq=False, slots=True)
class Value:
    """An array of the program, or what stands for one: `shape` and `dtype` are None for what is no array."""

    number: int
    shape: tuple[int, ...] | None
    dtype: Any
    memory: int
    """The same for values that may share memory."""
    dense: bool = True
    """Whether its elements lie in memory in their order, without gaps."""
    uniform: bool = False
    """Whether all its elements are one, repeated."""
    owned: bool = False
    """Whether the program has made it, in memory that nobody else holds."""
    xp: Any = None
    """Its backend, where that is known."""
    strides: tuple[int, ...] | None = None
    """The distances between its elements, where they are known."""


class Argument(NamedTuple):
    """A Tensor that the caller passes, by its place."""

    place: int


class Made(NamedTuple):
    """A Tensor made around a value."""

    value: Value
    spent: str | None = None
    """The name of the node that computed it, when its graph has been used up."""


class Built(NamedTuple):
    """An object made anew around values, by its class."""

    kind: Any
    args: tuple[Any, ...]


class Array(NamedTuple):
    """The array of a Tensor, or of its gradient, read when it is needed."""

    tensor: Any
    gradient: bool


@dataclass(eq=False, slots=True)
class Operation:
    """One call: `outs = function(*args, **kwargs)`. Values stand in the places of arrays, at any depth."""

    function: Any
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    outs: Any = None
    """A Value, a nest of Values (None where a result is not kept), or None."""
    effect: bool = False
    """Whether it does more than compute its result: then it stays where it is."""
    decides: bool = False
    """Whether the form of its result depends on values: then it runs before all effects, and may refuse."""
    xp: Any = None
    """The backend, for operations that may be taken apart."""
    primitive: Any = None
    """Whose error message is given when it fails."""

    def used(self) -> Iterator[Value]:
        """The values it takes."""
        yield from values_in(self.args)
        yield from values_in(self.kwargs)

    def made(self) -> Iterator[Value]:
        """The values it gives."""
        yield from values_in(self.outs)


@dataclass(slots=True)
class Recording:
    """A step as it was heard."""

    operations: list[Operation]
    result: Any
    """What the step returns: Values' Tensors in the places of Tensors, at any depth."""
    arguments: int
    """How many Tensors are passed."""
    names: dict[int, str]
    """What to call parameters in the source, by their identity."""


def values_in(nest: Any) -> Iterator[Value]:
    """The values in a nest of tuples, lists, dicts and slices."""
    if isinstance(nest, Value):
        yield nest
    elif isinstance(nest, Made):
        yield nest.value
    elif isinstance(nest, (tuple, list)):
        for part in nest:
            yield from values_in(part)
    elif isinstance(nest, dict):
        for part in nest.values():
            yield from values_in(part)
    elif isinstance(nest, slice):
        yield from values_in((nest.start, nest.stop, nest.step))
