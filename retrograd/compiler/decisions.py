"""Values by which the library decides while a step is recorded: they must decide the same way in every replay."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.backends import backend_of_array
from retrograd.compiler.operations import Deviation

if TYPE_CHECKING:
    from retrograd.compiler.hearing import Hearing

__all__ = ["Decision", "decided", "decision", "undecided"]


def decided(function: Any, form: list[bool]) -> Any:
    """The function, which refuses to return None where it did not before, or no longer where it did."""

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if [part is None for part in result] != form:
            raise Deviation
        return result

    return checked


class Decision(np.ndarray[Any, Any]):
    """A number that the library has of a backend while a step is recorded: Python may ask for it."""

    hearing: Hearing | None = None

    def told(self) -> Any:
        if self.hearing is not None and not self.hearing.deaf:
            self.hearing.give_up("the library decides by a value")
        return undecided(self)

    def __bool__(self) -> bool:
        return bool(self.told())

    def __int__(self) -> int:
        return int(self.told())

    def __float__(self) -> float:
        return float(self.told())

    def __index__(self) -> int:
        return operator.index(self.told())

    def item(self, *args: Any) -> Any:
        return self.told().item(*args)

    def tolist(self) -> Any:
        return self.told().tolist()


def decision(result: Any, hearing: Hearing) -> Any:
    """A result of NumPy without dimensions, marked."""
    if isinstance(result, np.generic) or (type(result) is np.ndarray and result.ndim == 0):
        backend_of_array.setdefault(Decision, backend_of_array[np.ndarray])
        result = np.array(result).view(Decision)
        result.hearing = hearing
    return result


def undecided(array: Any) -> Any:
    """The array without its mark."""
    return array.view(np.ndarray) if isinstance(array, Decision) else array
