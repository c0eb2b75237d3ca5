"""Resilient backpropagation (Riedmiller & Braun 1993), without weight backtracking: iRprop⁻ (Igel & Hüsken 2000)."""

from __future__ import annotations

from typing import Any

from retrograd.optim.elementwise import ElementwiseOptimizer, slope
from retrograd.optim.optimizer import Params, checked, implementation, number

__all__ = ["Rprop"]


class Rprop(ElementwiseOptimizer):
    """Steps against the sign of the gradient alone, each element with a step size of its own, `lr` at first.

    Where the sign stays, the step size grows by etas[1]; where it changes, it shrinks by etas[0] and the element rests
    for a step. `step_sizes` are its limits; `maximize` goes up. For whole batches: noise changes signs.
    Raises ValueError for settings out of range or NaN, NotImplementedError for capturable, foreach and differentiable.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.tensor([1.0]))
    >>> optimizer = rg.optim.Rprop([w], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w.data  # 0.1, then 0.12
    tensor([0.7800])
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "maximize": maximize,
            **implementation(foreach=foreach, differentiable=differentiable, capturable=capturable),
        }
        super().__init__(params, defaults)

    def _check_settings(self, group: dict[str, Any]) -> None:
        checked("learning rate", group["lr"])
        shrink, grow = group["etas"]
        if not 0.0 < shrink < 1.0 < grow:
            raise ValueError(f"Invalid eta values: {shrink}, {grow}; they must be in (0, 1) and above 1.")

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "prev", "step_size"

    def start(self, group: dict[str, Any], name: str) -> float:
        return float(number(group["lr"])) if name == "step_size" else 0.0

    def update(self, group: dict[str, Any], xp: Any, step: int, value: Any, grad: Any, *buffers: Any) -> None:
        shrink, grow = map(float, group["etas"])
        smallest, largest = map(float, group["step_sizes"])
        prev, step_size = buffers
        g = slope(group, value, grad)
        agreement = g * prev
        turned = agreement < 0
        size = xp.where(agreement > 0, step_size * grow, xp.where(turned, step_size * shrink, step_size))
        step_size[...] = xp.clip(size, min=smallest, max=largest)
        prev[...] = xp.keep(g, xp.logical_not(turned))
        value -= xp.sign(prev) * step_size
