"""The methods of pruning: what computes a mask, and how it is put on a module's parameter."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, ClassVar

from retrograd.autograd.methods.creation import ones_like, zeros_like
from retrograd.autograd.methods.random import rand, rand_like
from retrograd.autograd.tensor import Tensor
from retrograd.nn.module import Module

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
]


class BasePruningMethod(ABC):
    """A way to choose what is pruned. A subclass sets `PRUNING_TYPE` and defines `compute_mask`.

    PRUNING_TYPE says what is left for it when there is a mask already: "unstructured" the elements not yet pruned,
    "structured" the channels along its `dim` not yet pruned wholly, "global" everything.
    """

    PRUNING_TYPE: ClassVar[str]
    _tensor_name: str | None = None

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The new mask, of t's shape: `default_mask` with further zeros, chosen by the importance t."""

    def __call__(self, module: Module, inputs: Any) -> None:
        """The forward pre-hook: the parameter is its original times the mask."""
        object.__setattr__(module, self._name(module), self.apply_mask(module))

    def _name(self, module: Module) -> str:
        if self._tensor_name is None:
            raise AssertionError(f"{module} has to be pruned by this method first; use its apply().")
        return self._tensor_name

    def apply_mask(self, module: Module) -> Tensor:
        """The pruned values of a parameter that was given to `apply`; gradients reach the original."""
        name = self._name(module)
        original: Tensor = getattr(module, f"{name}_orig")
        return getattr(module, f"{name}_mask").to(dtype=original.dtype) * original  # type: ignore[no-any-return]

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any
    ) -> BasePruningMethod:
        """Prunes a parameter, on top of what has been pruned of it; args and kwargs go to the constructor.

        Returns the hook. AssertionError for scores of another shape; nothing is changed where something is raised.
        """
        value: Tensor = getattr(module, name)
        if importance_scores is not None and importance_scores.shape != value.shape:
            raise AssertionError(
                f"importance_scores should have the shape of {name}, {value.shape}, got {importance_scores.shape}"
            )
        method: BasePruningMethod = cls(*args, **kwargs)
        method._tensor_name = name
        scores = value if importance_scores is None else importance_scores
        old = hooks_of(module, name)
        if old:
            method = PruningContainer(*(old[0] if isinstance(old[0], PruningContainer) else old), method)
            mask = method.compute_mask(scores, getattr(module, f"{name}_mask").detach().clone())
            old[0].forget(module)
        else:
            mask = method.compute_mask(scores, ones_like(value))
            delattr(module, name)
            module.register_parameter(f"{name}_orig", value)  # type: ignore[arg-type]
        module.register_buffer(f"{name}_mask", mask.detach())
        method(module, ())
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """t with zeros where this method puts them. AssertionError for scores of another shape."""
        if importance_scores is not None and importance_scores.shape != t.shape:
            raise AssertionError(
                f"importance_scores should have the shape of t, {t.shape}, got {importance_scores.shape}"
            )
        scores = t if importance_scores is None else importance_scores
        return t * self.compute_mask(scores, ones_like(t) if default_mask is None else default_mask)

    def remove(self, module: Module) -> None:
        """Makes the pruned values the parameter's own, without the mask."""
        name = self._name(module)
        pruned, original = self.apply_mask(module).detach(), getattr(module, f"{name}_orig")
        for part in (name, f"{name}_orig", f"{name}_mask"):
            delattr(module, part)
        original.data = pruned
        module.register_parameter(name, original)

    def forget(self, module: Module) -> None:
        """Takes this hook off a module."""
        if module._hooks is not None:
            module._hooks.before[:] = [entry for entry in module._hooks.before if entry[0] is not self]


def hooks_of(module: Module, name: str | None = None) -> list[BasePruningMethod]:
    """The pruning hooks of a module, those on one parameter if named."""
    entries = module._hooks.before if module._hooks else []
    hooks = [hook for hook, _ in entries if isinstance(hook, BasePruningMethod)]
    return [hook for hook in hooks if name is None or hook._tensor_name == name]


class PruningContainer(BasePruningMethod):
    """Several methods that were applied to one parameter, one after the other."""

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if args:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Adds one. TypeError for what is none, ValueError for one on another parameter."""
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method).__name__} is not a BasePruningMethod subclass")
        if method._tensor_name != self._tensor_name:
            raise ValueError(
                f"a PruningContainer on the parameter '{self._tensor_name}' cannot take a method on "
                f"'{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: int) -> BasePruningMethod:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask that the last method makes of what the earlier ones left."""
        method = self._pruning_methods[-1]
        left = remaining(method, t, default_mask)
        mask = default_mask.to(dtype=t.dtype).clone()
        mask[left] = method.compute_mask(t[left], default_mask[left]).to(dtype=t.dtype).detach()
        return mask


