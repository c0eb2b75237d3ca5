"""Looking up rows of a table, one by one or in bags of which one row is made."""

from __future__ import annotations

from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.backends import device_of, flags

__all__ = ["embedding", "embedding_bag"]


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[input]: input int32 or int64 of any shape (*), weight (rows, features), result (*, features).

    padding_idx: the row that gets no gradient. max_norm: rows used whose norm_type-norm exceeds it are shortened to it
    in `weight` itself. scale_grad_by_freq divides a row's gradient by the number of its occurrences.
    Raises IndexError for an index out of range (on a GPU if index arrays are checked: `check_index_arrays`),
    NotImplementedError for sparse=True.
    """
    refuse_sparse("embedding", sparse)
    check_table("embedding", input, weight)
    padding = None if padding_idx is None else row_of_padding(padding_idx, weight.shape[0])
    check_range("embedding", input, weight.shape[0])
    if max_norm is not None:
        shorten(weight, input, max_norm, norm_type)
    out: Tensor = ops.embedding(weight, input, padding=padding, by_frequency=scale_grad_by_freq)
    return out


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """One row for every bag of indices: the sum, mean or largest of their rows of `weight`; zeros for an empty bag.

    input: (bags, length), or (indices,) with offsets (bags,), where each bag starts; with include_last_offset a last
    offset follows, where the last bag ends. per_sample_weights, like input, multiplies the rows (mode "sum" alone).
    Indices equal to padding_idx are left out. The other arguments, and IndexError, are those of `embedding`; ValueError
    and RuntimeError for what does not fit together.
    """
    refuse_sparse("embedding_bag", sparse)
    check_bag(input, offsets, mode, scale_grad_by_freq, per_sample_weights)
    check_table("embedding_bag", input, weight)
    rows = weight.shape[0]
    check_range("embedding_bag", input, rows, RuntimeError)
    padding = None if padding_idx is None else row_of_padding(padding_idx, rows)
    starts = fixed_starts(input) if offsets is None else checked_starts(input, offsets)
    if include_last_offset and not len(starts):
        raise RuntimeError("embedding_bag: include_last_offset needs at least 1 offset, got none.")
    if max_norm is not None:
        shorten(weight, input, max_norm, norm_type)
    flat = input.reshape(-1)
    if mode == "max":
        out = largest_of_bags(flat, weight, starts, padding)
    else:
        out = total_of_bags(flat, weight, starts, padding, scale_grad_by_freq, per_sample_weights, mode == "mean")
    if include_last_offset and offsets is not None:  # what is behind the last offset made a bag of its own
        return out[:-1]
    return out


def total_of_bags(
    flat: Tensor,
    weight: Tensor,
    starts: Any,
    padding: int | None,
    by_frequency: bool,
    per_sample_weights: Tensor | None,
    mean: bool,
) -> Tensor:
    """The sum of every bag's rows, or their mean."""
    found: Tensor = ops.embedding(weight, flat, padding=padding, by_frequency=by_frequency)
    used = None if padding is None else (flat != padding).to(weight.dtype)
    if per_sample_weights is not None:
        found = found * per_sample_weights.reshape(-1, 1)
    if used is not None:
        found = found * used.reshape(-1, 1)
    bags = bag_numbers(flat, starts)
    with weight.device:
        xp = namespace(weight)
        out: Tensor = ops.index_sum(found, index=(bags,), shape=(starts.shape[0], weight.shape[1]))
        if mean:
            ones = xp.ones(flat.shape, dtype=weight.dtype) if used is None else used.array
            sizes = xp.index_sum(ones, (bags,), shape=(starts.shape[0],))
            out = out / make(xp.reshape(xp.maximum(sizes, 1), (-1, 1)))
    return out


# ---- bags


def fixed_starts(input: Tensor) -> Any:
    """Where the bags of a matrix start: one bag for each row."""
    bags, length = input.shape
    with input.device:
        return namespace(input).arange(bags) * length


def checked_starts(input: Tensor, offsets: Tensor) -> Any:
    """Where the bags start. RuntimeError unless from 0 on, never falling, and within the input (looked at as indices
    are)."""
    starts = offsets.array
    if starts.size and watched(offsets):
        host = namespace(offsets).to_host(starts)
        if host[0] != 0 or (host[1:] < host[:-1]).any() or host[-1] > input.shape[0]:
            raise RuntimeError(
                f"embedding_bag: offsets must start at 0, not fall, and not exceed the {input.shape[0]} indices, "
                f"got {host[:10].tolist()}."
            )
    return starts


