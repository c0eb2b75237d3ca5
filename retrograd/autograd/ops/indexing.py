"""Indexing primitives: reading, writing and adding into parts of an array.

A basic index (integers, slices, None, Ellipsis) shows the same memory. With arrays in it, it is taken in two steps, as
PyTorch does: first the basic part gives a view, then `Places`, index arrays among full slices, pick elements of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.autograd.ops.index_parts import normalized
from retrograd.autograd.ops.inplace import replaced
from retrograd.autograd.primitive import nondifferentiable, primitive
from retrograd.autograd.tensor import Stamp, Tensor, make, namespace
from retrograd.autograd.view import apply, changed_in_place, prepare, touch, writable
from retrograd.backends import backend_of_array, device_of


class Places:
    """Index arrays among full slices. Remembers the stamps of their storages, as a gradient needs them unchanged."""

    __slots__ = ("parts", "watched")

    def __init__(self, parts: tuple[Any, ...], stamps: Sequence[Stamp] = ()) -> None:
        self.parts = parts
        self.watched = [(stamp, stamp[0]) for stamp in stamps]

    def unchanged(self) -> Places:
        """Itself. RuntimeError when an index array has been changed in place since."""
        for stamp, tick in self.watched:
            if stamp[0] != tick:
                raise RuntimeError(
                    f"an index array was changed in place by {stamp[2]}, and a gradient needs the old one; "
                    "clone() it before indexing with it."
                )
        return self

    @property
    def may_repeat(self) -> bool:
        """Whether an element can be named twice: integer arrays can, masks cannot."""
        return any(not isinstance(part, slice) and part.dtype.kind != "b" for part in self.parts)

    def ndim_of(self, x: Tensor) -> int:
        """Number of dimensions of x at these places."""
        arrays = [part for part in self.parts if not isinstance(part, slice)]
        taken = sum(part.ndim if part.dtype.kind == "b" else 1 for part in arrays)
        return x.ndim - taken + max(1 if part.dtype.kind == "b" else part.ndim for part in arrays)


# ---- basic: views


@primitive(name="Slice", view=True)
def slice_view(xp: Any, x: Any, *, index: tuple[Any, ...]) -> Any:
    """x[index] for integers, slices, None and one Ellipsis, which keeps a 0-d result an array."""
    return x[index]


@primitive(name="SliceBackward")
def placed(xp: Any, x: Any, *, shape: tuple[int, ...], index: tuple[Any, ...]) -> Any:
    """Zeros of a shape with x at a basic index."""
    out = xp.new_zeros(x, shape=shape)
    xp.setitem(out, index, x)
    return out


placed.vjp(lambda xp, g, index: apply(slice_view.primitive, g, index=index))
slice_view.vjp(lambda xp, g, x_shape, index: apply(placed.primitive, g, shape=x_shape, index=index))


# ---- advanced: copies


def parts_of(index: Any) -> Any:
    """The index that a backend understands."""
    return index.parts if isinstance(index, Places) else index


def checked(index: Any) -> Any:
    return index.unchanged() if isinstance(index, Places) else index


@primitive(name="Index", heavy=("index",))
def pick(xp: Any, x: Any, *, index: Any) -> Any:
    """A copy of the elements at index arrays."""
    return xp.getitem(x, parts_of(index))


@pick.vjp
def _(xp: Any, g: Any, x_shape: tuple[int, ...], index: Any) -> Any:
    return apply(index_sum.primitive, g, index=checked(index), shape=x_shape)


@primitive(name="IndexBackward", heavy=("index",))
def index_sum(xp: Any, value: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of a shape with the value added at the index, duplicates added up."""
    return xp.index_sum(value, parts_of(index), shape=shape)


index_sum.vjp(lambda xp, g, index: apply(pick.primitive, g, index=checked(index)))


@primitive(name="IndexPut", promotes=("x", "value"), heavy=("index",))
def index_add(xp: Any, x: Any, value: Any, *, index: Any) -> Any:
    """A copy of x with the value added at the index, duplicates added up."""
    return xp.index_add(x, parts_of(index), value)


