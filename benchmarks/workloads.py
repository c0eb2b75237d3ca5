"""What is measured: networks, the scalar chain and single operations, with their data and first parameters.

Every library starts from the same float32 arrays and does the same arithmetic, so their losses must agree; the
tests compare them. A batch is drawn once and used at every step: loading data is not what is measured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

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
    "cross_entropy" is the mean softmax cross-entropy of the last layer's logits, targets (batch,) of class indices.
    """

    name: str
    title: str
    widths: tuple[int, ...]
    batch: int
    hidden: Literal["tanh", "sigmoid", "relu"]
    loss: Literal["bce", "cross_entropy"]
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
        return images, rng.integers(0, self.widths[-1], self.batch)


Workload = Chain | Network

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Chain("chain", "scalar chain, 1,000 operations", 1000),
        Network("circle", "circle 2-8-1, SGD, batch 200", (2, 8, 1), 200, "tanh", "bce", SGD(0.05)),
        Network("mlp", "784-100-10, Adam, batch 100", (784, 100, 10), 100, "sigmoid", "cross_entropy", Adam(1e-3)),
        Network(
            "wide",
            "784-1024-1024-10, momentum, batch 256",
            (784, 1024, 1024, 10),
            256,
            "relu",
            "cross_entropy",
            SGD(0.01, momentum=0.9),
        ),
    )
}


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
