"""Large arrays: elementwise chains, distances, a wide cross-entropy, an embedding table, an optimizer's step alone,
a penalty on gradients, inference."""

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.programs import Program, Step, training_step
from benchmarks.programs.initial import Array, load

__all__ = ["ARRAYS", "SCALE", "SHIFT", "Data", "distances", "elementwise"]

SCALE, SHIFT = 1.5, 0.5
ADAMW = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
PENALTY = 10.0  # Gulrajani et al. 2017


def _normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape, dtype=np.float32)


class Data:
    """Operands by the name of their program, drawn once per process; float32 unless they are indices."""

    @staticmethod
    @cache
    def elementwise() -> Array:
        """x (2000, 2000)"""
        return _normal(np.random.default_rng(1), 2000, 2000)

    @staticmethod
    @cache
    def distances() -> tuple[Array, Array]:
        """Points (1000, 16) and (1000, 16)"""
        rng = np.random.default_rng(1)
        return _normal(rng, 1000, 16), _normal(rng, 1000, 16)

    @staticmethod
    @cache
    def cross_entropy() -> tuple[Array, Array]:
        """Logits (512, 10000) and classes (512,)"""
        rng = np.random.default_rng(1)
        return _normal(rng, 512, 10_000), rng.integers(0, 10_000, 512)

    @staticmethod
    @cache
    def embedding() -> tuple[Array, Array, Array]:
        """Table (50000, 64), rows (4096,), targets (4096, 64)"""
        rng = np.random.default_rng(1)
        return _normal(rng, 50_000, 64), rng.integers(0, 50_000, 4096), _normal(rng, 4096, 64)

    @staticmethod
    @cache
    def adamw() -> tuple[list[Array], list[Array]]:
        """Fifty weights (316, 316) and fifty biases (316,): 5,008,600 parameters; and a gradient for each"""
        rng = np.random.default_rng(1)
        shapes = [(316, 316), (316,)] * 50
        return [_normal(rng, *shape) for shape in shapes], [_normal(rng, *shape) for shape in shapes]

    @staticmethod
    @cache
    def penalty() -> tuple[list[Array], Array, Array]:
        """Weights and biases of 784-128-128-1, and two batches (64, 784)"""
        rng = np.random.default_rng(1)
        layers: list[Array] = []
        for fan_in, fan_out in ((784, 128), (128, 128), (128, 1)):
            layers += [_normal(rng, fan_out, fan_in) * np.float32(fan_in**-0.5), np.zeros(fan_out, np.float32)]
        return layers, _normal(rng, 64, 784), _normal(rng, 64, 784)

    @staticmethod
    @cache
    def inference() -> tuple[list[Array], Array]:
        """Weights and biases of 784-100-10, and one image (1, 784)"""
        rng = np.random.default_rng(1)
        layers = [_normal(rng, 100, 784) / 28, _normal(rng, 100), _normal(rng, 10, 100) / 10, _normal(rng, 10)]
        return layers, _normal(rng, 1, 784)


def elementwise(xp: Any, x: Any, scale: Any, shift: Any) -> Any:
    """Nine operations on every element, with any library's functions."""
    y = xp.tanh(x * scale + shift) * x
    d = xp.exp(-(y * y)) - x
    return xp.mean(d * d)


def distances(xp: Any, a: Any, b: Any) -> Any:
    """The mean Euclidean distance of all pairs, by broadcasting, with any library's functions."""
    d = a.reshape(a.shape[0], 1, a.shape[1]) - b.reshape(1, b.shape[0], b.shape[1])
    return xp.mean(xp.sqrt(xp.sum(d * d, -1)))


def _elementwise(lib: ModuleType) -> Step:
    x = lib.tensor(Data.elementwise(), requires_grad=True)

    def step() -> Any:
        x.grad = None
        loss = elementwise(lib, x, SCALE, SHIFT)
        loss.backward()
        return loss, x.grad

    return step


def _distances(lib: ModuleType) -> Step:
    a, b = (lib.tensor(points, requires_grad=True) for points in Data.distances())

    def step() -> Any:
        a.grad = b.grad = None
        loss = distances(lib, a, b)
        loss.backward()
        return loss, a.grad, b.grad

    return step


def _cross_entropy(lib: ModuleType) -> Step:
    values, classes = Data.cross_entropy()
    logits, targets = lib.tensor(values, requires_grad=True), lib.tensor(classes)
    criterion = lib.nn.CrossEntropyLoss()

    def step() -> Any:
        logits.grad = None
        loss = criterion(logits, targets)
        loss.backward()
        return loss, logits.grad

    return step


def _embedding(lib: ModuleType) -> Step:
    table, rows, wanted = Data.embedding()
    layer = lib.nn.Embedding(*table.shape)
    with lib.no_grad():
        layer.weight.copy_(lib.tensor(table))
    indices, targets = lib.tensor(rows), lib.tensor(wanted)
    optimizer = lib.optim.SGD(layer.parameters(), lr=100.0)
    criterion = lib.nn.MSELoss()
    return training_step(optimizer, lambda: criterion(layer(indices), targets))


def _adamw(lib: ModuleType, **options: Any) -> Step:
    values, gradients = Data.adamw()
    parameters = [lib.nn.Parameter(lib.tensor(value)) for value in values]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = lib.tensor(gradient)
    optimizer = lib.optim.AdamW(parameters, **ADAMW, **options)

    def step() -> Any:
        optimizer.step()
        return parameters[0]

    return step


def _penalty(lib: ModuleType, **options: Any) -> Step:
    arrays, real_images, fake_images = Data.penalty()
    nn = lib.nn
    layers = nn.Linear(784, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh(), nn.Linear(128, 1)
    critic = load(lib, nn.Sequential(*layers), arrays)
    optimizer = lib.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.5, 0.9), **options)
    real, fake = lib.tensor(real_images), lib.tensor(fake_images)

    def loss() -> Any:
        between = ((real + fake) * 0.5).requires_grad_()
        (slope,) = lib.autograd.grad(critic(between).sum(), between, create_graph=True)
        penalty = (slope.square().sum(1).sqrt() - 1).square().mean()
        return critic(fake).mean() - critic(real).mean() + PENALTY * penalty

    return training_step(optimizer, loss)


def _inference(lib: ModuleType) -> Step:
    arrays, image = Data.inference()
    model = load(lib, lib.nn.Sequential(lib.nn.Linear(784, 100), lib.nn.Sigmoid(), lib.nn.Linear(100, 10)), arrays)
    x = lib.tensor(image)

    def step() -> Any:
        with lib.no_grad():
            return model(x)

    return step


ARRAYS = (
    Program("elementwise", "elementwise chain over 4 M elements, forward and backward", _elementwise),
    Program("distances", "pairwise distances 1000×1000×16, forward and backward", _distances),
    Program("cross-entropy", "cross-entropy 512×10,000, forward and backward", _cross_entropy),
    Program("embedding", "embedding 50,000×64, 4,096 rows, SGD", _embedding),
    Program("adamw", "AdamW's step alone, 100 tensors, 5 M parameters", _adamw, adam=True),
    Program("penalty", "gradient penalty, double backward, 784-128-128-1, batch 64, Adam", _penalty, adam=True),
    Program("inference", "inference 784-100-10, batch 1, no_grad", _inference),
)
