"""What is measured: networks, the scalar chain, programs and single operations, with their data and first parameters.

Every library starts from the same float32 arrays and does the same arithmetic, so their losses must agree; the
tests compare them. A batch is drawn once and used at every step: loading data is not what is measured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.programs import Program
from benchmarks.programs.arrays import ARRAYS
from benchmarks.programs.images import IMAGES
from benchmarks.programs.sequences import SEQUENCES, char_lstm, transformer

Array = NDArray[Any]


@dataclass(frozen=True)
class Chain:
    """`links` operations on 0-d float32 tensors, multiply, add, tanh and subtract in turn, forward and backward.

    The same weight enters three links of four, so its gradient is accumulated all along the way back.
    """

    name: str
    title: str
    links: int

    def operands(self) -> tuple[Array, Array]:
        """Return the start of the chain and the weight."""
        return np.array(0.3, np.float32), np.array(0.7, np.float32)


@dataclass(frozen=True)
class SGD:
    """Plain or heavy-ball gradient descent, as torch.optim.SGD."""

    lr: float
    momentum: float = 0.0


@dataclass(frozen=True)
class Adam:
    """Kingma & Ba 2015, algorithm 1, with the defaults of torch.optim.Adam."""

    lr: float
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8


@dataclass(frozen=True)
class Network:
    """A training step of a fully connected network on one batch.

    `loss` "bce" is a sigmoid output followed by the mean binary cross-entropy, targets (batch, 1) of 0 and 1;
    "cross_entropy" is the mean softmax cross-entropy of the last layer's logits, targets (batch,) of class indices;
    "mse" is the mean squared difference between the last layer and the inputs themselves: an autoencoder.
    """

    name: str
    title: str
    widths: tuple[int, ...]
    batch: int
    hidden: Literal["tanh", "sigmoid", "relu"]
    loss: Literal["bce", "cross_entropy", "mse"]
    optimizer: SGD | Adam

    def parameters(self) -> list[Array]:
        """Return W1, b1, W2, b2, ...: weights (out, in), all uniform in ±1/√in as PyTorch's nn.Linear draws them."""
        rng = np.random.default_rng(1)
        arrays: list[Array] = []
        for fan_in, fan_out in pairwise(self.widths):
            bound = fan_in**-0.5
            weight, bias = rng.uniform(-bound, bound, (fan_out, fan_in)), rng.uniform(-bound, bound, fan_out)
            arrays += [weight.astype(np.float32), bias.astype(np.float32)]
        return arrays

    def data(self) -> tuple[Array, Array]:
        """Return inputs (batch, widths[0]) and targets."""
        rng = np.random.default_rng(2)
        if self.loss == "bce":  # points of the square, inside or outside the circle that takes half of its area
            points = rng.uniform(-1, 1, (self.batch, self.widths[0])).astype(np.float32)
            inside = (points**2).sum(axis=1, keepdims=True) < 2 / np.pi
            return points, inside.astype(np.float32)
        images = rng.random((self.batch, self.widths[0]), dtype=np.float32)
        if self.loss == "mse":
            return images, images
        return images, rng.integers(0, self.widths[-1], self.batch)


Workload = Chain | Network | Program
SMALLEST = Network("smallest", "the smallest network", (2, 4, 1), 8, "tanh", "bce", Adam(1e-3))
"""Makes a library load what it loads on first use, before memory is measured."""
DIGITS = (784, 100, 10)

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Chain("chain", "scalar chain, 1,000 operations", 1000),
        Network("circle", "circle 2-8-1, SGD, batch 200", (2, 8, 1), 200, "tanh", "bce", SGD(0.05)),
        Network("mlp", "784-100-10, Adam, batch 100", DIGITS, 100, "sigmoid", "cross_entropy", Adam(1e-3)),
        Network(
            "autoencoder",
            "autoencoder 784-256-64-256-784, Adam, batch 128",
            (784, 256, 64, 256, 784),
            128,
            "relu",
            "mse",
            Adam(1e-3),
        ),
        Network(
            "wide",
            "784-1024-1024-10, momentum, batch 256",
            (784, 1024, 1024, 10),
            256,
            "relu",
            "cross_entropy",
            SGD(0.01, momentum=0.9),
        ),
        *IMAGES,
        *SEQUENCES,
        *ARRAYS,
    )
}


