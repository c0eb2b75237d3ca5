"""How a function gets its public places: `rg.name`, `Tensor.name`, and the in-place form `Tensor.name_`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from retrograd.autograd.modes import state
from retrograd.autograd.tensor import Tensor, clock, namespace
from retrograd.autograd.view import overwrite, prepare, touch, writable

__all__ = ["FUNCTIONS", "in_place", "method", "public"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""Everything that the front door offers as `rg.name`, filled by `public`."""


def public(function: F, *, name: str | None = None, method: bool = True) -> F:
    """Registers a function as `rg.name` and, unless method=False, as `Tensor.name`.

    One that takes dim takes NumPy's names of it and of keepdim too, as PyTorch's does.
    """
    name = name or function.__name__
    code = getattr(function, "__code__", None)
    if code is not None and "dim" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        function = with_numpy_keywords(function)
    if name in FUNCTIONS:
        raise ValueError(f"rg.{name} is registered already")
    FUNCTIONS[name] = function
    if method:
        setattr(Tensor, name, function)
    return function


NUMPY_KEYWORDS = {"axis": "dim", "keepdims": "keepdim"}


def with_numpy_keywords(function: F) -> F:
    """The function, which takes `axis` for `dim` and `keepdims` for `keepdim`."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if "axis" in kwargs or "keepdims" in kwargs:
            for numpy_name, name in NUMPY_KEYWORDS.items():
                if numpy_name in kwargs:
                    if name in kwargs:
                        raise TypeError(f"{function.__name__}: give {name} or {numpy_name}, not both.")
                    kwargs[name] = kwargs.pop(numpy_name)
        return function(*args, **kwargs)

    return called  # type: ignore[return-value]  # the same signature, and two names more


def method(function: T, *, name: str | None = None) -> T:
    """Registers a function, or property, as `Tensor.name` alone."""
    setattr(Tensor, name or str(getattr(function, "__name__", "")), function)
    return function


def in_place(
    function: Callable[..., Any], *, name: str | None = None, ufunc: str | None = None
) -> Callable[..., Tensor]:
    """Registers `Tensor.name_`: the function's result replaces the tensor's value.

    `ufunc` names the backend function of one or two inputs that can write into its input where no graph is recorded.
    """
    name = f"{name or function.__name__}_"

    @functools.wraps(function)
    def changing(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if ufunc is not None and len(args) < 2 and not kwargs and written(ufunc, self, *args):
            touch(self, name)
            return self
        since = next(clock)
        return overwrite(self, function(self, *args, **kwargs), name, since)

    changing.__name__ = changing.__qualname__ = name
    changing.__doc__ = f"In-place version of `{name[:-1]}`."
    setattr(Tensor, name, changing)
    return changing


def written(ufunc: str, tensor: Tensor, *operands: Any) -> bool:
    """Writes the result of a backend's function straight into the tensor's array, where nothing stands against it."""
    if state.grad and prepare(tensor, *operands):
        return False
    array = writable(tensor)
    values = []
    for operand in operands:
        if isinstance(operand, Tensor):
            if operand._stamp is tensor._stamp or operand._array.dtype != array.dtype:
                return False
            values.append(operand._array)
        elif isinstance(operand, (int, float)):
            values.append(operand)
        else:
            return False
    try:
        getattr(namespace(tensor), ufunc)(array, *values, out=array)
    except Exception:  # the plain way says what is wrong with the operands
        return False
    return True
