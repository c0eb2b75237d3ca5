"""Reading, writing and adding into parts of a tensor, by PyTorch's names. `x[...]` itself is in ops/indexing.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.registry import method, public
from retrograd.autograd.methods.shape import broadcast_shapes
from retrograd.autograd.ops.index_parts import OutOfRange
from retrograd.autograd.ops.indexing import Places, getitem, setitem, split
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.backends import device_of, flags

__all__: list[str] = []

xp: Any = ops

method(getitem, name="__getitem__")
method(setitem, name="__setitem__")


# ---- checks


def _integers(index: Any, who: str) -> Tensor:
    if not isinstance(index, Tensor):
        raise TypeError(f"{who}(): argument 'index' must be Tensor, not {type(index).__name__}")
    if index.dtype.name not in ("int32", "int64"):
        raise RuntimeError(f"{who}(): Expected dtype int32/int64 for index, got {index.dtype}")
    return index


def _in_range(index: Tensor, length: int, dim: int, who: str, least: int = 0) -> None:
    """Raises where an index is out of range; on a GPU only if asked to (`flags`), as it would wait."""
    array = index._array
    if array.size and (flags.check_indices or device_of(array).type == "cpu"):
        backend = namespace(index)
        for bad in (int(backend.min(array)), int(backend.max(array))):
            if not least <= bad < length:
                raise OutOfRange(f"{who}(): index {bad} is out of bounds for dimension {dim} with size {length}")


def _along(input: Tensor, dim: int, index: Any, who: str) -> int:
    """The dimension, once the index of a gather or scatter fits."""
    dim = dimension(dim, input.ndim)
    index = _integers(index, who)
    if max(index.ndim, 1) != max(input.ndim, 1) and index._array.size:
        raise RuntimeError(f"{who}: the index {index.shape} must have as many dimensions as the input {input.shape}.")
    if any(n > m for d, (n, m) in enumerate(zip(index.shape, input.shape)) if d != dim):
        raise RuntimeError(
            f"{who}(): Size does not match: expected index {list(index.shape)} to be no larger than self "
            f"{list(input.shape)} apart from dimension {dim}"
        )
    _in_range(index, (input.shape or (1,))[dim], dim, who)
    return dim


def _same_dtype(input: Tensor, source: Any, who: str) -> Tensor:
    if not isinstance(source, Tensor):
        raise TypeError(f"{who}(): the source must be Tensor, not {type(source).__name__}")
    if source.dtype != input.dtype:
        raise RuntimeError(f"{who}(): Expected self.dtype to be equal to src.dtype, got {input.dtype}, {source.dtype}")
    return source


def _number(value: Any, like: Tensor, who: str) -> Tensor:
    """A number, or a Tensor without dimensions, in a tensor's dtype."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                f"{who} only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
            )
        return value if value.dtype == like.dtype else value.to(like.dtype)
    return make(namespace(like).asarray(like.dtype.type(value)))


def _one_d(x: Tensor) -> Tensor:
    return x if x.ndim else xp.reshape(x, shape=(1,))


