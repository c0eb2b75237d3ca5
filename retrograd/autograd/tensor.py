"""Tensor: an array, its place in the graph, and the stamp of its storage. No arithmetic: the ops attach it."""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.backends import backend_of_array

if TYPE_CHECKING:
    from retrograd.autograd.graph import Node

__all__ = ["Tensor", "clock", "make"]

clock = itertools.count(1)
"""Ticks order all events of all threads: a node's number is a tick, and so is the moment of an in-place change."""

Stamp = list[Any]
"""Shared by all Tensors on one storage: [tick of the last in-place change, how many there were, who made it]."""


class Tensor:
    """An n-dimensional array that remembers how it was computed.

    `_array`  the NumPy or CuPy array (NumPy hands out scalars for 0-d results: both occur)
    `_node`   what computed it; for a leaf that requires a gradient its AccumulateGrad; else None
    `_stamp`  when its storage was last changed in place, shared with every view of it
    and, unset until needed:
    `_grad`   the accumulated gradient, a Tensor
    `_whole`   the Tensor that it is a view of, and `_replay` the function that makes the view from it
    `_refusal`  why in-place changes through it are not recorded (a view made under no_grad, one output of several)
    `_views`  weak references to its views, that an in-place change must follow
    """

    __slots__ = ("__weakref__", "_array", "_grad", "_node", "_refusal", "_replay", "_stamp", "_views", "_whole")

    _array: Any
    _node: Node | None
    _stamp: Stamp
    _grad: Tensor
    _whole: Tensor
    _replay: tuple[Any, ...]
    _refusal: str
    _views: list[weakref.ref[Tensor]]

    # What NumPy asks of an array that wants its own arithmetic is attached by the ops (methods/interop.py).

    @property
    def array(self) -> Any:
        """The NumPy or CuPy array itself, no copy. Writing into it is not seen by autograd."""
        if isinstance(self._array, np.generic):
            self._array = np.asarray(self._array)
        return self._array

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every dimension."""
        shape: tuple[int, ...] = self._array.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements: a NumPy dtype, `rg.float32` being `np.dtype("float32")`."""
        dtype: np.dtype[Any] = self._array.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        ndim: int = self._array.ndim
        return ndim

    def __repr__(self) -> str:
        from retrograd.autograd.printing import represent

        return represent(self)

    def _repr_html_(self) -> str:
        from retrograd.autograd.notebook import as_html

        return as_html(self)

    def __hash__(self) -> int:
        return id(self)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]


def make(array: Any, node: Node | None = None, stamp: Stamp | None = None) -> Tensor:
    """A Tensor around an array of a known backend; nothing is copied or checked."""
    tensor = Tensor.__new__(Tensor)
    tensor._array = array
    tensor._node = node
    tensor._stamp = [0] if stamp is None else stamp
    return tensor


def namespace(tensor: Tensor) -> Any:
    """The backend module of a Tensor's array."""
    return backend_of_array[tensor._array.__class__]
