"""Dropout layers: active in training only."""

from __future__ import annotations

from retrograd.autograd.tensor import Tensor
from retrograd.nn import functional as F
from retrograd.nn.module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class Dropout(Module):
    """In training, zeros each element with probability p and divides the others by 1 − p; else the identity.

    The same seed gives PyTorch's mask. Raises ValueError for p outside of [0, 1]. Srivastava et al. 2014.

    >>> import retrograd as rg
    >>> sorted(set(rg.nn.Dropout(0.5)(rg.ones(100)).tolist()))
    [0.0, 2.0]
    >>> rg.nn.Dropout(0.5).eval()(rg.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: the probability p must lie between 0 and 1, got {p}.")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout):
    """`Dropout` of whole channels: input (batch, channels, length) or (channels, length). Tompson et al. 2015."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(Dropout):
    """`Dropout` of whole channels: input (batch, channels, height, width)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(Dropout):
    """`Dropout` of whole channels: input (batch, channels, depth, height, width), or without the batch."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(Dropout):
    """Dropout that keeps mean 0 and variance 1, for networks of SELUs. Klambauer et al. 2017, section 4."""

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(Dropout):
    """`AlphaDropout` of whole channels: input (batch, channels, *)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)
