"""How a profile hears of operations, rules, modules, passes and optimizer steps, at no cost when there is none.

While it runs, the kernels of every primitive, the `backward` methods of node classes, the engine's `run`,
`Module.__call__` and the `step` of optimizers are exchanged for functions that take the time. Whatever was exchanged is
put back at the end.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from retrograd.autograd import graph
from retrograd.autograd.graph import AccumulateGrad, Node, Pick
from retrograd.autograd.primitive import REGISTRY, Primitive
from retrograd.backends import backend_of_array
from retrograd.nn.module import Module
from retrograd.optim.optimizer import Optimizer
from retrograd.profiler.timeline import Timeline

__all__ = ["Taps"]

METHODS = ("backward", "backward_recorded")
LEAF = "accumulate into .grad"
FIT = "sum where broadcast"
PASS = "backward pass"


class Timed(dict[type, Callable[..., Any]]):
    """The kernels of a primitive, each of which takes its time."""

    def __init__(self, primitive: Primitive, taps: Taps) -> None:
        super().__init__()
        self.primitive, self.kernels, self.taps = primitive, primitive.kernels, taps

    def __missing__(self, kind: type) -> Callable[..., Any]:
        timeline, name, view = self.taps.timeline, self.primitive.name, self.primitive.view
        kernel, wait = self.kernels[kind], synchronizing(backend_of_array[kind])
        if self.primitive.rules:
            self.taps.watch(self.primitive.node)

        def run(*arrays: Any, **static: Any) -> Any:
            frame = timeline.begin(name, "operation")
            result = None
            try:
                result = kernel(*arrays, **static)
                if wait is not None:
                    wait()
                return result
            finally:
                event = timeline.end(frame)
                results = list(arrays_in(result))
                event.shapes = tuple([getattr(a, "shape", ()) for a in arrays])
                new = allocated(results, arrays)
                timeline.count(frame, event, new, 0 if view and not new else bytes_of([*arrays, *results]))

        self[kind] = run
        return run


class Taps:
    """Everything that was exchanged, to be put back."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.replaced: list[tuple[Any, str, Any]] = []
        self.watched: set[type[Node]] = set()
        self.names: dict[tuple[int, int], str] = {}

    def open(self) -> None:
        """Exchanges."""
        for primitive in REGISTRY.values():
            self.exchange(primitive, "kernels", Timed(primitive, self))
            primitive.scope["kernels"] = primitive.kernels
        for kind in subclasses(Node):
            self.watch(kind)
        self.exchange(AccumulateGrad, "accumulate", self.accumulating(AccumulateGrad.accumulate))
        self.exchange(Module, "__call__", self.calling(Module.__call__))
        self.exchange(graph, "run", self.running(graph.run))
        self.exchange(graph, "fit", self.fitting(graph.fit))
        for optimizer in set(subclasses(Optimizer)):
            if "step" in vars(optimizer):
                self.exchange(optimizer, "step", self.stepping(optimizer.step))

    def close(self) -> None:
        """Puts back."""
        for owner, name, original in reversed(self.replaced):
            setattr(owner, name, original)
            if isinstance(owner, Primitive):
                owner.scope["kernels"] = original

    def exchange(self, owner: Any, name: str, new: Any) -> None:
        self.replaced.append((owner, name, vars(owner)[name]))
        setattr(owner, name, new)

    # ---- backward

    def watch(self, kind: type[Node]) -> None:
        """Takes the time of the rules of a class of nodes from now on."""
        if kind in self.watched or issubclass(kind, (Pick, AccumulateGrad)):
            return
        self.watched.add(kind)
        for method in METHODS:
            if method in vars(kind):
                self.exchange(kind, method, self.replaying(vars(kind)[method]))

    def replaying(self, rule: Any) -> Any:
        timeline = self.timeline

        def backward(node: Any, g: Any, xp: Any, keep: bool) -> Any:
            saved = [getattr(node, name, None) for name in node.saves]
            name = node.primitive.name if hasattr(node, "primitive") else node.name()
            wait = synchronizing(xp)
            frame = timeline.begin(name, "rule", timeline.scope_of(node.seq))
            gs = None
            try:
                gs = rule(node, g, xp, keep)
                if wait is not None:
                    wait()
                return gs
            finally:
                event = timeline.end(frame)
                given, results = list(arrays_in([g, *saved])), list(arrays_in(gs))
                event.shapes = (getattr(g, "shape", ()),)
                timeline.count(frame, event, allocated(results, given), bytes_of([*given, *results]))

        return backward

    def accumulating(self, accumulate: Any) -> Any:
        timeline = self.timeline

        def timed(node: AccumulateGrad, g: Any, owned: bool) -> None:
            frame = timeline.begin(LEAF, "rule", ())
            try:
                accumulate(node, g, owned)
            finally:
                timeline.end(frame).moved = 0 if owned else bytes_of(list(arrays_in(g)))

        return timed

    def fitting(self, fit: Any) -> Any:
        timeline = self.timeline

        def timed(g: Any, parent: Node, node: Node) -> Any:
            frame = timeline.begin(FIT, "rule", timeline.scope_of(node.seq))
            result = None
            try:
                result = fit(g, parent, node)
                return result
            finally:
                event = timeline.end(frame)
                given, results = list(arrays_in(g)), list(arrays_in(result))
                timeline.count(frame, event, allocated(results, given), bytes_of([*given, *results]))

        return timed

    def running(self, run: Any) -> Any:
        timeline = self.timeline

        def timed(*args: Any, **kwargs: Any) -> None:
            frame = timeline.begin(PASS, "pass", ())
            try:
                run(*args, **kwargs)
            finally:
                timeline.end(frame)

        return timed

    # ---- modules and optimizers

    def calling(self, call: Any) -> Any:
        timeline, local = self.timeline, self.timeline.local

        def __call__(module: Module, *args: Any, **kwargs: Any) -> Any:
            modules = vars(local).setdefault("modules", [])
            frame = timeline.enter(self.name(module, modules[-1] if modules else None), "module")
            modules.append(module)
            try:
                return call(module, *args, **kwargs)
            finally:
                modules.pop()
                timeline.leave(frame)

        return __call__

    def name(self, module: Module, around: Module | None) -> str:
        """A module's name within the one that calls it, and its class."""
        key = (id(around), id(module))
        if key not in self.names:
            path = next((n for n, m in around.named_modules() if m is module and n), "") if around is not None else ""
            kind = type(module).__name__
            self.names[key] = f"{path} ({kind})" if path else kind
        return self.names[key]

    def stepping(self, step: Any) -> Any:
        timeline = self.timeline

        @functools.wraps(step)
        def timed(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            frame = timeline.begin(f"{type(optimizer).__name__}.step", "step")
            try:
                return step(optimizer, *args, **kwargs)
            finally:
                timeline.end(frame)

        return timed


def synchronizing(xp: Any) -> Callable[[], None] | None:
    """What waits for a device that computes behind the caller's back; None where nothing does."""
    return xp.synchronize if getattr(xp, "name", "cpu") != "cpu" and hasattr(xp, "synchronize") else None


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


def subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    """All classes below one that exist now."""
    children: list[type[Any]] = kind.__subclasses__()
    for child in children:
        yield child
        yield from subclasses(child)
