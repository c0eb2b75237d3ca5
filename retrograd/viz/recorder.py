"""`with viz.record() as g:`: every primitive that runs in the block becomes a vertex of g."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from retrograd.autograd.graph import AccumulateGrad, Node, Parts
from retrograd.autograd.modes import state
from retrograd.autograd.primitive import Primitive
from retrograd.autograd.tensor import Tensor, clock
from retrograd.backends import backend_of_array
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter
from retrograd.viz.facts import broken, constants_of, kept, scalar, statistics
from retrograd.viz.flops import flops
from retrograd.viz.places import Places, origin, version_of
from retrograd.viz.reading import in_order, named, result_of
from retrograd.viz.scopes import Scopes, arguments
from retrograd.viz.structure import Edge, Graph, Scope, Vertex, prefixes
from retrograd.viz.taps import Taps, tapped

__all__ = ["RECORDINGS", "record"]

RECORDINGS: weakref.WeakValueDictionary[int, Recorder] = weakref.WeakValueDictionary()
"""Those whose graph somebody holds, by the tick of their beginning: `why_no_grad` asks them."""


@contextmanager
def record(
    params: Module | Mapping[str, Tensor] | None = None,
    *,
    inputs: Mapping[str, Tensor] | Sequence[Tensor] | Tensor | None = None,
    times: bool = False,
    stats: bool = False,
) -> Iterator[Graph]:
    """Records what this thread computes in the block, with or without gradients, by any entry point.

    params  names tensors: the Module that is run, or a dict from names to tensors. Modules that are called name their
            parameters themselves
    inputs  names of what the computation starts from; the arguments of outermost modules are named by `forward`
    times   note how long every operation and its rule take on the host (the first call of a primitive writes its code)
    stats   note mean, standard deviation, least and largest value of every result and of its gradient

    Backward is heard too where it runs in the block: gradients of values with one element, NaN and infinities, times.
    Outside of recordings nothing is slower; inside, an operation costs some 0.1 ms more, and with `stats`
    several passes over its result. The recording keeps no tensor alive. Raises RuntimeError inside another recording.

    >>> import retrograd as rg
    >>> model = rg.nn.Sequential(rg.nn.Linear(3, 2), rg.nn.ReLU())
    >>> with rg.viz.record(model) as g:
    ...     y = model(rg.ones(1, 3))
    >>> [(v.module, v.label) for v in g if v.kind == "operation"]
    [('0', 'Addmm'), ('1', 'Relu')]
    """
    recorder = Recorder(params, inputs, times, stats)
    RECORDINGS[recorder.began] = recorder
    with tapped(recorder) as taps:
        recorder.taps = taps
        try:
            yield recorder.graph
        finally:
            recorder.finish()


class Recorder:
    """The listener that makes the graph."""

    taps: Taps

    def __init__(self, params: Any, inputs: Any, times: bool, stats: bool) -> None:
        self.graph = Graph()
        self.places = self.graph.places = Places()
        self.places.recorder = self  # type: ignore[attr-defined]  # it lives as long as the graph
        self.scopes = Scopes(params if isinstance(params, Module) else None)
        self.times, self.stats = times, stats
        self.began = next(clock)
        self.given = {id(t): ("parameter", name, t) for name, t in named(params)}
        self.given |= {id(t): ("input", name, t) for name, t in named(inputs, "input")}
        self.replays: list[str | None] = []
        self.counted: dict[int, Any] = {}
        self.used: set[str] = set()
        self.ended: dict[int, tuple[str, weakref.ref[Tensor]]] = {}
        self.into: dict[str, list[Edge]] = {}
        self.by_id: dict[str, Vertex] = {}
        self.first: dict[int, int] = {}
        self.cuts: dict[tuple[str, int], str] = {}

    # ---- vertices and edges

    def add(self, kind: str, label: str, tensor: Tensor | None, module: str, **facts: Any) -> Vertex:
        """A new vertex, standing for a Tensor."""
        shape, dtype = (None, None) if tensor is None else (tensor.shape, dtype_name(tensor.dtype))
        vertex = Vertex(f"v{len(self.graph.vertices)}", kind, label, shape, dtype, module, facts=facts)
        self.graph.vertices.append(vertex)
        self.by_id[vertex.id] = vertex
        if tensor is not None:
            vertex.requires_grad = tensor._node is not None
            vertex.facts |= self.facts_of(tensor)
            self.places.put(tensor, vertex.id)
        return vertex

    def facts_of(self, tensor: Tensor) -> dict[str, Any]:
        """Of a value: the number itself or its statistics, and whether it is sound."""
        array = tensor._array
        found: dict[str, Any] = {"device": str(tensor.device)}
        if (value := scalar(array)) is not None:
            found["value"] = value
        found |= statistics(array) if self.stats else broken(array)
        if tensor._node is None and state.grad:
            found.pop("inf", None)  # masks are made of infinities on purpose
        return found

    def join(self, source: str, target: Vertex, tensor: Tensor, **marks: Any) -> None:
        """An edge that carries a Tensor."""
        grad = tensor._node is not None and target.requires_grad and not marks.get("cut")
        edge = Edge(source, target.id, tensor.shape, dtype_name(tensor.dtype), grad=grad, **marks)
        edge.version = version_of(tensor) - self.first.get(id(tensor._stamp), 0)
        self.graph.edges.append(edge)
        self.into.setdefault(target.id, []).append(edge)
        self.used.add(source)

    # ---- what the taps tell

    def before(self, p: Primitive, args: Any, kwargs: Any) -> int:
        for operand in self.operands(p, args, kwargs):
            self.place(operand)  # as it is before the call
        return next(clock)

    def called(self, p: Primitive, args: Any, kwargs: Any, out: Any, began: int, seconds: float) -> None:
        outs = [o for o in (out if isinstance(out, tuple) else (out,)) if isinstance(o, Tensor)]
        if not outs or self.places.same(outs[0]) is not None:
            return  # handed on to another primitive, which has been heard
        operands = self.operands(p, args, kwargs)
        sources = [(t, self.place(t)) for t in operands]
        node = origin(next((o._node for o in outs if o._node is not None), None))
        gradient = bool(self.replays) or any(self.by_id[source].phase == "gradient" for _, source in sources)
        path = self.path_of_gradient() if gradient else self.scopes.path
        vertex = self.add("operation", p.title.removesuffix("Backward0"), outs[0], path)
        vertex.phase = "gradient" if gradient else "forward"
        vertex.requires_grad = node is not None
        for other in outs[1:]:
            self.places.put(other, vertex.id)
        static = {k: v for k, v in kwargs.items() if k in p.static}
        self.describe(vertex, p, args, static, outs[0], node, seconds)
        reason = "" if node is not None else self.reason(p, operands, outs[0])
        if reason:
            vertex.facts["stopped"] = reason
        saves = () if node is None else node.saves
        for (tensor, source), name in zip(sources, [p.variadic] * len(sources) if p.variadic else p.inputs):
            cut = reason if tensor._node is not None else ""
            view = bool(p.view) and hasattr(outs[0], "_whole")
            self.join(source, vertex, tensor, cut=cut, view=view, saved=name in saves)
        self.ended[next(clock)] = vertex.id, weakref.ref(outs[0])

    def enter(self, module: Module, args: Any, kwargs: Any) -> None:
        if self.scopes.enter(module):
            for name, tensor in arguments(module, args, kwargs):
                if self.places(tensor) is None:
                    self.given.setdefault(id(tensor), ("input", name, tensor))

    def leave(self) -> None:
        self.scopes.leave()

    def replaying(self, node: Node, g: Any) -> None:
        id = self.places.nodes.get(node.seq)
        self.replays.append(id)
        if id is not None:
            g = next(iter(g.of.values())) if isinstance(g, Parts) else g
            self.by_id[id].facts |= self.gradient_facts(g._array if isinstance(g, Tensor) else g)

    def replayed(self, node: Node, seconds: float) -> None:
        id = self.replays.pop()
        if id is not None and self.times:
            facts = self.by_id[id].facts
            facts["backward_time"] = facts.get("backward_time", 0.0) + seconds

    # ---- facts

    def describe(
        self, vertex: Vertex, p: Primitive, args: Any, static: Any, out: Tensor, node: Node | None, seconds: float
    ) -> None:
        """FLOPs, time, bytes kept, the rule's name and static parameters."""
        facts = vertex.facts
        arrays = tuple([getattr(a, "_array", a) for a in args])
        if all(a.__class__ in backend_of_array for a in arrays) and (work := flops(p, arrays, static, out._array)):
            facts["flops"] = work
        if self.times:
            facts["forward_time"] = seconds
        if given := constants_of(static) | {n: str(a) for n, a in zip(p.inputs, args) if isinstance(a, (int, float))}:
            facts["arguments"] = given
        if node is None:
            return
        self.taps.watch(type(node))
        facts["rule"] = node.name()
        if "out" in node.saves:
            facts["saves_out"] = True
        fresh = [a for a in kept(node) if id(a) not in self.counted]
        self.counted |= {id(a): a.nbytes for a in fresh}
        if fresh:
            facts["saved"] = sum(int(a.nbytes) for a in fresh)

    def gradient_facts(self, array: Any) -> dict[str, Any]:
        """Of a gradient: the number itself or its statistics."""
        found = {} if (value := scalar(array)) is None else {"grad": value}
        return found | (statistics(array, "grad_") if self.stats else broken(array, "grad_"))

    def path_of_gradient(self) -> str:
        """Operations of a gradient mirror the modules under a scope of their own."""
        origin = self.by_id[self.replays[-1]].module if self.replays and self.replays[-1] else ""
        return ".".join(filter(None, ["gradient", origin.removeprefix("gradient.").removeprefix("gradient")]))

    @staticmethod
    def reason(p: Primitive, operands: list[Tensor], out: Tensor) -> str:
        """Why a result has no gradient although an operand has one; "" where none has."""
        if not any(t._node is not None for t in operands):
            return ""
        if not state.grad:
            return "inference_mode" if state.inference else "no_grad"
        if out.dtype.kind not in "fc":
            return "integer" if out.dtype.kind in "iu" else "boolean"
        return "no derivative"

    # ---- where operands come from

    @staticmethod
    def operands(p: Primitive, args: Any, kwargs: Any) -> list[Tensor]:
        """The Tensors among the inputs, in order."""
        given = args if p.variadic else [*args, *(kwargs[n] for n in p.inputs[len(args) :] if n in kwargs)]
        return [t for t in given if isinstance(t, Tensor)]

    def place(self, tensor: Tensor) -> str:
        """The vertex of an operand; made now where it is new, or was changed since."""
        place = self.places.same(tensor)
        node = origin(tensor._node)
        outside = node is None or isinstance(node, AccumulateGrad) or node.seq < self.began
        if node is not None and not outside and node.seq not in self.places.nodes:
            return self.walked(tensor, node)
        if place is not None and (place.version == version_of(tensor) or self.by_id[place.vertex].kind == "parameter"):
            return place.vertex
        if place is not None:
            return self.changed(tensor, place.vertex)
        if node is not None and node.seq in self.places.nodes:
            self.places.put(tensor, self.places.nodes[node.seq])
            return self.places.nodes[node.seq]
        source = self.places.sharing(tensor)
        if source is not None and id(tensor) not in self.given and node is None:
            return self.detached(tensor, source)
        return self.begun(tensor)

    def changed(self, tensor: Tensor, before: str) -> str:
        """The vertex after a change in place: the operation that computed the new value, or one of its own."""
        node = origin(tensor._node)
        after = None if node is None else self.places.nodes.get(node.seq)
        if after is None or after == before:
            who = str(tensor._stamp[2]) if len(tensor._stamp) > 2 else "in place"
            vertex = self.add("operation", who.partition(" at ")[0], tensor, self.scopes.path, where=who)
            self.join(before, vertex, tensor, inplace=True)
            if (source := self.written(tensor._stamp[0])) is not None:
                self.join(source, vertex, tensor)
            after = vertex.id
        self.places.put(tensor, after)
        self.places.stamps[id(tensor._stamp)] = tensor._stamp, after
        for edge in self.into.get(after, ()):
            edge.inplace = edge.inplace or edge.source == before
        return after

    def written(self, tick: int) -> str | None:
        """The operation whose result, a temporary, was written over a storage at this tick."""
        vertex, result = self.ended.get(tick - 1, (None, None))
        return vertex if result is not None and result() is None else None

    def walked(self, tensor: Tensor, last: Node) -> str:
        """Operations that are no primitives (a Function, a checkpoint): read from the graph."""
        for node in in_order([last], lambda n: n.seq in self.places.nodes or n.seq < self.began):
            if isinstance(node, AccumulateGrad) or node is not origin(node):
                continue
            shape, dtype = result_of(node)
            vertex = self.add(
                "operation", node.name().removesuffix("0").removesuffix("Backward"), None, self.scopes.path
            )
            vertex.shape, vertex.dtype, vertex.requires_grad = shape, str(dtype), True
            vertex.facts["rule"] = node.name()
            self.taps.watch(type(node))
            self.places.nodes[node.seq] = vertex.id
            for parent in node.parents:
                source = None if parent is None else self.source_of(parent)
                if source is not None and parent is not None:
                    edge = Edge(source, vertex.id, *described(parent), grad=True)
                    self.graph.edges.append(edge)
                    self.used.add(source)
        id = self.places.nodes[last.seq]
        self.places.put(tensor, id)
        return id

    def source_of(self, node: Node) -> str | None:
        """The vertex of a node that lies before; leaves are begun."""
        found = origin(node)
        if found is not None and found.seq not in self.places.nodes and isinstance(found, AccumulateGrad):
            leaf = found.variable
            return None if leaf is None else self.begun(leaf)
        return None if found is None else self.places.nodes.get(found.seq)

    def detached(self, tensor: Tensor, source: str) -> str:
        """The same memory without its graph: where the original has one, the cut is shown."""
        if not self.by_id[source].requires_grad:
            self.places.put(tensor, source)
            return source
        if (known := self.cuts.get((source, version_of(tensor)))) is not None:
            self.places.put(tensor, known)
            return known
        vertex = self.add("operation", "detach", tensor, self.scopes.path, stopped="detach")
        self.cuts[source, version_of(tensor)] = vertex.id
        self.join(source, vertex, tensor, cut="detach", view=True)
        return vertex.id

    def begun(self, tensor: Tensor) -> str:
        """A tensor that comes from outside."""
        kind, name, _ = self.given.get(id(tensor), ("", "", None))
        known = name or self.scopes.names.get(id(tensor), "")
        leaf = tensor._node is not None or isinstance(tensor, Parameter)
        if tensor._node is not None and not isinstance(tensor._node, AccumulateGrad):
            kind = "input"
            known = known or "computed before"
        elif kind != "input":
            kind = "parameter" if known and leaf else "leaf" if leaf else "constant"
        self.first[id(tensor._stamp)] = version_of(tensor)  # changes before the recording are none of its own
        vertex = self.add(kind, known or kind, tensor, "" if kind == "input" else self.scopes.path)
        if kind in ("parameter", "leaf"):
            vertex.facts["parameters"] = int(tensor._array.size)
        return vertex.id

    # ---- the end

    def finish(self) -> None:
        """Adds the outputs, the gradients of leaves, and the scopes."""
        alive = self.places.alive()
        for tensor in list(alive.values()):
            self.place(tensor)
        ends = [(v, alive[v.id]) for v in self.graph.vertices if v.kind == "operation" and v.id in alive]
        ends = [(v, t) for v, t in ends if v.id not in self.used and v.facts.get("stopped") != "detach"]
        for i, (vertex, tensor) in enumerate(ends):
            label = "output" if len(ends) == 1 else f"output {i}"
            end = self.add("output", label, None, "")
            end.shape, end.dtype, end.phase = tensor.shape, dtype_name(tensor.dtype), vertex.phase
            end.requires_grad = tensor._node is not None
            end.facts |= {k: vertex.facts[k] for k in ("value", "grad") if k in vertex.facts}
            self.join(vertex.id, end, tensor)
        for id, tensor in alive.items():
            gradient = getattr(tensor, "_grad", None)
            if gradient is not None and self.by_id[id].kind in ("parameter", "leaf", "input"):
                self.by_id[id].facts |= self.gradient_facts(gradient._array)
        for path in prefixes(v.module for v in self.graph.vertices):
            self.graph.scopes[path] = self.scopes.scopes.get(path, Scope(path))


@functools.cache
def dtype_name(dtype: Any) -> str:
    """As it is printed; NumPy takes microseconds to say it."""
    return str(dtype)


def described(node: Node) -> tuple[tuple[int, ...], str]:
    """Shape and dtype of what a node hands on."""
    return (node.shape, str(node.dtype)) if node.dtype is not None else (result_of(node)[0], str(result_of(node)[1]))