index_add.vjps(x=lambda xp, g: g, value=lambda xp, g, index: apply(pick.primitive, g, index=checked(index)))


@primitive(name="IndexPut", heavy=("index",))
def index_put(xp: Any, x: Any, value: Any, *, index: Any, written: bool = False) -> Any:
    """A copy of x with the value written at the index, of duplicates the last; x itself if it is `written` already."""
    if written:
        return x
    out = xp.copy(x)
    xp.setitem(out, parts_of(index), xp.ascontiguousarray(value))
    return out


@primitive(name="IndexFill", heavy=("index",))
def index_fill(xp: Any, x: Any, *, index: Any, value: Any) -> Any:
    """A copy of x with a number at the index."""
    out = xp.copy(x)
    xp.setitem(out, parts_of(index), value)
    return out


index_fill.vjp(lambda xp, g, index: apply(index_fill.primitive, g, index=checked(index), value=0))


@primitive(name="Index", heavy=("index",))
def pick_winners(xp: Any, x: Any, *, index: Any) -> Any:
    """x at the index; zero for a duplicate that a later one overwrites, as its value is not seen."""
    out = xp.getitem(x, parts_of(index))
    lost = overwritten(xp, x.shape, index)
    return out if lost is None else xp.where(lost, 0, out)


@pick_winners.vjp
def _(xp: Any, g: Any, x_shape: tuple[int, ...], index: Any) -> Any:
    return apply(add_winners.primitive, g, shape=x_shape, index=checked(index))


@primitive(name="IndexPut", heavy=("index",))
def add_winners(xp: Any, x: Any, *, shape: tuple[int, ...], index: Any) -> Any:
    """Zeros with x written at the index."""
    out = xp.new_zeros(x, shape=shape)
    xp.setitem(out, parts_of(index), x)
    return out


add_winners.vjp(lambda xp, g, index: apply(pick_winners.primitive, g, index=checked(index)))
index_put.vjps(
    x=lambda xp, g, index: apply(index_fill.primitive, g, index=checked(index), value=0),
    value=lambda xp, g, index: apply(pick_winners.primitive, g, index=checked(index)),
)


def overwritten(xp: Any, shape: tuple[int, ...], index: Any) -> Any:
    """Where the written elements of an index are overwritten by later duplicates; None when there cannot be any."""
    if isinstance(index, Places) and not index.may_repeat:
        return None
    last = xp.zeros(shape, dtype="int64")
    order = xp.getitem(last, parts_of(index))
    size = 1
    for n in order.shape:
        size *= n
    order = xp.reshape(xp.arange(size), order.shape)
    xp.setitem(last, parts_of(index), order)
    return xp.not_equal(xp.getitem(last, parts_of(index)), order)


# ---- along one axis


@primitive(name="Gather")
def take_along_axis(xp: Any, x: Any, indices: Any, *, axis: int) -> Any:
    """x at the indices along one axis."""
    return xp.take_along_axis(x, indices, axis=axis)


take_along_axis.vjps(
    x=lambda xp, g, indices, axis, x_shape: xp.add_along_axis(xp.new_zeros(g, shape=x_shape), indices, g, axis=axis)
)


@primitive(name="ScatterAdd", promotes=("x", "values"))
def add_along_axis(xp: Any, x: Any, indices: Any, values: Any, *, axis: int) -> Any:
    """A copy of x with values added at the indices along one axis, duplicates added up."""
    return xp.add_along_axis(x, indices, values, axis=axis)


add_along_axis.vjps(
    x=lambda xp, g: g,
    values=lambda xp, g, indices, axis: xp.take_along_axis(g, indices, axis=axis),
)


@primitive(name="Scatter")
def put_along_axis(xp: Any, x: Any, indices: Any, values: Any, *, axis: int) -> Any:
    """A copy of x with values written at the indices along one axis, of duplicates the last in memory order."""
    return xp.put_along_axis(x, xp.ascontiguousarray(indices), xp.ascontiguousarray(values), axis=axis)


