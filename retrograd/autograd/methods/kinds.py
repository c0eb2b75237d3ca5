"""What kind of tensor it is: questions whose answer is mostly no here, asked by code that serves all of PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.autograd.methods.attributes import attribute
from retrograd.autograd.methods.registry import method, public
from retrograd.autograd.tensor import Tensor
from retrograd.backends import device_of

__all__: list[str] = []

_function: Any


def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers.

    >>> import retrograd as rg
    >>> rg.is_signed(rg.tensor([1.0]))
    True
    """
    return bool(input.dtype.kind in "if")


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape."""
    return input.shape == other.shape


def is_nonzero(input: Tensor) -> bool:
    """Whether the only element differs from 0. RuntimeError unless there is exactly one."""
    return bool(input)


def is_conj(input: Tensor) -> bool:
    """Whether it is a lazily conjugated complex tensor: never."""
    return False


def is_neg(input: Tensor) -> bool:
    """Whether its negation is lazy: never."""
    return False


def is_inference(input: Tensor) -> bool:
    """Whether it was made in inference mode, which is `no_grad` here and leaves no mark: never."""
    return False


def conj(input: Tensor) -> Tensor:
    """The complex conjugate: of real numbers themselves."""
    return input


def get_device(input: Tensor) -> int:
    """The number of the GPU that holds the elements; -1 for the CPU."""
    place = device_of(input._array)
    return -1 if place.type == "cpu" else place.index or 0


for _function in (is_signed, is_same_size, is_nonzero, is_conj, is_neg, is_inference):
    public(_function)
for _name in ("conj", "conj_physical", "resolve_conj", "resolve_neg"):
    public(conj, name=_name)
public(get_device)
attribute("real", conj)
for _name in (
    "is_sparse", "is_sparse_csr", "is_quantized", "is_nested", "is_mkldnn", "is_meta", "is_mps", "is_xla", "is_xpu",
    "is_ipu", "is_maia", "is_mtia", "is_vulkan",
):  # fmt: skip
    attribute(_name, lambda self: False)
attribute("name", lambda self: None)
method(lambda self: False, name="is_shared")
method(lambda self, device=None: False, name="is_pinned")


# ---- element by element in Python: slow, for what no function does


def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replaces every element by a Python function of it; on the CPU, and not where gradients are recorded."""
    return _mapped("apply_", self, callable)


def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replaces every element by a Python function of it and of another tensor's, which broadcasts."""
    return _mapped("map_", self, callable, tensor)


def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Replaces every element by a Python function of it and of two other tensors', which broadcast."""
    return _mapped("map2_", self, callable, x, y)


def _mapped(name: str, self: Tensor, function: Callable[..., Any], *others: Tensor) -> Tensor:
    operands = (self, *others)
    if any(operand.requires_grad for operand in operands):
        raise RuntimeError(f"Can't call {name}() on a Tensor that requires grad. Use detach().{name}() instead.")
    if any(device_of(operand._array).type != "cpu" for operand in operands):
        raise TypeError(f"{name}: only implemented on CPU tensors; move it with .cpu() first.")
    arrays = np.broadcast_arrays(*(operand.array for operand in operands))
    rows = zip(*(array.reshape(-1).tolist() for array in arrays))
    values = np.asarray([function(*row) for row in rows], dtype=self.dtype).reshape(arrays[0].shape)
    return self.copy_(self.new_tensor(values))


for _function in (apply_, map_, map2_):
    method(_function)
