"""Adam (Kingma & Ba 2015, algorithm 1) and AdamW (Loshchilov & Hutter 2019, algorithm 2)."""

from __future__ import annotations

from typing import Any

from retrograd.optim.elementwise import ElementwiseOptimizer
from retrograd.optim.optimizer import Params, check_betas, checked, implementation, number

__all__ = ["Adam", "AdamW"]


class Adam(ElementwiseOptimizer):
    """Steps of lr · m̂ / (√v̂ + eps), m̂ and v̂ the running means of g and g², corrected for their start at 0.

    `weight_decay` adds weight_decay · p to g, or with `decoupled_weight_decay` shrinks p by lr · weight_decay;
    `amsgrad` divides by the largest v̂ so far (Reddi et al. 2018); `maximize` goes up.
    Raises ValueError for settings out of range or NaN, NotImplementedError for foreach, capturable, differentiable and
    fused.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.tensor([1.0]))
    >>> optimizer = rg.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
            **implementation(foreach=foreach, capturable=capturable, differentiable=differentiable, fused=fused),
        }
        super().__init__(params, defaults)

    def _check_settings(self, group: dict[str, Any]) -> None:
        checked("learning rate", group["lr"])
        checked("epsilon value", group["eps"])
        check_betas(group["betas"])
        checked("weight_decay value", group["weight_decay"])

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        moments = ("exp_avg", "exp_avg_sq")
        return (*moments, "max_exp_avg_sq") if group["amsgrad"] else moments

    def update(self, group: dict[str, Any], xp: Any, step: int, value: Any, grad: Any, *buffers: Any) -> None:
        beta1, beta2 = group["betas"]
        xp.adam_step(
            value,
            grad,
            buffers[0],
            buffers[1],
            buffers[2] if group["amsgrad"] else None,
            step=step,
            lr=float(number(group["lr"])),
            beta1=number(beta1),
            beta2=number(beta2),
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            decoupled=group["decoupled_weight_decay"],
            maximize=group["maximize"],
        )


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters themselves and stays out of the moments."""

    def __init__(
        self,
        params: Params,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
