"""Hooks of Modules: functions that see, and may replace, what goes in and out of `forward` and of backward."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from retrograd.autograd.graph import RemovableHandle
from retrograd.autograd.modes import state
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor, make

if TYPE_CHECKING:
    from retrograd.nn.module import Module

__all__ = ["EVERY", "REGISTRATIONS", "Hooked", "ModuleHooks"]

Grads = tuple[Tensor | None, ...]

EVERY: list[tuple[str, Any]] = []
"""Hooks of all modules at once, with their kind: an attribute of ModuleHooks. They are called before a module's own."""

REGISTRATIONS: list[tuple[str, Callable[..., Any]]] = []
"""Hooks that see every "parameter", "buffer" or "module" that any module takes in."""


def of_all(hooks: list[tuple[str, Any]], kind: str) -> list[Any]:
    """The entries of a kind among the hooks of all modules."""
    return [entry for name, entry in hooks if name == kind]


def announced(module: Module, kind: str, name: str, value: Any) -> Any:
    """What a module takes in under a name, after the hooks that may replace it; not a parameter that is left out."""
    if kind == "parameter" and value is None:
        return None
    for hook in of_all(REGISTRATIONS, kind):
        changed = hook(module, name, value)
        value = value if changed is None else changed
    return value


class ModuleHooks:
    """All hooks of one Module, in the order in which they are called."""

    def __init__(self) -> None:
        self.before: list[tuple[Callable[..., Any], bool]] = []
        self.after: list[tuple[Callable[..., Any], bool, bool]] = []
        self.before_backward: list[Callable[..., Any]] = []
        self.after_backward: list[Callable[..., Any]] = []

    @staticmethod
    def add(hooks: list[Any], entry: Any, prepend: bool) -> RemovableHandle:
        """Adds an entry to one of the lists."""
        hooks.insert(0 if prepend else len(hooks), entry)
        return RemovableHandle(hooks, entry)

    def call(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`module.forward` with every hook around it, those of all modules first."""
        called: list[int] = []
        result = None
        try:
            for hook, with_kwargs in [*of_all(EVERY, "before"), *self.before]:
                args, kwargs = run_before(hook, with_kwargs, module, args, kwargs)
            watch = self.watch(module)
            if watch is not None:
                args = watch.inputs(args)
            result = module.forward(*args, **kwargs)
            for entry in [*of_all(EVERY, "after"), *self.after]:
                called.append(id(entry))
                result = run_after(entry[0], entry[1], module, args, kwargs, result)
            return result if watch is None else watch.outputs(result)
        except Exception:
            for hook, with_kwargs, always in [e for e in [*of_all(EVERY, "after"), *self.after] if id(e) not in called]:
                if always:
                    result = run_after_failure(hook, with_kwargs, module, args, kwargs, result)
            raise

    def watch(self, module: Module) -> BackwardWatch | None:
        """What watches the backward of one call, if a hook wants it and there will be one."""
        before = [*of_all(EVERY, "before_backward"), *self.before_backward]
        after = [*of_all(EVERY, "after_backward"), *self.after_backward]
        return BackwardWatch(module, before, after) if (before or after) and state.grad else None


NONE = ModuleHooks()
"""Of a module that has none of its own."""


class Hooked:
    """What a Module has of hooks on its calls."""

    _hooks: ModuleHooks | None = None

    def _hooked(self) -> ModuleHooks:
        if self._hooks is None:
            object.__setattr__(self, "_hooks", ModuleHooks())
        return self._hooks  # type: ignore[return-value]

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, args)` before forward; what it returns, unless None, replaces args."""
        hooks = self._hooked()
        return hooks.add(hooks.before, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Calls `hook(module, args, output)` after forward; what it returns, unless None, replaces the output.

        With `always_call` also when forward has raised (output is then None).
        """
        hooks = self._hooked()
        return hooks.add(hooks.after, (hook, with_kwargs, always_call), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Calls `hook(module, grad_input, grad_output)` when the gradients of the inputs are known.

        What it returns, unless None, replaces `grad_input`. Inputs that need no gradient have None.
        """
        hooks = self._hooked()
        return hooks.add(hooks.after_backward, hook, prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Calls `hook(module, grad_output)` before the module's backward; what it returns replaces `grad_output`."""
        hooks = self._hooked()
        return hooks.add(hooks.before_backward, hook, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Not supported, as it is deprecated in PyTorch: NotImplementedError."""
        raise NotImplementedError("register_backward_hook is not supported; use register_full_backward_hook.")


def run_before(hook: Any, with_kwargs: bool, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One forward pre-hook; what it returns replaces the arguments."""
    if with_kwargs:
        changed = hook(module, args, kwargs)
        if changed is None:
            return args, kwargs
        if not (isinstance(changed, tuple) and len(changed) == 2):
            raise RuntimeError(f"a forward pre-hook with_kwargs must return None or (args, kwargs), got {changed!r}")
        return changed
    changed = hook(module, args)
    if changed is None:
        return args, kwargs
    return (changed if isinstance(changed, tuple) else (changed,)), kwargs


def run_after(
    hook: Any, with_kwargs: bool, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> Any:
    """One forward hook; what it returns replaces the result."""
    changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
    return result if changed is None else changed


def run_after_failure(
    hook: Any, with_kwargs: bool, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> Any:
    """A forward hook that is always called, after something was raised: what it raises itself becomes a warning."""
    try:
        return run_after(hook, with_kwargs, module, args, kwargs, result)
    except Exception as error:
        warnings.warn(
            f"a forward hook with always_call=True raised in its turn, which is silenced: {error}", stacklevel=3
        )
        return result


@primitive(name="BackwardHook", outputs=True)
def gate(xp: Any, *arrays: Any, call: Callable[[Sequence[Any]], Sequence[Any]]) -> Any:
    """The arrays themselves; backward hands all their cotangents to `call` at once."""
    return arrays


gate.vjp(lambda xp, g, call: call(g))


class BackwardWatch:
    """One call of a module whose backward is watched: a gate before it, and a gate after it."""

    def __init__(
        self, module: Module, before: Sequence[Callable[..., Any]], after: Sequence[Callable[..., Any]]
    ) -> None:
        self.module, self.before, self.after = module, before, after
        self.count = 0
        self.places: list[int] = []
        self.grad_output: Grads = ()

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, those that require a gradient behind a gate."""
        self.count = len(args)
        self.places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a._node is not None]
        return replaced(args, self.places, self.leave)

    def outputs(self, result: Any) -> Any:
        """The result (a Tensor or a tuple of them) behind a gate."""
        results = result if isinstance(result, tuple) else (result,)
        places = [i for i, r in enumerate(results) if isinstance(r, Tensor) and r._node is not None]

        def arrive(g: Sequence[Any]) -> Sequence[Any]:
            return self.arrive(g, places, len(results))

        gated = replaced(results, places, arrive)
        return gated if isinstance(result, tuple) else gated[0]

    def arrive(self, g: Sequence[Any], places: list[int], count: int) -> Sequence[Any]:
        """The cotangents of the outputs come by."""
        grads = spread(g, places, count)
        for hook in self.before:
            grads = substitute(hook(self.module, grads), grads)
        self.grad_output = grads
        if not self.places:
            for hook in self.after:
                hook(self.module, (None,) * self.count, grads)
        return unwrapped(grads, places, g)

    def leave(self, g: Sequence[Any]) -> Sequence[Any]:
        """The cotangents of the inputs come by."""
        grads = spread(g, self.places, self.count)
        for hook in self.after:
            grads = substitute(hook(self.module, grads, self.grad_output), grads)
        return unwrapped(grads, self.places, g)


def replaced(values: tuple[Any, ...], places: list[int], call: Any) -> tuple[Any, ...]:
    """The values, those at the places passed through a gate."""
    if not places:
        return values
    out = list(values)
    for i, gated in zip(places, gate(*[values[i] for i in places], call=call)):
        gated._stamp = values[i]._stamp
        out[i] = gated
    return tuple(out)


def spread(g: Sequence[Any], places: list[int], count: int) -> Grads:
    """Cotangents as Tensors at their places, None elsewhere."""
    grads: list[Tensor | None] = [None] * count
    for i, value in zip(places, g):
        grads[i] = value if isinstance(value, Tensor) else make(value)
    return tuple(grads)


def unwrapped(grads: Grads, places: list[int], g: Sequence[Any]) -> list[Any]:
    """What the engine goes on with: Tensors while the gradient is recorded, else arrays."""
    recorded = isinstance(g[0], Tensor)
    return [grads[i] if recorded or grads[i] is None else grads[i]._array for i in places]  # type: ignore[union-attr]


def substitute(result: Any, grads: Grads) -> Grads:
    """What a backward hook returned in place of the gradients."""
    if result is None:
        return grads
    changed: Grads = result if isinstance(result, tuple) else (result,)
    if len(changed) != len(grads):
        raise RuntimeError(f"a backward hook returned {len(changed)} gradients, expected {len(grads)}")
    return changed
