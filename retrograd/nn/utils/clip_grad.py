"""Norms of gradients, and gradients held within bounds (Pascanu, Mikolov & Bengio 2013, algorithm 1)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import Any

from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.autograd.view import touch
from retrograd.nn.module import Module

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "grad_norms",
]


def listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """One Tensor or several, as a list."""
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def grads_of(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """The gradients that are there."""
    grads = [getattr(p, "_grad", None) for p in listed(parameters)]
    return [g for g in grads if g is not None]


def norm_of(tensor: Tensor, norm_type: float) -> Any:
    """The norm of all elements, as a 0-d array; squares of float16 are summed in float32."""
    xp, array = namespace(tensor), tensor._array
    if norm_type == math.inf:
        return xp.max(xp.abs(array)) if array.size else xp.sum(array)
    if norm_type == -math.inf:
        return xp.min(xp.abs(array))
    if norm_type == 0:
        return xp.astype(xp.count_nonzero(array), array.dtype)
    if norm_type == 2:
        flat = xp.reshape(array, (-1,))
        return xp.sqrt(xp.matmul(flat, flat))
    return xp.sum(xp.abs(array) ** norm_type) ** (1 / norm_type)


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all elements of all tensors, as of one long vector: a 0-d Tensor.

    Raises RuntimeError for a norm that is not finite when `error_if_nonfinite`.
    """
    refuse_foreach(foreach)
    each = [make(norm_of(t, float(norm_type))) for t in listed(tensors)]
    if not each:
        return make(norm_of_nothing())
    xp = namespace(each[0])
    total = make(norm_of(make(xp.stack([n.array for n in each])), float(norm_type)))
    if error_if_nonfinite and not bool(xp.isfinite(total._array)):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return total


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales all gradients in place so that their norm, as of one long vector, is at most max_norm.

    Returns the norm before; raises RuntimeError for one that is not finite when `error_if_nonfinite`, and then leaves
    the gradients as they are.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.tensor([0.0, 0.0]))
    >>> w.grad = rg.tensor([3.0, 4.0])
    >>> rg.nn.utils.clip_grad_norm_([w], 1.0)
    tensor(5.)
    """
    parameters = listed(parameters)  # an iterator is read twice
    grads = grads_of(parameters)
    total = get_total_norm(grads, norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scales all gradients in place by max_norm / total_norm, unless that is above 1."""
    refuse_foreach(foreach)
    grads = grads_of(parameters)
    if not grads:
        return
    xp = namespace(total_norm)
    scale = xp.clip(max_norm / (total_norm.array + 1e-6), None, 1.0)
    for grad in grads:
        array = grad.array
        array *= xp.astype(scale, array.dtype)
        touch(grad, "clip_grads_with_norm_")


def clip_grad_norm(*args: Any, **kwargs: Any) -> Tensor:
    """The old name of `clip_grad_norm_`; gives a FutureWarning."""
    warnings.warn("clip_grad_norm is deprecated; use clip_grad_norm_.", FutureWarning, stacklevel=2)
    return clip_grad_norm_(*args, **kwargs)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Holds every element of the gradients, in place, between −clip_value and clip_value."""
    refuse_foreach(foreach)
    clip_value = float(clip_value)
    for grad in grads_of(parameters):
        array = grad.array
        namespace(grad).setitem(array, ..., namespace(grad).clip(array, -clip_value, clip_value))
        touch(grad, "clip_grad_value_")


def grad_norms(module: Module, norm_type: float = 2.0) -> dict[str, float]:
    """The norm of the gradient of every parameter that has one, by its path: shows gradients that vanish or explode.

    >>> import retrograd as rg
    >>> layer = rg.nn.Linear(2, 1)
    >>> layer(rg.ones(1, 2)).sum().backward()
    >>> rg.nn.utils.grad_norms(layer)["bias"]
    1.0
    """
    return {
        name: float(norm_of(parameter._grad, float(norm_type)))
        for name, parameter in module.named_parameters()
        if getattr(parameter, "_grad", None) is not None
    }


def norm_of_nothing() -> Any:
    """The norm of nothing."""
    from retrograd.autograd.promotion import get_default_dtype
    from retrograd.backends import backend_of, current_device

    return backend_of(current_device()).zeros((), dtype=get_default_dtype())


def refuse_foreach(foreach: bool | None) -> None:
    """PyTorch's choice of an implementation."""
    if foreach:
        raise NotImplementedError("foreach=True is not supported; leave it out")
