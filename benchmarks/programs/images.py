"""Convolutional networks: LeNet, two convolutions with max pools, ResNet-8."""

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.programs import Program, Step, training_step
from benchmarks.programs.initial import Array, affine, generator, load, norm, uniform

__all__ = ["BLOCKS", "CIFAR", "IMAGES", "MNIST", "Parameters", "batch"]

MNIST, CIFAR = (64, 1, 28, 28), (32, 3, 32, 32)
BLOCKS = ((16, 16, 1), (16, 32, 2), (32, 64, 2))
"""Channels in, channels out and stride of ResNet-8's blocks."""


def batch(*shape: int) -> tuple[Array, Array]:
    """Return images of this shape, standard normal, and their labels, one of ten."""
    rng = np.random.default_rng(2)
    return rng.standard_normal(shape, dtype=np.float32), rng.integers(0, 10, shape[0])


class Parameters:
    """First parameters by the name of their program, in the order of the modules; filters (out, in, height, width)."""

    @staticmethod
    def lenet() -> list[Array]:
        """Weight and bias of two convolutions and three linear layers"""
        rng = generator()
        shapes = (6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)
        return [array for shape in shapes for array in affine(rng, *shape)]

    @staticmethod
    def two_convolutions() -> list[Array]:
        """Weight and bias of two convolutions and two linear layers"""
        rng = generator()
        shapes = (32, 1, 3, 3), (64, 32, 3, 3), (128, 3136), (10, 128)
        return [array for shape in shapes for array in affine(rng, *shape)]

    @staticmethod
    def resnet8() -> list[Array]:
        """Filters and batch norm of the first convolution, of each block's two and of its shortcut's; head"""
        rng = generator()

        def convolution(channels: int, out: int, kernel: int = 3) -> list[Array]:
            return [uniform(rng, (channels * kernel**2) ** -0.5, out, channels, kernel, kernel), *norm(out)]

        arrays = convolution(3, 16)
        for channels, out, stride in BLOCKS:
            arrays += convolution(channels, out) + convolution(out, out)
            arrays += [] if stride == 1 else convolution(channels, out, kernel=1)
        return arrays + affine(rng, 10, 64)


def _classify(lib: ModuleType, model: Any, optimizer: Any, *shape: int) -> Step:
    images, labels = map(lib.tensor, batch(*shape))
    criterion = lib.nn.CrossEntropyLoss()
    return training_step(optimizer, lambda: criterion(model(images), labels))


def lenet(lib: ModuleType) -> Step:
    """LeCun et al. 1998 with ReLU and max pools."""
    nn = lib.nn
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    load(lib, model, Parameters.lenet())
    optimizer = lib.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return _classify(lib, model, optimizer, *MNIST)


def two_convolutions(lib: ModuleType, **options: Any) -> Step:
    """The network of many a first tutorial on MNIST."""
    nn = lib.nn
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10)),
    )
    load(lib, model, Parameters.two_convolutions())
    optimizer = lib.optim.Adam(model.parameters(), lr=1e-3, **options)
    return _classify(lib, model, optimizer, *MNIST)


def resnet8(lib: ModuleType) -> Step:
    """He et al. 2015, section 4.2, with n = 1: a first convolution, three blocks of 16, 32 and 64 channels."""
    nn = lib.nn

    def convolution(channels: int, out: int, stride: int = 1, kernel: int = 3) -> list[Any]:
        layer = nn.Conv2d(channels, out, kernel, stride=stride, padding=kernel // 2, bias=False)
        return [layer, nn.BatchNorm2d(out)]

    class Block(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self, channels: int, out: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(*convolution(channels, out, stride), nn.ReLU(), *convolution(out, out))
            same = stride == 1 and channels == out
            self.shortcut = nn.Identity() if same else nn.Sequential(*convolution(channels, out, stride, kernel=1))

        def forward(self, x: Any) -> Any:
            return (self.body(x) + self.shortcut(x)).relu()

    model = nn.Sequential(
        *(*convolution(3, 16), nn.ReLU()),
        *(Block(*sizes) for sizes in BLOCKS),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )
    load(lib, model, Parameters.resnet8())
    optimizer = lib.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    return _classify(lib, model, optimizer, *CIFAR)


IMAGES = (
    Program("lenet", "LeNet, 1×28×28, batch 64, momentum", lenet),
    Program("two-conv", "two convolutions 32/64, max pools, batch 64, Adam", two_convolutions, adam=True),
    Program("resnet8", "ResNet-8 with batch norm, 3×32×32, batch 32, momentum", resnet8),
)
