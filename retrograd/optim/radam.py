"""RAdam: Adam with a rectified variance (Liu et al. 2020, algorithm 2)."""

from __future__ import annotations

from typing import Any

from retrograd.optim.elementwise import ElementwiseOptimizer, blend, slope
from retrograd.optim.optimizer import Params, check_betas, checked, implementation, number, numbers

__all__ = ["RAdam"]


class RAdam(ElementwiseOptimizer):
    """Adam that divides by the root mean square only once enough gradients are in it, and then by a rectified one.

    Until the length ρ(t) of the running mean is above 5, the step is lr · m̂. `weight_decay` adds weight_decay · p to g,
    or with `decoupled_weight_decay` shrinks p by lr · weight_decay; `maximize` goes up. Raises ValueError for settings
    out of range or NaN, NotImplementedError for foreach, capturable and differentiable.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.tensor([1.0]))
    >>> optimizer = rg.optim.RAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    tensor([0.8000])
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            **implementation(foreach=foreach, capturable=capturable, differentiable=differentiable),
        }
        super().__init__(params, defaults)

    def _check_settings(self, group: dict[str, Any]) -> None:
        checked("learning rate", group["lr"])
        checked("epsilon value", group["eps"])
        check_betas(group["betas"])
        checked("weight_decay value", group["weight_decay"])

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "exp_avg", "exp_avg_sq"

    def update(self, group: dict[str, Any], xp: Any, step: int, value: Any, grad: Any, *buffers: Any) -> None:
        lr, eps = numbers(group, "lr", "eps")
        beta1, beta2 = map(float, map(number, group["betas"]))
        exp_avg, exp_avg_sq = buffers
        g = slope(group, value, grad)
        blend(exp_avg, beta1, g)
        blend(exp_avg_sq, beta2, g * g)
        rate, correction = lr / (1.0 - beta1**step), 1.0 - beta2**step
        rho_inf = 2.0 / (1.0 - beta2) - 1.0
        rho = rho_inf - 2.0 * step * beta2**step / correction
        if rho > 5.0:
            rectified = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
            value -= rate * (rectified * correction) ** 0.5 * exp_avg / (xp.sqrt(exp_avg_sq) + eps)
        else:
            value -= rate * exp_avg
