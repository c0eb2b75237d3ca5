"""How a profile hears of operations, rules, modules, passes and optimizer steps, at no cost when there is none.

While it runs, the kernels of every primitive, the `backward` methods of node classes, the engine's `run`,
`Module.__call__` and the `step` of optimizers take their time (autograd/taps.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from retrograd.autograd import graph, taps
from retrograd.autograd.graph import AccumulateGrad
from retrograd.autograd.primitive import Primitive
from retrograd.autograd.taps import subclasses
from retrograd.backends import backend_of_array
from retrograd.nn.module import Module
from retrograd.optim.optimizer import Optimizer
from retrograd.profiler.timeline import Timeline

__all__ = ["Taps"]

Original = Callable[..., Any]
LEAF = "accumulate into .grad"
FIT = "sum where broadcast"
PASS = "backward pass"


class Taps:
    """What is heard of all threads while a profile runs."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline, self.taps = timeline, taps.Taps(every_thread=True)
        self.names: dict[tuple[int, int], str] = {}

    def open(self) -> None:
        """Begins to hear."""
        self.taps.kernels(self.computing)
        self.taps.rules(self.replaying)
        self.taps.function(AccumulateGrad.accumulate, self.accumulating)
        self.taps.function(Module.__call__, self.calling)
        self.taps.function(graph.run, self.running)
        self.taps.function(graph.fit, self.fitting)
        for optimizer in set(subclasses(Optimizer)):
            if "step" in vars(optimizer):
                self.taps.function(optimizer.step, self.stepping)

    def close(self) -> None:
        """Puts everything back."""
        self.taps.close()

    # ---- operations

    def computing(self, p: Primitive, kernel: Original, arrays: tuple[Any, ...], static: dict[str, Any]) -> Any:
        timeline = self.timeline
        if p.rules:
            self.taps.rule(p.node, self.replaying)
        frame = timeline.begin(p.name, "operation")
        result = None
        try:
            result = kernel(*arrays, **static)
            synchronize(backend_of_array[next(a.__class__ for a in arrays if a.__class__ in backend_of_array)])
            return result
        finally:
            event = timeline.end(frame)
            results = list(arrays_in(result))
            event.shapes = tuple([getattr(a, "shape", ()) for a in arrays])
            new = allocated(results, arrays)
            timeline.count(frame, event, new, 0 if p.view and not new else bytes_of([*arrays, *results]))

    # ---- backward

    def replaying(self, rule: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        timeline, (node, g, xp, _) = self.timeline, args
        saved = [getattr(node, name, None) for name in node.saves]
        name = node.primitive.name if hasattr(node, "primitive") else node.name()
        frame = timeline.begin(name, "rule", timeline.scope_of(node.seq))
        gs = None
        try:
            gs = rule(*args, **kwargs)
            synchronize(xp)
            return gs
        finally:
            event = timeline.end(frame)
            given, results = list(arrays_in([g, *saved])), list(arrays_in(gs))
            event.shapes = (getattr(g, "shape", ()),)
            timeline.count(frame, event, allocated(results, given), bytes_of([*given, *results]))

    def accumulating(self, accumulate: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        frame = self.timeline.begin(LEAF, "rule", ())
        try:
            accumulate(*args, **kwargs)
        finally:
            owned = args[2] if len(args) > 2 else kwargs["owned"]
            self.timeline.end(frame).moved = 0 if owned else bytes_of(list(arrays_in(args[1])))

    def fitting(self, fit: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        timeline, (g, _, node) = self.timeline, args
        frame = timeline.begin(FIT, "rule", timeline.scope_of(node.seq))
        result = None
        try:
            result = fit(*args, **kwargs)
            return result
        finally:
            event = timeline.end(frame)
            given, results = list(arrays_in(g)), list(arrays_in(result))
            timeline.count(frame, event, allocated(results, given), bytes_of([*given, *results]))

    def running(self, run: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        frame = self.timeline.begin(PASS, "pass", ())
        try:
            run(*args, **kwargs)
        finally:
            self.timeline.end(frame)

    # ---- modules and optimizers

    def calling(self, call: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module, modules = args[0], vars(self.timeline.local).setdefault("modules", [])
        frame = self.timeline.enter(self.name(module, modules[-1] if modules else None), "module")
        modules.append(module)
        try:
            return call(*args, **kwargs)
        finally:
            modules.pop()
            self.timeline.leave(frame)

    def name(self, module: Module, around: Module | None) -> str:
        """A module's name within the one that calls it, and its class."""
        key = (id(around), id(module))
        if key not in self.names:
            path = next((n for n, m in around.named_modules() if m is module and n), "") if around is not None else ""
            kind = type(module).__name__
            self.names[key] = f"{path} ({kind})" if path else kind
        return self.names[key]

    def stepping(self, step: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        frame = self.timeline.begin(f"{type(args[0]).__name__}.step", "step")
        try:
            return step(*args, **kwargs)
        finally:
            self.timeline.end(frame)


def synchronize(xp: Any) -> None:
    """Waits for a device that computes behind the caller's back."""
    if getattr(xp, "name", "cpu") != "cpu" and hasattr(xp, "synchronize"):
        xp.synchronize()


def arrays_in(value: Any) -> Iterator[Any]:
    """The arrays among results, cotangents or saved values."""
    if hasattr(value, "nbytes"):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from arrays_in(part)
    elif hasattr(value, "_array"):
        yield value._array
    elif isinstance(value, graph.Parts):
        yield from arrays_in(list(value.of.values()))


def allocated(results: list[Any], given: Any) -> int:
    """Bytes of those results that do not lie in the memory of the inputs."""
    known = {id(memory(a)) for a in given}
    return sum({id(a): a.nbytes for a in results if id(memory(a)) not in known}.values())


def memory(array: Any) -> Any:
    """The array that owns another's memory."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array


def bytes_of(arrays: list[Any]) -> int:
    """Bytes of all arrays, of each once."""
    return sum({id(a): a.nbytes for a in arrays if hasattr(a, "nbytes")}.values())
