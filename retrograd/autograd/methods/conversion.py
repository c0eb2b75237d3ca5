"""To another dtype, another device, and out to NumPy. Casts between floats and moves pass the gradient back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import checked_dtype, is_dtype, place_of, refusing, same_place
from retrograd.autograd.methods.registry import method
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.backends import Device, device_of

__all__ = ["cast", "converted", "moved"]


def cast(x: Tensor, dtype: np.dtype[Any]) -> Tensor:
    """x in a dtype; x itself when it has it. To an integer dtype no gradient passes."""
    if x.dtype == dtype:
        return x
    if dtype.kind not in "fc":
        return make(namespace(x).astype(x._array, dtype))
    out: Tensor = ops.astype(x, dtype=dtype)
    return out


def moved(x: Tensor, place: Device) -> Tensor:
    """x on a device; x itself when it is there."""
    here = device_of(x._array)
    if same_place(here, place):
        return x
    out: Tensor = ops.to_device(x, source=here, target=place)
    return out


def converted(x: Tensor, dtype: Any = None, device: Any = None, copy: bool = False) -> Tensor:
    """x in a dtype on a device, None leaving it as it is; x itself when nothing changes and no copy is wanted."""
    out = x
    if dtype is not None:
        out = cast(out, checked_dtype(dtype))
    if device is not None:
        out = moved(out, place_of(device))
    return ops.copy(x) if copy and out is x else out


@refusing("memory_format")
def to(
    self: Tensor,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    other: Tensor | None = None,
    non_blocking: bool = False,
    copy: bool = False,
) -> Tensor:
    """This Tensor in another dtype or on another device: `to(dtype)`, `to(device, dtype)`, `to(other)`.

    Returns the Tensor itself when nothing changes, unless `copy`. The gradient is cast and moved back; to an integer
    dtype none passes. `non_blocking` permits a copy that does not wait; copies always wait here.

    >>> import retrograd as rg
    >>> rg.tensor([1.7, -1.7]).to(rg.int64)
    tensor([ 1, -1])
    """
    given: dict[str, Any] = {"dtype": dtype, "device": device, "other": other}
    flags = [a for a in args if isinstance(a, bool)]
    for value in args[: len(args) - len(flags)]:
        kind = "other" if isinstance(value, Tensor) else "dtype" if is_dtype(value) else "device"
        if value is None:
            continue
        if given[kind] is not None:
            raise TypeError(f"to: {kind} is given twice, as {given[kind]!r} and {value!r}.")
        given[kind] = value
    if len(flags) > 2 or any(isinstance(a, bool) for a in args[: len(args) - len(flags)]):
        raise TypeError(f"to: expected dtype, device or a Tensor, then non_blocking and copy; got {args!r}.")
    copy = flags[1] if len(flags) == 2 else copy
    like = given["other"]
    if like is not None:
        if given["dtype"] is not None or given["device"] is not None:
            raise TypeError("to: give either another Tensor, or a dtype and a device.")
        return converted(self, like.dtype, device_of(like._array), copy)
    return converted(self, given["dtype"], given["device"], copy)


def cpu(self: Tensor) -> Tensor:
    """This Tensor in the host's memory; itself when it is there."""
    return moved(self, Device("cpu"))


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """This Tensor on a GPU, by default the current one; itself when it is there."""
    place = place_of("cuda" if device is None else device)
    if place.type != "cuda":
        raise RuntimeError(f"cuda: invalid device {place}; give a GPU, e.g. cuda:0, or use to().")
    return moved(self, place)


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This Tensor in the dtype and on the device of another."""
    return converted(self, other.dtype, device_of(other._array))


_TYPE_NAMES = {
    "HalfTensor": np.dtype(np.float16),
    "FloatTensor": np.dtype(np.float32),
    "DoubleTensor": np.dtype(np.float64),
    "CharTensor": np.dtype(np.int8),
    "ShortTensor": np.dtype(np.int16),
    "IntTensor": np.dtype(np.int32),
    "LongTensor": np.dtype(np.int64),
    "ByteTensor": np.dtype(np.uint8),
    "UInt16Tensor": np.dtype(np.uint16),
    "UInt32Tensor": np.dtype(np.uint32),
    "UInt64Tensor": np.dtype(np.uint64),
    "BoolTensor": np.dtype(np.bool_),
}
_NAMES_OF_TYPES = {dtype: name for name, dtype in _TYPE_NAMES.items()}


def type_(self: Tensor, dtype: Any = None) -> Tensor | str:
    """This Tensor in a dtype (`rg.float64` or "rg.DoubleTensor"); without one, the name of its own type.

    >>> import retrograd as rg
    >>> rg.ones(2).type()
    'rg.FloatTensor'
    """
    if dtype is None:
        place = device_of(self._array)
        return f"rg.{'' if place.type == 'cpu' else place.type + '.'}{_NAMES_OF_TYPES[self.dtype]}"
    if isinstance(dtype, str) and dtype.startswith("rg."):
        *_, name = parts = dtype.split(".")
        if name not in _TYPE_NAMES or len(parts) > 3:
            raise ValueError(f"type: invalid type {dtype!r}; known are {', '.join('rg.' + n for n in _TYPE_NAMES)}.")
        return converted(self, _TYPE_NAMES[name], parts[1] if len(parts) == 3 else "cpu")
    return converted(self, dtype)


def _caster(name: str, dtype: Any) -> Callable[[Tensor], Tensor]:
    target = np.dtype(dtype)

    def to_dtype(self: Tensor) -> Tensor:
        return cast(self, target)

    to_dtype.__name__ = to_dtype.__qualname__ = name
    to_dtype.__doc__ = f"This Tensor as {target}; itself when it is."
    return to_dtype


def bfloat16(self: Tensor) -> Tensor:
    """Not supported: NumPy has no such dtype."""
    raise NotImplementedError("bfloat16 is not supported: NumPy has no such dtype; use half() or float().")


def numpy(self: Tensor, *, force: bool = False) -> Any:
    """The NumPy array itself, no copy: changes of one are seen in the other.

    Raises TypeError on a GPU and RuntimeError for a Tensor that requires a gradient; `force=True` does what the
    message says, and may copy.
    """
    if not force:
        place = device_of(self._array)
        if place.type != "cpu":
            raise TypeError(f"can't convert a tensor on {place} to numpy; use t.cpu() to copy it to the host first.")
        if self._node is not None:
            raise RuntimeError(
                "numpy: an array would lose the graph of this tensor, which requires grad; use detach().numpy()."
            )
    return namespace(self).to_host(self.array)


for _function in (to, cpu, cuda, type_as, bfloat16, numpy):
    method(_function)
method(type_, name="type")
for _name, _dtype in {
    "half": np.float16,
    "float": np.float32,
    "double": np.float64,
    "char": np.int8,
    "short": np.int16,
    "int": np.int32,
    "long": np.int64,
    "byte": np.uint8,
    "bool": np.bool_,
}.items():
    method(_caster(_name, _dtype), name=_name)
