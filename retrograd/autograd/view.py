"""Views: Tensors that share a storage, and in-place changes that reach all of them.

An in-place operation computes its result as a new value, writes it over the old one and gives the Tensor the new
value's place in the graph. Written through a view, the base gets a node that says "this region was replaced", and every
live view of the base is derived from it again.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from retrograd.autograd.graph import AccumulateGrad, Node
from retrograd.autograd.modes import state
from retrograd.autograd.tensor import Tensor, clock, make, namespace
from retrograd.autograd.trace import user_line
from retrograd.backends import backend_of_array

if TYPE_CHECKING:
    from retrograd.autograd.primitive import Primitive

__all__ = ["as_view", "overwrite", "touch"]

Steps = tuple[tuple["Primitive", dict[str, Any]], ...]
"""How a view comes from its base: view primitives with their static parameters, in order."""


def as_view(x: Tensor, out: Tensor, primitive: Primitive, static: dict[str, Any]) -> None:
    """Makes `out` a view of x if it shares x's memory, else a storage of its own (a reshape may have copied)."""
    a, b = x._array, out._array
    if not (b is a or (b.base is not None and (b.base is a or b.base is a.base))):
        out._stamp = [0]
        return
    out._stamp = x._stamp
    base = getattr(x, "_base", x)
    out._base = base
    out._replay = (*getattr(x, "_replay", ()), (primitive, static))
    views = getattr(base, "_views", None)
    if views is None:
        views = base._views = []
    elif len(views) & (len(views) - 1) == 0:  # at every power of two: keep the living, at constant cost per view
        views[:] = [view for view in views if view() is not None]
    views.append(weakref.ref(out))


def replay(x: Any, steps: Steps) -> Any:
    """The same view of another array or Tensor of the base's shape."""
    for primitive, static in steps:
        x = primitive.record(x, **static) if x.__class__ is Tensor else primitive.kernels[x.__class__](x, **static)
    return x


def touch(tensor: Tensor, who: str) -> None:
    """Stamps the storage: changed now, by whom."""
    stamp = tensor._stamp
    stamp[:] = [next(clock), (stamp[1] if len(stamp) > 1 else 0) + 1, f"{who} at {user_line()}"]


def refuse_leaf(tensor: Tensor) -> None:
    """In-place changes of a leaf that requires a gradient are refused while recording, as in PyTorch."""
    if state.grad:
        if tensor._node.__class__ is AccumulateGrad:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        base = getattr(tensor, "_base", None)
        if base is not None and base._node.__class__ is AccumulateGrad:
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")


def overwrite(tensor: Tensor, result: Tensor, who: str) -> Tensor:
    """Replaces the tensor's value, and its place in the graph, by the result of an operation on it."""
    if result.shape != tensor.shape:
        raise RuntimeError(
            f"{who}: the result has shape {result.shape}, which does not fit into the tensor's {tensor.shape}"
        )
    if result.dtype.kind != tensor.dtype.kind and "buif".find(result.dtype.kind) > "buif".find(tensor.dtype.kind):
        raise RuntimeError(f"{who}: result type {result.dtype} can't be cast to the desired output type {tensor.dtype}")
    refuse_leaf(tensor)
    array = tensor.array
    if state.grad and result._node is not None:
        keep_saved(result._node, array)
    namespace(tensor).setitem(array, ..., result._array)
    touch(tensor, who)
    if state.grad:
        rebase(tensor, result)
    return tensor


def keep_saved(node: Node, array: Any) -> None:
    """Copies the old value where the operation itself has saved it, before it is overwritten."""
    for name in node.saves:
        if getattr(node, name, None) is array:
            setattr(node, name, backend_of_array[array.__class__].copy(array))
            setattr(node, f"{name}_stamp", (0,))


def rebase(tensor: Tensor, result: Tensor) -> None:
    """Gives a changed tensor the result's node, and its relatives on the same storage theirs."""
    from retrograd.autograd.ops.inplace import write_view

    base = getattr(tensor, "_base", None)
    if base is None:
        tensor._node = _cast_node(result, tensor)
        base = tensor
    elif result._node is not None or base._node is not None:
        base._node = write_view(base, result, steps=tensor._replay)._node
    for reference in getattr(base, "_views", ()):
        view = reference()
        if view is not None:
            view._node = replay(make(base._array, base._node, base._stamp), view._replay)._node


def _cast_node(result: Tensor, tensor: Tensor) -> Node | None:
    if result._node is not None and result.dtype != tensor.dtype:
        return backend_of_array[Tensor].astype(result, dtype=tensor.dtype)._node  # type: ignore[no-any-return]
    return result._node
