"""Whether Tensors are equal, or nearly."""

from __future__ import annotations

from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.registry import public
from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor, namespace

__all__: list[str] = []

_ops: Any = ops


def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether |input - other| ≤ atol + rtol |other|, element by element; infinities are close to themselves alone.

    Shapes broadcast, dtypes must be equal. RuntimeError for different dtypes and for negative tolerances.

    >>> import retrograd as rg
    >>> rg.isclose(rg.tensor([1.0, 2.0]), rg.tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        raise TypeError(f"isclose: expected two Tensors, got {type(input).__name__} and {type(other).__name__}.")
    if input.dtype != other.dtype:
        raise RuntimeError(f"isclose: {input.dtype} did not match {other.dtype}; cast one to the other's dtype.")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose: rtol and atol must be at least 0, got {rtol} and {atol}.")
    with no_grad():
        same = _ops.equal(input, other)
        if input.dtype.kind == "f" and equal_nan:
            same = same | (_ops.isnan(input) & _ops.isnan(other))
        if input.dtype.kind == "b":
            return same  # type: ignore[no-any-return]
        near = _ops.abs(_ops.subtract(input, other)) <= _ops.abs(other) * rtol + atol
        return same | (near & _ops.isfinite(other) & _ops.isfinite(input))  # type: ignore[no-any-return]


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close, as in `isclose`.

    >>> import retrograd as rg
    >>> rg.allclose(rg.tensor([1.0, 2.0]), rg.tensor([1.0, 2.000001]))
    True
    """
    close = isclose(input, other, rtol, atol, equal_nan)
    return bool(namespace(close).all(close._array))


def equal(input: Any, other: Any) -> bool:
    """Whether two Tensors have the same shape and the same elements.

    >>> import retrograd as rg
    >>> rg.equal(rg.tensor([1, 2]), rg.tensor([1, 2])), rg.equal(rg.tensor([1, 2]), rg.tensor([1]))
    (True, False)
    """
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        raise TypeError(f"equal: expected two Tensors, got {type(input).__name__} and {type(other).__name__}.")
    if input.shape != other.shape:
        return False
    same = _ops.equal(input, other)
    return bool(namespace(same).all(same._array))


for _function in (isclose, allclose, equal):
    public(_function)
