"""Gradients of tables of which few rows were looked up: kept as those rows until somebody looks at the whole.

A table of 50,000 words of which a batch uses 4,000 has a gradient of zeros, but for these. `Rows` is such a cotangent
on its way to the table, and `Waiting` the Tensor that becomes the table's `.grad`: an ordinary dense Tensor from the
moment its array is asked for. An optimizer that leaves rows without a gradient as they are asks for the rows alone, and
`zero_grad` for nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.autograd.tensor import Tensor
from retrograd.backends import backend_of, backend_of_array

__all__ = ["Rows", "Waiting", "waiting_sums"]

Array = Any
numpy: Any = backend_of("cpu")
store: Any = vars(Tensor)["_array"]
"""The slot of every Tensor's array, below the property of a Tensor that waits."""


class Rows:
    """A NumPy matrix of zeros in which `values` (n, columns) are added at the rows `indices` (n,).

    Whatever NumPy does with it, it does with the whole.
    """

    __slots__ = ("indices", "shape", "values")

    def __init__(self, indices: Array, values: Array, shape: tuple[int, ...]) -> None:
        self.indices, self.values, self.shape = indices, values, shape

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.values.dtype
        return dtype

    @property
    def base(self) -> Array:
        """Not None: this array is not yet memory of its own."""
        return self.values

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return int(self.values.nbytes)

    def dense(self) -> Array:
        """The matrix."""
        return numpy.index_sum(self.values, (self.indices,), shape=self.shape)

    def copy(self) -> Array:
        return self.dense()

    def astype(self, dtype: Any, copy: bool = True) -> Array:
        return self.dense().astype(dtype, copy=False)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.dense().astype(self.dtype if dtype is None else dtype, copy=False)

    def __add__(self, other: Any) -> Array:
        return self.dense() + other

    def each_once(self) -> tuple[Array, Array]:
        """Every row once, and the sums of its values in their order."""
        indices, values, places = self.indices, self.values, np.arange(len(self.indices))
        first = np.empty(self.shape[0], places.dtype)
        first[indices[::-1]] = places[::-1]
        target = first[indices]
        again = target != places
        if not again.any():
            return indices, values
        once = ~again
        sums = numpy.index_add(values, (target[again],), values[again])
        return indices[once], sums[once]


backend_of_array[Rows] = numpy


class Waiting(Tensor):
    """A Tensor whose array is a Rows, until it is asked for: then it is a Tensor like any other."""

    __slots__ = ()

    @property
    def _array(self) -> Array:
        rows = store.__get__(self)
        self._array = rows.dense()
        return store.__get__(self)

    @_array.setter
    def _array(self, array: Array) -> None:
        self.__class__ = Tensor  # type: ignore[assignment]  # the slots are the same
        store.__set__(self, array)

    @classmethod
    def of(cls, rows: Rows) -> Tensor:
        """The gradient of a leaf."""
        tensor = cls.__new__(cls)
        store.__set__(tensor, rows)
        tensor._node, tensor._stamp = None, [0]
        return tensor

    @staticmethod
    def rows(tensor: Tensor) -> Rows | None:
        """Its rows, if it still waits."""
        return store.__get__(tensor) if tensor.__class__ is Waiting else None


class WaitingSums:
    """The host's backend, but sums at few rows of a matrix wait."""

    def __getattr__(self, name: str) -> Any:
        return getattr(numpy, name)

    def index_sum(self, value: Array, index: tuple[Array, ...], *, shape: tuple[int, ...]) -> Any:
        indices = index[0]
        if len(index) > 1 or indices.size * FEW > shape[0] or value.dtype.char == "e":
            return numpy.index_sum(value, index, shape=shape)
        return Rows(indices.copy(), value, shape)  # whoever gave the indices may write others there


FEW = 4
"""Rows of the table for each that is looked up, from which on waiting pays."""
waiting_sums = WaitingSums()
