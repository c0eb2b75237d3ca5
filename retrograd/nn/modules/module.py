"""Hooks on every module at once, for profiling and debugging: they are called before those of a module itself.

They stay until their handle is removed, so a `with` block is the safe way to use one:

>>> import retrograd as rg
>>> def tell(module, args, output):
...     print(type(module).__name__, output.shape)
>>> with rg.nn.modules.module.register_module_forward_hook(tell):
...     out = rg.nn.Sequential(rg.nn.Linear(2, 3), rg.nn.ReLU())(rg.ones(4, 2))
Linear (4, 3)
ReLU (4, 3)
Sequential (4, 3)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from retrograd.autograd.graph import RemovableHandle
from retrograd.nn.hooks import EVERY, REGISTRATIONS
from retrograd.nn.module import Module

__all__ = [
    "Module",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

Hook = Callable[..., Any]


def added(hooks: list[tuple[str, Any]], kind: str, entry: Any) -> RemovableHandle:
    """Adds an entry to the hooks of all modules."""
    hooks.append((kind, entry))
    return RemovableHandle(hooks, (kind, entry))


def register_module_forward_pre_hook(hook: Hook) -> RemovableHandle:
    """Calls `hook(module, args)` before every forward; what it returns, unless None, replaces args."""
    return added(EVERY, "before", (hook, False))


def register_module_forward_hook(
    hook: Hook, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Calls `hook(module, args, output)` after every forward; what it returns, unless None, replaces the output.

    `with_kwargs`: `hook(module, args, kwargs, output)`. `always_call`: also when forward has raised.
    """
    return added(EVERY, "after", (hook, with_kwargs, always_call))


def register_module_full_backward_pre_hook(hook: Hook) -> RemovableHandle:
    """Calls `hook(module, grad_output)` before the backward of every module."""
    return added(EVERY, "before_backward", hook)


def register_module_full_backward_hook(hook: Hook) -> RemovableHandle:
    """Calls `hook(module, grad_input, grad_output)` when the gradients of the inputs of any module are known."""
    return added(EVERY, "after_backward", hook)


def register_module_backward_hook(hook: Hook) -> RemovableHandle:
    """Not supported, as it is deprecated in PyTorch: NotImplementedError."""
    raise NotImplementedError("register_module_backward_hook: not supported; use register_module_full_backward_hook.")


def register_module_parameter_registration_hook(hook: Hook) -> RemovableHandle:
    """Calls `hook(module, name, parameter)` for every parameter a module takes in; it may return another."""
    return added(REGISTRATIONS, "parameter", hook)


def register_module_buffer_registration_hook(hook: Hook) -> RemovableHandle:
    """Calls `hook(module, name, buffer)` for every buffer a module takes in; it may return another."""
    return added(REGISTRATIONS, "buffer", hook)


def register_module_module_registration_hook(hook: Hook) -> RemovableHandle:
    """Calls `hook(module, name, child)` for every child a module takes in; it may return another."""
    return added(REGISTRATIONS, "module", hook)