def _shaped(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x.shape == shape else xp.reshape(x, shape=shape)


# ---- gather and scatter


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j] = input[i][index[i][j]] for dim=1: the elements that `index` names along one dimension.

    Shapes: index as input, along other dimensions no longer; the result has index's shape. Raises RuntimeError (an
    IndexError too) for an index out of range; negative ones are.

    >>> import retrograd as rg
    >>> rg.tensor([[1, 2], [3, 4]]).gather(1, rg.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    if sparse_grad:
        raise NotImplementedError("gather: sparse_grad=True is not supported, gradients are dense; leave it out.")
    dim = _along(input, dim, index, "gather")
    if not index._array.size:
        return getitem(xp.reshape(input, shape=(-1,)), _empty_index(index))
    out = xp.take_along_axis(_one_d(input), _one_d(index), axis=dim)
    return _shaped(out, index.shape)


def _empty_index(index: Tensor) -> Tensor:
    return make(namespace(index).zeros(index.shape, dtype="int64"))


def _part(source: Tensor, index: Tensor, who: str) -> Tensor:
    """The part of a source that a scatter reads: it may be larger than the index."""
    if source.shape == index.shape:
        return source
    if any(n > m for n, m in zip(index.shape, source.shape)):
        raise RuntimeError(
            f"{who}(): Expected index {list(index.shape)} to be no larger size than src {list(source.shape)}"
        )
    return getitem(source, tuple(slice(0, n) for n in index.shape))


def _scattered(function: Any, input: Tensor, dim: int, index: Tensor, source: Any, who: str) -> Tensor:
    """One of the primitives along an axis, once everything fits; 0-d tensors count as one element."""
    dim = _along(input, dim, index, who)
    if isinstance(source, Tensor):
        source = _one_d(_part(source, index, who))
    else:
        source = xp.broadcast_to(_number(source, input, who), shape=index.shape or (1,))
    if not index._array.size:
        return xp.copy(input)  # type: ignore[no-any-return]
    return _shaped(function(_one_d(input), _one_d(index), source, axis=dim), input.shape)


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """A copy of input with `src` (a Tensor) or `value` (a number) written where `index` names along one dimension.

    With `reduce="add"` or `"multiply"` they are added or multiplied instead. Of duplicates the last one stays, and only
    it receives a gradient. Raises RuntimeError where the shapes do not fit or an index is out of range.
    """
    if (src is None) == (value is None):
        raise TypeError("scatter(): give either src or value")
    source = value if src is None else src
    if isinstance(source, Tensor):
        _same_dtype(input, source, "scatter")
    if reduce is None:
        return _scattered(xp.put_along_axis, input, dim, index, source, "scatter")
    if reduce == "add":
        return _scattered(xp.add_along_axis, input, dim, index, source, "scatter")
    if reduce == "multiply":
        return _scattered(_multiplied, input, dim, index, source, "scatter")
    raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce!r}.")


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy of input with src added where `index` names along one dimension, duplicates added up."""
    source = _same_dtype(input, src, "scatter_add")
    return _scattered(xp.add_along_axis, input, dim, index, source, "scatter_add")


def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Combines input with src where `index` names along one dimension; reduce is sum, prod, mean, amax or amin.

    Without `include_self` the elements of input that something is scattered to do not take part.

    >>> import retrograd as rg
    >>> rg.zeros(2).scatter_reduce(0, rg.tensor([0, 0, 1]), rg.tensor([1.0, 3.0, 5.0]), "mean", include_self=False)
    tensor([2., 5.])
    """
    who = "scatter_reduce"
    neutral = {"sum": 0, "mean": 0, "prod": 1, "amax": -math.inf, "amin": math.inf}
    if reduce not in neutral:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    source = _same_dtype(input, src, who)
    if reduce in ("amax", "amin") and not include_self:
        neutral |= _extremes(input)
    start = input if include_self else scatter(input, dim, index, value=neutral[reduce])
    if reduce == "prod":
        return _scattered(_multiplied, start, dim, index, source, who)
    if reduce in ("amax", "amin"):
        return _scattered(_largest if reduce == "amax" else _smallest, start, dim, index, source, who)
    total = _scattered(xp.add_along_axis, start, dim, index, source, who)
    if reduce == "sum":
        return total
    backend = namespace(input)
    ones = make(backend.ones(input.shape, dtype=input.dtype))
    ones = ones if include_self else scatter(ones, dim, index, value=0)
    count = _scattered(xp.add_along_axis, ones, dim, index, 1, who)
    count = make(backend.asarray(backend.maximum(count._array, 1)))
    if input.dtype.kind in "fc":
        return xp.divide(total, count)  # type: ignore[no-any-return]
    return xp.floor_divide(total, count)  # type: ignore[no-any-return]


def _extremes(x: Tensor) -> dict[str, Any]:
    """What an extremum starts from in an integer dtype, which has no infinity."""
    if x.dtype.kind not in "iu":
        return {}
    bits = 8 * x.dtype.itemsize - (x.dtype.kind == "i")
    return {"amax": -(1 << bits) if x.dtype.kind == "i" else 0, "amin": (1 << bits) - 1}


def _flat(function: Any) -> Any:
    """A primitive on positions in memory order, as one along an axis."""

    def along_axis(x: Tensor, indices: Tensor, values: Tensor, *, axis: int) -> Tensor:
        backend = namespace(x)
        positions = backend.reshape(backend.arange(math.prod(x.shape)), x.shape)
        positions = backend.take_along_axis(positions, indices._array, axis=axis)
        flat = [xp.reshape(t, shape=(-1,)) for t in (x, make(positions), values)]
        return xp.reshape(function(*flat), shape=x.shape)  # type: ignore[no-any-return]

    return along_axis


_multiplied = _flat(lambda x, positions, values: xp.scatter_product(x, positions, values))
_largest = _flat(lambda x, positions, values: xp.scatter_extremum(x, positions, values, largest=True))
_smallest = _flat(lambda x, positions, values: xp.scatter_extremum(x, positions, values, largest=False))


