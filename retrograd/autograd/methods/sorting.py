"""Order: sorting, ranks, medians and quantiles, unique values, searching, counting."""

from __future__ import annotations

import operator
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.reduction import nonempty, picked, squeezed
from retrograd.autograd.methods.registry import public
from retrograd.autograd.methods.results import result
from retrograd.autograd.tensor import Tensor, make, namespace

__all__: list[str] = []

_ops: Any = ops


def _slice(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """x from start to stop along an axis; a 0-d tensor has one element."""
    return x[(slice(None),) * axis + (slice(start, stop),)] if x.ndim else x


# ---- sorting

_sort, _topk = result("sort", "values", "indices"), result("topk", "values", "indices")
_kthvalue = result("kthvalue", "values", "indices")


def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Tensor:
    """The indices that sort a tensor along a dimension: equal elements keep their order, NaN is greatest. int64.

    >>> import retrograd as rg
    >>> rg.tensor([3.0, 1.0, 2.0]).argsort()
    tensor([1, 2, 0])
    """
    return _ops.argsort(input, axis=dimension(dim, input.ndim), descending=bool(descending))  # type: ignore[no-any-return]


def sort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """The elements in order along a dimension: a named tuple (values, indices). Always stable; NaN is greatest.

    IndexError for a dimension that does not exist.

    >>> import retrograd as rg
    >>> rg.tensor([3.0, 1.0, 2.0]).sort(descending=True).values
    tensor([3., 2., 1.])
    """
    places = argsort(input, dim, descending)
    return _sort(picked(input, places, dimension(dim, input.ndim)), places)


def msort(input: Tensor) -> Tensor:
    """The elements in order along the first dimension.

    >>> import retrograd as rg
    >>> rg.tensor([3.0, 1.0]).msort()
    tensor([1., 3.])
    """
    return sort(input, 0).values  # type: ignore[no-any-return]


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k greatest (or smallest) elements along a dimension, in order: a named tuple (values, indices).

    RuntimeError for a k beyond the dimension's length.

    >>> import retrograd as rg
    >>> rg.tensor([3.0, 1.0, 2.0]).topk(2)
    rg.return_types.topk(
    values=tensor([3., 2.]),
    indices=tensor([0, 2]))
    """
    axis = dimension(dim, input.ndim)
    length = input.shape[axis] if input.ndim else 1
    if not 0 <= operator.index(k) <= length:
        raise RuntimeError(f"topk: selected index k={k} is out of range for a dimension of length {length}.")
    places = _ops.argsort(input, axis=axis, descending=bool(largest), first=operator.index(k))
    return _topk(picked(input, places, axis), places)


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest element along a dimension, counted from 1: a named tuple (values, indices).

    RuntimeError for a k out of range.

    >>> import retrograd as rg
    >>> rg.tensor([3.0, 1.0, 2.0]).kthvalue(2).values
    tensor(2.)
    """
    axis = dimension(dim, input.ndim)
    length = input.shape[axis] if input.ndim else 1
    if not 1 <= operator.index(k) <= length:
        raise RuntimeError(f"kthvalue: k={k} is out of range for a dimension of length {length}; it counts from 1.")
    place = _slice(_ops.argsort(input, axis=axis, first=k), axis, k - 1, k)
    return _kthvalue(squeezed(picked(input, place, axis), axis, keepdim), squeezed(place, axis, keepdim))


# ---- medians and quantiles

_median, _nanmedian = result("median", "values", "indices"), result("nanmedian", "values", "indices")


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of all elements, or with dim a named tuple (values, indices). NaN if an element is.

    Without dim equal elements share the gradient. NotImplementedError for truth values.

    >>> import retrograd as rg
    >>> rg.tensor([4.0, 1.0, 3.0, 2.0]).median()
    tensor(2.)
    """
    return _middle("median", _median, input, dim, keepdim, ignore_nan=False)


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of what is not NaN; else as `median`.

    >>> import retrograd as rg
    >>> rg.tensor([4.0, float("nan"), 3.0]).nanmedian()
    tensor(3.)
    """
    return _middle("nanmedian", _nanmedian, input, dim, keepdim, ignore_nan=True)


def _middle(name: str, results: Any, input: Tensor, dim: Any, keepdim: bool, ignore_nan: bool) -> Any:
    if input.dtype.kind == "b":
        raise NotImplementedError(f"{name}: not possible for bool; cast it, e.g. x.int().")
    if dim is None:
        if not input._array.size:
            return make(namespace(input).full((), float("nan") if input.dtype.kind == "f" else 0, dtype=input.dtype))
        return _ops.median(_ops.reshape(input, shape=(-1,)), ignore_nan=ignore_nan)
    axis = dimension(operator.index(dim), input.ndim)
    nonempty(name, input, axis if input.ndim else None)
    order = argsort(input, axis)
    length = input.shape[axis] if input.ndim else 1
    if input.dtype.kind == "f" and input.ndim:
        valid = _ops.sum(_ops.equal(input, input), axis=axis, keepdims=True)
        # NaN are sorted to the end, so the first one stands behind the valid elements.
        wanted = _ops.clip((valid - 1) // 2, min=0)
        if not ignore_nan:
            wanted = _ops.where(_ops.less(valid, length), valid, wanted)
        place = picked(order, wanted, axis)
    else:
        place = _slice(order, axis, (length - 1) // 2, (length + 1) // 2)
    return results(squeezed(picked(input, place, axis), axis, keepdim), squeezed(place, axis, keepdim))


def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The quantiles q (numbers in [0, 1], one or a 1-d Tensor) of all elements, or along a dimension.

    Between two elements it is interpolated: "linear", "lower", "higher", "midpoint" or "nearest". Several quantiles
    come as a first dimension. NaN where an element is. RuntimeError for q outside [0, 1] and for integers.

    >>> import retrograd as rg
    >>> rg.tensor([1.0, 2.0, 3.0, 4.0]).quantile(0.5)
    tensor(2.5000)
    """
    return _quantiles("quantile", input, q, dim, keepdim, interpolation, _between)


def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The quantiles of what is not NaN; else as `quantile`.

    >>> import retrograd as rg
    >>> rg.tensor([1.0, float("nan"), 3.0]).nanquantile(0.5)
    tensor(2.)
    """
    return _quantiles("nanquantile", input, q, dim, keepdim, interpolation, _between_numbers)


INTERPOLATIONS: dict[str, Any] = {
    "linear": lambda part: part,
    "lower": lambda part: 0.0 * part,
    "higher": lambda part: 1.0 * (part > 0),
    "midpoint": lambda part: 0.5 * (part > 0),
    "nearest": lambda part: 1.0 * (part > 0.5),
}
"""How far from the lower to the higher neighbour a quantile is taken, by the fraction of its rank."""


def _quantiles(
    name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, between: Any
) -> Tensor:
    if input.dtype not in ("float32", "float64"):
        raise RuntimeError(f"{name}: the input must be float32 or float64, got {input.dtype}.")
    if interpolation not in INTERPOLATIONS:
        ways = ", ".join(INTERPOLATIONS)
        raise RuntimeError(f"{name}: interpolation must be one of {ways}, got {interpolation!r}.")
    wanted = q.tolist() if isinstance(q, Tensor) else q
    several = isinstance(wanted, list)
    fractions = wanted if several else [wanted]
    if not all(0 <= f <= 1 for f in fractions):
        raise RuntimeError(f"{name}: q must be in the range [0, 1], got {wanted}.")
    flat = _ops.reshape(input, shape=(-1,)) if dim is None or not input.ndim else input
    axis = 0 if dim is None or not input.ndim else dimension(dim, input.ndim)
    if not flat.shape[axis]:
        raise RuntimeError(f"{name}: the input must not be empty.")
    values = sort(flat, axis).values
    found = [between(values, axis, fraction, INTERPOLATIONS[interpolation]) for fraction in fractions]
    if dim is None and keepdim:
        found = [_ops.reshape(f, shape=(1,) * input.ndim) for f in found]
    elif not keepdim or not input.ndim:
        found = [_ops.squeeze(f, axis=axis) for f in found]
    return _ops.stack(*found, axis=0) if several else found[0]  # type: ignore[no-any-return]


def _between(values: Tensor, axis: int, fraction: float, weight: Any) -> Tensor:
    """The quantile of sorted values; NaN where there is one, since NaN are sorted to the end."""
    end = values.shape[axis] - 1
    rank = fraction * end
    low, high = int(rank), min(int(rank) + 1, end)
    lower, higher = _slice(values, axis, low, low + 1), _slice(values, axis, high, high + 1)
    last = _slice(values, axis, end, end + 1)
    part = float(round(rank) > low) if weight is INTERPOLATIONS["nearest"] else float(weight(rank - low))
    return _ops.where(_ops.isnan(last), last, _ops.lerp(lower, higher, part))  # type: ignore[no-any-return]


def _between_numbers(values: Tensor, axis: int, fraction: float, weight: Any) -> Tensor:
    """The quantile of the sorted values before the first NaN; NaN where there are none."""
    numbers = _ops.sum(_ops.equal(values, values), axis=axis, keepdims=True)
    end = _ops.astype(_ops.clip(numbers - 1, min=0), dtype=values.dtype)
    rank = end * fraction
    low = _ops.floor(rank)
    lower, higher = (
        picked(values, _ops.astype(place, dtype="int64"), axis) for place in (low, _ops.minimum(low + 1, end))
    )
    return _ops.lerp(lower, higher, weight(rank - low))  # type: ignore[no-any-return]


# ---- unique values


def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: Any = None
) -> Any:
    """The different elements in order, or with dim the different slices; always sorted.

    With return_inverse, also the index of every element among them, and with return_counts how often each occurs: a
    tuple then. Carries no gradient. Every NaN counts as different.

    >>> import retrograd as rg
    >>> rg.tensor([3, 1, 1]).unique(return_counts=True)
    (tensor([1, 3]), tensor([2, 1]))
    """
    axis = None if dim is None else dimension(operator.index(dim), input.ndim)
    found = namespace(input).unique(input.array, axis=axis)
    return _chosen([make(a) for a in found], return_inverse, return_counts)


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: Any = None
) -> Any:
    """The elements (all in a row, or slices along dim) without immediate repetitions; else as `unique`.

    >>> import retrograd as rg
    >>> rg.tensor([1, 1, 2, 1]).unique_consecutive()
    tensor([1, 2, 1])
    """
    xp, array = namespace(input), input.array
    axis = 0 if dim is None else dimension(operator.index(dim), input.ndim)
    rows = xp.reshape(array, (-1,)) if dim is None else array
    length = rows.shape[axis]
    lead = (slice(None),) * axis
    differs = rows[lead + (slice(1, None),)] != rows[lead + (slice(None, -1),)]
    if differs.ndim > 1:
        differs = xp.any(differs, axis=tuple(a for a in range(differs.ndim) if a != axis))
    new = xp.concat([xp.ones((min(length, 1),), dtype=bool), differs])
    places = xp.nonzero(new)[0]
    inverse = xp.cumulative_sum(new, axis=0) - 1
    ends = xp.concat([places[1:], xp.full((min(length, 1),), length, dtype=places.dtype)])
    inverse = xp.reshape(inverse, array.shape) if dim is None else inverse
    found = [make(a) for a in (xp.getitem(rows, (*lead, places)), inverse, ends - places)]
    return _chosen(found, return_inverse, return_counts)


def _chosen(found: list[Tensor], return_inverse: bool, return_counts: bool) -> Any:
    wanted = [found[0], *([found[1]] if return_inverse else []), *([found[2]] if return_counts else [])]
    return tuple(wanted) if len(wanted) > 1 else wanted[0]


# ---- searching and counting


def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None
) -> Tensor:
    """Where to insert values into a sorted sequence so that it stays sorted: before equal elements, or after (right).

    sorted_sequence: 1-d, or with a last dimension for each row of input. int64, or int32. RuntimeError for shapes that
    do not match, and for a side that contradicts `right`.

    >>> import retrograd as rg
    >>> rg.searchsorted(rg.tensor([1.0, 2.0, 3.0]), rg.tensor([2.0, 5.0]))
    tensor([1, 3])
    """
    if side not in (None, "left", "right") or (side == "left" and right):
        raise RuntimeError(f"searchsorted: side must be 'left' or 'right' and agree with right, got {side!r}, {right}.")
    xp, sequence = namespace(sorted_sequence), sorted_sequence.array
    values = input.array if isinstance(input, Tensor) else xp.asarray(input, dtype=sequence.dtype)
    after = right or side == "right"
    if sequence.ndim == 1:
        found = xp.searchsorted(sequence, xp.reshape(values, (-1,)), side="right" if after else "left")
        found = xp.reshape(found, values.shape)
    elif sequence.shape[:-1] == values.shape[:-1]:
        row, value = xp.expand_dims(sequence, axis=-2), xp.expand_dims(values, axis=-1)
        found = xp.count_nonzero((row <= value) if after else (row < value), axis=-1)
    else:
        raise RuntimeError(
            f"searchsorted: sorted_sequence {sequence.shape} must have one dimension, or input's {values.shape} "
            "but for the last."
        )
    return make(xp.astype(found, dtype="int32" if out_int32 else "int64"))


