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
from retrograd.autograd.primitive import REGISTRY, Primitive, write_first

__all__ = ["Taps", "subclasses"]

Hear = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Called with a function as it was, and the arguments of a call of it; returns what the call is to return."""
HearKernel = Callable[[Primitive, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Called with a primitive, its forward, and the arrays and static parameters that it is to run on."""


def forwarding(*args: Any, **kwargs: Any) -> Any:
    called: Any = "heard"  # the constant is replaced by what is to be called
    return called(args, kwargs)


HearRecorder = Callable[[Primitive, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Called with a primitive, the function that records it, and the Tensors and static parameters of a call."""


class Taps:
    """What was exchanged for one listener; `close` puts everything back.

    The listener hears the thread that made this, or all of them.
    """

    def __init__(self, every_thread: bool = False) -> None:
        self.thread = None if every_thread else threading.get_ident()
        self.codes: list[tuple[FunctionType, CodeType, Any, Any]] = []
        self.attributes: list[tuple[Any, str, Any]] = []
        self.listening: set[Any] = set()

    def hears(self) -> bool:
        """Whether the listener hears the thread that asks."""
        return self.thread is None or threading.get_ident() == self.thread

    def function(self, function: Any, hear: Hear) -> None:
        """Has `hear(original, args, kwargs)` called instead of a function, wherever that was imported to."""
        self.codes.append((function, function.__code__, function.__defaults__, function.__kwdefaults__))
        original = twin(function)

        def heard(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return hear(original, args, kwargs) if self.hears() else original(*args, **kwargs)

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
            return hear(original, args, kwargs) if self.hears() else original(*args, **kwargs)

        relayed.original = original  # type: ignore[attr-defined]
        return relayed

    def kernels(self, hear: HearKernel) -> None:
        """Has `hear(primitive, kernel, arrays, static)` called instead of every primitive's forward."""
        for primitive in REGISTRY.values():
            heard = Heard(primitive, hear, self.hears)
            self.attribute(primitive, "kernels", heard)
            primitive.scope["kernels"] = heard

    def recorders(self, hear: HearRecorder) -> None:
        """Has `hear(primitive, recorder, args, kwargs)` called instead of the functions that record primitives."""
        for primitive in REGISTRY.values():
            self.function(primitive.record, self.recording(primitive, hear, len(self.codes)))

    def recording(self, p: Primitive, hear: HearRecorder, place: int) -> Hear:
        """Hears of calls of a recorder, which is written now if it never was."""
        run: Callable[..., Any] | None = None

        def heard(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            nonlocal run
            if run is None:
                run = original
                if original.__code__ is write_first.__code__:
                    code = p.record.__code__
                    p.write()
                    run = twin(p.record)
                    self.codes[place] = p.record, run.__code__, None, run.__kwdefaults__
                    p.record.__code__, p.record.__kwdefaults__ = code, None
            return hear(p, run, args, kwargs)

        return heard

    def rules(self, hear: Hear) -> None:
        """Has `hear` called instead of the `backward` of every class of nodes, also of those that are made later."""
        for kind in subclasses(Node):
            self.rule(kind, hear)

    def rule(self, kind: type[Node], hear: Hear) -> None:
        """The same for one class of nodes, with the classes whose methods it inherits."""
        if issubclass(kind, (Pick, AccumulateGrad)):
            return
        for name in ("backward", "backward_recorded"):
            owner = next(base for base in kind.__mro__ if name in vars(base))
            method = vars(owner)[name]
            if owner is not Node and method not in self.listening:
                self.listening.add(method)
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

    def __init__(self, primitive: Primitive, hear: HearKernel, hears: Callable[[], bool]) -> None:
        super().__init__()
        self.primitive, self.kernels, self.hear, self.hears = primitive, primitive.kernels, hear, hears

    def __missing__(self, kind: type) -> Callable[..., Any]:
        primitive, hear, kernel = self.primitive, self.hear, self.kernels[kind]
        if hasattr(kernel, "original"):  # it was bound just now, to what `backend` had put there
            kernel = self.kernels[kind] = kernel.original

        def run(*arrays: Any, **static: Any) -> Any:
            return hear(primitive, kernel, arrays, static) if self.hears() else kernel(*arrays, **static)

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
