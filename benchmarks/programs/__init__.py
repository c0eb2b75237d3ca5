"""Training steps written once, as PyTorch's users write them, for every library with PyTorch's names.

A program is a function of the library (`torch` or `retrograd`) that returns a step; the step returns what it computed,
so that the tests can compare it. First parameters come from the library's own generator, seeded alike, or from arrays
drawn here with NumPy, where other libraries have a twin of the program.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

__all__ = ["Program", "Step", "training_step"]

Step = Callable[[], Any]


@dataclass(frozen=True)
class Program:
    """`write(library, **sizes, **options)` returns the step; `adam` says that `options` may hold Adam's `fused`."""

    name: str
    title: str
    write: Callable[..., Step]
    adam: bool = False
    sizes: dict[str, int] = field(default_factory=dict, compare=False)

    @property
    def kind(self) -> str:
        """The name without the size that a point of a growth curve has behind it."""
        return self.name.partition(" ")[0]

    def step(self, library: ModuleType, **options: Any) -> Step:
        """Return the program's step in a library."""
        return self.write(library, **self.sizes, **options)


def training_step(optimizer: Any, loss: Callable[[], Any]) -> Step:
    """Return the step that every training loop consists of."""

    def step() -> Any:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        return value

    return step
