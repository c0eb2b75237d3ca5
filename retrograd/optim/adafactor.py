"""Adafactor (Shazeer & Stern 2018, algorithms 4 and 5): second moments kept as a column times a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.optim.optimizer import Params, checked, implementation, number, numbers
from retrograd.optim.tensorwise import TensorwiseOptimizer, buffer, norm

__all__ = ["Adafactor"]


class Adafactor(TensorwiseOptimizer):
    """Adam's second moments without their memory: for a matrix (n, m) it keeps n + m numbers, and no first moments.

    The step is relative to the parameter's own size, max(eps[1], RMS(p)), at the rate min(lr, 1/√t); updates of a root
    mean square above `d` are clipped. The moments' rate is 1 − t^beta2_decay. eps[0], by default the dtype's epsilon,
    keeps them off 0. `weight_decay` shrinks p by lr · weight_decay; `maximize` goes up.
    Raises ValueError for settings out of range or NaN, NotImplementedError for foreach.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.ones(2, 3))
    >>> optimizer = rg.optim.Adafactor([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data[0], optimizer.state[w]["row_var"].shape
    (tensor([0.9000, 0.9000, 0.9000]), (2, 1))
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "maximize": maximize,
            **implementation(foreach=foreach),
        }
        super().__init__(params, defaults)

    def _check_settings(self, group: dict[str, Any]) -> None:
        checked("learning rate", group["lr"])
        if not group["beta2_decay"] <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {group['beta2_decay']}")
        if group["eps"][0] is not None:
            checked("epsilon1", group["eps"][0])
        checked("epsilon2", group["eps"][1])
        if not group["d"] >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {group['d']}")
        checked("weight_decay value", group["weight_decay"])

    def update(self, group: dict[str, Any], xp: Any, state: dict[str, Any], value: Any, grad: Any) -> None:
        lr, decay, weight_decay, d = numbers(group, "lr", "beta2_decay", "weight_decay", "d")
        eps1, eps2 = group["eps"]
        eps1 = float(np.finfo(value.dtype).eps) if eps1 is None else float(number(eps1))
        state["step"] = step = state.get("step", 0) + 1
        root_of_size = float(max(value.size, 1)) ** 0.5
        alpha = xp.clip(norm(xp, value) / root_of_size, min=float(eps2)) * min(lr, step**-0.5)
        if weight_decay:
            value *= 1.0 - lr * weight_decay
        g = -grad if group["maximize"] else grad
        variance = moments(xp, state, g, float(step) ** decay, eps1)
        move = g / xp.sqrt(xp.clip(variance, min=eps1 * eps1))
        value -= alpha / xp.clip(norm(xp, move) / (root_of_size * d), min=1.0) * move


def moments(xp: Any, state: dict[str, Any], g: Any, weight: float, eps: float) -> Any:
    """The running second moments: of a matrix the product of its rows' and columns' means, over the mean of all."""
    square = g * g
    if g.ndim < 2:
        variance = buffer(xp, state, "variance", g)
        variance += weight * (square - variance)
        return variance
    rows = buffer(xp, state, "row_var", g, (*g.shape[:-1], 1))
    columns = buffer(xp, state, "col_var", g, (*g.shape[:-2], 1, g.shape[-1]))
    rows += weight * (xp.mean(square, axis=-1, keepdims=True) - rows)
    columns += weight * (xp.mean(square, axis=-2, keepdims=True) - columns)
    return rows * columns / xp.clip(xp.mean(rows, axis=-2, keepdims=True), min=eps)
