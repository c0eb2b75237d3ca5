"""Tensors that a program hands out whose graph has been used up by the step itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retrograd.autograd.graph import Node
from retrograd.autograd.recording import used_twice
from retrograd.autograd.tensor import Tensor, clock, make

__all__ = ["spent"]


class Spent(Node):
    """The place of a result in a graph that backward has gone through, as a step's loss has it."""

    __slots__ = ("title",)

    title: str

    def name(self) -> str:
        return self.title

    def backward(self, g: Any, xp: Any, keep: bool) -> Sequence[Any]:
        raise used_twice(self)

    backward_recorded = backward


def spent(array: Any, title: str) -> Tensor:
    """A Tensor that requires a gradient, and that backward cannot start from again."""
    node = Spent()
    node.seq, node.parents, node.hooks = next(clock), (), None
    node.shape, node.dtype, node.title = array.shape, array.dtype, title
    return make(array, node)