def bag_numbers(input: Tensor, starts: Any) -> Any:
    """The number of the bag to which each index belongs: that of the last start at or before it."""
    xp = namespace(input)
    with input.device:
        return xp.searchsorted(starts, xp.arange(input.shape[0]), side="right") - 1


def largest_of_bags(input: Tensor, weight: Tensor, starts: Any, padding: int | None) -> Tensor:
    """The largest of every bag's rows, element by element: bags side by side, padded to the longest."""
    xp = namespace(weight)
    with weight.device:
        total = input.shape[0]
        if not total or not len(starts):
            return make(xp.zeros((len(starts), weight.shape[1]), dtype=weight.dtype)) + weight.sum() * 0
        ends = xp.concat([starts[1:], xp.full((1,), total, dtype=starts.dtype)])
        longest = int(xp.max(ends - starts))
        places = xp.reshape(starts, (-1, 1)) + xp.arange(max(longest, 1))
        inside = places < xp.reshape(ends, (-1, 1))
        chosen = xp.getitem(input.array, (xp.minimum(places, total - 1),))
        if padding is not None:
            inside = inside & (chosen != padding)
        found = ops.embedding(weight, make(chosen))
        hidden = make(xp.reshape(~inside, (*inside.shape, 1)))
        values = found.masked_fill(hidden, -float("inf")).max(dim=1).values
        return values.masked_fill(make(xp.reshape(~xp.any(inside, axis=1), (-1, 1))), 0.0)  # type: ignore[no-any-return]


# ---- checks, and the norm


def refuse_sparse(name: str, sparse: bool) -> None:
    if sparse:
        raise NotImplementedError(f"{name}: sparse=True is not supported; gradients here are dense, leave it out.")


def check_table(name: str, input: Tensor, weight: Tensor) -> None:
    """Integers look up rows of a matrix."""
    if input.dtype.name not in ("int32", "int64"):
        raise RuntimeError(f"{name}: indices must be int32 or int64, got {input.dtype}; convert with x.long().")
    if weight.ndim != 2:
        raise RuntimeError(f"{name}: weight must be 2-D (rows, features), got shape {weight.shape}.")


def check_bag(
    input: Tensor, offsets: Tensor | None, mode: str, scale_grad_by_freq: bool, per_sample_weights: Tensor | None
) -> None:
    """What excludes each other."""
    if per_sample_weights is not None and per_sample_weights.shape != input.shape:
        raise ValueError(
            f"embedding_bag: per_sample_weights {per_sample_weights.shape} must have the shape of input {input.shape}."
        )
    if input.ndim == 2 and offsets is not None:
        raise ValueError("embedding_bag: a 2-D input is a bag for every row; leave offsets out.")
    if input.ndim == 1 and (offsets is None or offsets.ndim != 1):
        raise ValueError("embedding_bag: a 1-D input needs 1-D offsets that say where each bag starts.")
    if input.ndim not in (1, 2):
        raise ValueError(f"embedding_bag: input has to be 1-D or 2-D, got shape {input.shape}.")
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"embedding_bag: mode has to be one of sum, mean or max, got {mode!r}.")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("embedding_bag: max mode does not support scaling the gradient by the frequency.")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(f"embedding_bag: per_sample_weights are supported for mode='sum', not {mode!r}.")


def row_of_padding(padding_idx: int, rows: int) -> int:
    """The number of the padding row, counted from the front. AssertionError where there is no such row."""
    if not -rows <= padding_idx < rows:
        raise AssertionError(f"Padding_idx must be within num_embeddings: got {padding_idx}, there are {rows} rows.")
    return padding_idx % rows


def watched(indices: Tensor) -> bool:
    """Whether indices are looked at: always on the host, on a GPU if asked to, as it would wait."""
    return flags.check_indices or device_of(indices._array).type == "cpu"


def check_range(name: str, indices: Tensor, rows: int, kind: type[Exception] = IndexError) -> None:
    """IndexError for an index that is negative or too large."""
    array = indices._array
    if array.size and watched(indices):
        xp = namespace(indices)
        lowest, highest = int(xp.min(array)), int(xp.max(array))
        if lowest < 0 or highest >= rows:
            wrong = lowest if lowest < 0 else highest
            raise kind(f"{name}: index {wrong} is out of range for a table of {rows} rows (0 to {rows - 1}).")


def shorten(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> None:
    """Brings the rows that are used and longer than max_norm to that norm, in place."""
    with no_grad():
        flat = indices.reshape(-1)
        used = weight[flat]
        norms = used.norm(norm_type, 1, keepdim=True)
        weight[flat] = ops.where(norms > max_norm, used * (max_norm / (norms + 1e-7)), used)
