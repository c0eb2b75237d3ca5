"""From a recording to the operations of a program: taken apart, shared, dead ones dropped, large ones fused.

The order of operations on every element is kept, so the numbers are those of the recorded step, bit for bit.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np

from retrograd.autograd.primitive import REGISTRY
from retrograd.autograd.rows import numpy as host
from retrograd.autograd.rows import waiting_sums
from retrograd.compiler.blocks import blocks
from retrograd.compiler.operations import Argument, Array, GiveUp, Made, Operation, Recording, Value, values_in
from retrograd.compiler.unfold import unfolded

__all__ = ["lower"]

embedding = REGISTRY["embedding"]


def lower(recording: Recording) -> list[Operation]:
    """The operations of the program."""
    numbers = itertools.count(1 + max((v.number for o in recording.operations for v in o.made()), default=0))
    operations, result = taken_apart(recording.operations, recording.result, numbers)
    recording.result = result
    operations = alive(shared(not_spread(operations), recording), recording.result)
    operations = let_rows_wait(decisions_first(operations), recording.result)
    return alive(blocks(operations, recording.result), recording.result)


def taken_apart(operations: list[Operation], result: Any, numbers: Any) -> tuple[list[Operation], Any]:
    """Rules and forwards as elementwise calls, where they consist of such."""
    instead: dict[int, Value] = {}
    found: list[Operation] = []
    for operation in operations:
        operation.args = replaced(operation.args, instead)
        operation.kwargs = replaced(operation.kwargs, instead)
        parts = unfolded(operation, numbers)
        if parts is None:
            found.append(operation)
            continue
        calls, value = parts
        instead[operation.outs.number] = value
        for call in calls:
            call.primitive = operation.primitive
        found += calls
    return found, replaced(result, instead)


def replaced(nest: Any, instead: dict[int, Value]) -> Any:
    """A nest with other values in the places of some."""
    if isinstance(nest, Value):
        return instead.get(nest.number, nest)
    if isinstance(nest, Made):
        return Made(replaced(nest.value, instead), nest.spent)
    if isinstance(nest, (Argument, Array)) or not any(True for _ in values_in(nest)):
        return nest
    if isinstance(nest, slice):
        return slice(*(replaced(part, instead) for part in (nest.start, nest.stop, nest.step)))
    if isinstance(nest, dict):
        return {key: replaced(part, instead) for key, part in nest.items()}
    parts = [replaced(part, instead) for part in nest]
    return type(nest)(*parts) if hasattr(nest, "_fields") else type(nest)(parts)


def not_spread(operations: list[Operation]) -> list[Operation]:
    """A number that is spread over a shape, to be combined with an array of that shape, does as a number."""
    single = {o.outs.number: o.args[0] for o in operations if o.name == "broadcast_to" and o.outs.uniform}
    for o in operations:
        if isinstance(o.function, np.ufunc) and not o.kwargs:
            values = [a for a in o.args if isinstance(a, Value)]
            if any(a.number not in single and a.shape == o.outs.shape for a in values):
                o.args = tuple(single.get(a.number, a) if isinstance(a, Value) else a for a in o.args)
    return operations


def shared(operations: list[Operation], recording: Recording) -> list[Operation]:
    """Elementwise calls on the same values are made once."""
    instead: dict[int, Value] = {}
    known: dict[Any, Value] = {}
    found = []
    for operation in operations:
        operation.args, operation.kwargs = replaced(operation.args, instead), replaced(operation.kwargs, instead)
        if operation.effect:
            known.clear()
        if isinstance(operation.function, np.ufunc) and not operation.kwargs and isinstance(operation.outs, Value):
            key = (
                operation.function,
                *((a.number,) if isinstance(a, Value) else (type(a), repr(a)) for a in operation.args),
            )
            if key in known:
                instead[operation.outs.number] = known[key]
                continue
            known[key] = operation.outs
        found.append(operation)
    recording.result = replaced(recording.result, instead)
    return found


def alive(operations: list[Operation], result: Any) -> list[Operation]:
    """Without operations whose results nobody uses."""
    used = {v.number for v in values_in(result)}
    kept = []
    for operation in reversed(operations):
        if operation.effect or operation.decides or any(v.number in used for v in operation.made()):
            used.update(v.number for v in operation.used())
            kept.append(operation)
    return kept[::-1]


def decisions_first(operations: list[Operation]) -> list[Operation]:
    """Moves operations that may refuse, and all that they need, before every effect."""
    makers = {v.number: o for o in operations for v in o.made()}
    first: dict[int, Operation] = {}
    pending = [o for o in operations if o.decides]
    while pending:
        operation = pending.pop()
        if operation.effect:
            raise GiveUp(f"{operation.name} decides by values that the step has changed")
        first[id(operation)] = operation
        pending += [makers[v.number] for v in operation.used() if id(makers[v.number]) not in first]
    if not first:
        return operations
    read = {v.memory for o in first.values() for v in (*o.used(), *o.made())}
    last = max(i for i, o in enumerate(operations) if o.decides)
    for o in operations[:last]:
        if o.effect and o.name not in ("accumulate", "touch") and any(v.memory in read for v in o.used()):
            raise GiveUp(f"a value is changed by {o.name} before the library decides by it")
    return [*(o for o in operations if id(o) in first), *(o for o in operations if id(o) not in first)]


def let_rows_wait(operations: list[Operation], result: Any) -> list[Operation]:
    """The gradient of a table that goes to its leaf alone may be the rows that were looked up (autograd/rows.py)."""
    users = Counter(v.number for o in operations for v in o.used())
    leaves = {o.args[1].number for o in operations if o.name == "accumulate"}
    returned = {v.number for v in values_in(result)}
    for o in operations:
        made = list(o.made())
        if o.function is embedding.joint and o.args[0] is host and len(made) == 1:
            gradient = made[0].number
            if gradient in leaves and users[gradient] == 1 and gradient not in returned:
                o.function, o.args = rows_of, o.args[1:]
    return operations


def rows_of(g: Any, *args: Any) -> Any:
    """The rule of embedding, whose sums wait; others may hold g, and change it."""
    return embedding.joint(waiting_sums, g.copy(), *args)  # type: ignore[misc]  # it has a joint rule
