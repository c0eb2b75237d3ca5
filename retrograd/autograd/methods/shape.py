"""Another shape for the same elements: reshaping, reordering and repeating dimensions. What can be a view is one."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods import arguments
from retrograd.autograd.methods.arguments import checked_dtype, dimension, is_dtype, refusing
from retrograd.autograd.methods.registry import method, public
from retrograd.autograd.tensor import Tensor, make

__all__ = ["broadcast_shapes", "dimensions", "lengths"]

xp: Any = ops

Dims = int | Sequence[int]


def dimensions(dims: Any, ndim: int, who: str) -> tuple[int, ...]:
    """Distinct dimensions counted from 0, of one integer or several."""
    given = (dims,) if hasattr(dims, "__index__") else tuple(dims)
    found = tuple(dimension(operator.index(d), ndim) for d in given)
    if len(set(found)) < len(found):
        raise RuntimeError(f"{who}: a dim appears multiple times in the list of dims {given}")
    return found


def lengths(args: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as `f(2, -1)` or `f((2, -1))`."""
    if len(args) == 1 and not hasattr(args[0], "__index__"):
        args = tuple(args[0])
    try:
        return tuple([operator.index(n) for n in args])
    except TypeError:
        raise TypeError(f"a shape is made of integers, got {', '.join(map(repr, args))}.") from None


# ---- reshaping


