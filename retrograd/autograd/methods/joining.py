"""Tensors put together, taken apart, repeated, turned and padded; matrices made of diagonals and triangles."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import built, checked_dtype, dimension
from retrograd.autograd.methods.registry import FUNCTIONS, method, public
from retrograd.autograd.methods.shape import broadcast_tensors, dimensions, lengths
from retrograd.autograd.ops import shape as parting
from retrograd.autograd.ops.indexing import getitem
from retrograd.autograd.tensor import Tensor, make, namespace

__all__: list[str] = []

xp: Any = ops


def _listed(tensors: Any, who: str) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, (list, tuple)):
        raise TypeError(f"{who}(): argument 'tensors' must be tuple of Tensors, not {type(tensors).__name__}")
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(f"{who}(): expected Tensor as element {i}, but got {type(x).__name__}")
    return list(tensors)


# ---- joining


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after the other along a dimension, in their common dtype.

    Shapes are equal but for that dimension; vectors without elements are passed over. Raises RuntimeError otherwise.

    >>> import retrograd as rg
    >>> rg.cat([rg.tensor([1, 2]), rg.tensor([3])])
    tensor([1, 2, 3])
    """
    given = _listed(tensors, "cat")
    if not given:
        raise ValueError("cat: expected at least one tensor, got none.")
    shape = given[0].shape
    if len(shape) > 1 and all(x.shape == shape for x in given):
        return xp.concat(*given, axis=dimension(dim, len(shape)))  # type: ignore[no-any-return]
    for i, x in enumerate(given):
        if x.ndim == 0:
            raise RuntimeError(f"cat: tensor {i} is 0-d and has no dimension to join along; use stack().")
    joined = [x for x in given if x.shape != (0,)] or given[:1]
    first = joined[0]
    dim = dimension(dim, first.ndim)
    for i, x in enumerate(joined):
        if x.ndim != first.ndim or x.shape[:dim] + x.shape[dim + 1 :] != first.shape[:dim] + first.shape[dim + 1 :]:
            raise RuntimeError(
                f"cat: shapes {first.shape} (tensor 0) and {x.shape} (tensor {i}) must be equal in every dimension "
                f"but {dim}, along which they are joined."
            )
    if len(joined) < len(given):
        joined = [x if x.shape != (0,) else _emptied(x, first, dim) for x in given]  # they count for the dtype
    return xp.concat(*joined, axis=dim)  # type: ignore[no-any-return]