def remaining(method: BasePruningMethod, t: Tensor, mask: Tensor) -> Any:
    """Index of the part of t that a method works on: PRUNING_TYPE. ValueError for an unknown one."""
    if method.PRUNING_TYPE == "unstructured":
        return mask == 1
    if method.PRUNING_TYPE == "global":
        return (slice(None),) * t.ndim
    if method.PRUNING_TYPE != "structured":
        raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE!r}")
    if not hasattr(method, "dim"):
        raise AttributeError('pruning methods of PRUNING_TYPE "structured" need the attribute `dim`')
    dim = method.dim + t.ndim if method.dim < 0 else method.dim
    if dim < 0:
        raise IndexError(f"dim {method.dim} is out of bounds for a tensor of {t.ndim} dimensions")
    others = [d for d in range(t.ndim) if d != dim]
    return (slice(None),) * dim + ((mask.sum(dim=others) if others else mask) != 0,)


class Identity(BasePruningMethod):
    """Prunes nothing."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask there is."""
        return default_mask


class RandomUnstructured(BasePruningMethod):
    """Prunes elements at random: `amount` of them (int), or that share (float)."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: float) -> None:
        check_amount(amount)
        self.amount = amount

    def importance(self, t: Tensor) -> Tensor:
        """The smallest are pruned: the largest draws, as in PyTorch."""
        return -rand_like(t)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask with zeros for the least important. ValueError for an amount beyond the elements."""
        count = number_of(self.amount, t.numel())
        if not count:
            return default_mask.clone()
        mask = default_mask.clone().reshape(-1)
        mask[self.importance(t).detach().reshape(-1).topk(count, largest=False).indices] = 0
        return mask.reshape(default_mask.shape)


class L1Unstructured(RandomUnstructured):
    """Prunes the elements of the smallest magnitude."""

    def importance(self, t: Tensor) -> Tensor:
        """The magnitudes."""
        return t.abs()

    @classmethod
    def apply(  # type: ignore[override]  # PyTorch's signature
        cls, module: Module, name: str, amount: float, importance_scores: Tensor | None = None
    ) -> BasePruningMethod:
        """Prunes `amount` of a parameter."""
        return super().apply(module, name, amount, importance_scores=importance_scores)


class Structured(BasePruningMethod):
    """Prunes whole channels along `dim`: `amount` of them (int), or that share (float)."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        check_amount(amount)
        self.amount, self.dim = amount, dim

    @abstractmethod
    def kept(self, t: Tensor, channels: int, count: int) -> Tensor:
        """Index of the channels that stay when `count` of them go."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask with zeros for the chosen channels.

        ValueError for fewer than 2 dimensions or an amount beyond the channels; IndexError where there is no `dim`.
        """
        if t.ndim < 2:
            raise ValueError(f"Structured pruning can only be applied to multidimensional tensors, got {t.shape}")
        if not -t.ndim <= self.dim < t.ndim:
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")
        channels = t.shape[self.dim]
        count = number_of(self.amount, channels)
        if not count:
            return default_mask
        mask = zeros_like(t)
        mask[(slice(None),) * (self.dim % t.ndim) + (self.kept(t.detach(), channels, count),)] = 1
        return mask * default_mask.to(dtype=mask.dtype)


class RandomStructured(Structured):
    """Prunes channels at random."""

    def kept(self, t: Tensor, channels: int, count: int) -> Tensor:
        """Those with the largest draws."""
        draws = rand(channels, device=t.device)
        return draws > draws.kthvalue(count).values  # type: ignore[no-any-return]


class LnStructured(Structured):
    """Prunes the channels whose n-norms are the smallest."""

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def kept(self, t: Tensor, channels: int, count: int) -> Tensor:
        """Those with the largest norms."""
        norms = t.norm(p=self.n, dim=[d for d in range(t.ndim) if d != self.dim % t.ndim])
        return norms.topk(channels - count).indices  # type: ignore[no-any-return]

    @classmethod
    def apply(  # type: ignore[override]  # PyTorch's signature
        cls, module: Module, name: str, amount: float, n: Any, dim: int, importance_scores: Tensor | None = None
    ) -> BasePruningMethod:
        """Prunes `amount` of the channels of a parameter."""
        return super().apply(module, name, amount, n, dim, importance_scores=importance_scores)


class CustomFromMask(BasePruningMethod):
    """Prunes what is 0 in a given mask."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Both masks. AssertionError unless they have one shape."""
        if default_mask.shape != self.mask.shape:
            raise AssertionError(f"the mask must have shape {default_mask.shape}, got {self.mask.shape}")
        return default_mask * self.mask.to(dtype=default_mask.dtype)


# ---- amounts


def check_amount(amount: Any) -> None:
    """TypeError unless a number; ValueError unless a count or a share."""
    if not isinstance(amount, Real):
        raise TypeError(f"Invalid type for amount: {amount!r}. Must be int or float.")
    if not 0 <= float(amount) <= (math.inf if isinstance(amount, Integral) else 1):
        raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")


def number_of(amount: Any, size: int) -> int:
    """How many of `size` an amount is. ValueError where it is more."""
    count = int(amount) if isinstance(amount, Integral) else round(amount * size)
    if count > size:
        raise ValueError(f"amount={amount} should not exceed the number of parameters to prune, {size}")
    return count
