"""Averaged stochastic gradient descent (Polyak & Juditsky 1992; the schedule is that of Bottou 2010, section 5)."""

from __future__ import annotations

from typing import Any

from retrograd.optim.elementwise import ElementwiseOptimizer, slope
from retrograd.optim.optimizer import Params, checked, implementation, numbers, rounded

__all__ = ["ASGD"]


class ASGD(ElementwiseOptimizer):
    """p ← (1 − lambd · η) p − η g with η = lr / (1 + lambd · lr · t)^alpha; `state[p]["ax"]` is the average of the p.

    The average starts at step `t0`; before it is p itself. `weight_decay` adds weight_decay · p to g; `maximize` goes
    up. Raises ValueError for a negative rate or decay, or NaN, NotImplementedError for foreach, differentiable and
    capturable.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.tensor([1.0]))
    >>> optimizer = rg.optim.ASGD([w], lr=0.1, t0=0)
    >>> for _ in range(3):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w.data, optimizer.state[w]["ax"]
    (tensor([0.5120]), tensor([0.5760]))
    """

    scalars = ("step", "eta", "mu")

    def __init__(
        self,
        params: Params,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "maximize": maximize,
            **implementation(foreach=foreach, differentiable=differentiable, capturable=capturable),
        }
        super().__init__(params, defaults)

    def _check_settings(self, group: dict[str, Any]) -> None:
        checked("learning rate", group["lr"])
        checked("weight_decay value", group["weight_decay"])

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("ax",)

    def advance(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[float, float]:
        """Moves on to the rate and the weight of the next step; returns those of this one."""
        lr, lambd, alpha, t0 = numbers(group, "lr", "lambd", "alpha", "t0")
        eta, mu = state.get("eta", rounded(lr)), state.get("mu", 1.0)
        step = super().advance(group, state)
        state["eta"] = rounded(lr / (1.0 + lambd * lr * step) ** alpha)
        state["mu"] = rounded(1.0 / max(1.0, step - t0))
        return eta, mu

    def update(
        self, group: dict[str, Any], xp: Any, step: tuple[float, float], value: Any, grad: Any, *buffers: Any
    ) -> None:
        eta, mu = step
        (average,) = buffers
        g = slope(group, value, grad)
        value *= 1.0 - float(group["lambd"]) * eta
        value -= eta * g
        if mu == 1.0:
            average[...] = value
        else:
            average += mu * (value - average)
