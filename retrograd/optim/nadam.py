"""NAdam: Adam with Nesterov's momentum (Dozat 2016, algorithm 2 and the schedule of its section 3.1)."""

from __future__ import annotations

from typing import Any

from retrograd.optim.elementwise import ElementwiseOptimizer, blend, slope
from retrograd.optim.optimizer import Params, check_betas, checked, implementation, number, numbers, rounded

__all__ = ["NAdam"]


class NAdam(ElementwiseOptimizer):
    """Adam that looks one step ahead: the momentum μ(t) = β₁ (1 − 0.96^(t · momentum_decay) / 2) is that of the next.

    `weight_decay` adds weight_decay · p to g, or with `decoupled_weight_decay` shrinks p by lr · weight_decay;
    `maximize` goes up. Raises ValueError for settings out of range or NaN, NotImplementedError for foreach, capturable
    and differentiable.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.tensor([1.0]))
    >>> optimizer = rg.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    tensor([0.8944])
    """

    scalars = ("step", "mu_product")

    def __init__(
        self,
        params: Params,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
            "momentum_decay": momentum_decay,
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
        checked("momentum_decay value", group["momentum_decay"])

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "exp_avg", "exp_avg_sq"

    def advance(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[int, float]:
        """The number of the step and the product of all momenta so far."""
        step = super().advance(group, state)
        state["mu_product"] = rounded(state.get("mu_product", 1.0) * rounded(momentum(group, step)))
        return step, state["mu_product"]

    def update(
        self, group: dict[str, Any], xp: Any, step: tuple[int, float], value: Any, grad: Any, *buffers: Any
    ) -> None:
        lr, eps = numbers(group, "lr", "eps")
        beta1, beta2 = map(float, map(number, group["betas"]))
        count, product = step
        mu, ahead = momentum(group, count), momentum(group, count + 1)
        exp_avg, exp_avg_sq = buffers
        g = slope(group, value, grad)
        blend(exp_avg, beta1, g)
        blend(exp_avg_sq, beta2, g * g)
        root = xp.sqrt(exp_avg_sq / (1.0 - beta2**count)) + eps
        now, next_ = (1.0 - mu) / (1.0 - product), ahead / (1.0 - product * ahead)
        value -= lr * (now * g + next_ * exp_avg) / root


def momentum(group: dict[str, Any], step: int) -> float:
    """μ(t), which warms up from β₁/2 to β₁."""
    decay: float = 0.96 ** (step * float(group["momentum_decay"]))
    return float(number(group["betas"][0])) * (1.0 - 0.5 * decay)
