"""Muon: momentum made orthogonal (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks")."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.optim.elementwise import blend
from retrograd.optim.optimizer import Params, checked, number, numbers
from retrograd.optim.tensorwise import TensorwiseOptimizer, buffer, norm

__all__ = ["Muon"]


class Muon(TensorwiseOptimizer):
    """Steps along the orthogonal matrix nearest to the momentum: all of its singular values become about 1.

    For matrices of hidden layers; biases, embeddings and the last layer are better left to AdamW. A polynomial with
    `ns_coefficients`, applied `ns_steps` times (Newton-Schulz), makes the matrix nearly orthogonal. `adjust_lr_fn` fits
    the rate to the shape (A, B): "original", the default, by √max(1, A/B), "match_rms_adamw" by 0.2 √max(A, B).
    `nesterov` looks one step ahead; `weight_decay` shrinks p by lr · weight_decay.
    Raises ValueError for settings out of range or NaN and for parameters that are not matrices.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.zeros(2, 2))
    >>> optimizer = rg.optim.Muon([w], lr=1.0)
    >>> (w * rg.tensor([[3.0, 0.0], [0.0, 0.1]])).sum().backward()
    >>> optimizer.step()
    >>> bool((w.data.diagonal() < -0.3).all())
    True
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def _check_params(self, group: dict[str, Any]) -> None:
        super()._check_params(group)
        for param in group["params"]:
            if param.ndim != 2:
                raise ValueError(
                    f"Muon only supports matrices, got a parameter of shape {param.shape}; use AdamW there."
                )

    def _check_settings(self, group: dict[str, Any]) -> None:
        checked("learning rate", group["lr"])
        checked("momentum value", group["momentum"])
        checked("weight_decay value", group["weight_decay"])
        if group["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"adjust_lr_fn must be 'original' or 'match_rms_adamw', got {group['adjust_lr_fn']!r}.")
        if group["ns_steps"] >= 100:
            raise ValueError(f"ns_steps must be below 100, got {group['ns_steps']}; 5 are enough.")
        if len(group["ns_coefficients"]) != 3:
            raise ValueError(f"ns_coefficients must be three numbers, got {group['ns_coefficients']}.")

    def update(self, group: dict[str, Any], xp: Any, state: dict[str, Any], value: Any, grad: Any) -> None:
        lr, momentum, weight_decay = numbers(group, "lr", "momentum", "weight_decay")
        momentum_buffer = buffer(xp, state, "momentum_buffer", value)
        blend(momentum_buffer, momentum, grad)
        move = grad + momentum * (momentum_buffer - grad) if group["nesterov"] else momentum_buffer
        coefficients = tuple(float(number(c)) for c in group["ns_coefficients"])
        move = orthogonal(xp, move, coefficients, group["ns_steps"], float(group["eps"]))
        value *= 1.0 - lr * weight_decay
        value -= adjusted(lr, group["adjust_lr_fn"], value.shape) * move


def orthogonal(xp: Any, x: Any, coefficients: tuple[float, ...], steps: int, eps: float) -> Any:
    """A matrix of about the same singular vectors, its singular values about 1: X ← a X + (b A + c A²) X, A = X Xᵀ."""
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    if x.dtype.itemsize < 4:
        x = xp.astype(x, dtype=np.dtype(np.float32))
    x = x.T if tall else x  # the smaller product
    x = x / xp.clip(norm(xp, x), min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x


def adjusted(lr: float, rule: str | None, shape: tuple[int, ...]) -> float:
    """The rate for a matrix of this shape."""
    rows, columns = shape
    if rule == "match_rms_adamw":
        return lr * 0.2 * math.sqrt(max(rows, columns))
    return lr * math.sqrt(max(1.0, rows / max(columns, 1)))
