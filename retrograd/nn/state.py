"""A Module's state: parameters and persistent buffers by path, taken out and put in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor
from retrograd.nn.uninitialized import is_lazy

if TYPE_CHECKING:
    from retrograd.nn.module import Module

__all__ = ["IncompatibleKeys", "load_state_dict", "state_dict"]


class IncompatibleKeys(NamedTuple):
    """Names that a loaded state lacked, and names that the module does not have."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def places(module: Module, prefix: str = "") -> Iterator[tuple[str, Module, str, Tensor]]:
    """(path, owner, name, value) of all that is saved; a shared value under each of its paths."""
    for path, owner in module.named_modules(prefix=prefix, remove_duplicate=False):
        for kind in ("parameter", "buffer"):
            for name, value in owner._own(kind).items():
                if value is not None and name not in owner._transient:
                    yield (f"{path}.{name}" if path else name), owner, name, value


def state_dict(module: Module, into: dict[str, Tensor], prefix: str, keep_vars: bool) -> dict[str, Tensor]:
    """See Module.state_dict."""
    for path, _, _, value in places(module, prefix.removesuffix(".")):
        into[path] = value if keep_vars else value.detach()
    return into


def load_state_dict(module: Module, state: Mapping[str, Tensor], strict: bool, assign: bool) -> IncompatibleKeys:
    """See Module.load_state_dict."""
    if not isinstance(state, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state).__name__}.")
    wanted = {path: (owner, name, value) for path, owner, name, value in places(module)}
    missing = [path for path in wanted if path not in state]
    unexpected = [path for path in state if path not in wanted]
    problems = [
        f"{path}: {what}" for path in wanted if path in state and (what := misfit(wanted[path][2], state[path]))
    ]
    if strict and unexpected:
        problems.insert(0, "Unexpected key(s) in state_dict: " + ", ".join(f'"{path}"' for path in unexpected) + ".")
    if strict and missing:
        problems.insert(0, "Missing key(s) in state_dict: " + ", ".join(f'"{path}"' for path in missing) + ".")
    if problems:
        name = type(module).__name__
        raise RuntimeError(f"Error(s) in loading state_dict for {name}:\n\t" + "\n\t".join(problems))
    for path, (owner, name, value) in wanted.items():
        if path in state:
            put(owner, name, value, state[path], assign)
    return IncompatibleKeys(missing, unexpected)


def misfit(value: Tensor, given: Any) -> str | None:
    """Why a given value cannot be loaded, or None."""
    if not isinstance(given, Tensor):
        return f"expected a Tensor, got {type(given).__name__}."
    if is_lazy(value):  # it takes any shape
        return None
    if given.shape != value.shape:
        return f"size mismatch: shape {given.shape} in the state_dict, {value.shape} in this model."
    return None


def put(owner: Module, name: str, value: Tensor, given: Tensor, assign: bool) -> None:
    """Copies a given value into the old one, or puts it in its place."""
    from retrograd.nn.parameter import Parameter

    if is_lazy(value):
        if is_lazy(given):
            return
        value.materialize(given.shape)  # type: ignore[attr-defined]  # a lazy value has it
    if not assign:
        with no_grad():
            value.copy_(given)
    elif owner._registered[name] == "parameter":
        parameter = given if isinstance(given, Parameter) else Parameter(given.detach(), False)
        setattr(owner, name, parameter.requires_grad_(value.requires_grad))
    else:
        setattr(owner, name, given)
