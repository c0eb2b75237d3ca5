"""Blocks as loops that numba compiles: every element is read once, goes through all calls, and is written once.

After `set_kernels("numba")` a block of at least two calls and sums becomes such a loop, where all its calls have a form
(`forms.py`); NumPy keeps the others. The loop takes operands that are to be spread, and sums along any axes, so that
neither those nor what is added up are arrays in memory. Compiling takes about half a second, once in a process: equal
loops of all programs share one. A block of the smallest size (`LARGE`) wins that back in some thousand steps.

The first axis is cut in pieces, which threads share. A sum over it is the sum of the pieces' sums, whatever the number
of threads; where many numbers are added one after the other, that is done in float64.
"""

from __future__ import annotations

import functools
import math
import types
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.backends import numpy as xp
from retrograd.compiler.forms import FLOATS, KINDS, functions, kinds, translated
from retrograd.compiler.operations import Operation, Value

if TYPE_CHECKING:
    from retrograd.compiler.blocks import Block
    from retrograd.compiler.program import Program

__all__ = ["Nest", "compiled", "looped", "reduced", "zeros"]

PIECE = 1 << 12
"""Elements of a piece at least, and those that the innermost loop sums in their own dtype at most."""
PIECES = 1 << 4
"""Pieces at most, where each has arrays of sums of its own."""
FEW = 1 << 6
"""Numbers that are added one after the other in their own dtype at most."""
GRAIN = 1 << 17
"""Elements that are worth a thread."""
LINE = 64
"""Bytes of a line of the cache."""
UNROLLED = range(8, 64)
"""Lengths of the innermost loop that LLVM is not told: it would write out all its steps, rather than use vectors."""


def looped(call: Operation) -> bool:
    """Whether a call can stand in loops over its result: it has a form, and its operands are spread over that."""
    for a in call.args:
        if isinstance(a, Value) and not (a.uniform or (a.dense and spread(a.shape, call.outs.shape))):
            return False
        if isinstance(a, np.ndarray) and a.shape != ():
            return False
    return bool(kinds(call))