def _emptied(x: Tensor, like: Tensor, dim: int) -> Tensor:
    return xp.reshape(x, shape=(*like.shape[:dim], 0, *like.shape[dim + 1 :]))  # type: ignore[no-any-return]


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape as the slices of a new dimension, in their common dtype."""
    given = _listed(tensors, "stack")
    if not given:
        raise RuntimeError("stack: expected at least one tensor, got none.")
    for i, x in enumerate(given):
        if x.shape != given[0].shape:
            raise RuntimeError(
                f"stack: all shapes must be equal, got {given[0].shape} (tensor 0) and {x.shape} (tensor {i}); "
                "cat() joins tensors of different lengths."
            )
    return xp.stack(*given, axis=dimension(dim, given[0].ndim + 1))  # type: ignore[no-any-return]


def _with_ndim(x: Tensor, ndim: int) -> Tensor:
    return FUNCTIONS[f"atleast_{ndim}d"](x)  # type: ignore[no-any-return]


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side: along the second dimension, vectors along their only one."""
    given = [_with_ndim(x, 1) for x in _listed(tensors, "hstack")]
    return cat(given, 0 if given and given[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """One below the other: along the first dimension, vectors as rows."""
    return cat([_with_ndim(x, 2) for x in _listed(tensors, "vstack")], 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """One behind the other: along the third dimension."""
    return cat([_with_ndim(x, 3) for x in _listed(tensors, "dstack")], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side, numbers and vectors as columns."""
    given = _listed(tensors, "column_stack")
    return hstack([xp.reshape(x, shape=(x._array.size, 1)) if x.ndim < 2 else x for x in given])


def block_diag(*tensors: Tensor) -> Tensor:
    """Matrices along the diagonal of a matrix of zeros; numbers and vectors count as rows."""
    blocks = [_with_ndim(x, 2) for x in tensors]
    if any(x.ndim > 2 for x in blocks):
        raise RuntimeError(f"block_diag: tensors must have at most 2 dimensions, got {[x.ndim for x in tensors]}")
    width = sum(x.shape[1] for x in blocks)
    before = itertools.accumulate((x.shape[1] for x in blocks), initial=0)
    return cat([xp.pad(x, widths=((0, 0), (n, width - n - x.shape[1]))) for x, n in zip(blocks, before)])


# ---- taking apart: views


def split(self: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of `split_size` elements of a dimension each, the last perhaps shorter; or of the lengths in a list."""
    if not hasattr(split_size, "__index__"):
        return split_with_sizes(self, split_size, dim)
    if self.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = dimension(dim, self.ndim)
    length, step = self.shape[dim], operator.index(split_size)
    if step < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={step}")
    if step == 0 and length:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {length}")
    starts = range(0, length, step) if length else (0,)
    return parting.split(self, [(start, min(start + step, length)) for start in starts], dim)


def _split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of so many elements of a dimension each, the last perhaps shorter; or of the lengths in a list.

    >>> import retrograd as rg
    >>> rg.split(rg.arange(5), [2, 3])
    (tensor([0, 1]), tensor([2, 3, 4]))
    """
    return split(tensor, split_size_or_sections, dim)


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of the given lengths, which add up to the dimension's."""
    dim = dimension(dim, input.ndim)
    lengths = [operator.index(n) for n in split_sizes]
    if sum(lengths) != input.shape[dim] or min(lengths, default=0) < 0:
        raise RuntimeError(
            f"split: the lengths {lengths} must sum to the {input.shape[dim]} elements of dimension {dim} "
            "and not be negative."
        )
    if not lengths:
        return ()
    ends = list(itertools.accumulate(lengths))
    return parting.split(input, [(end - n, end) for n, end in zip(lengths, ends)], dim)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal length, the last perhaps shorter."""
    if input.ndim == 0:
        raise RuntimeError("chunk: a 0-d tensor has no dimension to cut.")
    if chunks <= 0:
        raise RuntimeError(f"chunk: chunks must be 1 or more, got {chunks}.")
    dim = dimension(dim, input.ndim)
    length = input.shape[dim]
    return split(input, -(-length // chunks), dim) if length else split_with_sizes(input, [0] * chunks, dim)


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """So many views, the first ones one element longer where it does not come out even; or views between indices."""
    if input.ndim == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = dimension(dim, input.ndim)
    length = input.shape[dim]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if hasattr(indices_or_sections, "__index__"):
        sections = operator.index(indices_or_sections)
        if sections <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {sections}")
        short, longer = divmod(length, sections)
        return split_with_sizes(input, [short + (i < longer) for i in range(sections)], dim)
    cuts = [0, *(operator.index(i) for i in indices_or_sections), None]
    index = [(slice(None),) * dim + (slice(a, b),) for a, b in itertools.pairwise(cuts)]
    return tuple(getitem(input, part) for part in index)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along the second dimension, of a vector along its only one; sections must come out even."""
    if input.ndim < 1:
        raise RuntimeError("hsplit requires a tensor with at least 1 dimension, but got a tensor with 0 dimensions!")
    return _even_split(input, indices_or_sections, 0 if input.ndim == 1 else 1, "hsplit")


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along the first dimension; sections must come out even."""
    if input.ndim < 2:
        raise RuntimeError(f"vsplit requires a tensor with at least 2 dimensions, but got {input.ndim}")
    return _even_split(input, indices_or_sections, 0, "vsplit")


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along the third dimension; sections must come out even."""
    if input.ndim < 3:
        raise RuntimeError(f"dsplit requires a tensor with at least 3 dimensions, but got {input.ndim}")
    return _even_split(input, indices_or_sections, 2, "dsplit")


def _even_split(input: Tensor, sections: Any, dim: int, who: str) -> tuple[Tensor, ...]:
    if isinstance(sections, int) and (sections < 1 or input.shape[dim] % sections):
        raise RuntimeError(f"{who}: dimension {dim} of length {input.shape[dim]} does not divide into {sections}")
    return tensor_split(input, sections, dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices of a dimension, as views."""
    if input.ndim == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return parting.unbind(input, dimension(dim, input.ndim))


# ---- repeating


def repeat(self: Tensor, *sizes: Any, repeats: Any = None) -> Tensor:
    """The tensor laid out side by side, so many times along each dimension; more numbers add dimensions in front.

    >>> import retrograd as rg
    >>> rg.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    times = lengths(sizes if repeats is None else (repeats,))
    if len(times) < self.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: "
            f"got {list(times)} for {list(self.shape)}"
        )
    if min(times, default=0) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeats {list(times)}")
    shape = (1,) * (len(times) - self.ndim) + self.shape
    once = xp.reshape(self, shape=tuple(n for length in shape for n in (1, length)))
    spread = xp.broadcast_to(once, shape=tuple(n for pair in zip(times, shape) for n in pair))
    out = xp.reshape(spread, shape=tuple(n * length for n, length in zip(times, shape)))
    return xp.copy(out) if hasattr(out, "_whole") else out  # type: ignore[no-any-return]


def _tile(input: Tensor, dims: Sequence[int]) -> Tensor:
    """The tensor laid out side by side; with fewer numbers than dimensions, along the last ones."""
    return tile(input, dims)


def tile(self: Tensor, *sizes: Any, dims: Any = None) -> Tensor:
    """The tensor laid out side by side; with fewer numbers than dimensions, along the last ones."""
    times = lengths(sizes if dims is None else (dims,))
    return repeat(self, (1,) * (self.ndim - len(times)) + times)


def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Every element (or slice of a dimension) repeated so many times, one number for all or one for each.

    Without `dim` the flat tensor. With `repeats` alone given, its indices, each that many times.
    """
    if repeats is None:
        repeats, input, dim = input, make(namespace(input).arange(input.shape[0])), 0
    if dim is None:
        input, dim = xp.reshape(input, shape=(-1,)), 0
    input = input if input.ndim else xp.reshape(input, shape=(1,))
    dim = dimension(dim, input.ndim)
    length = input.shape[dim]
    if isinstance(repeats, Tensor):
        places = _repeated_places(repeats, length, dim)
        out = getitem(input, (slice(None),) * dim + (places,))
    elif hasattr(repeats, "__index__"):
        if repeats < 0:
            raise RuntimeError(f"Repeats must be non-negative, got {repeats}")
        before, after = input.shape[:dim], input.shape[dim + 1 :]
        spread = xp.expand_dims(input, axis=dim + 1)
        spread = xp.broadcast_to(spread, shape=(*before, length, repeats, *after))
        out = xp.reshape(spread, shape=(*before, length * repeats, *after))
        out = xp.copy(out) if hasattr(out, "_whole") else out
    else:
        raise TypeError(f"repeat_interleave(): repeats must be int or Tensor, not {type(repeats).__name__}")
    if output_size is not None and output_size != out.shape[dim]:
        raise RuntimeError(f"allocated size does not match required size: {output_size} and {out.shape[dim]}")
    return out


def _repeated_places(repeats: Tensor, length: int, dim: int) -> Tensor:
    if repeats.dtype.kind not in "iu":
        raise NotImplementedError(f"repeat_interleave: repeats must be integers, got {repeats.dtype}")
    if repeats.ndim > 1 or (repeats.ndim == 1 and repeats.shape[0] not in (1, length)):
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got "
            f"repeats.size(0) = {list(repeats.shape)} and input.size({dim}) = {length}"
        )
    backend = namespace(repeats)
    times = backend.broadcast_to(backend.reshape(backend.asarray(repeats._array), (-1,)), (length,))
    if length and int(backend.min(times)) < 0:
        raise RuntimeError("repeats can not be negative")
    return make(backend.repeat(backend.arange(length), times, axis=0))


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Grids of coordinates: each vector expanded over the dimensions of the others.

    `indexing="ij"` (the default) numbers rows first, `"xy"` exchanges the first two dimensions.
    """
    given = list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else list(tensors)
    if not given:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if any(x.ndim > 1 for x in given):
        raise RuntimeError(f"meshgrid: Expected 0D or 1D tensors, got shapes {[x.shape for x in given]}")
    if any(x.dtype != given[0].dtype for x in given):
        raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}.")
    swapped = indexing == "xy" and len(given) > 1
    if swapped:
        given[0], given[1] = given[1], given[0]
    n = len(given)
    lines = [xp.reshape(x, shape=(1,) * i + (-1,) + (1,) * (n - 1 - i)) for i, x in enumerate(given)]
    grids = list(broadcast_tensors(*lines))
    if swapped:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of the elements of vectors, one per row; a single vector stays as it is."""
    if any(x.ndim != 1 for x in tensors):
        raise RuntimeError(f"Expect a 1D vector, but got shapes {[x.shape for x in tensors]}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([xp.reshape(grid, shape=(-1,)) for grid in meshgrid(*tensors, indexing="ij")], dim=1)


# ---- turning


def _dims(dims: tuple[Any, ...], ndim: int, who: str) -> tuple[int, ...]:
    if not dims:
        raise TypeError(f'{who}() missing 1 required positional arguments: "dims"')
    return dimensions(dims[0] if len(dims) == 1 else dims, ndim, f"{who}()")


def flip(self: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """A copy with the order of these dimensions reversed."""
    axes = _dims(order if dims is None else (dims,), self.ndim, "flip")
    return xp.flip(self, axis=axes) if axes and self.ndim else xp.copy(self)  # type: ignore[no-any-return]


def _flip(input: Tensor, dims: Any) -> Tensor:
    """A copy with the order of these dimensions reversed."""
    return flip(input, dims)


def fliplr(input: Tensor) -> Tensor:
    """A copy with the second dimension reversed."""
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """A copy with the first dimension reversed."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """A copy shifted along dimensions; what leaves at one end comes back at the other. Without `dims`, flat."""
    by = tuple(shifts) if isinstance(shifts, (list, tuple)) else (operator.index(shifts),)
    along = () if dims is None else tuple(dims) if isinstance(dims, (list, tuple)) else (dims,)
    if not along and len(by) == 1:
        return xp.roll(input, shift=by[0])  # type: ignore[no-any-return]
    if len(by) != len(along):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(by)}, dims:{len(along)}")
    return xp.roll(input, shift=by, axis=tuple(dimension(d, input.ndim) for d in along))  # type: ignore[no-any-return]


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A copy turned k times by 90 degrees, from the first towards the second of two dimensions."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    a, b = dimension(dims[0], input.ndim), dimension(dims[1], input.ndim)
    if a == b:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    if k % 4 == 0:
        return xp.copy(input)  # type: ignore[no-any-return]
    if k % 4 == 2:
        return flip(input, (a, b))
    axes = list(range(input.ndim))
    axes[a], axes[b] = b, a
    return xp.permute_dims(flip(input, b if k % 4 == 1 else a), axes=tuple(axes))  # type: ignore[no-any-return]


# ---- diagonals, triangles, borders


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros with the last dimension on a diagonal of two new dimensions, at these places of the result."""
    ndim = input.ndim + 1
    a, b = dimension(dim1, ndim), dimension(dim2, ndim)
    if input.ndim == 0:
        raise IndexError("diag_embed: a 0-dim tensor has no last dimension; use a vector of one element")
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    rest = iter(input.shape[:-1])
    side = input.shape[-1] + abs(offset)
    shape = tuple(side if d in (a, b) else next(rest) for d in range(ndim))
    return xp.on_diagonal(input, shape=shape, offset=offset, axis1=a, axis2=b)  # type: ignore[no-any-return]


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with a vector on its diagonal, or a copy of the diagonal of a matrix."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return xp.copy(xp.diagonal(input, offset=diagonal, axis1=0, axis2=1))  # type: ignore[no-any-return]


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with all elements on its diagonal."""
    return diag_embed(xp.reshape(input, shape=(-1,)), offset)


def _triangle(name: str) -> Any:
    def function(input: Tensor, diagonal: int = 0) -> Tensor:
        if input.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        return getattr(xp, name)(input, k=operator.index(diagonal))  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = name
    where = ("lower", "above") if name == "tril" else ("upper", "below")
    function.__doc__ = f"The {where[0]} triangle of each matrix, zeros {where[1]} the given diagonal."
    return function


def _triangle_indices(name: str) -> Any:
    def function(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
        if row < 0 or col < 0:
            raise RuntimeError(f"{name}_indices: row and col must be non-negative, got {row} and {col}")

        def places(backend: Any) -> Tensor:
            inside = getattr(backend, name)(backend.ones((row, col), dtype=bool), k=offset)
            found = backend.stack(backend.nonzero(inside), axis=0)
            return make(found if dtype is None else backend.astype(found, checked_dtype(dtype)))

        return built(device, places)

    function.__name__ = function.__qualname__ = f"{name}_indices"
    which = "lower" if name == "tril" else "upper"
    function.__doc__ = f"Rows and columns of the {which} triangle of a matrix: shape (2, count)."
    return function


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """So many elements added before and after each dimension, pairs counted from the last one; negative ones cut off.

    Only `mode="constant"`.
    """
    if mode != "constant":
        raise NotImplementedError(f'pad: mode={mode!r} is not supported here; use "constant".')
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise RuntimeError(f"Padding length must be even and at most twice the number of dimensions, got {list(pad)}")
    pairs = [(0, 0)] * (input.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2]))[::-1]
    if any(n + before + after < 0 for n, (before, after) in zip(input.shape, pairs)):
        raise RuntimeError(f"pad: {list(pad)} leaves a negative length of shape {list(input.shape)}")
    if any(min(pair) < 0 for pair in pairs):
        cut = tuple(slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(input.shape, pairs))
        input = getitem(input, cut)
        pairs = [(max(before, 0), max(after, 0)) for before, after in pairs]
    return xp.pad(input, widths=tuple(pairs), value=0 if value is None else value)  # type: ignore[no-any-return]


_function: Any
for _function in (
    split_with_sizes, chunk, tensor_split, hsplit, vsplit, dsplit, unbind, repeat_interleave, fliplr, flipud, roll,
    rot90, diag_embed, diag, diagflat,
):  # fmt: skip
    public(_function)
for _function in (cat, stack, hstack, vstack, dstack, column_stack, block_diag, meshgrid, cartesian_prod):
    public(_function, method=False)
for _function in (split, repeat, tile, flip):
    method(_function)
_given: Any
for _name, _given in {
    "split": _split,
    "tile": _tile,
    "flip": _flip,
    "concat": cat,
    "concatenate": cat,
    "row_stack": vstack,
}.items():
    public(_given, name=_name, method=False)
for _name in ("tril", "triu"):
    public(_triangle(_name), name=_name)
    public(_triangle_indices(_name), name=f"{_name}_indices", method=False)
