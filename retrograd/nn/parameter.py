"""Parameter and Buffer: Tensors that a Module finds in itself; an optimizer changes the first."""

from __future__ import annotations

from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.graph import AccumulateGrad
from retrograd.autograd.methods.creation import empty
from retrograd.autograd.tensor import Tensor, make
from retrograd.backends import backend_of_array

__all__ = ["Buffer", "Parameter", "blank"]


class Parameter(Tensor):
    """A Tensor to be learned: assigned as an attribute of a Module it is among the module's `parameters()`.

    It shares the storage of `data`, and requires a gradient unless told otherwise.
    Raises RuntimeError when a gradient is required of integers.

    >>> import retrograd as rg
    >>> rg.nn.Parameter(rg.tensor([1.0, 2.0]))
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        data = empty(0) if data is None else data
        if not isinstance(data, Tensor):
            raise TypeError(
                f"Parameter: data must be a Tensor, got {type(data).__name__}; make one with rg.tensor(...)"
            )
        if requires_grad and data.dtype.kind not in "fc":
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, got {data.dtype}; use x.float()."
            )
        self._array, self._stamp, self._node = data._array, data._stamp, None
        if requires_grad:
            self._node = AccumulateGrad(self)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            array = self.array
            memo[id(self)] = Parameter(make(backend_of_array[array.__class__].copy(array)), self._node is not None)
        copied: Parameter = memo[id(self)]
        return copied


class Buffer(Tensor):
    """A Tensor that a Module keeps without learning it: assigned as an attribute it is among the module's `buffers()`.

    It shares the storage of `data`, and requires a gradient if that does. `persistent=False`: not in `state_dict()`.

    >>> import retrograd as rg
    >>> module = rg.nn.Module()
    >>> module.mean = rg.nn.Buffer(rg.tensor([1.0, 2.0]))
    >>> module.state_dict()
    {'mean': tensor([1., 2.])}
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        data = empty(0) if data is None else data
        if not isinstance(data, Tensor):
            raise TypeError(f"Buffer: data must be a Tensor, got {type(data).__name__}; make one with rg.tensor(...)")
        self._array, self._stamp, self._node = data._array, data._stamp, None
        self.persistent = persistent
        if data.requires_grad:
            self._node = AccumulateGrad(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Buffer:
        if id(self) not in memo:
            array = self.array
            memo[id(self)] = copied = Buffer(
                make(backend_of_array[array.__class__].copy(array)), persistent=self.persistent
            )
            copied.requires_grad_(self._node is not None)
        found: Buffer = memo[id(self)]
        return found


for kind in (Parameter, Buffer):
    backend_of_array[kind] = ops  # type: ignore[assignment]  # the contract's names, acting on Tensors


def blank(shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> Parameter:
    """A new Parameter for an initialiser to fill."""
    return Parameter(empty(shape, device=device, dtype=dtype))
