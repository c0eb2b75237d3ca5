"""Views: Tensors that share a storage, and in-place changes that reach all of them.

An in-place operation computes its result as a new value, writes it over the old one and gives the Tensor the new
value's place in the graph. Written through a view, the base gets a node that says "this region was replaced", and every
live view of the base is derived from it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from weakref import ref

from retrograd.autograd.graph import AccumulateGrad, Node, RetainGrad
from retrograd.autograd.modes import state
from retrograd.autograd.tensor import Stamp, Tensor, clock, make, namespace
from retrograd.autograd.trace import user_line
from retrograd.backends import backend_of_array

if TYPE_CHECKING:
    from retrograd.autograd.primitive import Primitive

__all__ = [
    "apply",
    "as_view",
    "as_views",
    "changed_in_place",
    "leave_views",
    "memory",
    "overwrite",
    "prepare",
    "rehome",
    "replay",
    "touch",
    "writable",
]

Step = tuple["Primitive", dict[str, Any]]
Steps = tuple[Step, ...]
"""How a view comes from its base: view primitives with their static parameters, in order."""

NO_GRAD = "it was made in no_grad mode"
SEVERAL = "it is one output of a function that returns multiple views"
_RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
"""By kind of dtype: a result does not fit into a lower one."""
UNCHANGED: Stamp = [0]
"""The stamp of a saved value that nobody else can change."""


# ---- making views


def as_view(x: Tensor, out: Tensor, primitive: Primitive, static: dict[str, Any]) -> None:
    """Makes `out` a view of x: of x's base, in one step more than x itself. A reshape may have copied: then not."""
    if primitive.view is not True and not _is_part(x._array, out._array):
        out._stamp = [0]
        return
    out._stamp = x._stamp
    base = getattr(x, "_whole", None)
    if base is None:
        base = x
        out._replay = ((primitive, static),)
    else:
        out._replay = (*x._replay, (primitive, static))
        if (refusal := getattr(x, "_refusal", None)) is not None:
            out._refusal = refusal
    if not state.grad:
        out._refusal = NO_GRAD
    out._whole = base
    views = getattr(base, "_views", None)
    if views is None:
        views = base._views = []
    elif (n := len(views)) > 7 and n & (n - 1) == 0:  # at powers of two: keep the living, at constant cost per view
        views[:] = [view for view in views if view() is not None]
    views.append(ref(out))


def as_views(x: Tensor, outs: Sequence[Tensor], steps: Sequence[Step]) -> None:
    """Makes the outputs of one operation views of x, each with the step that gives it alone."""
    for out, (primitive, static) in zip(outs, steps, strict=True):
        as_view(x, out, primitive, static)
        out._refusal = SEVERAL


def _is_part(whole: Any, part: Any) -> bool:
    """Whether an array that was made from another one still shows its memory."""
    return part is whole or (part.base is not None and (part.base is whole or part.base is whole.base))


def apply(primitive: Primitive, *inputs: Any, **static: Any) -> Any:
    """A primitive on Tensors, recorded, or its forward on plain arrays: what a rule needs beyond the contract."""
    if isinstance(inputs[0], Tensor):
        return primitive.record(*inputs, **static)
    return primitive.kernels[inputs[0].__class__](*inputs, **static)


def replay(x: Any, steps: Steps) -> Any:
    """The same view of another array or Tensor of the base's shape."""
    for primitive, static in steps:
        x = apply(primitive, x, **static)
    return x


# ---- before a change


def prepare(tensor: Tensor, *operands: Any) -> bool:
    """Whether an in-place change by an operation with these operands is recorded; raises where it must not happen."""
    if not state.grad:
        return False
    base = getattr(tensor, "_whole", tensor)
    if tensor._node is None and base._node is None:
        for operand in operands:
            if getattr(operand, "_node", None) is not None:
                break
        else:
            return False
    if tensor._node.__class__ is AccumulateGrad:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation; "
            "change it within rg.no_grad(), or a clone() of it."
        )
    if base._node.__class__ is AccumulateGrad:
        raise RuntimeError(
            "a view of a leaf Variable that requires grad is being used in an in-place operation; "
            "change it within rg.no_grad(), or a clone() of it."
        )
    if hasattr(tensor, "_refusal"):
        raise RuntimeError(
            f"this view cannot be modified inplace while the graph is recorded: {tensor._refusal}.\n"
            "Use an out-of-place operation, index the base instead, or clone() the view first."
        )
    if any(view._node.__class__ is AccumulateGrad for view in _views_of(base)):
        raise RuntimeError(
            "a view of this tensor is a leaf that requires grad; an in-place change would cut off its gradient.\n"
            "clone() one of the two first."
        )
    return True


def writable(tensor: Tensor, uniform: bool = False) -> Any:
    """The tensor's array, to be written into. RuntimeError where the memory is read-only, or where elements share it
    and what is written is not `uniform`, one number for all."""
    array = tensor.array
    if not uniform and not array.flags.c_contiguous and _overlaps(array):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory "
            "location. Please clone() the tensor before performing the operation."
        )
    array = memory(tensor)
    if not getattr(array.flags, "writeable", True):
        raise RuntimeError(
            "the memory of this tensor is read-only, so it cannot be changed in place; clone() it first."
        )
    return array


