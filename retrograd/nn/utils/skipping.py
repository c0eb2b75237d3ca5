"""Modules whose parameters are not initialised, because they are loaded right after."""

from __future__ import annotations

import inspect
from typing import Any

from retrograd.autograd.methods.random import default_generator
from retrograd.nn.module import Module

__all__ = ["skip_init"]


def skip_init(module_cls: Any, *args: Any, **kwargs: Any) -> Module:
    """`module_cls(*args, **kwargs)` with parameters and buffers of arbitrary values; no random number is drawn.

    Raises RuntimeError for what is no class of Modules, or takes no `device`.
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"skip_init: expected a subclass of Module, got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError(f"skip_init: {module_cls.__name__} takes no device, so its initialisation cannot be skipped")
    state = default_generator.get_state()
    made: Module = module_cls(*args, **kwargs)
    default_generator.set_state(state)
    return made.to_empty(device=kwargs.get("device") or "cpu")
