"""Pruning: a weight becomes its original times a mask of zeros and ones. LeCun et al. 1990; Han et al. 2015.

The parameter `name` of a module becomes `name_orig`, the mask is the buffer `name_mask`, and a forward pre-hook makes
`name` their product before every call. Pruning again goes on from the mask there is; `remove` makes the zeros lasting.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.creation import ones_like
from retrograd.autograd.tensor import Tensor
from retrograd.nn.module import Module
from retrograd.nn.utils.pruning_methods import (
    BasePruningMethod,
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    PruningContainer,
    RandomStructured,
    RandomUnstructured,
    hooks_of,
)

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]


def identity(module: Module, name: str) -> Module:
    """Prepares a parameter for pruning without pruning anything: a mask of ones."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prunes elements of a parameter at random: a share of them (a float) or a number (an int)."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount: float, importance_scores: Tensor | None = None) -> Module:
    """Prunes the elements of the smallest magnitude, or of the smallest score.

    >>> import retrograd as rg
    >>> layer = rg.nn.Linear(3, 1)
    >>> layer.weight.data = rg.tensor([[3.0, -1.0, 2.0]])
    >>> rg.nn.utils.prune.l1_unstructured(layer, "weight", amount=1).weight_mask
    tensor([[1., 0., 1.]])
    """
    L1Unstructured.apply(module, name, amount, importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prunes whole channels along a dimension at random."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module, name: str, amount: float, n: Any, dim: int, importance_scores: Tensor | None = None
) -> Module:
    """Prunes the channels along a dimension whose n-norms are the smallest."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prunes by a mask of the parameter's shape: what is 0 in it."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: dict[tuple[Module, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prunes several parameters, pairs (module, name), as if they were one; kwargs go to the method (`amount=`).

    Raises TypeError for a method that is not unstructured, and for arguments of other kinds.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable of pairs (module, name)")
    scores = {} if importance_scores is None else importance_scores
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    places = list(parameters)
    values = [getattr(module, name) for module, name in places]
    importance = flat([scores.get(place, value) for place, value in zip(places, values)])
    masks = [getattr(module, f"{name}_mask", None) for module, name in places]
    default = flat([ones_like(value) if mask is None else mask for mask, value in zip(masks, values)])
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            f"global_unstructured(): only methods of PRUNING_TYPE 'unstructured', got {method.PRUNING_TYPE!r} "
            f"({pruning_method.__name__})"
        )
    mask = PruningContainer(method).compute_mask(importance, default)
    start = 0
    for (module, name), value in zip(places, values):
        custom_from_mask(module, name, mask[start : start + value.numel()].reshape(value.shape))
        start += value.numel()


def flat(values: list[Tensor]) -> Tensor:
    """The values of several tensors as one vector."""
    return ops.concat(*[ops.reshape(v.detach(), shape=(-1,)) for v in values], axis=0)


def remove(module: Module, name: str) -> Module:
    """Makes the pruned values of a parameter its own. ValueError where it is not pruned."""
    for hook in hooks_of(module, name):
        hook.forget(module)
        hook.remove(module)
        return module
    raise ValueError(f"Parameter '{name}' of {module} has to be pruned before pruning can be removed")


def is_pruned(module: Module) -> bool:
    """Whether a parameter of a module, or of one below it, is pruned."""
    return any(hooks_of(below) for below in module.modules())
