"""Adagrad (Duchi, Hazan & Singer 2011, figure 1 with a diagonal matrix)."""

from __future__ import annotations

from typing import Any

from retrograd.optim.elementwise import ElementwiseOptimizer, filled_like, slope
from retrograd.optim.optimizer import Params, checked, implementation, numbers

__all__ = ["Adagrad"]


class Adagrad(ElementwiseOptimizer):
    """Steps of lr / (1 + (t − 1) · lr_decay) · g / (√Σg² + eps): the sum is over all steps so far.

    The sum starts at `initial_accumulator_value`. `weight_decay` adds weight_decay · p to g; `maximize` goes up.
    Raises ValueError for settings out of range or NaN, NotImplementedError for foreach, differentiable and fused.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.tensor([1.0]))
    >>> optimizer = rg.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
            **implementation(foreach=foreach, differentiable=differentiable, fused=fused),
        }
        super().__init__(params, defaults)
        for group in self.param_groups:  # PyTorch's state is there before the first step
            for param in group["params"]:
                self.state[param] = {"step": 0, "sum": filled_like(param, initial_accumulator_value)}

    def _check_settings(self, group: dict[str, Any]) -> None:
        checked("learning rate", group["lr"])
        checked("lr_decay value", group["lr_decay"])
        checked("weight_decay value", group["weight_decay"])
        checked("initial_accumulator_value value", group["initial_accumulator_value"])
        checked("epsilon value", group["eps"])

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    def start(self, group: dict[str, Any], name: str) -> float:
        return float(self.defaults["initial_accumulator_value"])

    def update(self, group: dict[str, Any], xp: Any, step: int, value: Any, grad: Any, *buffers: Any) -> None:
        lr, lr_decay, eps = numbers(group, "lr", "lr_decay", "eps")
        (total,) = buffers
        g = slope(group, value, grad)
        total += g * g
        value -= lr / (1.0 + (step - 1) * lr_decay) * g / (xp.sqrt(total) + eps)
