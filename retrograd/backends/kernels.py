"""The choice between NumPy's calls and compiled kernels, for functions that have both.

What such a function means stands in the library as calls of NumPy, marked `fusable`. After `set_kernels("numba")` the
kernel of the same name in `retrograd/backends/numba` is asked first: it takes the same arguments and does in one pass
over memory what those do in several, or gives NotImplemented where they are not what it was compiled for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["fusable", "get_kernels", "set_kernels"]

P = ParamSpec("P")
R = TypeVar("R")

compiled: dict[str, Callable[..., Any]] = {}
"""The kernels in use, by the name of the function that they stand for."""


def fusable(plain: Callable[P, R]) -> Callable[P, R]:
    """A function whose work a compiled kernel of its name may do; `__wrapped__` is the function itself."""
    name = plain.__name__

    @functools.wraps(plain)
    def either(*args: P.args, **kwargs: P.kwargs) -> R:
        kernel = compiled.get(name)
        if kernel is not None:
            result: Any = kernel(*args, **kwargs)
            if result is not NotImplemented:
                return result  # type: ignore[no-any-return]
        return plain(*args, **kwargs)

    return either


def get_kernels() -> str:
    """What computes on the CPU: "numpy", or "numba" where it has a kernel.

    >>> get_kernels()
    'numpy'
    """
    return "numba" if compiled else "numpy"


def set_kernels(name: str) -> None:
    """Lets NumPy alone compute on the CPU ("numpy", the default), or kernels that numba compiles where it pays.

    "numba" needs the extra of that name, else ImportError. A kernel is compiled when it is first called, which takes
    about a second, and kept on disk for later processes. RETROGRAD_KERNELS=numba in the environment turns it on
    at the import.

    >>> set_kernels("numpy")
    """
    if name not in ("numpy", "numba"):
        raise ValueError(f'set_kernels expects "numpy" or "numba", but got {name!r}')
    kernels: dict[str, Callable[..., Any]] = {}
    if name == "numba":
        try:
            from retrograd.backends.numba import KERNELS

            kernels = KERNELS
        except ImportError as error:
            raise ImportError("compiled kernels need numba: pip install 'retrograd[numba]'") from error
    compiled.clear()
    compiled.update(kernels)
