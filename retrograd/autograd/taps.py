"""How a listener hears what the library does, at no cost when there is none.

While taps are open, the code of a function is exchanged for one that calls the listener, as the first call of a
primitive exchanges `write_first` for the generated source: whoever has imported the function calls the new code, and
afterwards the old. The kernels of primitives are exchanged in the dicts where their recorders look them up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

from retrograd.autograd.graph import AccumulateGrad, Node, Pick
from retrograd.autograd.primitive import REGISTRY, Primitive

__all__ = ["Taps", "subclasses"]

Hear = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Called with a function as it was, and the arguments of a call of it; returns what the call is to return."""
HearKernel = Callable[[Primitive, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Called with a primitive, its forward, and the arrays and static parameters that it is to run on."""


def forwarding(*args: Any, **kwargs: Any) -> Any:
    called: Any = "heard"  # the constant is replaced by what is to be called
    return called(args, kwargs)


class Taps:
    """What was exchanged for one listener, who hears the thread that made this; `close` puts everything back."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.codes: list[tuple[FunctionType, CodeType, Any, Any]] = []
        self.attributes: list[tuple[Any, str, Any]] = []
        self.listening: dict[type[Node], None] = {}

    def function(self, function: Any, hear: Hear) -> None:
        """Has `hear(original, args, kwargs)` called instead of a function, wherever that was imported to."""
        self.codes.append((function, function.__code__, function.__defaults__, function.__kwdefaults__))
        original = twin(function)

        def heard(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if threading.get_ident() != self.thread:
                return original(*args, **kwargs)
            return hear(original, args, kwargs)

        code = forwarding.__code__
        constants = tuple(heard if constant == "heard" else constant for constant in code.co_consts)
        function.__defaults__ = function.__kwdefaults__ = None
        function.__code__ = code.replace(
            co_consts=constants, co_freevars=function.__code__.co_freevars, co_name=function.__name__
        )

    def attribute(self, owner: Any, name: str, value: Any) -> None:
        """Exchanges an attribute of a class, a module or an object."""
        self.attributes.append((owner, name, vars(owner)[name]))
        setattr(owner, name, value)

    def backend(self, xp: Any, names: Iterable[str], hear: Hear) -> None:
        """Has `hear` called instead of the functions with these names in a backend."""
        for name in names:
            if callable(vars(xp).get(name)):
                self.attribute(xp, name, self.relay(vars(xp)[name], hear))

    def relay(self, original: Any, hear: Hear) -> Callable[..., Any]:
        """A function that calls `hear`, and knows for whom."""

        def relayed(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self.thread:
                return original(*args, **kwargs)
            return hear(original, args, kwargs)

        relayed.original = original  # type: ignore[attr-defined]
        return relayed

    def kernels(self, hear: HearKernel) -> None:
        """Has `hear(primitive, kernel, arrays, static)` called instead of every primitive's forward."""
        for primitive in REGISTRY.values():
            heard = Heard(primitive, hear, self.thread)
            self.attribute(primitive, "kernels", heard)
            primitive.scope["kernels"] = heard

    def rules(self, hear: Hear) -> None:
        """Has `hear` called instead of the `backward` of every class of nodes, also of those that are made later."""
        for kind in subclasses(Node):
            self.rule(kind, hear)

    def rule(self, kind: type[Node], hear: Hear) -> None:
        """The same for one class of nodes."""
        if kind in self.listening or issubclass(kind, (Pick, AccumulateGrad)):
            return
        self.listening[kind] = None
        for method in {vars(kind)[name] for name in ("backward", "backward_recorded") if name in vars(kind)}:
            self.function(method, hear)

    def close(self) -> None:
        """Puts everything back."""
        for function, code, defaults, keywords in reversed(self.codes):
            function.__code__, function.__defaults__, function.__kwdefaults__ = code, defaults, keywords
        for owner, name, value in reversed(self.attributes):
            setattr(owner, name, value)
            if isinstance(owner, Primitive):
                owner.scope["kernels"] = value


class Heard(dict[type, Callable[..., Any]]):
    """The kernels of a primitive, each of which calls the listener instead."""

    def __init__(self, primitive: Primitive, hear: HearKernel, thread: int) -> None:
        super().__init__()
        self.primitive, self.kernels, self.hear, self.thread = primitive, primitive.kernels, hear, thread

    def __missing__(self, kind: type) -> Callable[..., Any]:
        primitive, hear, kernel = self.primitive, self.hear, self.kernels[kind]
        if hasattr(kernel, "original"):  # it was bound just now, to what `backend` had put there
            kernel = self.kernels[kind] = kernel.original

        def run(*arrays: Any, **static: Any) -> Any:
            if threading.get_ident() != self.thread:
                return kernel(*arrays, **static)
            return hear(primitive, kernel, arrays, static)

        self[kind] = run
        return run


def twin(function: Any) -> FunctionType:
    """The function as it is now, whatever becomes of its code."""
    same = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    same.__kwdefaults__ = function.__kwdefaults__
    return same


def subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    """All classes below one that exist now."""
    children: list[type[Any]] = kind.__subclasses__()
    for child in children:
        yield child
        yield from subclasses(child)
