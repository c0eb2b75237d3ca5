"""The primitive that moves an array to another device."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor
from retrograd.backends import Device, backend_of


@primitive(name="ToCopy")
def to_device(xp: Any, x: Any, *, source: Device, target: Device) -> Any:
    """A copy of x, which is on the device `source`, on the device `target`, by way of the host."""
    with source:
        host = xp.to_host(x)
    with target:
        return backend_of(target).from_host(host)


@to_device.vjp
def _(xp: Any, g: Any, source: Device, target: Device) -> Any:
    if isinstance(g, Tensor):
        return to_device(g, source=target, target=source)
    return to_device.primitive.forward(xp, g, source=target, target=source)
