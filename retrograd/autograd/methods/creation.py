"""Constructors: tensors from data, from a rule, and like another tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.autograd.graph import AccumulateGrad
from retrograd.autograd.methods.registry import public
from retrograd.autograd.promotion import get_default_dtype
from retrograd.autograd.tensor import Tensor, make
from retrograd.backends import Device, backend_of, current_device


def finish(array: Any, requires_grad: bool = False) -> Tensor:
    """A leaf around an array."""
    out = make(array)
    if requires_grad:
        if array.dtype.kind not in "fc":
            raise RuntimeError(f"only Tensors of floating point dtype can require gradients, got {array.dtype}")
        out._node = AccumulateGrad(out)
    return out


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of the data: numbers, nested sequences or an array.

    Python floats become the default float dtype, integers int64; arrays keep their dtype.

    >>> import retrograd as rg
    >>> rg.tensor([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    place = current_device() if device is None else Device(device)
    array = np.array(data, dtype=dtype)
    if dtype is None and array.dtype == np.float64 and not isinstance(data, (np.ndarray, np.generic)):
        array = array.astype(get_default_dtype())
    xp = backend_of(place)
    with place:
        return finish(xp.from_host(array) if array.ndim or place.type != "cpu" else array[()], requires_grad)


public(tensor, method=False)