def spread(shape: tuple[int, ...] | None, over: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with as many dimensions as another over which it is spread; none if it cannot be."""
    full = (*(1,) * (len(over) - len(shape or ())), *(shape or ()))
    fits = len(full) == len(over) and all(n in (1, m) for n, m in zip(full, over, strict=True))
    return full if fits else ()


def reduced(operation: Operation) -> tuple[int, ...]:
    """Of a sum or mean of floats the shape of the result, with ones in the places of what is added up; else none."""
    x, out = next(operation.used(), None), operation.outs
    if x is None or operation.effect or not isinstance(out, Value) or out.dtype != x.dtype:
        return ()
    shape: tuple[int, ...] = x.shape or ()
    kept: tuple[int, ...] = ()
    if operation.name == "sum_to":
        kept = spread(operation.args[2], shape)
    elif operation.function in (xp.sum, xp.mean) and not operation.kwargs.keys() - {"axis", "keepdims"}:
        axis = operation.kwargs.get("axis")
        axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        gone = {a % len(shape) for a in axes}
        kept = tuple(1 if d in gone else n for d, n in enumerate(shape))
    return kept if kept != shape and KINDS.get(x.dtype) in FLOATS else ()


class Sum:
    """A sum of what a block computes: the array that the loops add to, and what becomes of it."""

    def __init__(self, name: str, operation: Operation) -> None:
        self.name, self.operation, self.out = name, operation, operation.outs
        self.of = next(operation.used())
        self.kept = reduced(operation)
        self.own = False
        """Whether the array has the dtype of the sum, else float64."""
        self.kind = ""
        """The type in which the innermost loop sums; empty where that adds to the array itself."""


class Nest:
    """The loops of a block; neighbouring axes that all its arrays go through alike are one loop."""

    def __init__(self, block: Block, homes: dict[int, Value]) -> None:
        self.block = block
        self.shape: tuple[int, ...] = block.calls[0].outs.shape
        whole = [v for v in block.inputs if not v.uniform and math.prod(v.shape or ()) > 1]
        self.inputs = {v.number: f"x{i}" for i, v in enumerate(whole, 1)}
        self.numbers = {v.number: f"c{i}" for i, v in enumerate((v for v in block.inputs if v not in whole), 1)}
        self.outputs = {v.number: f"o{i}" for i, v in enumerate(block.outputs, 1)}
        self.outputs |= {number: self.inputs[home.number] for number, home in homes.items()}
        self.sums = [Sum(f"s{i}", o) for i, o in enumerate(block.totals, 1)]
        spans = {self.inputs[v.number]: spread(v.shape, self.shape) for v in whole}
        spans |= dict.fromkeys(self.outputs.values(), self.shape)
        spans |= {s.name: s.kept for s in self.sums}
        self.lengths: list[int] = []
        """Of the loops, the outermost first."""
        self.along: dict[str, list[bool]] = {name: [] for name in spans}
        """By array: which loops go along it."""
        before = None
        for axis, n in enumerate(self.shape):
            pattern = [span[axis] == n for span in spans.values()]
            if n > 1 and pattern == before:
                self.lengths[-1] *= n
            elif n > 1:
                self.lengths.append(n)
                for name, along in zip(spans, pattern, strict=True):
                    self.along[name].append(along)
                before = pattern
        self.rows = -(-PIECE // math.prod(self.lengths[1:]))
        """Steps of the first loop in a piece."""
        if any(any(self.along[s.name]) and not self.along[s.name][0] for s in self.sums):
            self.rows = max(self.rows, -(-self.lengths[0] // PIECES))
        self.pieces = -(-self.lengths[0] // self.rows)
        for s in self.sums:
            self.plan(s)

    def plan(self, s: Sum) -> None:
        """In which dtypes to sum."""
        steps = [self.rows, *self.lengths[1:]]
        if not self.along[s.name][-1]:
            s.kind = KINDS[s.out.dtype] if steps[-1] <= PIECE else "float64"
            steps[-1] = 1
        added = math.prod(n for n, along in zip(steps, self.along[s.name], strict=True) if not along)
        s.own = added <= FEW and any(self.along[s.name])

    # ---- the loops

    def loops(self, name: str) -> str:
        """The function that numba compiles."""
        arrays = list(self.along)
        read: list[list[str]] = [[] for _ in self.lengths]
        for x in self.inputs.values():
            read[max(i for i, along in enumerate(self.along[x]) if along)].append(f"{x}_i = {self.element(x)}")
        totals = [s for s in self.sums if s.kind]
        last = len(self.lengths) - 1
        steps: list[Any] = list(self.lengths)
        longest = next((a for a in arrays if self.along[a][last]), "")
        if longest and (not last or steps[last] in UNROLLED):
            steps[last] = f"{longest}.shape[{last}]"  # without other loops, so that arrays of all lengths share this
        lines = [f"def {name}(start, stop, {', '.join([*arrays, *self.numbers.values()])}):"]
        lines.append("    for piece in range(start, stop):")
        lines.append(f"        first, last = piece * {self.rows}, min(piece * {self.rows} + {self.rows}, {steps[0]})")
        for a in arrays:
            if self.along[a][0]:
                lines.append(f"        {a}_piece = {a}[first:last]")
            elif a.startswith("s"):
                lines.append(f"        {a}_piece = {a}[piece : piece + 1]")
        steps[0] = "last - first"
        for depth, n in enumerate(steps):
            indent = "    " * (depth + 2)
            if depth == last:
                lines += [f"{indent}{s.name}_i = {s.kind}(0)" for s in totals]
            lines.append(f"{indent}for i{depth} in range({n}):")
            lines += [f"{indent}    {line}" for line in read[depth]]
        lines += [f"{indent}    {line}" for line in self.innermost()]
        lines += [f"{indent}{self.element(s.name)} += {s.name}_i" for s in totals]
        return "\n".join(["@compiled", *lines]) + "\n"

    def innermost(self) -> list[str]:
        """The calls on one element, and what becomes of their results."""
        names = self.numbers | {number: f"{x}_i" for number, x in self.inputs.items()}
        lines = []
        for i, call in enumerate(self.block.calls, 1):
            number, result = call.outs.number, f"v{i}"
            lines.append(f"{result} = {translated(call, names)}")
            names[number] = result
            for s in self.sums:
                if s.of.number == number:
                    add = f"{s.name}_i = plus({s.name}_i, {s.kind}({result}))"
                    lines.append(add if s.kind else f"{self.element(s.name)} += {result}")
            if number in self.outputs:
                lines.append(f"{self.element(self.outputs[number])} = {result}")
        return lines

    def element(self, a: str) -> str:
        """An element of an array."""
        steps = ", ".join(f"i{depth}" if along else "0" for depth, along in enumerate(self.along[a]))
        return f"{a}_piece[{steps}]" if self.along[a][0] or a.startswith("s") else f"{a}[{steps}]"

    # ---- the function that calls them

    def source(self, name: str, program: Program) -> str:
        """The loops, and the function that computes the block's outputs and sums by them."""
        loops = name.replace("fused", "loops")
        lines = [f"def {name}({', '.join(f't{v.number}' for v in self.block.inputs)}):"]
        for v in self.block.inputs:
            if v.number in self.inputs:
                x = self.inputs[v.number]
                lines.append(f"    {x} = t{v.number}.reshape({self.size(x)})")
            else:
                lines.append(f"    {self.numbers[v.number]} = t{v.number}[{(0,) * len(v.shape or ())}]")
        for v in self.block.outputs:
            o = self.outputs[v.number]
            if o.startswith("o"):
                lines.append(f"    {o} = empty({self.size(o)}, {program.name(v.dtype, str(v.dtype))})")
        for s in self.sums:
            first = self.lengths[0] if self.along[s.name][0] else self.pieces
            dtype = s.out.dtype if s.own else np.dtype(np.float64)
            size = (first, *self.size(s.name)[1:])
            lines.append(f"    {s.name} = zeros({size}, {program.name(dtype, str(dtype))})")
        lines.append("    def task(start, stop):")
        lines.append(f"        {loops}(start, stop, {', '.join([*self.along, *self.numbers.values()])})")
        grain = max(1, GRAIN // (self.rows * math.prod(self.lengths[1:])))
        lines.append(f"    share(task, {self.pieces}, {grain})")
        results = [f"{self.outputs[v.number]}.reshape({self.shape})" for v in self.block.outputs]
        results += [self.total(s, program) for s in self.sums]
        lines.append(f"    return {''.join(f'{r}, ' for r in results)}")
        return self.loops(loops) + "\n" + "\n".join(lines) + "\n"

    def size(self, a: str) -> tuple[int, ...]:
        """The shape of an array with an axis for every loop."""
        return tuple(n if along else 1 for n, along in zip(self.lengths, self.along[a], strict=True))

    def total(self, s: Sum, program: Program) -> str:
        """A sum, or mean, from what the loops have added up."""
        total = s.name if self.along[s.name][0] else f"{s.name}.sum(0)"
        if s.operation.function is xp.mean:
            total = f"({total} / {math.prod(self.shape) // math.prod(s.kept)})"
        if not s.own:
            total += f".astype({program.name(s.out.dtype, str(s.out.dtype))})"
        return f"{total}.reshape({s.out.shape})" if s.out.shape else total


def zeros(shape: tuple[int, ...], dtype: Any) -> Any:
    """Where to add, at the start of a line of the cache: to add to vectors that cross lines takes twice as long."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def compiled(function: Any) -> Any:
    """Loops as machine code; equal ones, whatever their names, are compiled once."""
    code = function.__code__
    return machine_code(code.replace(co_name="loops", co_qualname="loops", co_filename="<loops>", co_firstlineno=1))


@functools.cache
def machine_code(code: types.CodeType) -> Any:
    """What numba makes of loops; here, because importing it takes long."""
    import numba

    return numba.njit(nogil=True, error_model="numpy")(types.FunctionType(code, functions()))
