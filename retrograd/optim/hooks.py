"""Hooks of optimizers: functions that see, and may replace, what goes into `step` and in and out of state dicts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from retrograd.autograd.graph import RemovableHandle

__all__ = ["Hooked", "hooked", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]

Hook = Callable[..., Any]

BEFORE: list[Hook] = []
AFTER: list[Hook] = []
"""Hooks around the steps of all optimizers."""


def register_optimizer_step_pre_hook(hook: Hook) -> RemovableHandle:
    """Calls hook(optimizer, args, kwargs) before every step of every optimizer, and before their own hooks."""
    return add(BEFORE, hook)


def register_optimizer_step_post_hook(hook: Hook) -> RemovableHandle:
    """Calls hook(optimizer, args, kwargs) after every step of every optimizer, and after their own hooks."""
    return add(AFTER, hook)


class Hooked:
    """The hooks of one optimizer, in the order in which they are called."""

    _stepped = False
    """Whether there was a step since a scheduler was attached; and whether one was."""
    _scheduled = False

    def _clear_hooks(self) -> None:
        self._before_step: list[Hook] = []
        self._after_step: list[Hook] = []
        self._before_saving: list[Hook] = []
        self._after_saving: list[Hook] = []
        self._before_loading: list[Hook] = []
        self._after_loading: list[Hook] = []

    def register_step_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Calls hook(optimizer, args, kwargs) before `step`; what it returns, if not None, are the new args, kwargs.

        `args` begins with the optimizer itself, as in PyTorch.
        """
        return add(self._before_step, hook)

    def register_step_post_hook(self, hook: Hook) -> RemovableHandle:
        """Calls hook(optimizer, args, kwargs) after `step`."""
        return add(self._after_step, hook)

    def register_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Calls hook(optimizer) before `state_dict`."""
        return add(self._before_saving, hook, prepend)

    def register_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Calls hook(optimizer, state_dict) after `state_dict`; what it returns, if not None, is the state dict."""
        return add(self._after_saving, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Calls hook(optimizer, state_dict) before loading; what it returns, if not None, is loaded instead."""
        return add(self._before_loading, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Calls hook(optimizer) after `load_state_dict`."""
        return add(self._after_loading, hook, prepend)


def add(hooks: list[Hook], hook: Hook, prepend: bool = False) -> RemovableHandle:
    hooks.insert(0 if prepend else len(hooks), hook)
    return RemovableHandle(hooks, hook)


def replaced(hooks: list[Hook], optimizer: Hooked, state_dict: Any) -> Any:
    """A state dict after every hook has seen it."""
    for hook in list(hooks):
        result = hook(optimizer, state_dict)
        if result is not None:
            state_dict = result
    return state_dict


def hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """A class's `step` with the hooks around it; called by a subclass's own `step`, it leaves them to that."""

    @functools.wraps(step)
    def with_hooks(self: Any, *args: Any, **kwargs: Any) -> Any:
        if type(self).step is not with_hooks:
            return step(self, *args, **kwargs)
        self._stepped = True
        if not (BEFORE or AFTER or self._before_step or self._after_step):
            return step(self, *args, **kwargs)
        everything: Any = (self, *args)
        for hook in [*BEFORE, *self._before_step]:
            result = hook(self, everything, kwargs)
            if result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(f"a hook before step must return None or (args, kwargs), got {result!r}")
                everything, kwargs = result
        out = step(*everything, **kwargs)
        for hook in [*self._after_step, *AFTER]:
            hook(self, everything, kwargs)
        return out

    with_hooks.hooked = True  # type: ignore[attr-defined]
    return with_hooks
