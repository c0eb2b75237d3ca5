"""Tensors taken apart: pieces and slices of a dimension, as views."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.registry import method, public
from retrograd.autograd.ops import shape as parting
from retrograd.autograd.ops.indexing import getitem
from retrograd.autograd.tensor import Tensor

__all__: list[str] = []

xp: Any = ops


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


_function: Any
for _function in (split_with_sizes, chunk, tensor_split, hsplit, vsplit, dsplit, unbind):
    public(_function)
for _name in ("split", "unsafe_split"):
    method(split, name=_name)
    public(_split, name=_name, method=False)
public(chunk, name="unsafe_chunk")
public(split_with_sizes, name="unsafe_split_with_sizes")
