"""Sequences of different lengths in one batch: padded to the longest, or packed without padding.

A packed batch holds the elements of the first step of all sequences, then those of the second step, and so on; the
sequences stand in the order of their lengths, longest first, so that every step has the first `batch_sizes[t]` of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Self

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.methods.creation import full, tensor
from retrograd.autograd.tensor import Tensor, make, namespace

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """A packed batch, as the functions below make it and recurrent layers take and give it.

    `data` (elements, *) holds the elements; `batch_sizes` (steps,), int64 on the CPU, how many each step has;
    `sorted_indices` the order of lengths in which the sequences stand, and `unsorted_indices` the way back (None: they
    came sorted). Raises ValueError when batch_sizes is not on the CPU.
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> Self:
        if batch_sizes is None:  # one pair
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError(f"PackedSequence: give data and batch_sizes, or a pair of them; got {data!r}")
            data, batch_sizes = data
        elif batch_sizes.device.type != "cpu":
            raise ValueError(
                f"PackedSequence: batch_sizes must be on the CPU, got {batch_sizes.device}; "
                "let pack_sequence or pack_padded_sequence make it."
            )
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """With `data.to(...)`; the indices follow to its device. This sequence itself where nothing changes."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        indices = [None if i is None else i.to(data.device) for i in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *indices)

    def cpu(self) -> Self:
        """On the host."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Self:
        """On a GPU, the current one unless named."""
        return self.to("cuda" if device is None else device)

    def double(self) -> Self:
        """With data in float64."""
        return self.to(np.dtype("float64"))

    def float(self) -> Self:
        """With data in float32."""
        return self.to(np.dtype("float32"))

    def half(self) -> Self:
        """With data in float16."""
        return self.to(np.dtype("float16"))

    def long(self) -> Self:
        """With data in int64."""
        return self.to(np.dtype("int64"))

    def int(self) -> Self:
        """With data in int32."""
        return self.to(np.dtype("int32"))

    def short(self) -> Self:
        """With data in int16."""
        return self.to(np.dtype("int16"))

    def char(self) -> Self:
        """With data in int8."""
        return self.to(np.dtype("int8"))

    def byte(self) -> Self:
        """With data in uint8."""
        return self.to(np.dtype("uint8"))

    @property
    def is_cuda(self) -> bool:
        """Whether data is on a GPU."""
        return self.data.device.type == "cuda"


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes one, (n,); None for None."""
    if permutation is None:
        return None
    xp = namespace(permutation)
    return make(xp.argsort(permutation.array, axis=0))


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """A padded batch (steps, batch, *), or (batch, steps, *) with `batch_first`, without its padding.

    `lengths` (batch,) are integers, on the CPU if a Tensor. They must fall, unless `enforce_sorted` is False: the
    sequences are then sorted. Raises RuntimeError for lengths that are not positive, do not fall, exceed the steps or
    are not as many as the sequences, and for an empty input.

    >>> import retrograd as rg
    >>> batch = rg.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    >>> rg.nn.utils.rnn.pack_padded_sequence(batch, [2, 1, 3], batch_first=True, enforce_sorted=False).data
    tensor([4, 1, 3, 5, 2, 6])
    """
    listed = as_list(lengths)
    if batch_first and input.ndim > 1:
        input = ops.permute_dims(input, axes=(1, 0, *range(2, input.ndim)))
    check_lengths(listed, input, enforce_sorted)
    order = None
    if not enforce_sorted:
        host_order = np.argsort(-np.asarray(listed), kind="stable")
        order, listed = on_device_of(input, host_order), [listed[i] for i in host_order]
        input = input.index_select(1, order)
    sizes = [sum(length > step for length in listed) for step in range(listed[0])]
    batch = len(listed)
    rows = np.concatenate([np.arange(n) + step * batch for step, n in enumerate(sizes)])
    flat = ops.reshape(input, shape=(input.shape[0] * batch, *input.shape[2:]))
    packed = flat.index_select(0, on_device_of(input, rows))
    return PackedSequence(packed, tensor(sizes, dtype=np.dtype("int64"), device="cpu"), order)


def as_list(lengths: Tensor | Sequence[int]) -> list[int]:
    """Lengths as integers of Python."""
    if isinstance(lengths, Tensor):
        if lengths.device.type != "cpu" or lengths.ndim != 1:
            raise RuntimeError(
                f"'lengths' must be a 1D CPU int64 tensor, got {lengths.ndim}D on {lengths.device}; "
                "move it with lengths.cpu()."
            )
        lengths = lengths.array.tolist()
    return [int(length) for length in lengths]


def check_lengths(lengths: list[int], input: Tensor, falling: bool) -> None:
    """Raises RuntimeError for what cannot be packed; input (steps, batch, *)."""
    if input.ndim < 2 or 0 in input.shape:
        raise RuntimeError(f"Cannot pack empty tensors: input (steps, batch, *) has the shape {input.shape}.")
    if len(lengths) != input.shape[1]:
        raise RuntimeError(f"pack_padded_sequence: {len(lengths)} lengths for a batch of {input.shape[1]} sequences.")
    if min(lengths) <= 0:
        raise RuntimeError(f"pack_padded_sequence: all lengths must be greater than 0, got {min(lengths)}.")
    if max(lengths) > input.shape[0]:
        raise RuntimeError(f"pack_padded_sequence: length {max(lengths)} exceeds the {input.shape[0]} steps of input.")
    if falling and any(a < b for a, b in pairwise(lengths)):
        raise RuntimeError(
            "pack_padded_sequence: lengths must be sorted in decreasing order; "
            "pass enforce_sorted=False to have the sequences sorted."
        )


def on_device_of(like: Tensor, indices: np.ndarray[Any, Any]) -> Tensor:
    """Indices made on the host, where a Tensor is."""
    with like.device:
        return make(namespace(like).from_host(indices.astype(np.int64)))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The padded batch (steps, batch, *), or (batch, steps, *), in its original order, and the lengths (batch,).

    Padded to the longest sequence, or to `total_length`. Raises ValueError when that is shorter than the longest.
    """
    sizes = sequence.batch_sizes.array.tolist()
    steps = len(sizes) if total_length is None else total_length
    if steps < len(sizes):
        raise ValueError(
            f"pad_packed_sequence: total_length={total_length} is less than the length of the longest, {len(sizes)}."
        )
    data, batch = sequence.data, sizes[0]
    rows = np.full((steps, batch), len(data))  # where nothing stands: the row of padding behind the last
    for step, (end, n) in enumerate(zip(accumulate(sizes), sizes)):
        rows[step, :n] = np.arange(end - n, end)
    lengths = np.sum(rows < len(data), axis=0)
    padding = full((1, *data.shape[1:]), padding_value, dtype=data.dtype, device=data.device)
    padded = ops.concat(data, padding, axis=0).index_select(0, on_device_of(data, rows.ravel()))
    padded = ops.reshape(padded, shape=(steps, batch, *data.shape[1:]))
    if sequence.unsorted_indices is not None:
        padded = padded.index_select(1, sequence.unsorted_indices)
        lengths = lengths[namespace(data).to_host(sequence.unsorted_indices.array)]
    if batch_first:
        padded = ops.permute_dims(padded, axes=(1, 0, *range(2, padded.ndim)))
    return padded, tensor(lengths.astype(np.int64), device="cpu")