# ---- by an index along one dimension


def _vector(input: Tensor, dim: int, index: Any, who: str, least: int = 0) -> tuple[int, Tensor]:
    """The dimension and the index of one dimension, once both fit."""
    dim = dimension(dim, input.ndim)
    index = _integers(index, who)
    if index.ndim > 1:
        raise IndexError(f"{who}(): Index is supposed to be a vector, got {index.ndim} dimensions")
    length = (input.shape or (1,))[dim]
    _in_range(index, length, dim, who, -length if least else 0)
    return dim, _one_d(index)


def _at(dim: int, index: Tensor) -> Places:
    return Places((*[slice(None)] * dim, index._array), [index._stamp])


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of input that a vector of indices names along one dimension, in its order.

    >>> import retrograd as rg
    >>> rg.tensor([[1, 2, 3], [4, 5, 6]]).index_select(1, rg.tensor([2, 0]))
    tensor([[3, 1],
            [6, 4]])
    """
    dim, index = _vector(input, dim, index, "index_select")
    return _shaped(xp.pick(_one_d(input), index=_at(dim, index)), _lengths(input, dim, index) if input.ndim else ())


def _lengths(input: Tensor, dim: int, index: Tensor) -> tuple[int, ...]:
    return (*input.shape[:dim], index.shape[0], *input.shape[dim + 1 :])


def _fitting(input: Tensor, dim: int, index: Tensor, source: Any, who: str) -> Tensor:
    source = _one_d(_same_dtype(input, source, who))
    if source.ndim <= dim or source.shape[dim] != index.shape[0]:
        raise RuntimeError(
            f"{who}: {index.shape[0]} indices do not fit the source {source.shape}, which needs as many along "
            f"dimension {dim}."
        )
    if source.shape != _lengths(_one_d(input), dim, index):
        raise RuntimeError(
            f"{who}(): source {list(source.shape)} must match self {list(input.shape)} apart from dimension {dim}"
        )
    return source  # type: ignore[no-any-return]


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """A copy of input with alpha * source added to the slices that `index` names, duplicates added up."""
    dim, index = _vector(input, dim, index, "index_add")
    source = _fitting(input, dim, index, source, "index_add")
    source = source if alpha == 1 else xp.multiply(source, alpha)
    return _shaped(xp.index_add(_one_d(input), source, index=_at(dim, index)), input.shape)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy of input with the slices of source written where `index` names; of duplicates the last stays."""
    dim, index = _vector(input, dim, index, "index_copy")
    source = _fitting(input, dim, index, source, "index_copy")
    return _shaped(xp.index_put(_one_d(input), source, index=_at(dim, index)), input.shape)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of input with a number in the slices that `index` names along one dimension."""
    dim, index = _vector(input, dim, index, "index_fill", least=-1)
    number = _number(value, input, "index_fill_")
    return _shaped(xp.index_put(_one_d(input), number, index=_at(dim, index)), input.shape)


def index_put(input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of input in which `out[indices] = values`, or `+=` with duplicates added up if `accumulate`.

    Raises IndexError where the indices do not fit and RuntimeError where the values do not.
    """
    if not isinstance(values, Tensor):
        raise TypeError(f"index_put(): argument 'values' must be Tensor, not {type(values).__name__}")
    if any(not isinstance(part, Tensor) for part in indices):
        raise TypeError("index_put(): indices must be Tensors; write x[...] = values for slices and None")
    if values.dtype != input.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {input.dtype} and {values.dtype}."
        )
    places = _places(input, tuple(indices))
    function = xp.index_add if accumulate else xp.index_put
    return function(input, values, index=places)  # type: ignore[no-any-return]


def _places(input: Tensor, parts: tuple[Any, ...]) -> Places:
    """Index arrays, also 0-d ones, among full slices."""
    _, places = split(input, tuple(_one_d(part) if part.dtype.kind != "b" else part for part in parts))
    if places is None:
        raise IndexError("index_put(): needs at least one index")
    return places


# ---- by a mask


