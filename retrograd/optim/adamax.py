"""Adamax (Kingma & Ba 2015, algorithm 2)."""

from __future__ import annotations

from typing import Any

from retrograd.optim.elementwise import ElementwiseOptimizer, blend, slope
from retrograd.optim.optimizer import Params, check_betas, checked, implementation, numbers

__all__ = ["Adamax"]


class Adamax(ElementwiseOptimizer):
    """Adam with the largest gradient, decaying, in place of their root mean square: m̂ / u, u ← max(β₂ u, |g| + eps).

    `weight_decay` adds weight_decay · p to g; `maximize` goes up. Raises ValueError for settings out of range or NaN,
    NotImplementedError for foreach, capturable and differentiable.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.tensor([1.0]))
    >>> optimizer = rg.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            **implementation(foreach=foreach, differentiable=differentiable, capturable=capturable),
        }
        super().__init__(params, defaults)

    def _check_settings(self, group: dict[str, Any]) -> None:
        checked("learning rate", group["lr"])
        checked("epsilon value", group["eps"])
        check_betas(group["betas"])
        checked("weight_decay value", group["weight_decay"])

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "exp_avg", "exp_inf"

    def update(self, group: dict[str, Any], xp: Any, step: int, value: Any, grad: Any, *buffers: Any) -> None:
        lr, eps = numbers(group, "lr", "eps")
        beta1, beta2 = map(float, group["betas"])
        exp_avg, exp_inf = buffers
        g = slope(group, value, grad)
        blend(exp_avg, beta1, g)
        exp_inf[...] = xp.maximum(exp_inf * beta2, xp.abs(g) + eps)
        value -= lr / (1.0 - beta1**step) * exp_avg / exp_inf