def zeros_at(xp: Any, g: Any, indices: Any) -> Any:
    return xp.new_zeros(g, shape=indices.shape)


@nondifferentiable
def lost_along_axis(xp: Any, indices: Any, *, shape: tuple[int, ...], axis: int) -> Any:
    """Where a value that is written at the indices is overwritten by a later duplicate."""
    size = 1
    for n in indices.shape:
        size *= n
    order, indices = xp.reshape(xp.arange(size), indices.shape), xp.ascontiguousarray(indices)
    last = xp.put_along_axis(xp.zeros(shape, dtype=order.dtype), indices, order, axis=axis)
    return xp.not_equal(xp.take_along_axis(last, indices, axis=axis), order)


put_along_axis.vjps(
    x=lambda xp, g, indices, axis: xp.put_along_axis(g, indices, zeros_at(xp, g, indices), axis=axis),
    values=lambda xp, g, indices, axis, x_shape: xp.where(
        apply(lost_along_axis.primitive, indices, shape=x_shape, axis=axis),
        0.0,
        xp.take_along_axis(g, indices, axis=axis),
    ),
)


# ---- the index as a user writes it


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index], with all of NumPy's and PyTorch's indices but negative steps.

    Integers, slices, None and Ellipsis give a view; boolean masks and integer arrays (Tensors, NumPy arrays, lists) a
    copy. Raises IndexError where the index does not fit, ValueError for a step that is not positive.
    """
    kind = index.__class__
    if kind is int:
        return slice_view(x, index=(index, ...))  # type: ignore[no-any-return]
    parts = index if kind is tuple else (index,)
    open_ended = True
    for part in parts:
        kind = part.__class__
        if kind is slice:
            step = part.step
            if step is not None and step < 1:
                raise ValueError(f"step must be greater than zero, got {step} in {part}; use flip() to reverse.")
        elif part is Ellipsis:
            open_ended = False
        elif kind is not int and part is not None:
            view, places = split(x, parts)
            if view is not None:
                x = slice_view(x, index=view)
            return x if places is None else pick(x, index=places)
    return slice_view(x, index=(*parts, ...) if open_ended else parts)  # type: ignore[no-any-return]


def split(x: Tensor, parts: tuple[Any, ...]) -> tuple[tuple[Any, ...] | None, Places | None]:
    """An index in its two steps: the basic one (None where it would change nothing), then the places (or None)."""
    view: list[Any] = []
    places: list[Any] = []
    stamps: list[Stamp] = []
    whole = True
    for part, stamp in normalized(x, parts):
        if part is None:
            view.append(None)
            places.append(slice(None))
            whole = False
        elif isinstance(part, int):
            view.append(part)
            whole = False
        elif isinstance(part, slice):
            view.append(part)
            places.append(slice(None))
            whole = whole and part == slice(None)
        else:
            if part.ndim == 0:  # a truth value adds an axis of length 1 or 0
                view.append(None)
                part, whole = part.reshape(1), False
            else:
                view += [slice(None)] * (part.ndim if part.dtype.kind == "b" else 1)
            places.append(part)
            stamps += [stamp] if stamp is not None else []
    advanced = any(not isinstance(part, slice) for part in places)
    while places and isinstance(places[-1], slice):
        places.pop()
    return None if whole and advanced else (*view, ...), Places(tuple(places), stamps) if advanced else None


def is_basic(parts: tuple[Any, ...]) -> bool:
    """Whether an index is made of integers, full or contiguous slices, None and Ellipsis alone."""
    for part in parts:
        kind = part.__class__
        if (
            kind is not int
            and part is not None
            and part is not Ellipsis
            and (kind is not slice or part.step is not None)
        ):
            return False
    return True


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value, in place and recorded; a duplicate index takes the last of its values.

    The value is a number, a Tensor or a NumPy array that broadcasts to x[index]; it is cast to x's dtype where the
    index is basic, and must have x's dtype where it holds arrays. Raises IndexError where the index does not fit,
    RuntimeError where the value does not, and for a leaf that requires a gradient.
    """
    value = _value(x, value)
    parts = index if index.__class__ is tuple else (index,)
    related = getattr(value, "_whole", None) is getattr(x, "_whole", x)
    if not related and is_basic(parts) and x.array.flags.c_contiguous and not prepare(x, value):
        write(writable(x), (*parts, ...) if Ellipsis not in parts else parts, value._array, x)
        touch(x, "__setitem__")
        return
    view, places = split(x, parts)
    target = x if view is None else slice_view(x, index=view)
    if places is None:
        assign(target, value, "__setitem__")
        return
    if value.dtype != x.dtype and value.ndim:
        raise RuntimeError(f"Index put requires the dtypes to match, got {x.dtype} and the value's {value.dtype}.")
    recorded = prepare(target, value)
    array = writable(target)
    write(array, places.parts, _own(value, target), target)
    result = None
    if recorded:
        value = _without_ones(value, places.ndim_of(target))
        result = index_put(target, value, index=Places(_copies(places.parts)), written=True)
    changed_in_place(target, result, "__setitem__")


