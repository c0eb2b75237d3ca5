"""RMSprop (Hinton 2012, lecture 6e), centred as in Graves 2013, section 4.2."""

from __future__ import annotations

from typing import Any

from retrograd.optim.elementwise import ElementwiseOptimizer, blend, slope
from retrograd.optim.optimizer import Params, checked, implementation, numbers

__all__ = ["RMSprop"]


class RMSprop(ElementwiseOptimizer):
    """Steps of lr · g / (√E[g²] + eps), the running mean E with rate `alpha`.

    `centered` takes the square of the mean g off first: what remains is the variance. `momentum` sums the steps up.
    `weight_decay` adds weight_decay · p to g; `maximize` goes up. Raises ValueError for settings out of range or NaN,
    NotImplementedError for capturable, foreach and differentiable.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.tensor([1.0]))
    >>> optimizer = rg.optim.RMSprop([w], lr=0.01)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "maximize": maximize,
            **implementation(capturable=capturable, foreach=foreach, differentiable=differentiable),
        }
        super().__init__(params, defaults)

    def _check_settings(self, group: dict[str, Any]) -> None:
        checked("learning rate", group["lr"])
        checked("epsilon value", group["eps"])
        checked("momentum value", group["momentum"])
        checked("weight_decay value", group["weight_decay"])
        checked("alpha value", group["alpha"])

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        momentum = ("momentum_buffer",) if group["momentum"] else ()
        return ("square_avg", *momentum, "grad_avg") if group["centered"] else ("square_avg", *momentum)

    def update(self, group: dict[str, Any], xp: Any, step: int, value: Any, grad: Any, *buffers: Any) -> None:
        lr, alpha, eps, momentum = numbers(group, "lr", "alpha", "eps", "momentum")
        square_avg = variance = buffers[0]
        g = slope(group, value, grad)
        blend(square_avg, alpha, g * g)
        if group["centered"]:
            grad_avg = buffers[-1]
            blend(grad_avg, alpha, g)
            variance = square_avg - grad_avg * grad_avg
        move = g / (xp.sqrt(variance) + eps)
        if momentum:
            momentum_buffer = buffers[1]
            momentum_buffer *= momentum
            momentum_buffer += move
            move = momentum_buffer
        value -= lr * move
