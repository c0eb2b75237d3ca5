"""Embedding layers: tables of learned rows."""

from __future__ import annotations

from typing import Any, Self

from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor
from retrograd.nn import functional as F
from retrograd.nn import init
from retrograd.nn.functional.embedding import refuse_sparse, row_of_padding
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter, blank

__all__ = ["Embedding", "EmbeddingBag"]


class Table(Module):
    """What the layers of this file share: `weight` (num_embeddings, embedding_dim), normal, the padding row zero."""

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None
    weight: Parameter

    def _fill(self, padding_idx: int | None, given: Tensor | None, freeze: bool, device: Any, dtype: Any) -> None:
        """Sets up the table, drawn anew unless given."""
        shape = (self.num_embeddings, self.embedding_dim)
        self.padding_idx = None if padding_idx is None else row_of_padding(padding_idx, self.num_embeddings)
        if given is None:
            self.weight = blank(shape, device, dtype)
            self.weight.requires_grad_(not freeze)
            self.reset_parameters()
            return
        if given.shape != shape:
            raise AssertionError(
                f"{type(self).__name__}: shape of weight does not match num_embeddings and embedding_dim: "
                f"got {given.shape}, expected {shape}."
            )
        self.weight = Parameter(given, requires_grad=not freeze)

    def reset_parameters(self) -> None:
        """Draws the rows anew, standard normal; the padding row is zero."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].fill_(0)


class Embedding(Table):
    """weight[input]: a learned row for every index.

    Shapes: input int32 or int64 (*), output (*, embedding_dim), weight (num_embeddings, embedding_dim).
    padding_idx: a row that starts at zero and gets no gradient. max_norm: rows used are shortened, in place, to this
    norm_type-norm. scale_grad_by_freq divides a row's gradient by the number of its occurrences.
    Raises IndexError for an index out of range, NotImplementedError for sparse=True.

    >>> import retrograd as rg
    >>> table = rg.nn.Embedding.from_pretrained(rg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> table(rg.tensor([1, 1]))
    tensor([[3., 4.],
            [3., 4.]])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        refuse_sparse(type(self).__name__, sparse)
        self.num_embeddings, self.embedding_dim, self.sparse = num_embeddings, embedding_dim, sparse
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        self._fill(padding_idx, _weight, _freeze, device, dtype)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """A layer around a table (rows, features) that exists, learned further only with freeze=False."""
        rows, features = two_dimensions(embeddings)
        return cls(
            rows,
            features,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight=embeddings,
            _freeze=freeze,
        )

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    def extra_repr(self) -> str:
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        parts += [f"padding_idx={self.padding_idx}"] if self.padding_idx is not None else []
        parts += [f"max_norm={self.max_norm}"] if self.max_norm is not None else []
        parts += [f"norm_type={self.norm_type}"] if self.norm_type != 2 else []
        parts += [f"scale_grad_by_freq={self.scale_grad_by_freq}"] if self.scale_grad_by_freq else []
        return ", ".join(parts)


class EmbeddingBag(Table):
    """The sum, mean or largest of the rows that belong to the indices of each bag; zeros for an empty bag.

    Shapes: input (bags, length), or (indices,) with offsets (bags,); output (bags, embedding_dim); see
    `nn.functional.embedding_bag`, whose errors it raises.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        refuse_sparse(type(self).__name__, sparse)
        self.num_embeddings, self.embedding_dim, self.sparse = num_embeddings, embedding_dim, sparse
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        self.mode, self.include_last_offset = mode, include_last_offset
        self._fill(padding_idx, _weight, False, device, dtype)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Self:
        """A layer around a table (rows, features) that exists, learned further only with freeze=False."""
        rows, features = two_dimensions(embeddings)
        bag = cls(
            rows,
            features,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            _weight=embeddings,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
        )
        bag.weight.requires_grad_(not freeze)
        return bag

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        parts += [f"max_norm={self.max_norm}"] if self.max_norm is not None else []
        parts += [f"norm_type={self.norm_type}"] if self.norm_type != 2 else []
        parts += [f"scale_grad_by_freq={self.scale_grad_by_freq}"] if self.scale_grad_by_freq else []
        parts.append(f"mode={self.mode!r}")
        parts += [f"padding_idx={self.padding_idx}"] if self.padding_idx is not None else []
        return ", ".join(parts)


def two_dimensions(embeddings: Tensor) -> tuple[int, int]:
    """Rows and features. AssertionError for anything but a matrix."""
    if embeddings.ndim != 2:
        raise AssertionError(f"Embeddings parameter is expected to be 2-dimensional, got shape {embeddings.shape}.")
    return embeddings.shape[0], embeddings.shape[1]
