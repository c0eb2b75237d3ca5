"""Adadelta (Zeiler 2012, algorithm 1)."""

from __future__ import annotations

from typing import Any

from retrograd.optim.elementwise import ElementwiseOptimizer, blend, slope
from retrograd.optim.optimizer import Params, checked, implementation, numbers

__all__ = ["Adadelta"]


class Adadelta(ElementwiseOptimizer):
    """Steps of lr · g · RMS(Δp) / RMS(g): the units of the step are those of the parameter, and no rate is needed.

    RMS(x) = √(E[x²] + eps), the running means E with rate `rho`. `weight_decay` adds weight_decay · p to g; `maximize`
    goes up. Raises ValueError for settings out of range or NaN, NotImplementedError for foreach, capturable and
    differentiable.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.tensor([1.0]))
    >>> optimizer = rg.optim.Adadelta([w], lr=1.0, eps=0.01)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    tensor([0.6877])
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            **implementation(foreach=foreach, capturable=capturable, differentiable=differentiable),
        }
        super().__init__(params, defaults)

    def _check_settings(self, group: dict[str, Any]) -> None:
        checked("learning rate", group["lr"])
        if not 0.0 <= group["rho"] <= 1.0:
            raise ValueError(f"Invalid rho value: {group['rho']}; it must be from 0 to 1.")
        checked("epsilon value", group["eps"])
        checked("weight_decay value", group["weight_decay"])

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "square_avg", "acc_delta"

    def update(self, group: dict[str, Any], xp: Any, step: int, value: Any, grad: Any, *buffers: Any) -> None:
        lr, rho, eps = numbers(group, "lr", "rho", "eps")
        square_avg, acc_delta = buffers
        g = slope(group, value, grad)
        blend(square_avg, rho, g * g)
        delta = xp.sqrt((acc_delta + eps) / (square_avg + eps)) * g
        blend(acc_delta, rho, delta * delta)
        value -= lr * delta
