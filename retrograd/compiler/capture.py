"""Programs for a GPU: operations in an order in which as many as possible follow each other, as one CUDA graph.

A graph holds what does nothing but launch kernels on arrays of the program. Outside stay effects on Python's objects
(gradients of leaves, optimizers, draws of random numbers), what waits for the GPU, copies from the host, and views of
arrays from outside, which launch nothing. All of these keep their order among each other; draws and checks come as
early, and gradients go to their leaves as late, as the values that they need allow.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from retrograd.autograd.tensor import Tensor, make
from retrograd.backends.generator import Generator
from retrograd.compiler.functions import CHECKS
from retrograd.compiler.operations import Argument, Array, Operation, Value, values_in
from retrograd.nn.functional.dropout import mask_in_memory_order, scaled

__all__ = ["Graphs", "Stretch", "stretches"]

LAUNCHES = 8
"""Kernels that are worth a graph: its launch, and the copies before and after, take the time of a few."""
WRITING = frozenset({"add_into", "setitem"})
"""Operations that write into their first argument; others say `out=`."""
LATE = frozenset({"accumulate", "touch"})
"""Effects that no kernel sees: they wait until all kernels that need not wait for them have gone before."""
EARLY = frozenset({*filter(callable, vars(Generator).values()), mask_in_memory_order, scaled, *CHECKS})
"""Functions with effects that write into no array of the GPU."""
MAKING = frozenset({"arange", "empty", "eye", "full", "linspace", "number", "one", "ones", "zeros"})
"""Operations that make arrays of the GPU from nothing."""
WAITING = frozenset({"cholesky", "det", "eigh", "inv", "lstsq", "qr", "repeat", "slogdet", "solve", "svd"})
"""Operations that wait for the GPU. (Others may, by their arguments: then the capture fails, and leaves them out.)"""


class Graphs:
    """What a compiled step knows of its graphs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reasons: dict[str, str] = {}
        """What is not captured, by name, and why."""
        self.changed = False
        """Whether the programs must be recorded anew, to be divided otherwise."""

    def refuse(self, what: str, reason: str) -> None:
        """Says, once, what is not captured."""
        if what not in self.reasons:
            self.reasons[what] = reason
            warnings.warn(
                f"{self.name} is compiled, but {what} is not captured in a CUDA graph: {reason}.\n"
                "Its kernels are launched one by one.",
                stacklevel=2,
            )

    def failed(self, names: list[str], error: Exception) -> None:
        """A stretch with these operations cannot be captured: the fault of one, which is left out in future, or not."""
        line, trace = -1, error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if code.co_name.startswith("graph_"):
                line = trace.tb_lineno - code.co_firstlineno - 2  # the decorator, the head
            trace = trace.tb_next
        reason = str(error) or type(error).__name__
        if 0 <= line < len(names) and names[line]:
            self.changed = True
            self.refuse(names[line], reason)
        else:
            self.refuse("a part of it", reason)


class Stretch:
    """Operations that follow each other as one graph, with what they take, what they give, and what they change."""

    def __init__(self, operations: list[Operation], wanted: set[int], xp: Any, graphs: Graphs) -> None:
        self.operations, self.xp, self.graphs = operations, xp, graphs
        made = {v.number: v for o in operations for v in o.made()}
        self.inputs = list({v.number: v for o in operations for v in o.used() if v.number not in made}.values())
        self.outputs = [v for v in made.values() if v.number in wanted]
        changed = {v.memory for o in operations for v in targets(o)}
        self.written = tuple(i for i, v in enumerate(self.inputs) if v.memory in changed)


def stretches(operations: list[Operation], result: Any, graphs: Graphs | None) -> list[Operation]:
    """A program with its stretches as single operations; one that runs on the CPU as it is."""
    xp = next((v.xp for o in operations for v in o.made() if hasattr(v.xp, "Captured")), None)
    if graphs is None or xp is None:
        return operations
    used = {v.number for o in operations for v in o.used()} | {v.number for v in values_in(result)}
    for o in operations:
        home = next((v.xp for v in o.used() if v.xp is not None), None)
        for v in o.made():
            v.xp = v.xp or home if v.shape is not None else None
        o.outs = without_objects(o.outs, used)
    parts = list(divided([drawn(o) for o in operations], xp, graphs))
    if all(len(part) < 2 for part in parts):
        graphs.refuse("a program", f"nowhere do {LAUNCHES} kernels follow each other that a graph can hold")
    wanted = {v.number for v in values_in(result)}
    found: list[Operation] = []
    for part in reversed(parts):
        if len(part) > 1:
            stretch = Stretch(part, wanted, xp, graphs)
            part = [Operation(stretch, "graph", tuple(stretch.inputs), outs=tuple(stretch.outputs))]
        found += part
        wanted.update(v.number for o in part for v in o.used())
    return found[::-1]


def without_objects(outs: Any, used: set[int]) -> Any:
    """Results without those that are no arrays, and that nobody uses."""
    if isinstance(outs, tuple):
        return tuple(without_objects(out, used) for out in outs)
    return None if isinstance(outs, Value) and outs.shape is None and outs.number not in used else outs