def inferred(shape: tuple[int, ...], size: int, who: str = "shape") -> tuple[int, ...]:
    """A shape for that many elements, its -1 worked out."""
    unknown = shape.count(-1)
    if unknown > 1:
        raise RuntimeError(f"{who} {list(shape)} has more than one -1; only one length can follow from the others.")
    for i, n in enumerate(shape):
        if n < -1:
            raise RuntimeError(
                f"{who} {list(shape)}: the length {n} at {i} is negative; only -1, the one worked out, may be."
            )
    if unknown:
        known = math.prod(n for n in shape if n != -1)
        if known == 0 and size == 0:
            raise RuntimeError(
                f"{who} {list(shape)}: -1 is ambiguous for 0 elements, any length would do; write the length."
            )
        if known and size % known == 0:
            return tuple(size // known if n == -1 else n for n in shape)
    elif math.prod(shape) == size:
        return shape
    raise RuntimeError(f"{who} {list(shape)} does not fit {size} elements; the product of its lengths must be {size}.")


def _reshape(input: Tensor, shape: Any) -> Tensor:
    """The same elements in another shape, one length of which may be -1; a view where the layout allows it.

    >>> import retrograd as rg
    >>> rg.arange(6).reshape(2, -1).shape
    (2, 3)
    """
    return xp.reshape(input, shape=inferred(lengths((shape,)), input._array.size))  # type: ignore[no-any-return]


def reshape(self: Tensor, *sizes: Any, shape: Any = None) -> Tensor:
    """The same elements in another shape, one length of which may be -1; a view where the layout allows it."""
    if len(sizes) > 1 and min(sizes) >= 0:  # what does not fit, the backend says
        return xp.reshape(self, shape=sizes)  # type: ignore[no-any-return]
    wanted = lengths(sizes if shape is None else (shape,))
    return xp.reshape(self, shape=inferred(wanted, self._array.size))  # type: ignore[no-any-return]


def view(self: Tensor, *shape: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """The same elements, and memory, in another shape. RuntimeError where that would need a copy: use reshape().

    With a dtype alone, the same bytes read as numbers of that dtype, without a gradient.
    """
    if dtype is not None or (len(shape) == 1 and is_dtype(shape[0])):
        return _reread(self, checked_dtype(shape[0] if dtype is None else dtype))
    out = reshape(self, *(shape if size is None else (size,)))
    if not hasattr(out, "_whole"):
        raise RuntimeError(
            f"view: the elements of shape {self.shape} do not lie in memory such that {out.shape} needs no copy; "
            "use reshape()."
        )
    return out


def _reread(input: Tensor, dtype: Any) -> Tensor:
    if input._node is not None:
        raise RuntimeError(f"view: bytes read as {dtype} have no gradient; detach() the tensor first, or use to().")
    try:
        return make(input.array.view(dtype), None, input._stamp)
    except ValueError as error:
        raise RuntimeError(f"view: shape {input.shape} of {input.dtype} cannot be read as {dtype}: {error}") from None


def view_as(self: Tensor, other: Tensor) -> Tensor:
    """`view` in the shape of another tensor."""
    return view(self, other.shape)


def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """`reshape` to the shape of another tensor."""
    return reshape(self, other.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim folded into one; a 0-d tensor gets one of length 1."""
    start, end = dimension(start_dim, input.ndim), dimension(end_dim, input.ndim)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if input.ndim == 0:
        return xp.reshape(input, shape=(1,))  # type: ignore[no-any-return]
    if start == end:
        return input
    shape = input.shape
    return xp.reshape(input, shape=(*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))  # type: ignore[no-any-return]


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension unfolded into several, the length of one of which may be -1."""
    dim, parts = dimension(dim, input.ndim), lengths((sizes,))
    if not parts:
        raise RuntimeError("unflatten: sizes must be non-empty")
    length = input.shape[dim]
    try:
        parts = inferred(parts, length)
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: the lengths {list(parts)} do not multiply up to that of dimension {dim}, which is {length}."
        ) from None
    return xp.reshape(input, shape=(*input.shape[:dim], *parts, *input.shape[dim + 1 :]))  # type: ignore[no-any-return]


def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension."""
    return input if input.ndim == 1 and is_contiguous(input) else xp.reshape(input, shape=(input._array.size,))


def squeeze(input: Tensor, dim: Dims | None = None) -> Tensor:
    """Without the dimensions of length 1, or without those of `dim` that have length 1."""
    asked = range(input.ndim) if dim is None else dimensions(dim, input.ndim, "squeeze()")
    dims = tuple(d for d in asked if input.shape and input.shape[d] == 1)
    return xp.squeeze(input, axis=dims)  # type: ignore[no-any-return]


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new dimension of length 1 at this place of the result."""
    return xp.expand_dims(input, axis=dimension(dim, input.ndim + 1))  # type: ignore[no-any-return]


# ---- reordering


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions in each other's place."""
    axes = list(range(input.ndim))
    a, b = dimension(dim0, input.ndim), dimension(dim1, input.ndim)
    if axes:
        axes[a], axes[b] = b, a
    return xp.permute_dims(input, axes=tuple(axes))  # type: ignore[no-any-return]


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """`transpose` by NumPy's name."""
    return transpose(input, axis0, axis1)


def t(input: Tensor) -> Tensor:
    """A matrix transposed; tensors of fewer dimensions stay. RuntimeError for more than two dimensions."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return xp.permute_dims(input, axes=tuple(range(input.ndim))[::-1])  # type: ignore[no-any-return]


def _permute(input: Tensor, dims: Sequence[int]) -> Tensor:
    """The dimensions in another order."""
    return permute(input, dims)


def permute(self: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """The dimensions in another order."""
    order = lengths(order if dims is None else (dims,))
    if len(order) != self.ndim:
        raise RuntimeError(
            f"permute(): {len(order)} dims {list(order)} for a tensor of {self.ndim} dimensions; name each once."
        )
    return xp.permute_dims(self, axes=dimensions(order, self.ndim, "permute()"))  # type: ignore[no-any-return]


def movedim(input: Tensor, source: Dims, destination: Dims) -> Tensor:
    """Dimensions moved to other places, the rest keeping their order."""
    if hasattr(source, "__index__") != hasattr(destination, "__index__"):
        raise TypeError(f"movedim(): source and destination must both be int or both tuple: {source}, {destination}")
    here = dimensions(source, input.ndim, "movedim()")
    there = dimensions(destination, input.ndim, "movedim()")
    if len(here) != len(there):
        raise RuntimeError(f"movedim: source {source} and destination {destination} must have the same length")
    rest = iter(d for d in range(input.ndim) if d not in here)
    targets = dict(zip(there, here, strict=True))
    return xp.permute_dims(input, axes=tuple(targets[d] if d in targets else next(rest) for d in range(input.ndim)))  # type: ignore[no-any-return]


def _matrix(input: Tensor, name: str) -> Tensor:
    n = input.ndim
    return xp.permute_dims(input, axes=(*range(n - 2), n - 1, n - 2))  # type: ignore[no-any-return]


def _get_T(self: Tensor) -> Tensor:
    """The dimensions in reverse order: the transposed matrix."""
    return xp.permute_dims(self, axes=tuple(range(self.ndim))[::-1])  # type: ignore[no-any-return]


def _get_mT(self: Tensor) -> Tensor:
    """The last two dimensions exchanged: each matrix of a batch transposed."""
    if self.ndim < 2:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {self.ndim}-D tensor.")
    return _matrix(self, "mT")


def _get_H(self: Tensor) -> Tensor:
    """The matrix transposed (and conjugated, which real numbers do not notice)."""
    if self.ndim not in (0, 2):
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor.")
    return _get_T(self)


def adjoint(input: Tensor) -> Tensor:
    """Each matrix of a batch transposed (and conjugated, which real numbers do not notice)."""
    if input.ndim == 1:
        raise RuntimeError("tensor.adjoint() is only supported on matrices or batches of matrices. Got 1-D tensor.")
    return _matrix(input, "adjoint") if input.ndim else input


# ---- repeating without copies


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape to which these shapes broadcast.

    >>> import retrograd as rg
    >>> rg.broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    given = [(shape,) if isinstance(shape, int) else tuple(shape) for shape in shapes]
    common = [1] * max((len(shape) for shape in given), default=0)
    for i, shape in enumerate(given):
        for place, n in enumerate(shape, len(common) - len(shape)):
            if n < 0:
                raise RuntimeError(f"Trying to create tensor with negative dimension ({n}): ({shape})")
            if n != 1 and common[place] not in (1, n):
                raise RuntimeError(
                    f"shapes {', '.join(map(str, given))} do not broadcast: dimension {place - len(common)} of the "
                    f"one at index {i} has length {n}, others {common[place]}"
                )
            common[place] = n if n != 1 else common[place]
    return tuple(common)


def expand(self: Tensor, *sizes: Any, size: Any = None) -> Tensor:
    """A view in which dimensions of length 1, and new ones in front, are repeated; -1 leaves a length as it is.

    Raises RuntimeError for a dimension of another length.
    """
    shape = lengths(sizes if size is None else (size,))
    own, lead = self.shape, len(shape) - self.ndim
    if lead < 0:
        raise RuntimeError(f"expand: {len(shape)} lengths are too few for the {self.ndim} dimensions of shape {own}.")
    wanted = list(shape)
    for i, n in enumerate(shape):
        if i < lead:
            if n < 0:
                raise RuntimeError(f"expand: the new dimension {i} needs a length from 0 on, got {n}.")
        elif n == -1:
            wanted[i] = own[i - lead]
        elif n != own[i - lead] and (own[i - lead] != 1 or n < 0):
            raise RuntimeError(
                f"expand: shape {own} does not expand to {tuple(shape)}: dimension {i} has {own[i - lead]} elements, "
                f"not {n}, and only a dimension of 1 is repeated."
            )
    if all(n == 1 for n in wanted[:lead]) and tuple(wanted[lead:]) == own:
        return xp.expand_dims(self, axis=tuple(range(lead)))  # type: ignore[no-any-return]  # nothing is repeated
    return xp.broadcast_to(self, shape=tuple(wanted))  # type: ignore[no-any-return]


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of another tensor."""
    return expand(self, other.shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """The same as `expand`."""
    return expand(input, size)


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to their common shape."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    shape = broadcast_shapes(*[x.shape for x in given])
    return tuple(expand(x, shape) for x in given)


# ---- parts, as views


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` elements of one dimension from `start` on."""
    if input.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    dim, start = dimension(dim, input.ndim), operator.index(start)
    size = input.shape[dim]
    if length < 0:
        raise RuntimeError(f"narrow(): length must be non-negative, got {length}.")
    if not -size <= start <= size:
        raise IndexError(f"narrow: start must be from {-size} to {size}, got {start}.")
    start += size if start < 0 else 0
    if start + length > size:
        raise RuntimeError(f"narrow: start {start} + length {length} reaches beyond the {size} of dimension {dim}.")
    return xp.slice_view(input, index=(*[slice(None)] * dim, slice(start, start + length), ...))  # type: ignore[no-any-return]


def select(input: Tensor, dim: int, index: Any) -> Tensor:
    """The slice at one index of a dimension, without that dimension."""
    if input.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim, index = dimension(dim, input.ndim), operator.index(index)
    size = input.shape[dim]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {dim}"
        )
    return xp.slice_view(input, index=(*[slice(None)] * dim, index, ...))  # type: ignore[no-any-return]


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A diagonal of two dimensions, as the last dimension of a view; `offset` counts to the right."""
    a, b = dimension(dim1, input.ndim), dimension(dim2, input.ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return xp.diagonal(input, offset=offset, axis1=a, axis2=b)  # type: ignore[no-any-return]


def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` elements, every `step` elements of a dimension, as a view with the window as last dimension."""
    dim = arguments.dimension(dimension, self.ndim)
    length = self.shape[dim] if self.ndim else 1
    if size < 0 or size > length:
        raise RuntimeError(f"maximum size for tensor at dimension {dim} is {length} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if size == 0:
        return _empty_windows(self, dim, step)
    x = self if self.ndim else xp.reshape(self, shape=(1,))
    out = xp.unfold(x, axis=dim, size=size, step=step)
    return out if self.ndim else xp.reshape(out, shape=(1,))  # type: ignore[no-any-return]


def _empty_windows(self: Tensor, dim: int, step: int) -> Tensor:
    """Windows without elements: one more than there are steps."""
    if not self.ndim:
        return xp.slice_view(xp.reshape(self, shape=(1,)), index=(slice(0, 0), ...))  # type: ignore[no-any-return]
    count = self.shape[dim] // step + 1
    shape = (*self.shape[:dim], count, *self.shape[dim + 1 :], 0)
    nothing = xp.slice_view(xp.reshape(self, shape=(-1,)), index=(slice(0, 0), ...))
    return xp.reshape(nothing, shape=shape)  # type: ignore[no-any-return]


# ---- layout in memory


@refusing("memory_format")
def contiguous(self: Tensor) -> Tensor:
    """The tensor itself when its elements lie in order in memory, else a copy in which they do."""
    return self if is_contiguous(self) else xp.copy(self)


@refusing("memory_format")
def is_contiguous(self: Tensor) -> bool:
    """Whether the elements lie in memory in the order of their indices."""
    return bool(self.array.flags.c_contiguous)


def atleast(ndim: int, places: tuple[tuple[int, ...], ...]) -> Any:
    """A function that adds dimensions until there are `ndim`: at `places[n]` for a tensor that has n."""

    def function(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
            tensors = tuple(tensors[0])
        elif len(tensors) == 1:
            x = tensors[0]
            return x if x.ndim >= ndim else xp.expand_dims(x, axis=places[x.ndim])
        return tuple(function(x) for x in tensors)

    function.__name__ = function.__qualname__ = f"atleast_{ndim}d"
    function.__doc__ = f"Each tensor with at least {ndim} dimension{'s' if ndim > 1 else ''}; several give a tuple."
    return function


_function: Any
for _function in (
    flatten, unflatten, ravel, squeeze, unsqueeze, transpose, t, movedim, adjoint, broadcast_to, narrow, select,
    diagonal,
):  # fmt: skip
    public(_function)
for _function in (reshape, view, view_as, reshape_as, permute, expand, expand_as, unfold, contiguous, is_contiguous):
    method(_function)
public(_reshape, name="reshape", method=False)
public(_permute, name="permute", method=False)
public(broadcast_shapes, method=False)
public(broadcast_tensors, method=False)
public(swapaxes)
public(transpose, name="swapdims")
public(movedim, name="moveaxis")
public(atleast(1, ((0,),)), name="atleast_1d", method=False)
public(atleast(2, ((0, 1), (0,))), name="atleast_2d", method=False)
public(atleast(3, ((0, 1, 2), (0, 2), (2,))), name="atleast_3d", method=False)
_getter: Any
for _name, _getter in {"T": _get_T, "mT": _get_mT, "mH": _get_mT, "H": _get_H}.items():
    method(property(_getter), name=_name)
