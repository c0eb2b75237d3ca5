"""Ufuncs: NumPy's arithmetic, CuPy's operands, loops and methods."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.strict_cupy.array import device_index, ndarray, operand, wrap
from tests.strict_cupy.rules import SIGNATURES, StrictError, launching

# Element types for which CuPy has atomic operations.
_INTEGERS, _FLOATS = "iIlLqQ", "fd"
_AT = {
    "add": _INTEGERS + _FLOATS + "e",
    "subtract": "iI",
    "maximum": _INTEGERS + _FLOATS,
    "minimum": _INTEGERS + _FLOATS,
}


class ufunc:
    """cupy.ufunc with the loops of `signatures.json`."""

    def __init__(self, name: str, entry: dict[str, Any]) -> None:
        self.__name__ = self.name = name
        self.nin = entry["nin"]
        self._loops = [tuple(loop.split("->")) for loop in entry["loops"]]
        self._numpy = getattr(np, name)

    @launching
    def __call__(self, *args: Any, out: Any = None, casting: str = "same_kind", dtype: Any = None) -> Any:
        if not self.nin <= len(args) <= self.nin + 1:
            raise TypeError(f"cupy.{self.name} takes {self.nin} arrays and an output, got {len(args)} arguments")
        if len(args) > self.nin:
            out = args[-1]
        inputs = [operand(value, f"cupy.{self.name}") for value in args[: self.nin]]
        result_dtype = self._result(inputs) if dtype is None else np.dtype(dtype)
        with np.errstate(all="ignore"):  # a GPU gives no floating-point warnings
            value = np.asarray(self._numpy(*inputs)).astype(result_dtype, copy=False)
        if out is None:
            return wrap(value)
        if not isinstance(out, ndarray):
            raise TypeError(f"cupy.{self.name}: out must be a device array, got {type(out)}")
        np.copyto(operand(out, "out"), value, casting=casting)  # type: ignore[arg-type]
        return out

    def _result(self, inputs: list[Any]) -> Any:
        """Dtype of the first loop that takes all inputs, as CuPy chooses it."""
        common = np.result_type(*inputs)
        if self.name in ("left_shift", "right_shift", "ldexp"):
            common = np.result_type(inputs[0])
        for kinds, result in self._loops:
            if all(np.can_cast(common, kind) for kind in kinds):
                return np.dtype(result[0])
        raise TypeError(f"cupy.{self.name} has no loop for {common}")

    @launching
    def reduce(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        self._additive("reduce")
        return wrap(self._numpy.reduce(operand(array, self.name), axis=axis, dtype=dtype, keepdims=keepdims))

    @launching
    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        self._additive("accumulate")
        return wrap(self._numpy.accumulate(operand(array, self.name), axis=axis, dtype=dtype))

    def _additive(self, method: str) -> None:
        if self.name not in ("add", "multiply"):
            raise NotImplementedError(f"cupy.{self.name}.{method}: only add and multiply have it.")

    @launching
    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        if not isinstance(a, ndarray):
            raise TypeError(f"cupy.{self.name}.at: expected a device array, got {type(a)}")
        if a.dtype.char not in _AT.get(self.name, ""):
            raise NotImplementedError(f"cupy.{self.name}.at does not exist for {a.dtype}")
        if not a._a.flags.writeable:
            raise StrictError(f"cupy.{self.name}.at writes to a view whose elements overlap.")
        value = operand(b, f"cupy.{self.name}.at")
        if isinstance(b, ndarray) and b.dtype != a.dtype:
            raise TypeError(f"cupy.{self.name}.at: the values are {b.dtype} and the array is {a.dtype}; cast first.")
        self._numpy.at(a._a, device_index(a, indices), np.asarray(value).astype(a.dtype))


UFUNCS = {name: ufunc(name, entry) for name, entry in SIGNATURES["ufuncs"].items() if hasattr(np, name)}


def _operator(name: str, reflected: bool = False, inplace: bool = False) -> Any:
    function = UFUNCS[name]

    def method(self: ndarray, *other: Any) -> Any:
        if inplace:
            return function(self, *other, out=self)
        return function(*reversed((self, *other))) if reflected else function(self, *other)

    return method


_BINARY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "left_shift", "rshift": "right_shift",
}  # fmt: skip
for _symbol, _name in _BINARY.items():
    setattr(ndarray, f"__{_symbol}__", _operator(_name))
    setattr(ndarray, f"__r{_symbol}__", _operator(_name, reflected=True))
    setattr(ndarray, f"__i{_symbol}__", _operator(_name, inplace=True))
for _symbol, _name in {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
    "neg": "negative", "abs": "absolute", "invert": "invert",
}.items():  # fmt: skip
    setattr(ndarray, f"__{_symbol}__", _operator(_name))
