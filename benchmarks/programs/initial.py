"""The first parameters of the programs, drawn as PyTorch's layers draw them: every library starts from these arrays."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "affine", "generator", "load", "norm", "table", "uniform"]

Array = NDArray[Any]


def generator() -> np.random.Generator:
    """Return the generator that a program's parameters are drawn from."""
    return np.random.default_rng(1)


def uniform(rng: np.random.Generator, bound: float, *shape: int) -> Array:
    """Return float32 numbers uniform in ±bound."""
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def affine(rng: np.random.Generator, *shape: int) -> list[Array]:
    """Return weight (out, in, ...) and bias (out,) of a linear layer or a convolution, uniform in ±1/√fan-in."""
    bound = float(np.prod(shape[1:])) ** -0.5
    return [uniform(rng, bound, *shape), uniform(rng, bound, shape[0])]


def norm(width: int) -> list[Array]:
    """Return weight and bias (width,) of a normalisation."""
    return [np.ones(width, np.float32), np.zeros(width, np.float32)]


def table(rng: np.random.Generator, rows: int, width: int) -> Array:
    """Return the rows of an embedding, standard normal."""
    return rng.standard_normal((rows, width), dtype=np.float32)


def load(lib: ModuleType, model: Any, arrays: Sequence[Array]) -> Any:
    """Copy the arrays into the model's parameters, in their order, and return the model."""
    with lib.no_grad():
        for parameter, array in zip(model.parameters(), arrays, strict=True):
            parameter.copy_(lib.tensor(array))
    return model