def _mask(mask: Any, who: str) -> Tensor:
    if not isinstance(mask, Tensor):
        raise TypeError(f"{who}(): argument 'mask' must be Tensor, not {type(mask).__name__}")
    if mask.dtype != bool:
        raise RuntimeError(f"{who}: the mask must be of dtype bool, got {mask.dtype}; compare, e.g. mask != 0.")
    return mask


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """input with a number, or a Tensor without dimensions, where the mask is true; both broadcast.

    >>> import retrograd as rg
    >>> rg.tensor([1.0, 2.0]).masked_fill(rg.tensor([True, False]), 0)
    tensor([0., 2.])
    """
    return xp.where(_mask(mask, "masked_fill"), _number(value, input, "masked_fill_"), input)  # type: ignore[no-any-return]


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask is true, as a vector; both broadcast."""
    shape = broadcast_shapes(input.shape, _mask(mask, "masked_select").shape)
    return getitem(xp.broadcast_to(input, shape=shape), xp.broadcast_to(mask, shape=shape))


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """input with the first elements of source, in order, where the mask is true; input and mask broadcast."""
    source = _same_dtype(input, source, "masked_scatter")
    shape = broadcast_shapes(input.shape, _mask(mask, "masked_scatter").shape)
    input, mask = xp.broadcast_to(input, shape=shape), xp.broadcast_to(mask, shape=shape)
    count = int(namespace(mask).count_nonzero(mask._array))
    if math.prod(source.shape) < count:
        raise RuntimeError(
            f"Number of elements of source < number of ones in mask, got {math.prod(source.shape)} and {count}"
        )
    if not shape:
        return masked_scatter(input[None], mask[None], source)[0]
    values = getitem(xp.reshape(source, shape=(-1,)), slice(0, count))
    return xp.index_put(input, values, index=_places(input, (mask,)))  # type: ignore[no-any-return]


# ---- counted in memory order


def _positions(input: Tensor, index: Any, who: str) -> Places:
    index = _integers(index, who)
    size = math.prod(input.shape)
    array = index._array
    if array.size and (flags.check_indices or device_of(array).type == "cpu"):
        for bad in (int(namespace(index).min(array)), int(namespace(index).max(array))):
            if not -size <= bad < size:
                raise OutOfRange(f"index {bad} is out of range for {size} elements.")
    return Places((_one_d(index)._array,), [index._stamp])


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at positions counted in memory order; the result has index's shape."""
    out = xp.pick(xp.reshape(input, shape=(-1,)), index=_positions(input, index, "take"))
    return _shaped(out, index.shape)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """The elements that `indices` names along one dimension, the others broadcasting; without `dim`, of the flat input.

    Fits the indices that argsort and argmax(keepdim=True) give.
    """
    indices = _integers(indices, "take_along_dim")
    if dim is None:
        return take(input, xp.reshape(indices, shape=(-1,)))
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {input.ndim} and {indices.ndim}"
        )
    dim = dimension(dim, input.ndim)
    _in_range(indices, input.shape[dim], dim, "take_along_dim", -input.shape[dim])
    before, after = (
        broadcast_shapes(input.shape[part], indices.shape[part]) for part in (slice(dim), slice(dim + 1, None))
    )
    input = xp.broadcast_to(input, shape=(*before, input.shape[dim], *after))
    indices = xp.broadcast_to(indices, shape=(*before, indices.shape[dim], *after))
    return xp.take_along_axis(input, indices, axis=dim)  # type: ignore[no-any-return]


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of input with source written, or added, at positions counted in memory order."""
    source = _same_dtype(input, source, "put_")
    if math.prod(source.shape) != math.prod(_integers(index, "put_").shape):
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"{math.prod(source.shape)} and {math.prod(index.shape)}"
        )
    places = _positions(input, index, "put_")
    places = Places((places.parts[0].reshape(-1),), [index._stamp])
    function = xp.index_add if accumulate else xp.index_put
    out = function(xp.reshape(input, shape=(-1,)), xp.reshape(source, shape=(-1,)), index=places)
    return _shaped(out, input.shape)


# ---- where something is


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Indices of the elements that are not zero: (count, ndim) of int64, or one vector per dimension if `as_tuple`.

    >>> import retrograd as rg
    >>> rg.tensor([0, 3, 0, 5]).nonzero()
    tensor([[1],
            [3]])
    """
    backend = namespace(input)
    found = backend.nonzero(_one_d(input)._array)
    if as_tuple:
        return tuple(make(array) for array in found)
    return make(backend.stack(found, axis=1)[:, : input.ndim])


def argwhere(input: Tensor) -> Tensor:
    """The same as `nonzero`."""
    return nonzero(input)  # type: ignore[no-any-return]


for _function in (
    gather, scatter, scatter_add, scatter_reduce, index_select, index_add, index_copy, index_fill, index_put,
    masked_fill, masked_select, masked_scatter, take, take_along_dim, put, nonzero, argwhere,
):  # fmt: skip
    public(_function)
