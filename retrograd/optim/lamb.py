"""LAMB: Adam with a rate for each layer (You et al. 2020, algorithm 2)."""

from __future__ import annotations

from typing import Any

from retrograd.optim.elementwise import blend
from retrograd.optim.optimizer import Params, check_betas, checked, number, numbers
from retrograd.optim.tensorwise import TensorwiseOptimizer, buffer, norm

__all__ = ["LAMB"]


class LAMB(TensorwiseOptimizer):
    """Steps of length lr · ‖p‖ for every parameter: for large batches, where layers need rates of their own.

    The direction is Adam's m̂ / (√v̂ + eps) + weight_decay · p; a parameter or a direction of norm 0 is not rescaled.
    `maximize` goes up. PyTorch has no LAMB; settings and state are named like Adam's.
    Raises ValueError for settings out of range or NaN.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.tensor([3.0, 4.0]))
    >>> optimizer = rg.optim.LAMB([w], lr=0.1)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> (w.data - rg.tensor([3.0, 4.0])).norm()  # 0.1 · 5
    tensor(0.5000)
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def _check_settings(self, group: dict[str, Any]) -> None:
        checked("learning rate", group["lr"])
        checked("epsilon value", group["eps"])
        check_betas(group["betas"])
        checked("weight_decay value", group["weight_decay"])

    def update(self, group: dict[str, Any], xp: Any, state: dict[str, Any], value: Any, grad: Any) -> None:
        lr, eps, weight_decay = numbers(group, "lr", "eps", "weight_decay")
        beta1, beta2 = map(float, map(number, group["betas"]))
        state["step"] = step = state.get("step", 0) + 1
        exp_avg, exp_avg_sq = (buffer(xp, state, name, value) for name in ("exp_avg", "exp_avg_sq"))
        blend(exp_avg, beta1, -grad if group["maximize"] else grad)
        blend(exp_avg_sq, beta2, grad * grad)
        root = xp.sqrt(exp_avg_sq / (1.0 - beta2**step)) + eps
        direction = exp_avg / (1.0 - beta1**step) / root + weight_decay * value
        length, own = norm(xp, direction), norm(xp, value)
        defined = (length > 0) & (own > 0)
        ratio = xp.where(defined, own / xp.where(defined, length, length + 1), length * 0 + 1)
        value -= lr * ratio * direction
