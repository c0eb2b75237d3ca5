"""How a recording hears of primitives, modules and backward rules, at no cost when there is none.

While a recording runs, the code of every primitive's recorder is exchanged for one that calls `heard`, as its first
call exchanges `write_first` for the generated source: whoever has imported the function calls the new code, and after
the recording the old. `Module.__call__` and the `backward` methods of node classes are wrapped for as long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from types import CodeType, FunctionType
from typing import Any, Protocol

from retrograd.autograd.graph import Node
from retrograd.autograd.primitive import REGISTRY, Primitive, write_first
from retrograd.nn.module import Module

__all__ = ["Listener", "tapped"]


class Listener(Protocol):
    """What a recording wants to know."""

    def called(self, p: Primitive, args: Any, kwargs: Any, out: Any, began: int, seconds: float) -> None:
        """A primitive has run; `began` is what `before` had returned."""

    def before(self, p: Primitive, args: Any, kwargs: Any) -> int:
        """A primitive is about to run."""

    def enter(self, module: Module, args: Any, kwargs: Any) -> None:
        """A module is called."""

    def leave(self) -> None:
        """The module has returned, or raised."""

    def replaying(self, node: Node, g: Any) -> None:
        """A cotangent has reached a node, whose rule now runs."""

    def replayed(self, node: Node, seconds: float) -> None:
        """The rule has run."""


def plain(*args: Any, **kwargs: Any) -> Any:
    return heard(args, kwargs)  # type: ignore[name-defined]  # noqa: F821  # a name in the recorder's own scope


def variadic(p: Primitive) -> Callable[..., Any]:
    """Its code fits the recorders with any number of inputs, which are closures over their primitive."""

    def record(*args: Any, **kwargs: Any) -> Any:
        return p.scope["heard"](args, kwargs)

    return record


class Taps:
    """The exchanged code of all primitives and the wrapped node classes, to be put back."""

    def __init__(self, listener: Listener) -> None:
        self.listener, self.thread = listener, threading.get_ident()
        self.codes: dict[str, tuple[CodeType, Any]] = {}
        self.wrapped: list[tuple[type, str, Any]] = []
        self.known: set[type] = set()

    def open(self) -> None:
        for p in list(REGISTRY.values()):
            self.codes[p.name] = p.record.__code__, p.record.__kwdefaults__
            p.scope["heard"] = self.hearing(p)
            self.exchange(p)
        self.call = Module.__call__
        Module.__call__ = self.calling(self.call)  # type: ignore[method-assign]

    def close(self) -> None:
        Module.__call__ = self.call  # type: ignore[method-assign]
        for kind, method, own in self.wrapped:
            if own is None:
                delattr(kind, method)
            else:
                setattr(kind, method, own)
        for name, (code, defaults) in self.codes.items():
            p = REGISTRY[name]
            p.record.__code__, p.record.__kwdefaults__ = code, defaults
            del p.scope["heard"]

    @staticmethod
    def exchange(p: Primitive) -> None:
        p.record.__code__ = variadic(p).__code__ if p.variadic else plain.__code__
        p.record.__kwdefaults__ = None

    def original(self, p: Primitive) -> Callable[..., Any]:
        """The recorder as it was, written now if it never was."""
        code, defaults = self.codes[p.name]
        if code is write_first.__code__:
            p.write()
            code, defaults = self.codes[p.name] = p.record.__code__, p.record.__kwdefaults__
            self.exchange(p)
        function = FunctionType(code, p.record.__globals__, p.name, None, p.record.__closure__)
        function.__kwdefaults__ = defaults
        return function

    def hearing(self, p: Primitive) -> Callable[[Any, Any], Any]:
        run: Callable[..., Any] | None = None

        def heard(args: Any, kwargs: Any) -> Any:
            nonlocal run
            if run is None:
                run = self.original(p)
            if threading.get_ident() != self.thread:
                return run(*args, **kwargs)
            began = self.listener.before(p, args, kwargs)
            start = perf_counter()
            out = run(*args, **kwargs)
            self.listener.called(p, args, kwargs, out, began, perf_counter() - start)
            return out

        return heard

    def calling(self, call: Any) -> Any:
        def __call__(module: Module, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self.thread:
                return call(module, *args, **kwargs)
            self.listener.enter(module, args, kwargs)
            try:
                return call(module, *args, **kwargs)
            finally:
                self.listener.leave()

        return __call__

    def watch(self, kind: type[Node]) -> None:
        """Hears of the rules of a class of nodes from now on."""
        if kind in self.known:
            return
        self.known.add(kind)
        for method in ("backward", "backward_recorded"):
            original = getattr(kind, method)
            self.wrapped.append((kind, method, vars(kind).get(method)))
            setattr(kind, method, self.replay(original))

    def replay(self, original: Any) -> Any:
        def backward(node: Node, g: Any, xp: Any, keep: bool) -> Any:
            if threading.get_ident() != self.thread:
                return original(node, g, xp, keep)
            self.listener.replaying(node, g)
            start = perf_counter()
            try:
                return original(node, g, xp, keep)
            finally:
                self.listener.replayed(node, perf_counter() - start)

        return backward


_running = threading.Lock()


@contextmanager
def tapped(listener: Listener) -> Iterator[Taps]:
    """Within the block the listener hears what this thread does. RuntimeError inside another such block."""
    if not _running.acquire(blocking=False):
        raise RuntimeError("record: another recording is running; end it first, or record both parts in one block.")
    taps = Taps(listener)
    try:
        taps.open()
        try:
            yield taps
        finally:
            taps.close()
    finally:
        _running.release()
