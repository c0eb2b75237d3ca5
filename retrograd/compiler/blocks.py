"""Elementwise calls on large arrays, block by block: what a chain computes in between stays in the cache."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.backends import numpy as xp
from retrograd.backends.kernels import get_kernels
from retrograd.compiler.loops import Nest, looped, reduced
from retrograd.compiler.operations import Operation, Value, values_in
from retrograd.compiler.unfold import LARGE, keep

if TYPE_CHECKING:
    from retrograd.compiler.program import Program

__all__ = ["Block", "blocks"]

LENGTH = 1 << 17
"""Elements of a block: measured, shorter ones pay more for their calls than the second-level cache gives."""
GRAIN = 1 << 17
"""Elements that are worth a thread."""


CHEAP = frozenset({np.add, np.subtract, np.multiply, np.negative})
"""Functions that take less time than reading their result from memory."""


class Block:
    """Calls on arrays of one shape, fused: inputs, calls, which of their results are used later, and sums of them.

    `looped` says that it becomes a compiled loop (`loops.py`); others go through in blocks.
    """

    def __init__(
        self, calls: list[Operation], outputs: list[Value], totals: list[Operation], looped: bool, lead: int = 0
    ) -> None:
        self.lead = lead  # how many calls at the front were moved here
        self.outputs = outputs
        self.totals = totals
        self.looped = looped
        used = {v.number for v in (*outputs, *values_in([o.args for o in totals]))}
        for call in reversed(calls):
            if call.outs.number in used:
                used.update(v.number for v in call.used())
        self.calls = calls = [call for call in calls if call.outs.number in used]
        made = {call.outs.number for call in calls}
        inputs = {v.number: v for call in calls for v in call.used() if v.number not in made}
        self.inputs = list(inputs.values())

    def homes(self, dies: Callable[[Value], bool]) -> dict[int, Value]:
        """Inputs over which outputs are written, once the block has read them for the last time."""
        last = {v.number: i for i, call in enumerate(self.calls) for v in call.used()}
        at = {call.outs.number: i for i, call in enumerate(self.calls)}
        found: dict[int, Value] = {}
        shared = Counter(v.memory for v in self.inputs)
        free = [v for v in self.inputs if v.dense and not v.uniform and dies(v) and shared[v.memory] == 1]
        for out in sorted(self.outputs, key=lambda v: at[v.number]):
            for v in free:
                if (v.shape, v.dtype) == (out.shape, out.dtype) and last[v.number] <= at[out.number]:
                    found[out.number] = v
                    free.remove(v)
                    break
        return found

    def source(self, name: str, program: Program, homes: dict[int, Value]) -> str:
        """The function that computes the outputs from the inputs."""
        if self.looped:
            return Nest(self, homes).source(name, program)
        shape = self.calls[0].outs.shape
        inner = {next(o.used()): None for o in self.totals if next(o.used()) not in self.outputs}  # made for sums alone
        whole = [v for v in self.inputs if v.shape == shape and not v.uniform]
        lines = [f"def {name}({', '.join(f't{v.number}' for v in self.inputs)}):"]
        lines += [f"    t{v.number} = t{v.number}.reshape(-1)" for v in whole]
        single = [v for v in self.inputs if v.shape and v not in whole]
        lines += [f"    t{v.number} = t{v.number}[{(0,) * len(v.shape or ())}]" for v in single]
        outputs = {v.number for v in (*self.outputs, *inner)}
        for v in (*self.outputs, *inner):
            home = homes.get(v.number)
            fresh = f"empty({shape}, {program.name(v.dtype, str(v.dtype))})"
            lines.append(f"    t{v.number} = {fresh if home is None else f't{home.number}.reshape({shape})'}")
            lines.append(f"    o{v.number} = t{v.number}.reshape(-1)")
        lines.append("    def task(start, stop):")
        body, scratch = self.body(program, {v.number for v in whole}, outputs)
        lines += [f"        {n} = empty({LENGTH}, {program.name(d, str(d))})" for n, d in scratch]
        lines.append(f"        for i in range(start, stop, {LENGTH}):")
        lines.append(f"            j = min(i + {LENGTH}, stop)")
        if scratch:
            names = ", ".join(n for n, _ in scratch)
            cut = ", ".join(f"{n}[:j - i]" for n, _ in scratch)
            lines.append(f"            if j - i < {LENGTH}: {names} = {cut}")
        lines += ["            " + line for line in body]
        lines.append(f"    share(task, {math.prod(shape)}, {GRAIN})")
        lines += [f"    {program.call(o, [])}" for o in self.totals]
        lines.append(f"    return {''.join(f't{v.number}, ' for v in (*self.outputs, *(o.outs for o in self.totals)))}")
        return "\n".join(lines) + "\n"

    def body(self, program: Program, whole: set[int], outputs: set[int]) -> tuple[list[str], list[tuple[str, Any]]]:
        """The lines that compute one block, and the scratch that they need."""
        last = {v.number: i for i, call in enumerate(self.calls) for v in call.used()}
        free: dict[Any, list[str]] = {}
        scratch: list[tuple[str, Any]] = []
        held: dict[int, str] = {}
        lines = []

        def term(a: Any) -> str:
            if not isinstance(a, Value):
                return program.expression(a)
            if a.number in held:
                return held[a.number]
            return f"t{a.number}[i:j]" if a.number in whole else f"t{a.number}"

        for i, call in enumerate(self.calls):
            out, args = call.outs, [term(a) for a in call.args]
            args += [f"{name}={program.expression(a)}" for name, a in call.kwargs.items()]
            dead = [v for v in {v.number: v for v in call.used()}.values() if v.number in held and last[v.number] == i]
            into = isinstance(call.function, np.ufunc) or call.function is keep
            if into:  # an operand's scratch may be written over: elementwise functions read each element first
                for v in dead:
                    if v.number not in outputs:
                        free.setdefault(v.dtype, []).append(held.pop(v.number))
            if out.number in outputs:
                place = f"o{out.number}[i:j]"
            elif not into:
                place = f"v{out.number}"
            elif free.get(out.dtype):
                place = free[out.dtype].pop()
            else:
                place = f"s{len(scratch)}"
                scratch.append((place, out.dtype))
            function = program.name(call.function, call.name)
            if into:
                lines.append(f"{function}({', '.join([*args, f'out={place}'])})")
            elif out.number in outputs:
                lines.append(f"{place} = {function}({', '.join(args)})")
            else:
                lines.append(f"{place} = {function}({', '.join(args)})")
            held[out.number] = place
        return lines, scratch


def blocks(operations: list[Operation], result: Any) -> list[Operation]:
    """Fuses neighbours that compute on large arrays of one shape; pure operations between them come before, and sums
    of what they compute after them."""
    found: list[Operation] = []
    calls: list[Operation] = []
    totals: list[Operation] = []
    remaining = Counter(v.number for v in (*(v for o in operations for v in o.used()), *values_in(result)))
    compiles = get_kernels() == "numba"
    if compiles:
        without_spreading(operations)

    def close() -> None:
        if calls:
            inside = Counter(v.number for o in (*calls, *totals) for v in o.used())
            outputs = [c.outs for c in calls if remaining[c.outs.number] > inside[c.outs.number]]
            for v in outputs:
                v.owned, v.dense = True, True
            if compiles and len(calls) + len(totals) > 1 and all(map(looped, calls)):
                found.append(fused(Block(list(calls), outputs, list(totals), True)))
            elif all(map(flat, calls)):
                found.append(fused(Block(list(calls), outputs, list(totals), False)))
            else:
                found.extend((*calls, *totals))
        calls.clear()
        totals.clear()

    for operation in operations:
        made, sums = {o.outs.number for o in calls}, {o.outs.number for o in totals}
        used = {v.number for v in operation.used()}
        loops = compiles and all(map(looped, calls))
        plain = all(map(flat, calls)) and all(o.outs.shape == () for o in totals)
        if large(operation):
            loops, plain = loops and looped(operation), plain and flat(operation)
            if calls and (used & sums or calls[0].outs.shape != operation.outs.shape or not (loops or plain)):
                close()
                loops, plain = compiles and looped(operation), flat(operation)
            if loops or plain:
                calls.append(operation)
                continue
        elif used & made and reduced(operation) and (loops or operation.outs.shape == ()):
            totals.append(operation)
            continue
        if calls and (operation.effect or used & (made | sums)):
            close()
        found.append(operation)
    close()
    return computed_again(found, result)


def without_spreading(operations: list[Operation]) -> None:
    """Lets calls take arrays as they are where they took them spread over the shape of the result."""
    origin = {o.outs.number: o.args[0] for o in operations if o.name == "broadcast_to" and o.args[0].dense}
    for o in filter(large, operations):
        args = tuple(origin.get(a.number, a) if isinstance(a, Value) else a for a in o.args)
        if np.broadcast_shapes(*(a.shape or () for a in args if isinstance(a, Value))) == o.outs.shape:
            o.args = args


def computed_again(operations: list[Operation], result: Any) -> list[Operation]:
    """What a block gives for later blocks alone, they compute themselves where they can: memory is slow."""
    for i, operation in enumerate(operations):
        if isinstance(operation.function, Block):
            for call in list(operation.function.calls):
                users = [j for j, o in enumerate(operations) if j != i and any(v is call.outs for v in o.used())]
                if users and call.function in CHEAP and not any(v is call.outs for v in values_in(result)):
                    move(call, operations, i, users)
    return operations


def move(call: Operation, operations: list[Operation], i: int, users: list[int]) -> None:
    """Has later blocks make a call of block i, where all can."""
    if any(o.effect for o in operations[i : max(users)]):
        return
    for j in users:
        block = operations[j].function
        if not isinstance(block, Block) or not (block.looped or flat(call)):
            return
        there = {v.number for v in (*block.inputs, *(c.outs for c in block.calls[: block.lead]))}
        small = math.prod(call.outs.shape) // 8 if block.looped else 1
        if any(v.number not in there and (v.shape is None or math.prod(v.shape) > small) for v in call.used()):
            return
    for j in users:
        block = operations[j].function
        lead = block.lead
        calls = [*block.calls[:lead], call, *block.calls[lead:]]
        operations[j] = fused(Block(calls, block.outputs, block.totals, block.looped, lead + 1))
    block = operations[i].function
    outputs = [v for v in block.outputs if v is not call.outs]
    operations[i] = fused(Block(block.calls, outputs, block.totals, block.looped))


def fused(block: Block) -> Operation:
    """A block as an operation."""
    return Operation(block, "fused", tuple(block.inputs), outs=(*block.outputs, *(o.outs for o in block.totals)))


def large(operation: Operation) -> bool:
    """Whether an operation treats every element of a large array alone."""
    out = operation.outs
    if operation.effect or not isinstance(out, Value) or out.shape is None or math.prod(out.shape) < LARGE:
        return False
    if not (isinstance(operation.function, np.ufunc) or operation.function in (keep, np.where, xp.astype)):
        return False
    if operation.kwargs and operation.function is not xp.astype:
        return False
    return all(isinstance(a, (Value, int, float, np.generic, np.ndarray)) for a in operation.args) and all(
        v.shape is not None for v in operation.used()
    )


def flat(operation: Operation) -> bool:
    """Whether its operands are numbers, or arrays of the result's shape, all of them in the order of their memory."""
    shape = operation.outs.shape
    return all(v.uniform or (v.dense and v.shape == shape) or math.prod(v.shape or ()) == 1 for v in operation.used())
