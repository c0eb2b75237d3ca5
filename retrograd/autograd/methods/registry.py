"""How a function gets its public places: `rg.name`, `Tensor.name`, and the in-place form `Tensor.name_`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from retrograd.autograd.modes import state
from retrograd.autograd.tensor import Tensor, namespace
from retrograd.autograd.view import overwrite, refuse_leaf, touch

__all__ = ["FUNCTIONS", "in_place", "method", "public"]

F = TypeVar("F", bound=Callable[..., Any])

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""Everything that the front door offers as `rg.name`, filled by `public`."""


def public(function: F, *, name: str | None = None, method: bool = True) -> F:
    """Registers a function as `rg.name` and, unless method=False, as `Tensor.name`."""
    name = name or function.__name__
    if name in FUNCTIONS:
        raise ValueError(f"rg.{name} is registered already")
    FUNCTIONS[name] = function
    if method:
        setattr(Tensor, name, function)
    return function


def method(function: F, *, name: str | None = None) -> F:
    """Registers a function, or property, as `Tensor.name` alone."""
    setattr(Tensor, name or function.__name__, function)
    return function


def in_place(
    function: Callable[..., Any], *, name: str | None = None, ufunc: str | None = None
) -> Callable[..., Tensor]:
    """Registers `Tensor.name_`: the function's result replaces the tensor's value.

    `ufunc` names the backend function that can write into its input where no graph is recorded.
    """
    name = f"{name or function.__name__}_"

    @functools.wraps(function)
    def changing(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if ufunc and len(args) < 2 and not kwargs and not (state.grad and needs_graph(self, *args)):
            other = [a._array if isinstance(a, Tensor) else a for a in args]
            if all(isinstance(a, (int, float)) or a.dtype == self.dtype for a in other):
                array = self.array
                try:
                    getattr(namespace(self), ufunc)(array, *other, out=array)
                except Exception:  # the plain way below says what is wrong with the operands
                    pass
                else:
                    touch(self, name)
                    return self
        refuse_leaf(self)
        return overwrite(self, function(self, *args, **kwargs), name)

    changing.__name__ = changing.__qualname__ = name
    changing.__doc__ = f"In-place version of `{name[:-1]}`."
    setattr(Tensor, name, changing)
    return changing


def needs_graph(*operands: Any) -> bool:
    """Whether one of the operands is part of a graph."""
    return any(isinstance(o, Tensor) and (o._node is not None or hasattr(o, "_base")) for o in operands)
