"""Softmax over so many classes that the rare ones are looked at only when they are meant."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.nn.containers import ModuleList, Sequential
from retrograd.nn.linear import Linear
from retrograd.nn.module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _ASMoutput(NamedTuple):
    """The log-probability of each target, and minus their mean."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Cross-entropy over classes sorted by frequency, the rare ones in clusters (Grave et al. 2017).

    The head tells the cutoffs[0] most frequent classes and the clusters apart; cluster i has its own small softmax, on
    in_features / div_value^(i + 1) features. Called with input (batch, in_features) and target (batch,), or
    (in_features,) and (), it gives the named tuple (output, loss).
    Raises ValueError unless the cutoffs increase between 1 and n_classes − 1.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        bounds = [0, *cutoffs, n_classes]
        if len(bounds) < 3 or any(a >= b for a, b in pairwise(bounds)) or any(int(c) != c for c in cutoffs):
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs must be integers that increase between 1 and {n_classes - 1}, "
                f"got {list(cutoffs)}."
            )
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, bounds[1:]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = bounds[1], len(bounds) - 2
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, head_bias, device, dtype)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(pairwise(self.cutoffs), 1):
            hidden = int(in_features // div_value**i)
            narrow = Linear(in_features, hidden, False, device, dtype)
            self.tail.append(Sequential(narrow, Linear(hidden, high - low, False, device, dtype)))

    def reset_parameters(self) -> None:
        """Draws all weights anew."""
        for layer in (self.head, *(layer for cluster in self.tail for layer in cluster)):
            layer.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        single = target_.ndim == 0
        if target_.ndim > 1 or input_.ndim != target_.ndim + 1 or (not single and len(input_) != len(target_)):
            raise RuntimeError(
                f"AdaptiveLogSoftmaxWithLoss: expected input (batch, {self.in_features}) and target (batch,), got "
                f"{input_.shape} and {target_.shape}."
            )
        input = ops.expand_dims(input_, axis=0) if single else input_
        output = self._of_targets(input, ops.expand_dims(target_, axis=0) if single else target_)
        return _ASMoutput(output[0] if single else output, -ops.mean(output))

    def _of_targets(self, input: Tensor, target: Tensor) -> Tensor:
        """The log-probability of each row's target."""
        xp, classes = namespace(target), target._array
        if bool(xp.any((classes < 0) | (classes >= self.n_classes))):
            raise RuntimeError(f"AdaptiveLogSoftmaxWithLoss: targets must lie between 0 and {self.n_classes - 1}.")
        column, outputs = classes, None
        for i, (low, high) in enumerate(pairwise(self.cutoffs)):
            inside = (classes >= low) & (classes < high)
            rows = make(xp.nonzero(inside)[0])
            if not len(rows):
                continue
            column = xp.where(inside, self.shortlist_size + i, column)
            log_p = ops.log_softmax(self.tail[i](input[rows]), axis=1)
            own = ops.take_along_axis(log_p, make(xp.reshape(classes[inside] - low, (-1, 1))), axis=1)
            zeros = make(namespace(own).new_zeros(own._array, shape=(len(target),)))
            placed = zeros.index_add(0, rows, ops.reshape(own, shape=(-1,)))
            outputs = placed if outputs is None else outputs + placed
        log_head = ops.log_softmax(self.head(input), axis=1)
        head = ops.reshape(ops.take_along_axis(log_head, make(xp.reshape(column, (-1, 1))), axis=1), shape=(-1,))
        return head if outputs is None else outputs + head

    def log_prob(self, input: Tensor) -> Tensor:
        """Log-probabilities of all classes, (batch, n_classes)."""
        log_head = ops.log_softmax(self.head(input), axis=1)
        parts = [log_head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            place = self.shortlist_size + i
            parts.append(ops.log_softmax(cluster(input), axis=1) + log_head[:, place : place + 1])
        return ops.concat(*parts, axis=1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each row, (batch,)."""
        return ops.argmax(self.log_prob(input), axis=1)
