"""Newton's method with the whole Hessian (Nocedal & Wright 2006, section 3.3), damped if wanted."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.autograd.functional import hessian
from retrograd.autograd.graph import grad
from retrograd.autograd.modes import enable_grad
from retrograd.autograd.tensor import Tensor, namespace
from retrograd.optim.optimizer import Closure, Optimizer, Params, checked, number, stamp

__all__ = ["Newton"]


class Newton(Optimizer):
    """p ← p − lr · (H + damping · 1)⁻¹ g: one step to the minimum of a quadratic.

    H is the Hessian of the loss in all parameters together, n² numbers for n elements: for small problems. With
    `damping` the step turns towards the gradient and becomes shorter (Levenberg 1944), and H need not be invertible;
    `lr` shortens it. `step` needs a closure that returns the loss and, unlike for other optimizers, does not call
    backward(). A step goes to a stationary point of the quadratic model, be it a maximum or a saddle.
    Raises ValueError for settings below 0 or NaN, TypeError for a step without a closure, RuntimeError for a Hessian
    that has no inverse.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.tensor([3.0, -2.0]))
    >>> optimizer = rg.optim.Newton([w])
    >>> loss = optimizer.step(lambda: (w[0] - 1) ** 2 + 10 * (w[1] + w[0]) ** 2)
    >>> w.data
    tensor([ 1., -1.])
    """

    def __init__(self, params: Params, lr: Any = 1.0, damping: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "damping": damping})

    def _check_settings(self, group: dict[str, Any]) -> None:
        checked("learning rate", group["lr"])
        checked("damping value", group["damping"])

    def step(self, closure: Closure | None = None) -> Any:
        """One step; `closure` returns the loss, from which the gradient and the Hessian are computed."""
        if closure is None:
            raise TypeError("Newton.step: a closure is needed that returns the loss, without calling backward().")
        groups = self.param_groups
        params: list[Tensor] = [p for group in groups for p in group["params"] if p.requires_grad]
        xp = namespace(params[0])
        with enable_grad():
            loss = closure()
            if loss.numel() != 1:
                raise RuntimeError(f"Newton.step: the loss must be one number, got shape {loss.shape}")
            slopes = grad(loss, params, allow_unused=True, materialize_grads=True)
            blocks = hessian(standing_in(params, closure), tuple(params))
        sizes = [p.numel() for p in params]
        H = xp.concat(
            [
                xp.concat([xp.reshape(b.array, shape=(n, m)) for b, m in zip(row, sizes)], axis=1)
                for row, n in zip(blocks, sizes)
            ],
            axis=0,
        )
        g = xp.concat([xp.reshape(s.array, shape=(-1,)) for s in slopes if s is not None], axis=0)
        self._move(params, self._solved(xp, H, g, params))
        return loss

    def _settings(self, params: list[Tensor], name: str) -> list[float]:
        """A setting for each of the parameters."""
        of = {p: float(number(group[name])) for group in self.param_groups for p in group["params"]}
        return [of[p] for p in params]

    def _solved(self, xp: Any, H: Any, g: Any, params: list[Tensor]) -> Any:
        damping = np.repeat(self._settings(params, "damping"), [p.numel() for p in params])
        try:
            return xp.solve(H + xp.from_host(np.diag(damping).astype(H.dtype)), g)
        except np.linalg.LinAlgError:
            raise RuntimeError(
                "Newton.step: the Hessian has no inverse: the loss is flat in some direction; use damping, e.g. 1e-3."
            ) from None

    def _move(self, params: list[Tensor], step: Any) -> None:
        start = 0
        for param, lr in zip(params, self._settings(params, "lr")):
            end = start + param.numel()
            param.array[...] -= lr * step[start:end].reshape(param.shape)
            start = end
        stamp(params, "Newton.step")


def standing_in(params: list[Tensor], closure: Closure) -> Any:
    """The closure as a function of the parameters' values: for its time, the given Tensors are the parameters' place
    in the graph."""

    def loss(*values: Tensor) -> Any:
        nodes = [param._node for param in params]
        for param, value in zip(params, values):
            param._node = value._node
        try:
            return closure()
        finally:
            for param, node in zip(params, nodes):
                param._node = node

    return loss
