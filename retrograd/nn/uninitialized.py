"""Parameters and buffers whose shape is not known yet: what lazy layers have until their first input."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from retrograd.autograd.graph import AccumulateGrad
from retrograd.autograd.methods.creation import empty
from retrograd.autograd.tensor import Tensor
from retrograd.backends import Device
from retrograd.nn.parameter import Parameter

__all__ = ["UninitializedBuffer", "UninitializedParameter"]


class Plan(NamedTuple):
    """What is known of a Tensor to come."""

    dtype: np.dtype[Any]
    device: Device
    requires_grad: bool


_place: Any = vars(Tensor)["_array"]
"""Tensor's slot for the array: until there is one, it holds the plan."""


class Uninitialized(Tensor):
    """A Tensor without values: it knows its dtype and device, and `materialize` makes it an ordinary one in place."""

    __slots__ = ()

    cls_to_become: ClassVar[type[Tensor]] = Tensor

    def __init__(self, requires_grad: bool, device: Any = None, dtype: Any = None) -> None:
        sample = empty(0, device=device, dtype=dtype)
        _place.__set__(self, Plan(sample.dtype, sample.device, requires_grad))
        self._stamp, self._node = [0], None

    @property
    def _array(self) -> Any:
        raise ValueError(
            f"Attempted to use an {type(self).__name__}: it has no values yet.\n"
            "Run the lazy module on an input first, or call materialize(shape)."
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """There is none yet: RuntimeError."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer; run the lazy module on an input first."
        )

    @property
    def plan(self) -> Plan:
        """What is known."""
        known: Plan = _place.__get__(self)
        return known

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that the values will have."""
        return self.plan.dtype

    @property
    def device(self) -> Device:
        """The device that the values will be on."""
        return self.plan.device

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient will be required."""
        return self.plan.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Says whether a gradient will be required."""
        _place.__set__(self, self.plan._replace(requires_grad=requires_grad))
        return self

    def to(self, device: Any = None, dtype: Any = None) -> Self:  # type: ignore[override]  # what Module.to calls
        """Changes, in place, what is planned."""
        plan = self.plan
        sample = empty(0, device=device or plan.device, dtype=dtype or plan.dtype)
        _place.__set__(self, plan._replace(dtype=sample.dtype, device=sample.device))
        return self

    def cpu(self) -> Self:
        """`to("cpu")`."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Self:  # type: ignore[override]  # what Module.cuda calls
        """`to("cuda")`."""
        return self.to("cuda" if device is None else device)

    def float(self) -> Self:
        """`to(float32)`."""
        return self.to(dtype="float32")

    def double(self) -> Self:
        """`to(float64)`."""
        return self.to(dtype="float64")

    def half(self) -> Self:
        """`to(float16)`."""
        return self.to(dtype="float16")

    def detach(self) -> Self:
        """Itself: there is nothing to share yet."""
        return self

    def materialize(self, shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> None:
        """Becomes an ordinary Tensor, or Parameter, of this shape, with any values."""
        plan = self.plan
        array = empty(shape, device=device or plan.device, dtype=dtype or plan.dtype).array
        self.__class__ = self.cls_to_become  # type: ignore[assignment]  # the same object: its owners keep it
        self._array = array  # type: ignore[misc]  # the slot again
        if plan.requires_grad:
            self._node = AccumulateGrad(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        plan = self.plan
        memo[id(self)] = type(self)(plan.requires_grad, plan.device, plan.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        plan = self.plan
        return type(self), (plan.requires_grad, str(plan.device), plan.dtype)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(Uninitialized, Parameter):
    """A Parameter whose shape is not known yet.

    >>> import retrograd as rg
    >>> p = rg.nn.UninitializedParameter()
    >>> p.materialize((2, 3))
    >>> p.shape
    (2, 3)
    """

    __slots__ = ()
    cls_to_become = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        Uninitialized.__init__(self, requires_grad, device, dtype)


class UninitializedBuffer(Uninitialized):
    """A buffer whose shape is not known yet."""

    __slots__ = ()

    def __init__(self, requires_grad: bool = False, device: Any = None, dtype: Any = None) -> None:
        super().__init__(requires_grad, device, dtype)


def is_lazy(value: Any) -> bool:
    """Whether a parameter or buffer has no shape yet."""
    return isinstance(value, Uninitialized)