def drawn(o: Operation) -> Operation:
    """A mask in the order of an array's elements needs to know that order alone, which is the same every time."""
    if o.function is not mask_in_memory_order:
        return o
    p, like = o.args
    value = next(values_in(like), None)
    if value is None or value.strides is None:
        return o
    in_this_order = np.lib.stride_tricks.as_strided(np.empty(1, value.dtype), value.shape, value.strides)
    function = functools.partial(mask_in_memory_order, input=make(in_this_order))
    return Operation(function, "dropout_mask", (p,), outs=o.outs, effect=True)


# ---- the order


def divided(operations: list[Operation], xp: Any, graphs: Graphs) -> Iterator[list[Operation]]:
    """Operations in a new order: alone, or several together that make a stretch."""
    region: list[Operation] = []
    for o in operations:
        if o.effect and not (early(o) or o.name in LATE or captured(o, xp, graphs)):
            yield from arranged(region, xp, graphs)
            yield [o]  # nothing goes past it
            region = []
        else:
            region.append(o)
    yield from arranged(region, xp, graphs)


def arranged(region: list[Operation], xp: Any, graphs: Graphs) -> Iterator[list[Operation]]:
    """In turn all that is not captured and ready, all kernels that are ready, and what waits for the end."""
    inside = [captured(o, xp, graphs) for o in region]
    before = dependencies(region)
    done: set[int] = set()

    def take(wanted: Callable[[int], bool]) -> list[Operation]:
        ready = []
        for i, o in enumerate(region):
            if i not in done and wanted(i) and before[i] <= done:
                done.add(i)
                ready.append(o)
        return ready

    while len(done) < len(region):
        for o in take(lambda i: shown(region[i]) if inside[i] else region[i].name not in LATE):
            yield [o]
        kernels = take(lambda i: inside[i])
        if sum(not shown(o) for o in kernels) >= LAUNCHES:
            yield kernels
        else:
            yield from ([o] for o in kernels)
        if not kernels:
            for o in take(lambda i: region[i].name in LATE):
                yield [o]


def dependencies(region: list[Operation]) -> list[set[int]]:
    """For every operation those before it that it must follow."""
    makers: dict[int, int] = {}
    users: dict[int, set[int]] = {}
    """By memory: the operations that have read it since it was written last, and the one that wrote it."""
    writers: set[int] = set()
    deciding: set[int] = set()
    last: dict[str, set[int]] = {"late": set(), "early": set()}
    found = []
    for i, o in enumerate(region):
        before = {makers[v.number] for v in o.used() if v.number in makers}
        changed = {v.memory for v in targets(o)}
        for memory in {v.memory for v in (*o.used(), *o.made()) if o.name != "read"}:
            before |= {j for j in users.get(memory, set()) if memory in changed or j in writers}
            users[memory] = {i} if memory in changed else users.get(memory, set()) | {i}
        if changed:
            writers.add(i)
        if o.effect:
            before |= deciding
        if o.name == "read":
            before |= last["late"] if o.args[0].gradient else set()
        elif o.name not in LATE and holds_tensors((o.args, o.kwargs)):
            before |= last["late"] | writers
        for chain, member in (("late", o.name in LATE), ("early", early(o))):
            if member:
                before |= last[chain]
                last[chain] = {i}
        if o.decides:
            deciding.add(i)
        makers |= {v.number: i for v in o.made()}
        found.append(before - {i})
    return found


# ---- what operations are


def captured(o: Operation, xp: Any, graphs: Graphs) -> bool:
    """Whether a graph can hold an operation."""
    if o.function is None or o.decides or o.name in WAITING or o.name in graphs.reasons:
        return False
    if (o.effect and not any(True for _ in targets(o))) or holds_tensors((o.args, o.kwargs)):
        return False
    used = list(o.used())
    return all(v.xp is xp for v in (*used, *o.made())) and (bool(used) or o.name in MAKING)


def early(o: Operation) -> bool:
    """Whether an effect changes no array of the GPU."""
    function = o.function
    while o.effect and function is not None:
        if function in EARLY:
            return True
        function = getattr(function, "__wrapped__", getattr(function, "func", None))
    return False


def shown(o: Operation) -> bool:
    """Whether an operation launches nothing, and shows memory that is there."""
    memories = {v.memory for v in o.used()}
    return not o.effect and bool(memories) and all(v.memory in memories for v in o.made())


def targets(o: Operation) -> Iterator[Value]:
    """The values into which an operation writes."""
    if o.effect:
        yield from values_in(o.kwargs.get("out", o.args[0] if o.name in WRITING else None))


def holds_tensors(nest: Any) -> bool:
    """Whether Tensors that outlive the program, whose arrays may be others next time, are among arguments."""
    if isinstance(nest, (Tensor, Argument, Array)):
        return True
    if isinstance(nest, dict):
        nest = list(nest.values())
    return isinstance(nest, (tuple, list)) and any(map(holds_tensors, nest))
