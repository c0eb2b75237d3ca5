"""Functions of the library that a program replays as they are, and those that hand values to Python."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.methods.indexing import _in_range as check_positions
from retrograd.autograd.methods.random import bernoulli, multinomial, normal, randperm
from retrograd.autograd.ops.entropy import one_hot as one_hot_targets
from retrograd.autograd.taps import subclasses
from retrograd.autograd.tensor import Tensor
from retrograd.backends.generator import Generator
from retrograd.nn.functional.dropout import mask_in_memory_order, scaled
from retrograd.nn.functional.embedding import check_range as check_rows
from retrograd.nn.functional.losses.classification import factors_of, known_classes
from retrograd.nn.functional.losses.margin import check_range as check_targets
from retrograd.nn.functional.losses.sequence import check_labels
from retrograd.nn.module import Module
from retrograd.nn.utils import clip_grad
from retrograd.optim import swa_utils
from retrograd.optim.lr_scheduler import LRScheduler
from retrograd.optim.optimizer import Optimizer

__all__ = ["CHECKS", "DECIDING", "READING", "WHOLE", "effects"]

READING = (
    "item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__", "__complex__", "__array__", "__repr__",
    "__format__", "__dlpack__", "equal", "allclose", "is_nonzero",
)  # fmt: skip
"""Methods that hand a value to Python, which may decide by it."""
DRAWS = (
    "uniform", "normal", "log_normal", "randint", "random_", "permutation", "bernoulli", "dropout_mask", "exponential",
    "geometric", "cauchy", "multinomial", "manual_seed", "seed",
)  # fmt: skip

WHOLE: tuple[Any, ...] = (factors_of, one_hot_targets)
"""Functions without effects that compute on arrays in ways of their own."""
CHECKS: tuple[Any, ...] = (check_positions, check_rows, check_targets, check_labels)
"""Functions that raise for wrong values, and return nothing."""
DECIDING: tuple[Any, ...] = (known_classes,)
"""Functions without effects that, depending on values, return None in some places."""


def effects() -> list[Any]:
    """Functions that are replayed as they are."""
    found: list[Any] = [Optimizer.zero_grad, Module.zero_grad, bernoulli, multinomial, normal, randperm, *CHECKS]
    found += [vars(kind)["step"] for kind in {Optimizer, *subclasses(Optimizer)} if "step" in vars(kind)]
    found += [vars(kind)["step"] for kind in {LRScheduler, *subclasses(LRScheduler)} if "step" in vars(kind)]
    found += [swa_utils.AveragedModel.update_parameters, clip_grad.clip_grads_with_norm_, clip_grad.clip_grad_value_]
    found += [getattr(Generator, name) for name in DRAWS] + [scaled, mask_in_memory_order]
    for name in ("grad", "data"):
        own = vars(Tensor)[name]
        found += [f for f in (own.fset, own.fdel) if f is not None]
    return list(dict.fromkeys(found))
