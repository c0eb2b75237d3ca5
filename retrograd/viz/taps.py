"""How a recording hears of primitives, modules and backward rules, at no cost when there is none.

While it runs, the recorders of primitives, `Module.__call__` and the `backward` methods of node classes call the
listener too (autograd/taps.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Protocol

from retrograd.autograd import taps
from retrograd.autograd.graph import Node
from retrograd.autograd.primitive import Primitive
from retrograd.nn.module import Module

__all__ = ["Listener", "Taps", "tapped"]

Original = Callable[..., Any]


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


class Taps:
    """The taps of one listener."""

    def __init__(self, listener: Listener) -> None:
        self.listener, self.taps = listener, taps.Taps()

    def open(self) -> None:
        """Begins to hear."""
        self.taps.recorders(self.recorded)
        self.taps.function(Module.__call__, self.called)

    def close(self) -> None:
        """Puts everything back."""
        self.taps.close()

    def watch(self, kind: type[Node]) -> None:
        """Hears of the rules of a class of nodes from now on."""
        self.taps.rule(kind, self.replayed)

    def recorded(self, p: Primitive, run: Original, args: Any, kwargs: Any) -> Any:
        began = self.listener.before(p, args, kwargs)
        start = perf_counter()
        out = run(*args, **kwargs)
        self.listener.called(p, args, kwargs, out, began, perf_counter() - start)
        return out

    def called(self, call: Original, args: Any, kwargs: Any) -> Any:
        module, *rest = args
        self.listener.enter(module, tuple(rest), kwargs)
        try:
            return call(*args, **kwargs)
        finally:
            self.listener.leave()

    def replayed(self, rule: Original, args: Any, kwargs: Any) -> Any:
        node, g = args[:2]
        self.listener.replaying(node, g)
        start = perf_counter()
        try:
            return rule(*args, **kwargs)
        finally:
            self.listener.replayed(node, perf_counter() - start)


_running = threading.Lock()


@contextmanager
def tapped(listener: Listener) -> Iterator[Taps]:
    """Within the block the listener hears what this thread does. RuntimeError inside another such block."""
    if not _running.acquire(blocking=False):
        raise RuntimeError("record: another recording is running; end it first, or record both parts in one block.")
    heard = Taps(listener)
    try:
        try:
            heard.open()
            yield heard
        finally:
            heard.close()
    finally:
        _running.release()