def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """Number of the bucket of every value, between sorted boundaries: (lower, upper], or with right [lower, upper).

    >>> import retrograd as rg
    >>> rg.bucketize(rg.tensor([1.5, 2.0]), rg.tensor([1.0, 2.0, 3.0]))
    tensor([1, 1])
    """
    if boundaries.ndim != 1:
        raise RuntimeError(f"bucketize: boundaries must have one dimension, got {boundaries.shape}.")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often every number from 0 to the greatest occurs, or the sum of the weights of its occurrences.

    input: 1-d, integers from 0 on; weights of the same shape. RuntimeError for anything else.

    >>> import retrograd as rg
    >>> rg.tensor([1, 1, 3]).bincount()
    tensor([0, 2, 0, 1])
    """
    xp, array = namespace(input), input.array
    if array.dtype.kind == "f":
        raise NotImplementedError(f"bincount: not possible for {array.dtype}; cast it, e.g. x.long().")
    if array.ndim != 1 or (array.size and int(xp.min(array)) < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError(f"bincount: weights {weights.shape} must have the input's shape {input.shape}.")
    length = max(int(minlength), int(xp.max(array)) + 1 if array.size else 0)
    index = xp.astype(array, dtype="int64")
    if weights is None:
        counts = xp.add_along_axis(xp.zeros((length,), dtype="int64"), index, index * 0 + 1, axis=0)
    else:
        kind = weights.dtype if weights.dtype == "float32" else "float64"
        total = xp.zeros((length,), dtype=kind)
        counts = xp.add_along_axis(total, index, xp.astype(weights.array, dtype=kind), axis=0)
    return make(counts)


for _function in (
    argsort, sort, msort, topk, kthvalue, median, nanmedian, quantile, nanquantile, unique, unique_consecutive,
    bincount,
):  # fmt: skip
    public(_function)
public(searchsorted, method=False)
public(bucketize, method=False)
