"""Weight and spectral normalisation as hooks that compute the weight before every call: PyTorch's older way.

The weight is an attribute, computed from parameters beside it: `weight_g` and `weight_v`, or `weight_orig`.
"""

from __future__ import annotations

import warnings
from typing import Any

from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter
from retrograd.nn.utils.normalized import as_matrix, norm_except, power_iteration, singular_value, with_norms
from retrograd.nn.utils.parametrizations import direction, output_dim

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


class WeightHook:
    """A forward pre-hook that sets a weight."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, module: Module, args: Any) -> None:
        object.__setattr__(module, self.name, self.value(module))

    def value(self, module: Module, again: bool = True) -> Tensor:
        """The weight, from what it is made of."""
        raise NotImplementedError

    def parts(self) -> list[str]:
        """Names of what it is made of."""
        raise NotImplementedError


class WeightNorm(WeightHook):
    """v stretched to the lengths g."""

    def __init__(self, name: str, dim: int) -> None:
        super().__init__(name)
        self.dim = dim

    def value(self, module: Module, again: bool = True) -> Tensor:
        return with_norms(getattr(module, f"{self.name}_v"), getattr(module, f"{self.name}_g"), self.dim)

    def parts(self) -> list[str]:
        return [f"{self.name}_g", f"{self.name}_v"]


class SpectralNorm(WeightHook):
    """The original divided by its largest singular value, which training follows by power iteration."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__(name)
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm: n_power_iterations must be positive, got {n_power_iterations}.")
        self.n_power_iterations, self.dim, self.eps = n_power_iterations, dim, eps

    def value(self, module: Module, again: bool = True) -> Tensor:
        weight: Tensor = getattr(module, f"{self.name}_orig")
        u, v = getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")
        matrix = as_matrix(weight, self.dim)
        if module.training and again:
            power_iteration(matrix, u, v, self.n_power_iterations, self.eps, v_first=True)
        return weight / singular_value(matrix, u, v)

    def parts(self) -> list[str]:
        return [f"{self.name}_orig", f"{self.name}_u", f"{self.name}_v"]


def hooks_of(module: Module, kind: type[WeightHook], name: str) -> list[Any]:
    """Entries of the hooks of a kind on a weight."""
    entries = module._hooks.before if module._hooks else []
    return [entry for entry in entries if isinstance(entry[0], kind) and entry[0].name == name]


def check_new(module: Module, kind: type[WeightHook], name: str) -> Parameter:
    """The weight, if there is one without such a hook."""
    if hooks_of(module, kind, name):
        raise RuntimeError(f"Cannot register two {kind.__name__} hooks on the same parameter {name}")
    weight = module._parameters[name]
    if weight is None:
        raise ValueError(f"{kind.__name__} cannot be applied as parameter `{name}` is None")
    return weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Splits a weight into lengths `weight_g` and directions `weight_v`; gives a FutureWarning.

    `parametrizations.weight_norm` is the newer way.
    """
    warnings.warn(
        "utils.weight_norm is deprecated in favor of utils.parametrizations.weight_norm.", FutureWarning, stacklevel=2
    )
    weight = check_new(module, WeightNorm, name)
    hook = WeightNorm(name, -1 if dim is None else dim)
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(norm_except(weight.detach(), hook.dim)))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    hook(module, ())
    module.register_forward_pre_hook(hook)
    return module


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divides a weight, kept as `weight_orig`, by its largest singular value before every call.

    `parametrizations.spectral_norm` is the newer way.
    """
    weight = check_new(module, SpectralNorm, name)
    hook = SpectralNorm(name, n_power_iterations, output_dim(module, dim), eps)
    matrix = as_matrix(weight.detach(), hook.dim)
    u, v = direction(matrix, 0, eps), direction(matrix, 1, eps)
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    object.__setattr__(module, name, weight.detach())
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    module.register_forward_pre_hook(hook)
    return module


def removed(module: Module, kind: type[WeightHook], name: str, what: str) -> Module:
    """Makes the weight an ordinary parameter with its present value."""
    entries = hooks_of(module, kind, name)
    if not entries or module._hooks is None:
        raise ValueError(f"{what} of '{name}' not found in {module}")
    hook: WeightHook = entries[0][0]
    with no_grad():
        value = hook.value(module, again=False)
    module._hooks.before.remove(entries[0])
    for part in [name, *hook.parts()]:
        delattr(module, part)
    module.register_parameter(name, Parameter(value.detach()))
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Undoes `weight_norm`. Raises ValueError where there is none."""
    return removed(module, WeightNorm, name, "weight_norm")


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Undoes `spectral_norm`. Raises ValueError where there is none."""
    return removed(module, SpectralNorm, name, "spectral_norm")
