"""A program as Python source: a line for every operation, results over operands that are needed no more."""

from __future__ import annotations

import functools
import itertools
import keyword
import math
from typing import Any

import numpy as np

from retrograd.autograd.tensor import make
from retrograd.backends import threads
from retrograd.compiler.blocks import Block
from retrograd.compiler.capture import Stretch
from retrograd.compiler.loops import compiled, zeros
from retrograd.compiler.operations import Argument, Array, Built, Made, Operation, Recording, Value, values_in
from retrograd.compiler.results import spent
from retrograd.compiler.unfold import keep, transposed

__all__ = ["Program"]

REUSED = 1 << 10
"""Elements from which on a result is written over an operand that is needed no more."""
SYMBOLS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "less": "<", "less_equal": "<=", "greater": ">",
    "greater_equal": ">=", "equal": "==", "not_equal": "!=", "bitwise_and": "&", "bitwise_or": "|",
}  # fmt: skip
"""NumPy's scalars compute by operators in a tenth of the time of functions."""
RESERVED = {
    *keyword.kwlist,
    "step",
    "share",
    "empty",
    "zeros",
    "compiled",
    "task",
    "start",
    "stop",
    "range",
    "min",
    "slice",
    "i",
    "j",
}
"""Names that the source uses itself."""
RETAINING = frozenset({"accumulate", "setitem", "add_into", "touch"})
"""Effects that keep no array that they are given, unless they own it."""