def assign(target: Tensor, value: Tensor, who: str) -> None:
    """Writes a value into a whole tensor, often a view of the one that the user named."""
    if getattr(value, "_whole", None) is getattr(target, "_whole", target) and value._replay == getattr(
        target, "_replay", ()
    ):
        return  # the end of `x[i] += v`: the view is already in its place
    recorded = prepare(target, value)
    array = writable(target, uniform=value.ndim == 0 and value._node is None)
    write(array, ..., _own(value, target), target)
    result = None
    if recorded:
        old = make(target._array) if hasattr(target, "_whole") else target  # write_view cuts off a view's old value
        result = replaced(old, _without_ones(value, target.ndim))
    changed_in_place(target, result, who)


def write(array: Any, index: Any, value: Any, target: Tensor) -> None:
    """array[index] = value. RuntimeError when the shapes do not fit."""
    try:
        namespace(target).setitem(array, index, value)
    except ValueError as error:
        raise RuntimeError(
            f"assignment: a value of shape {tuple(value.shape)} does not broadcast to the places that the index names "
            f"in a tensor of shape {tuple(array.shape)} ({error})"
        ) from None


def _value(x: Tensor, value: Any) -> Tensor:
    """What is assigned, as a Tensor on x's device."""
    if isinstance(value, Tensor):
        if value._array.__class__ is not x._array.__class__ and device_of(value._array) != device_of(x._array):
            if value.ndim:
                raise RuntimeError(
                    f"setitem: the tensor is on {device_of(x._array)}, the value on {device_of(value._array)}; "
                    f'move one, e.g. value.to("{device_of(x._array)}").'
                )
            return value.to(device_of(x._array))
        return value
    if isinstance(value, (bool, int, float, complex, np.generic)):
        if isinstance(value, complex) and x.dtype.kind != "c":
            raise TypeError(f"can't assign the complex number {value} to a tensor of {x.dtype}")
        try:
            return make(namespace(x).asarray(value, dtype=x.dtype))
        except OverflowError:
            raise RuntimeError(f"value {value} cannot be converted to {x.dtype} without overflow") from None
    if isinstance(value, np.ndarray):
        with device_of(x._array):
            return make(namespace(x).from_host(value))
    raise TypeError(f"can't assign a {type(value).__name__} to a tensor; make a tensor of it, e.g. rg.tensor(value).")


def _own(value: Tensor, target: Tensor) -> Any:
    """The value's array, copied when it may share elements with what is written."""
    array = value._array
    return array.copy() if value._stamp is target._stamp else array


def _copies(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Index arrays that a later change of the user's does not reach."""
    return tuple(part if isinstance(part, slice) else part.copy() for part in parts)


def _without_ones(value: Tensor, ndim: int) -> Tensor:
    """The value without the leading axes of length 1 that an assignment ignores."""
    extra = value.ndim - ndim
    return backend_of_array[Tensor].reshape(value, shape=value.shape[extra:]) if extra > 0 else value