def pad_sequence(
    sequences: Tensor | Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (length, *) padded to the longest: (steps, batch, *), or (batch, steps, *) with `batch_first`.

    `padding_side` "left" puts the padding before them. Raises RuntimeError for no sequences, for an unknown side, and
    where the shapes behind the lengths differ.
    """
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"pad_sequence: padding_side must be 'left' or 'right', got {padding_side!r}.")
    try:
        listed = list(sequences)  # a Tensor gives its rows
    except TypeError:
        raise RuntimeError(f"pad_sequence: give a list of sequences, got {type(sequences).__name__}.") from None
    if not listed:
        raise RuntimeError("pad_sequence: received an empty list of sequences.")
    for s in listed:
        if not isinstance(s, Tensor):
            raise TypeError(f"pad_sequence: sequences must be Tensors, got {type(s).__name__}.")
        if not s.ndim or s.shape[1:] != listed[0].shape[1:]:
            raise RuntimeError(
                f"pad_sequence: shapes {listed[0].shape} and {s.shape}; a sequence is (length, *), with one * for all."
            )
    steps = max(len(s) for s in listed)
    padded = []
    for s in listed:
        s = s.to(listed[0].dtype)
        padding = full((steps - len(s), *s.shape[1:]), padding_value, dtype=s.dtype, device=s.device)
        parts = (s, padding) if padding_side == "right" else (padding, s)
        padded.append(ops.concat(*parts, axis=0) if len(padding) else s)
    return ops.stack(*padded, axis=0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False
) -> list[Tensor]:
    """The sequences (length, *) of a padded batch (steps, batch, *), or (batch, steps, *): copies."""
    counts = lengths.tolist() if isinstance(lengths, Tensor) else lengths
    axis = 0 if batch_first else 1
    batch = [padded_sequences.select(axis, b) for b in range(padded_sequences.shape[axis])]
    return [ops.copy(ops.getitem(s, slice(0, n))) for s, n in zip(batch, counts)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs sequences (length, *). Their lengths must fall, unless `enforce_sorted` is False."""
    return pack_padded_sequence(pad_sequence(sequences), [len(s) for s in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences (length, *) of a packed batch, in their original order."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