class Program:
    """The source of a program, and the names that it uses."""

    def __init__(
        self,
        recording: Recording,
        operations: list[Operation],
        result: Any,
        inputs: list[Value] | None = None,
        around: Program | None = None,
    ) -> None:
        self.recording, self.operations, self.result = recording, operations, result
        self.inputs = inputs  # instead of Tensors
        self.scope: dict[str, Any] = {} if around is None else around.scope
        self.named: dict[int, str] = {} if around is None else around.named
        self.lines: list[str] = []
        self.places: list[Any] = []
        """The primitive of every line, if it is one's."""
        self.operated: list[str] = []
        """The operation of every line, by name."""
        self.fused: list[str] = []
        """Functions that the program calls."""
        self.first_effect = 0
        """The first line that does more than compute; without decisions before it, 0."""
        self.write()

    def write(self) -> None:
        """Writes every line."""
        last, escaped = self.lifetimes()
        ends: dict[int, list[Value]] = {}
        values = {v.number: v for o in self.operations for v in (*o.made(), *o.used())}
        for number, place in self.last_use().items():
            ends.setdefault(place, []).append(values[number])
        for i, operation in enumerate(self.operations):
            self.add(self.line(operation, i, last, escaped), operation)
            dead = [f"t{v.number}" for v in ends.get(i, ()) if v.shape and math.prod(v.shape) >= 256]
            if dead and i + 1 < len(self.operations):
                self.add(f"del {', '.join(dead)}", operation)
            if operation.decides:
                self.first_effect = len(self.lines)
        self.add(f"return {self.expression(self.result)}", None)

    def add(self, line: str, operation: Any) -> None:
        self.lines.append(line)
        self.places.append(None if operation is None else operation.primitive)
        self.operated.append("" if operation is None else operation.name)

    @property
    def source(self) -> str:
        """The program as Python."""
        return self.function("step")

    def function(self, name: str) -> str:
        """The program as a function, after those that it calls."""
        if self.inputs is None:
            arguments = ", ".join(f"x{i}" for i in range(self.recording.arguments))
        else:
            arguments = ", ".join(f"t{v.number}" for v in self.inputs)
        head = [f"def {name}({arguments}):", *("    " + line for line in self.lines)]
        return "\n".join([*self.fused, *head]) + "\n"

    # ---- lifetimes

    def last_use(self) -> dict[int, int]:
        """The place of the last operation that names a value; that of the end for results."""
        last: dict[int, int] = {}
        for i, operation in enumerate(self.operations):
            for value in (*operation.made(), *operation.used()):
                last[value.number] = i
        for value in values_in(self.result):
            last[value.number] = len(self.operations)
        return last

    def lifetimes(self) -> tuple[dict[int, int], set[int]]:
        """By memory: the last operation that names it, and which memory somebody else holds."""
        last: dict[int, int] = {}
        escaped: set[int] = {v.memory for v in (*values_in(self.result), *(self.inputs or ()))}
        for i, operation in enumerate(self.operations):
            for value in (*operation.made(), *operation.used()):
                last[value.memory] = i
            if operation.name == "read":
                escaped.update(v.memory for v in operation.made())
            if operation.effect and operation.name not in RETAINING:
                escaped.update(v.memory for v in operation.used())
        return last, escaped

    # ---- expressions

    def line(self, operation: Operation, i: int, last: dict[int, int], escaped: set[int]) -> str:
        """One operation."""

        def dies(value: Value) -> bool:
            return value.owned and value.memory not in escaped and last[value.memory] == i

        if operation.name == "read":
            (place,) = operation.args
            owner = f"{self.expression(place.tensor)}{'._grad' if place.gradient else ''}._array"
            return f"{self.target(operation.outs)} = {owner}"
        if isinstance(operation.function, Block):
            return self.block(operation, dies)
        if isinstance(operation.function, Stretch):
            return self.stretch(operation)
        if operation.name == "accumulate":
            leaf, value = operation.args
            owned = ", True" if dies(value) and value.dense else ""
            given = f"{self.expression(leaf)}, {self.expression(value)}{owned}"
            return f"{self.name(operation.function, 'add_to_grad')}({given})"
        out = operation.outs
        if operation.name == "constant":
            return f"t{out.number} = {self.expression(operation.args[0])}"
        if operation.function is transposed:
            return f"t{out.number} = {self.expression(operation.args[0])}.T"
        if by_operator(operation):
            a, b = map(self.expression, operation.args)
            return f"t{out.number} = {a} {SYMBOLS[operation.name]} {b}"
        home = None
        if isinstance(operation.function, np.ufunc) or operation.function is keep:
            home = self.home(operation, dies)
        return self.call(operation, [] if home is None else [f"out=t{home.number}"])

    def call(self, operation: Operation, more: list[str]) -> str:
        """An operation as a call, with more arguments."""
        args = [self.expression(a) for a in operation.args]
        args += [f"{name}={self.expression(a)}" for name, a in operation.kwargs.items()]
        call = f"{self.name(operation.function, operation.name)}({', '.join([*args, *more])})"
        return f"{self.target(operation.outs)} = {call}" if any(True for _ in operation.made()) else call

    def home(self, operation: Operation, dies: Any) -> Value | None:
        """An operand over which the result is written."""
        out = operation.outs
        if operation.kwargs or not isinstance(out, Value) or out.shape is None or math.prod(out.shape) < REUSED:
            return None
        for value in operation.used():
            if (
                (value.shape, value.dtype) == (out.shape, out.dtype)
                and value.dense
                and not value.uniform
                and dies(value)
            ):
                return value
        return None

    def block(self, operation: Operation, dies: Any) -> str:
        """A fused block: its function comes before the program's."""
        block: Block = operation.function
        name = f"fused_{len(self.fused) + 1}"
        self.fused.append(block.source(name, self, block.homes(dies)))
        self.scope |= {"share": threads.share, "empty": np.empty, "zeros": zeros, "compiled": compiled}
        args = ", ".join(f"t{v.number}" for v in block.inputs)
        return f"{self.target(operation.outs)} = {name}({args})"

    def stretch(self, operation: Operation) -> str:
        """A stretch that is captured: its function, with a decorator that captures it, comes before the program's."""
        stretch: Stretch = operation.function
        name, decorator = f"graph_{len(self.fused) + 1}", f"captured_{len(self.fused) + 1}"
        self.scope[name] = None
        inner = Program(self.recording, stretch.operations, tuple(stretch.outputs), stretch.inputs, self)
        failed = functools.partial(stretch.graphs.failed, inner.operated)
        self.scope[decorator] = functools.partial(stretch.xp.Captured, written=stretch.written, failed=failed)
        self.fused.append(f"@{decorator}\n{inner.function(name)}")
        return f"{self.target(operation.outs)} = {name}({', '.join(map(self.expression, stretch.inputs))})"

    def target(self, outs: Any) -> str:
        if outs is None:
            return "_"
        if isinstance(outs, Value):
            return f"t{outs.number}"
        return "(" + "".join(f"{self.target(out)}, " for out in outs) + ")"

    def expression(self, nest: Any) -> str:
        """What stands for an argument in the source."""
        if isinstance(nest, Value):
            return f"t{nest.number}"
        if isinstance(nest, Argument):
            return f"x{nest.place}"
        if isinstance(nest, Array):
            return f"{self.expression(nest.tensor)}{'._grad' if nest.gradient else ''}"
        if isinstance(nest, Built):
            return f"{self.name(nest.kind, nest.kind.__name__)}({', '.join(map(self.expression, nest.args))})"
        if isinstance(nest, Made):
            if nest.spent is not None:
                return f"{self.name(spent, 'spent')}(t{nest.value.number}, {nest.spent!r})"
            return f"{self.name(make, 'make')}(t{nest.value.number})"
        if nest is None or type(nest) in (bool, int, str):
            return repr(nest)
        if type(nest) is float and math.isfinite(nest):
            return repr(nest)
        if isinstance(nest, slice):
            return f"slice({', '.join(self.expression(p) for p in (nest.start, nest.stop, nest.step))})"
        if type(nest) in (tuple, list):
            inside = "".join(f"{self.expression(part)}, " for part in nest)
            return f"({inside})" if type(nest) is tuple else f"[{inside.removesuffix(', ')}]"
        if type(nest) is dict:
            return "{" + ", ".join(f"{self.expression(k)}: {self.expression(v)}" for k, v in nest.items()) + "}"
        if isinstance(nest, tuple) and hasattr(nest, "_fields"):
            return f"{self.name(type(nest), type(nest).__name__)}({', '.join(map(self.expression, nest))})"
        if isinstance(nest, (tuple, list, dict)) and any(True for _ in values_in(nest)):
            raise TypeError(f"a {type(nest).__name__} of arrays")
        return self.name(nest, self.label(nest))

    def label(self, thing: Any) -> str:
        """A readable name for a constant."""
        if id(thing) in self.recording.names:
            return self.recording.names[id(thing)]
        if isinstance(thing, np.dtype):
            return str(thing)
        return str(getattr(thing, "__name__", type(thing).__name__)).rpartition(".")[2].lower()

    def name(self, thing: Any, wanted: str) -> str:
        """The name of a constant in the program's scope."""
        if id(thing) not in self.named:
            wanted = "".join(c if c.isalnum() else "_" for c in wanted).strip("_") or "constant"
            if wanted in RESERVED or wanted[0].isdigit() or (wanted[0] in "cosvtx" and wanted[1:].isdigit()):
                wanted = f"the_{wanted}"
            name = wanted
            for n in itertools.count(2):
                if name not in self.scope:
                    break
                name = f"{wanted}_{n}"
            self.scope[name] = thing
            self.named[id(thing)] = name
        return self.named[id(thing)]


def by_operator(operation: Operation) -> bool:
    """Whether an operation is arithmetic on single numbers."""
    out = operation.outs
    if not isinstance(out, Value) or out.shape != () or operation.name not in SYMBOLS or operation.kwargs:
        return False
    return all(isinstance(a, (Value, int, float)) for a in operation.args)
