"""Distances of all pairs of rows."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.ops.linalg import vector_norm
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor
from retrograd.backends.kernels import fusable


@primitive(name="Cdist", promotes=("x", "y"), residuals=("apart",))
@fusable
def distances(xp: Any, x: Any, y: Any, *, p: float) -> Any:
    """p-norms of the differences of rows: x (*, n, d) and y (*, m, d) give (*, n, m).

    The differences (*, n, m, d) are the residual; None where they were never all there.
    """
    apart = differences(xp, x, y)
    return vector_norm.primitive.forward(xp, apart, ord=p, axis=-1), apart


@distances.vjp
def _(xp: Any, g: Any, x: Any, y: Any, out: Any, apart: Any, p: float) -> Any:
    return distance_gradients(xp, g, x, y, out, None if isinstance(g, Tensor) else apart, p)


@fusable
def distance_gradients(xp: Any, g: Any, x: Any, y: Any, out: Any, apart: Any, p: float) -> Any:
    """What each row gets from all its distances; nothing from those that are 0."""
    rule: Any = vector_norm.primitive.joint
    slopes = rule(xp, g, differences(xp, x, y) if apart is None else apart, out, p, -1, False, True)
    return xp.sum(slopes, axis=-2), -xp.sum(slopes, axis=-3)


def differences(xp: Any, x: Any, y: Any) -> Any:
    return xp.subtract(xp.expand_dims(x, axis=-2), xp.expand_dims(y, axis=-3))
