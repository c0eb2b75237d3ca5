"""Steps that look at a parameter as a whole: its norm, its rows and columns, its singular values."""

from __future__ import annotations

from typing import Any, ClassVar

from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.optim.optimizer import Closure, Optimizer, beside, stamp

__all__ = ["TensorwiseOptimizer"]


class TensorwiseOptimizer(Optimizer):
    """Base of optimizers that update one parameter after the other, each as a whole."""

    scalars: ClassVar[tuple[str, ...]] = ("step",)

    def update(self, group: dict[str, Any], xp: Any, state: dict[str, Any], value: Any, grad: Any) -> None:
        """One step in place on the array of a parameter; `state` is its own to fill, by `buffer`."""
        raise NotImplementedError

    def step(self, closure: Closure | None = None) -> Any:
        """One step down the gradients; parameters without one stay. `closure` computes them first: its loss is
        returned."""
        loss = self._evaluate(closure)
        changed: list[Tensor] = []
        for group in self.param_groups:
            for param in group["params"]:
                grad = getattr(param, "_grad", None)
                if grad is not None:
                    self.update(group, namespace(param), self.state[param], param.array, grad.array)
                    changed.append(param)
        stamp(changed, f"{type(self).__name__}.step")
        return loss


def buffer(xp: Any, state: dict[str, Any], name: str, like: Any, shape: tuple[int, ...] | None = None) -> Any:
    """The array of a buffer in a state, zeros at first."""
    if name not in state:
        state[name] = make(xp.new_zeros(like, shape=like.shape if shape is None else shape))
    state[name] = beside(state[name], like)
    return state[name].array


def norm(xp: Any, x: Any) -> Any:
    """√Σx² over all elements, as a 0-d array: no wait for the GPU."""
    return xp.sqrt(xp.sum(x * x))
