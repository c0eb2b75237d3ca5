"""Tensors repeated, and grids made of repeated vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.joining import stack
from retrograd.autograd.methods.registry import method, public
from retrograd.autograd.methods.shape import broadcast_tensors, lengths
from retrograd.autograd.ops.indexing import getitem
from retrograd.autograd.tensor import Tensor, make, namespace

__all__: list[str] = []

xp: Any = ops


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


_function: Any
public(repeat_interleave)
for _function in (meshgrid, cartesian_prod):
    public(_function, method=False)
for _function in (repeat, tile):
    method(_function)
public(_tile, name="tile", method=False)
