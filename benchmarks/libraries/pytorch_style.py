"""Chain, networks and operations as PyTorch's users write them, for every library with PyTorch's names."""

from collections.abc import Callable
from itertools import pairwise
from types import ModuleType
from typing import Any

from benchmarks.programs.initial import load
from benchmarks.workloads import Adam, Chain, Network, Operation

Step = Callable[[], Any]

ACTIVATIONS = {"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "ReLU"}
LOSSES = {"bce": "BCELoss", "cross_entropy": "CrossEntropyLoss", "mse": "MSELoss"}


def chain(lib: ModuleType, workload: Chain) -> Step:
    """Return a step that walks the chain forward and backward."""
    start, weight = workload.operands()
    first = lib.tensor(start)
    w = lib.tensor(weight, requires_grad=True)
    rounds = workload.links // 4

    def step() -> Any:
        w.grad = None
        x = first
        for _ in range(rounds):
            x = x * w
            x = x + w
            x = x.tanh()
            x = x - w
        x.backward()
        return x, w.grad

    return step


def network(lib: ModuleType, workload: Network, **options: Any) -> Step:
    """Return a training step; `options` go to the optimizer."""
    model = _model(lib, workload)
    loss_function = getattr(lib.nn, LOSSES[workload.loss])()
    settings = workload.optimizer
    if isinstance(settings, Adam):
        betas = (settings.beta1, settings.beta2)
        optimizer = lib.optim.Adam(model.parameters(), lr=settings.lr, betas=betas, eps=settings.eps, **options)
    else:
        optimizer = lib.optim.SGD(model.parameters(), lr=settings.lr, momentum=settings.momentum, **options)
    inputs, targets = (lib.tensor(array) for array in workload.data())

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_function(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss

    return step


def _model(lib: ModuleType, workload: Network) -> Any:
    layers = []
    for fan_in, fan_out in pairwise(workload.widths):
        layers += [lib.nn.Linear(fan_in, fan_out), getattr(lib.nn, ACTIVATIONS[workload.hidden])()]
    layers.pop()  # no activation after the last layer; the binary loss takes probabilities
    if workload.loss == "bce":
        layers.append(lib.nn.Sigmoid())
    model = lib.nn.Sequential(*layers)
    return load(lib, model, workload.parameters())


def operation(lib: ModuleType, row: Operation, backward: bool) -> Step:
    """Return one call of the operation on tensors that require gradients, with or without its backward pass."""
    operands = [lib.tensor(array, requires_grad=True) for array in row.operands()]
    apply = row.apply
    if not backward:
        return lambda: apply(lib, *operands)
    cotangent = lib.tensor(row.cotangent())

    def step() -> Any:
        for operand in operands:
            operand.grad = None
        apply(lib, *operands).backward(cotangent)
        return [operand.grad for operand in operands]

    return step
