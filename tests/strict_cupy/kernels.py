"""Kernels: CuPy's calling convention, computed by a twin in NumPy that is registered under the kernel's name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.strict_cupy.array import ndarray, operand, wrap
from tests.strict_cupy.rules import StrictError, launching

TWINS: dict[str, Callable[..., None]] = {}
"""NumPy twins by kernel name. A twin takes inputs, then outputs, and writes into the outputs."""


def twin(function: Callable[..., None]) -> Callable[..., None]:
    TWINS["retrograd_" + function.__name__] = function
    return function


class ElementwiseKernel:
    """cupy.ElementwiseKernel: checks arguments, dtypes and sizes, then calls the twin."""

    def __init__(
        self, in_params: str, out_params: str, operation: str, name: str = "kernel", *, preamble: str = ""
    ) -> None:
        self.inputs, self.outputs = _parameters(in_params), _parameters(out_params)
        self.name = name

    @launching
    def __call__(self, *args: Any, size: int | None = None) -> Any:
        if len(args) not in (len(self.inputs), len(self.inputs) + len(self.outputs)):
            raise TypeError(f"{self.name}: wrong number of arguments, {len(args)}")
        given = args[len(self.inputs) :]
        types: dict[str, Any] = {}
        values = [self._argument(p, v, types) for p, v in zip((*self.inputs, *self.outputs), args, strict=False)]
        inputs, outputs = values[: len(self.inputs)], values[len(self.inputs) :]
        looped = [v for p, v in zip(self.inputs, inputs, strict=True) if not p[0] and isinstance(v, np.ndarray)]
        if size is None and not looped:
            raise ValueError(f"{self.name}: loop size is undecided; give size=")
        if not given:
            outputs = [np.empty(np.broadcast_shapes(*(v.shape for v in looped)), types[p[1]]) for p in self.outputs]
        with np.errstate(all="ignore"):
            TWINS[self.name](*inputs, *outputs)
        results = given or tuple(wrap(value) for value in outputs)
        return results[0] if len(results) == 1 else results

    def _argument(self, parameter: tuple[bool, str, str], value: Any, types: dict[str, Any]) -> Any:
        raw, kind, name = parameter
        host = operand(value, f"{self.name}({name})")
        output = parameter in self.outputs
        if (raw or output) and not isinstance(value, ndarray):
            raise TypeError(f"{self.name}: {name} must be a device array, got {type(value)}")
        if isinstance(value, ndarray):
            expected = types.setdefault(kind, host.dtype) if len(kind) == 1 else np.dtype(kind)
            if host.dtype != expected:
                raise TypeError(f"{self.name}: type is mismatched. {name} {host.dtype} {expected}")
            if output and not host.flags.writeable:
                raise StrictError(f"{self.name}: {name} is a view whose elements overlap.")
        return host


def _parameters(text: str) -> list[tuple[bool, str, str]]:
    """(raw, type, name) of each parameter."""
    found = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        *raw, kind, name = part.split()
        found.append((raw == ["raw"], kind, name))
    return found


@twin
def sigmoid(x: Any, y: Any) -> None:
    wide = x.astype(np.float64)
    e = np.exp(-np.abs(wide))
    y[...] = np.where(wide < 0, e, 1.0) / (1.0 + e)


@twin
def erf(x: Any, y: Any) -> None:
    y[...] = np.vectorize(math.erf, otypes=[np.float64])(x)


@twin
def erfc(x: Any, y: Any) -> None:
    y[...] = np.vectorize(math.erfc, otypes=[np.float64])(x)


@twin
def cumulative_max(x: Any, length: int, inner: int, values: Any, places: Any) -> None:
    lines, best, place = (a.reshape(-1, length, inner) for a in (x, values, places))
    best[:, 0], place[:, 0] = lines[:, 0], 0
    for k in range(1, length):
        here, before = lines[:, k], best[:, k - 1]
        wins = (here >= before) | (here != here)
        best[:, k] = np.where(wins, here, before)
        place[:, k] = np.where(wins, k, place[:, k - 1])


@twin
def segment_sum(keys: Any, order: Any, values: Any, count: int, inner: int, out: Any) -> None:
    rows, targets = values.reshape(count, inner), out.reshape(-1, inner)
    for key, source in zip(keys, order, strict=True):
        targets[key] += rows[source]


@twin
def sgd_step(grad: Any, lr: float, weight_decay: float, maximize: bool, param: Any) -> None:
    g = (-grad if maximize else grad) + weight_decay * param
    param -= lr * g


@twin
def sgd_momentum_step(
    grad: Any, lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool,
    first: bool, param: Any, buffer: Any,
) -> None:  # fmt: skip
    g = (-grad if maximize else grad) + weight_decay * param
    buffer[...] = g if first else momentum * buffer + (1.0 - dampening) * g
    param -= lr * (g + momentum * buffer if nesterov else buffer)


@twin
def adam_step(
    grad: Any, step_size: float, root_of_correction: float, beta1: float, beta2: float, eps: float, decay: float,
    weight_decay: float, maximize: bool, param: Any, m: Any, v: Any,
) -> None:  # fmt: skip
    _adam(grad, step_size, root_of_correction, beta1, beta2, eps, decay, weight_decay, maximize, param, m, v, None)


@twin
def amsgrad_step(
    grad: Any, step_size: float, root_of_correction: float, beta1: float, beta2: float, eps: float, decay: float,
    weight_decay: float, maximize: bool, param: Any, m: Any, v: Any, largest: Any,
) -> None:  # fmt: skip
    _adam(grad, step_size, root_of_correction, beta1, beta2, eps, decay, weight_decay, maximize, param, m, v, largest)


def _adam(
    grad: Any, step_size: float, root_of_correction: float, beta1: float, beta2: float, eps: float, decay: float,
    weight_decay: float, maximize: bool, param: Any, m: Any, v: Any, largest: Any,
) -> None:  # fmt: skip
    param *= decay
    g = (-grad if maximize else grad) + weight_decay * param
    m += (1.0 - beta1) * (g - m)
    v[...] = beta2 * v + (1.0 - beta2) * g * g
    second = v if largest is None else np.maximum(largest, v, out=largest)
    param += step_size * m / (np.sqrt(second) / root_of_correction + eps)
