"""The modules that are being called, as paths: which call of which module an operation belongs to."""

from __future__ import annotations

import inspect
from typing import Any

from retrograd.autograd.tensor import Tensor
from retrograd.autograd.tree import flatten
from retrograd.nn.module import Module
from retrograd.viz.structure import Scope

__all__ = ["Scopes", "component"]


class Scopes:
    """A stack of module calls. Paths are made of attribute names, `relu#2` being the second call of `relu`.

    The root module's own calls have no part in the path (a second one has: `Net#2`); other outermost modules go by
    their class. A module in a list that is never called itself is one part: `layers[3]`.
    """

    def __init__(self, root: Module | None) -> None:
        self.root = root
        self.stack: list[tuple[Module, str]] = []
        self.calls: dict[tuple[str, str], int] = {}
        self.scopes: dict[str, Scope] = {}
        self.names: dict[int, str] = {}
        self._below: dict[int, dict[int, str]] = {}
        self._held: list[Module] = []

    @property
    def path(self) -> str:
        """Of the innermost call that is running."""
        return self.stack[-1][1] if self.stack else ""

    def enter(self, module: Module) -> bool:
        """A call begins; True for an outermost one."""
        outermost = not self.stack
        if outermost:
            self.learn(module)
            above, name = "", "" if module is self.root else type(module).__name__
        else:
            caller, above = self.stack[-1]
            name = self.names_below(caller).get(id(module)) or type(module).__name__
        path = self.numbered(above, name, type(module).__name__)
        if path:
            self.scopes[path] = Scope(path, type(module).__name__)
        self.stack.append((module, path))
        return outermost

    def leave(self) -> None:
        """The innermost call ends."""
        self.stack.pop()

    def numbered(self, above: str, name: str, kind: str) -> str:
        """The path of the next call of a name."""
        n = self.calls[above, name] = self.calls.get((above, name), 0) + 1
        if not name and n == 1:
            return ""
        part = component(name or kind) + (f"#{n}" if n > 1 else "")
        return f"{above}.{part}" if above else part

    def names_below(self, module: Module) -> dict[int, str]:
        """Paths of all modules inside another one, by identity."""
        if id(module) not in self._below:
            self._held.append(module)
            self._below[id(module)] = {id(m): path for path, m in module.named_modules() if path}
        return self._below[id(module)]

    def learn(self, module: Module) -> None:
        """Takes the names of a module's parameters and buffers."""
        if id(module) not in self._below:
            self.names_below(module)
            for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
                self.names.setdefault(id(tensor), name)


def component(name: str) -> str:
    """A relative path as one part: `layers.3` is `layers[3]`, `a.b` is `a/b`."""
    first, *rest = name.split(".")
    return first + "".join(f"[{part}]" if part.isdigit() else f"/{part}" for part in rest)


def arguments(module: Module, args: Any, kwargs: Any) -> list[tuple[str, Tensor]]:
    """The Tensors among a call's arguments, by the names that `forward` gives them."""
    try:
        given: dict[str, Any] = dict(inspect.signature(module.forward).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):  # the call itself will say what is wrong with it
        given = {f"input {i}": value for i, value in enumerate(args)}
    found = []
    for name, value in given.items():
        tensors = [t for t in flatten(value)[0] if isinstance(t, Tensor)]
        found += [(name if len(tensors) == 1 else f"{name}[{i}]", t) for i, t in enumerate(tensors)]
    return found
