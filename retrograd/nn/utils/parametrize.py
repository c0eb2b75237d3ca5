"""Parameters that are computed from others whenever they are read: orthogonal, symmetric or normalised weights.

`register_parametrization(module, "weight", f)` makes `module.weight` the value of f at a parameter that is learned in
its place, `module.parametrizations.weight.original`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor
from retrograd.nn.containers import ModuleDict, ModuleList
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]


class Cache:
    """Values computed inside `cached()`."""

    depth = 0
    values: dict[tuple[int, str], Any] = {}  # noqa: RUF012  # one for all: blocks nest


@contextmanager
def cached() -> Iterator[None]:
    """In this block every parametrized Tensor is computed once, when it is first read."""
    Cache.depth += 1
    try:
        yield
    finally:
        Cache.depth -= 1
        if not Cache.depth:
            Cache.values.clear()


class ParametrizationList(ModuleList):
    """The functions whose composition gives a Tensor, and what they are applied to: `original`, or `original0`, …

    Made by `register_parametrization`. A function with a `right_inverse` says what it is to be applied to so that the
    Tensor keeps its value; one that takes several Tensors has them as `original0`, `original1`, ….
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        start = self._start(original, modules)
        self.is_tensor = isinstance(start, Tensor)
        self.ntensors = 1 if self.is_tensor else len(start)
        if self.is_tensor:
            kept = original if isinstance(original, Parameter) else start
            if kept is original and start is not original:
                check_kind(start, original, "right_inverse")
                original.data = start.detach()
            self._keep("original", kept)
        else:
            for i, part in enumerate(start):
                if not isinstance(part, Tensor):
                    raise ValueError(f"right_inverse must return Tensors, got a sequence with {type(part).__name__}.")
                like = isinstance(original, Parameter)
                self._keep(f"original{i}", Parameter(part.detach(), original.requires_grad) if like else part)
        if not unsafe:
            check_kind(self(), original, "a parametrization")

    def _keep(self, name: str, value: Tensor) -> None:
        if isinstance(value, Parameter):
            self.register_parameter(name, value)
        else:
            self.register_buffer(name, value)

    @staticmethod
    def _start(value: Any, modules: Sequence[Module]) -> Any:
        """What the first function is to be applied to, as far as the functions know."""
        with no_grad():
            for module in reversed(modules):
                if hasattr(module, "right_inverse"):
                    with suppress(NotImplementedError):
                        value = module.right_inverse(value)
        if not isinstance(value, (Tensor, Sequence)):
            raise ValueError(f"right_inverse must return a Tensor or a sequence of them, got {type(value).__name__}.")
        return value

    def originals(self) -> list[Tensor]:
        """What the first function is applied to."""
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Changes the originals so that the Tensor takes this value: what an assignment does."""
        start: Any = value
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"{type(module).__name__} defines no right_inverse(), which an assignment needs."
                    )
                start = module.right_inverse(start)
        parts = [start] if self.is_tensor else list(start)
        if len(parts) != self.ntensors:
            raise ValueError(f"right_inverse must return {self.ntensors} Tensors, got {len(parts)}.")
        for original, part in zip(self.originals(), parts, strict=True):
            check_kind(part, original, "right_inverse", shape=False)
            original.data = part.detach()

    def forward(self) -> Tensor:
        first, *others = self
        value: Tensor = first(*self.originals())
        for module in others:
            value = module(value)
        return value


def check_kind(value: Any, wanted: Tensor, who: str, shape: bool = True) -> None:
    """ValueError unless a value is a Tensor like the wanted one."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{who} must return a Tensor, got {type(value).__name__}.")
    if value.dtype != wanted.dtype or (shape and value.shape != wanted.shape):
        raise ValueError(
            f"{who} may not change the Tensor: it was {wanted.dtype} {wanted.shape}, and became {value.dtype} "
            f"{value.shape}; unsafe=True allows it."
        )


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Makes a parameter or buffer of a module the value of `parametrization` at what was there before.

    A second parametrization is applied to the result of the first. Returns the module, whose class is now called
    Parametrized…. Raises ValueError for a name that is neither, or unless `unsafe` a value of another shape or dtype.

    >>> import retrograd as rg
    >>> class Symmetric(rg.nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).mT
    >>> layer = register_parametrization(rg.nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.mT).all())
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            value = getattr(module, tensor_name)
            check_kind(parametrization(value), value, "a parametrization")
        parts: ParametrizationList = module.parametrizations[tensor_name]
        parts.append(parametrization)
        parts.unsafe |= unsafe
        return module
    if module._registered.get(tensor_name) not in ("parameter", "buffer"):
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'"
        )
    made = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        inject_class(module)
        module.parametrizations = ModuleDict()
    setattr(type(module), tensor_name, computed(tensor_name))
    module.parametrizations[tensor_name] = made
    return module


def inject_class(module: Module) -> None:
    """Gives a module a class of its own, to put properties on."""
    cls = type(module)
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), {"__module__": cls.__module__, "_own_class": True})


def computed(name: str) -> property:
    """The property that stands for a parametrized Tensor."""

    def read(self: Module) -> Any:
        parts = self.parametrizations[name]
        if not Cache.depth:
            return parts()
        key = (id(self), name)
        if key not in Cache.values:
            Cache.values[key] = parts()
        return Cache.values[key]

    def write(self: Module, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(read, write)


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module, or its Tensor of this name, is parametrized."""
    parametrizations = vars(module).get("parametrizations")
    if not isinstance(parametrizations, ModuleDict) or "_own_class" not in vars(type(module)):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Makes a Tensor an ordinary parameter or buffer again, with its present value or, if not, that of the original.

    Raises ValueError for one that is not parametrized, and for an original of several Tensors that would be left.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    parts: ParametrizationList = module.parametrizations[tensor_name]
    if not (leave_parametrized or parts.is_tensor):
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors."
        )
    original = parts.originals()[0]
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name).clone()
        if not parts.is_tensor:
            original = Parameter(value, original.requires_grad) if isinstance(original, Parameter) else value
        else:
            original.data = value
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if isinstance(original, Parameter):
        module.register_parameter(tensor_name, original)
    else:
        module.register_buffer(tensor_name, original)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type[Module]:
    """The class that a module had before it was parametrized."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Gives a module the parametrizations of another, and the values of what they are applied to."""
    if not is_parametrized(from_module):
        return to_module
    names = from_module.parametrizations if tensor_name is None else [tensor_name]
    for name in list(names):
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        for part in from_module.parametrizations[name]:
            register_parametrization(to_module, name, part)
        pairs = zip(from_module.parametrizations[name].originals(), to_module.parametrizations[name].originals())
        for theirs, ours in pairs:
            ours.data = theirs.detach().clone()
    return to_module
