"""Gradients layer by layer: which vanish, which explode, which are no numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from retrograd.autograd.tensor import Tensor, namespace
from retrograd.nn import Module

__all__ = ["GradientReport", "GradientRow", "gradient_norms", "nonfinite"]


class GradientRow(NamedTuple):
    """A parameter: its path, its shape, its norm and its gradient's, and the gradient's largest magnitude."""

    name: str
    shape: tuple[int, ...]
    norm: float
    gradient: float
    largest: float


class GradientReport(Mapping[str, float]):
    """Norms of gradients by the parameter's path; as text a table, and `viz.gradient_norms` draws them."""

    def __init__(self, rows: list[GradientRow]) -> None:
        self.rows = rows
        self._norms = {row.name: row.gradient for row in rows}

    def __getitem__(self, name: str) -> float:
        return self._norms[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._norms)

    def __len__(self) -> int:
        return len(self._norms)

    def ratios(self) -> dict[str, float]:
        """Each norm divided by that of the next parameter of the same kind (weights by weights, biases by biases):
        below 1 the gradient shrinks on its way to the input, above 1 it grows."""
        following: dict[str, float] = {}
        found: dict[str, float] = {}
        for row in reversed(self.rows):
            kind = row.name.rpartition(".")[2]
            if following.get(kind):
                found[row.name] = row.gradient / following[kind]
            following[kind] = row.gradient
        return dict(reversed(found.items()))

    def __str__(self) -> str:
        head = ("parameter", "shape", "norm", "gradient", "largest")
        body = [(r.name, str(r.shape), f"{r.norm:.3e}", f"{r.gradient:.3e}", f"{r.largest:.3e}") for r in self.rows]
        widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
        return "\n".join(
            "  ".join([*map(str.ljust, row[:2], widths[:2]), *map(str.rjust, row[2:], widths[2:])])
            for row in [head, *body]
        )

    __repr__ = __str__


def gradient_norms(model: Module) -> GradientReport:
    """The norms of a model's parameters and of their gradients, for those that have one, in the order of the layers.

    >>> import retrograd as rg
    >>> layer = rg.nn.Linear(2, 1)
    >>> layer(rg.ones(1, 2)).sum().backward()
    >>> report = gradient_norms(layer)
    >>> report["bias"], list(report)
    (1.0, ['weight', 'bias'])
    """
    rows = []
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            largest = _largest(parameter.grad)
            rows.append(GradientRow(name, parameter.shape, _norm(parameter), _norm(parameter.grad), largest))
    return GradientReport(rows)


def nonfinite(model: Module) -> dict[str, str]:
    """What of a model is no number: paths of parameters, buffers and gradients ("… .grad") with NaN or ±∞, each with
    how many elements are. Empty when all is well.

    >>> import retrograd as rg
    >>> layer = rg.nn.Linear(2, 1)
    >>> _ = layer.weight.data[0, 0].fill_(float("nan"))
    >>> nonfinite(layer)
    {'weight': '1 NaN, 0 infinite of 2'}
    """
    found = {}
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        grad = getattr(value, "_grad", None)
        for path, tensor in ((name, value), (f"{name}.grad", grad)):
            if tensor is not None and tensor.dtype.kind == "f" and (text := _counted(tensor)):
                found[path] = text
    return found


def _counted(tensor: Tensor) -> str:
    xp, array = namespace(tensor), tensor.array
    if bool(xp.all(xp.isfinite(array))):
        return ""
    nan, infinite = (int(xp.count_nonzero(test(array))) for test in (xp.isnan, xp.isinf))
    return f"{nan} NaN, {infinite} infinite of {array.size}"


def _norm(tensor: Tensor) -> float:
    """In float64 on the host at the end; the squares of float16 are summed in float32."""
    xp, array = namespace(tensor), tensor.array
    wide = xp.astype(array, "float32") if array.dtype.itemsize < 4 else array
    return math.sqrt(float(xp.sum(wide * wide)))


def _largest(tensor: Tensor) -> float:
    xp, array = namespace(tensor), tensor.array
    return float(xp.max(xp.abs(array))) if array.size else 0.0