@dataclass(frozen=True)
class Curve:
    """How the step time grows with one size: a workload for every point."""

    title: str
    points: dict[int, Workload]


def _grown(axis: str, point: int, widths: tuple[int, ...], batch: int) -> Network:
    name = f"{axis} {point}"
    return Network(name, name, widths, batch, "relu", "cross_entropy", SGD(0.01))


def _lengthened(kind: str, length: int) -> Program:
    name = f"{kind} length {length}"
    if kind == "lstm":
        return Program(name, name, char_lstm, adam=True, sizes={"steps": length})
    return Program(name, name, transformer, adam=True, sizes={"tokens": length, "batch": 4})


GROWTH: dict[str, Curve] = {
    "width": Curve(
        "width n of 784-n-n-10, batch 100, SGD",
        {n: _grown("width", n, (784, n, n, 10), 100) for n in (16, 64, 256, 1024)},
    ),
    "depth": Curve(
        "n hidden layers of 64, batch 100, SGD",
        {n: _grown("depth", n, (784, *[64] * n, 10), 100) for n in (1, 4, 16, 64)},
    ),
    "batch": Curve("batch n of 784-100-10, SGD", {n: _grown("batch", n, DIGITS, n) for n in (1, 10, 100, 1000)}),
    "lstm": Curve("steps n of the character LSTM, batch 32", {n: _lengthened("lstm", n) for n in (8, 32, 128)}),
    "attention": Curve(
        "tokens n of the Transformer, batch 4", {n: _lengthened("transformer", n) for n in (32, 128, 512)}
    ),
}
GROWN: dict[str, Workload] = {w.name: w for curve in GROWTH.values() for w in curve.points.values()}


@dataclass(frozen=True)
class Operation:
    """One call of one operation; `apply(xp, *operands)` does it with any library's functions `xp`."""

    kind: str
    shape: tuple[int, ...]
    arity: int
    apply: Callable[..., Any]
    result: tuple[int, ...]

    @property
    def name(self) -> str:
        """Return the row's name, as "add (8,)"."""
        return f"{self.kind} {SHAPE_NAMES[self.shape]}"

    def operands(self) -> list[Array]:
        """Return the float32 operands."""
        rng = np.random.default_rng(3)
        return [np.asarray(rng.standard_normal(self.shape), np.float32) for _ in range(self.arity)]

    def cotangent(self) -> Array:
        """Return the gradient that enters the backward pass."""
        return np.ones(self.result, np.float32)


def _operations() -> list[Operation]:
    rows: list[Operation] = []
    for shape in ((), (8,), (100, 100)):
        rows.append(Operation("add", shape, 2, lambda xp, x, y: x + y, shape))
        rows.append(Operation("mul", shape, 2, lambda xp, x, y: x * y, shape))
        rows.append(Operation("tanh", shape, 1, lambda xp, x: xp.tanh(x), shape))
        rows.append(Operation("sum", shape, 1, lambda xp, x: xp.sum(x), ()))
    for shape, flat in (((), (1,)), ((8,), (2, 4)), ((100, 100), (10_000,))):
        rows.append(Operation("reshape", shape, 1, lambda xp, x, flat=flat: x.reshape(flat), flat))
    for shape in ((8,), (100, 100)):  # a scalar has no axis to contract or to index
        rows.append(Operation("matmul", shape, 2, lambda xp, x, y: x @ y, () if shape == (8,) else shape))
        rows.append(Operation("index", shape, 1, lambda xp, x: x[3], shape[1:]))
    return sorted(rows, key=lambda row: KINDS.index(row.kind))


SHAPE_NAMES = {(): "scalar", (8,): "(8,)", (100, 100): "100×100"}
KINDS = ("add", "mul", "tanh", "matmul", "sum", "index", "reshape")
OPERATIONS: dict[str, Operation] = {operation.name: operation for operation in _operations()}
