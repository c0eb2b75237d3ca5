"""Parameter: a Tensor that a Module finds in itself and an optimizer changes."""

from __future__ import annotations

from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.graph import AccumulateGrad
from retrograd.autograd.methods.creation import empty
from retrograd.autograd.tensor import Tensor, make
from retrograd.backends import backend_of_array

__all__ = ["Parameter", "blank"]


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


backend_of_array[Parameter] = ops  # type: ignore[assignment]  # the contract's names, acting on Tensors


def blank(shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> Parameter:
    """A new Parameter for an initialiser to fill."""
    return Parameter(empty(shape, device=device, dtype=dtype))