def memory(tensor: Tensor) -> Any:
    """The tensor's array, without the mark against writing that NumPy puts on some views of writable memory."""
    array = tensor.array
    base = getattr(tensor, "_whole", None)
    if base is None or getattr(array.flags, "writeable", True) or not base._array.flags.writeable:
        return array
    return namespace(tensor).writable(array)


def _overlaps(array: Any) -> bool:
    """Whether two elements of a strided array share memory (True also for some exotic strides where none do)."""
    extent = array.itemsize
    for stride, length in sorted((abs(s), n) for s, n in zip(array.strides, array.shape) if n != 1):
        if length == 0:
            return False
        if stride < extent:
            return True
        extent += stride * (length - 1)
    return False


# ---- the change


def overwrite(tensor: Tensor, result: Tensor, who: str, since: int | None = None) -> Tensor:
    """Replaces the tensor's value, and its place in the graph, by the result of an operation on it.

    Nodes recorded after the tick `since` belong to that operation (by default all after the tensor's own): what they
    saved of the old value is copied first.
    """
    if result.shape != tensor.shape:
        raise RuntimeError(f"{who}: the result's shape {result.shape} doesn't match the tensor's shape {tensor.shape}.")
    if _RANK[result.dtype.kind] > _RANK[tensor.dtype.kind]:
        raise RuntimeError(f"{who}: result type {result.dtype} can't be cast to the desired output type {tensor.dtype}")
    recorded = prepare(tensor, result)
    array = writable(tensor)
    if recorded:
        first = since if since is not None else tensor._node.seq if tensor._node is not None else 0
        _keep_saved(result._node, tensor._stamp, first)
    value = (
        result._array if result._stamp is not tensor._stamp else backend_of_array[array.__class__].copy(result._array)
    )
    namespace(tensor).setitem(array, ..., value)
    changed_in_place(tensor, result if recorded else None, who)
    return tensor


def changed_in_place(tensor: Tensor, result: Tensor | None, who: str) -> None:
    """Stamps a storage that has been written; with a result, gives its node to the tensor and to its relatives."""
    touch(tensor, who)
    if result is None:
        return
    from retrograd.autograd.ops.inplace import replaced, write_view

    base = getattr(tensor, "_whole", tensor)
    if base is tensor:
        if result._node is None:
            result = replaced(tensor, result)
        if result.dtype != tensor.dtype:
            result = backend_of_array[Tensor].astype(result, dtype=tensor.dtype)
        _give_node(tensor, result._node)
    else:
        _give_node(base, write_view(base, result, steps=tensor._replay)._node)
    for view in _views_of(base):
        _give_node(view, replay(make(base._array, base._node, base._stamp), view._replay)._node)


def touch(tensor: Tensor, who: str) -> None:
    """Stamps the storage: changed now, by whom."""
    stamp = tensor._stamp
    stamp[:] = [next(clock), (stamp[1] if len(stamp) > 1 else 0) + 1, f"{who} at {user_line()}"]


def _keep_saved(last: Node | None, stamp: Stamp, since: int) -> None:
    """Copies the old value wherever the operation itself has saved it, before it is overwritten."""
    pending: list[Node | None] = [last]
    seen: set[int] = set()
    while pending:
        node: Any = pending.pop()
        if node is None or node.seq <= since or node.seq in seen:
            continue
        seen.add(node.seq)
        pending += node.parents
        for name in node.saves:
            if getattr(node, f"{name}_stamp", None) is stamp:
                setattr(node, name, getattr(node, name).copy())
                setattr(node, f"{name}_stamp", UNCHANGED)
        for i, saved in enumerate(getattr(node, "stamps", ())):
            if saved is stamp:
                values = getattr(node, node.primitive.variadic)
                values[i], node.stamps[i] = values[i].copy(), UNCHANGED


def _give_node(tensor: Tensor, node: Node | None) -> None:
    """A new place in the graph; a gradient that is to be retained is retained there."""
    old, tensor._node = tensor._node, node
    if old is not None and old.hooks and node is not None:
        retaining = [h for h in old.hooks if isinstance(h, RetainGrad) and h.tensor() is tensor]
        if retaining:
            old.hooks[:] = [h for h in old.hooks if h not in retaining]
            node.hooks = [*(node.hooks or ()), *retaining]


def _views_of(base: Tensor) -> Iterator[Tensor]:
    for reference in getattr(base, "_views", ()):
        view = reference()
        if view is not None:
            yield view


def leave_views(tensor: Tensor) -> None:
    """Before a tensor takes another storage: its views stay with the old one, and it is a view of nothing itself."""
    views = list(_views_of(tensor))
    if views:
        old = make(tensor._array, tensor._node, tensor._stamp)
        old._views = [ref(view) for view in views]
        for view in views:
            view._whole = old
    for name in ("_whole", "_refusal", "_replay", "_views"):
        if hasattr(tensor, name):
            delattr(tensor, name)


def rehome(tensor: Tensor, old: Tensor, view: Tensor) -> None:
    """Makes a tensor the view `view` of its old self `old`, a new Tensor, which takes over its other views."""
    if hasattr(tensor, "_whole"):
        tensor._replay = (*tensor._replay, *view._replay)
    else:
        others = list(_views_of(tensor))
        for other in others:
            other._whole = old
        old._views = [ref(other) for other in (*others, tensor)]
        tensor._whole, tensor._replay = old, view._replay
    tensor._array = view._array
    if tensor._node.__class__ is AccumulateGrad:
        tensor._node.shape = view.shape
    else:
        _give_node(tensor, view._node)
