"""A model as a table: what each layer makes, holds and costs, as found by running it once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retrograd.autograd.methods.creation import zeros
from retrograd.autograd.modes import no_grad
from retrograd.autograd.primitive import Primitive
from retrograd.autograd.tensor import Tensor
from retrograd.nn import Module
from retrograd.viz.flops import counting, flops, multiply_adds

__all__ = ["Row", "Summary", "summary"]

Shape = tuple[int, ...]


@dataclass
class Row:
    """A module: where it is, what it made, and with all that is in it what it holds and costs.

    `parameters` and `trainable` are numbers of elements, each shared one counted once; `multiply_adds` and `flops` as
    in `viz.flops`; `activations` the bytes of the results that its primitives computed, views not among them.
    """

    path: str
    kind: str
    depth: int
    shapes: list[Shape] = field(default_factory=list)
    parameters: int = 0
    trainable: int = 0
    multiply_adds: int = 0
    flops: int = 0
    activations: int = 0
    calls: int = 0


@dataclass(frozen=True)
class Summary:
    """The rows of all modules, the model's own first; as text a table of those down to `depth`."""

    rows: list[Row]
    depth: int
    parameter_bytes: int

    @property
    def total(self) -> Row:
        """The model's own row."""
        return self.rows[0]

    def __getitem__(self, path: str) -> Row:
        """The row of the module at a path."""
        for row in self.rows:
            if row.path == path:
                return row
        raise KeyError(f"no module {path!r}; there are {', '.join(repr(row.path) for row in self.rows)}")

    def __str__(self) -> str:
        head = ["layer", "output shape", "parameters", "multiply–adds", "activations"]
        body = [_cells(row) for row in self.rows if row.depth <= self.depth]
        widths = [max(map(len, column)) for column in zip(head, *body)]
        table = [
            "  ".join([*map(str.ljust, cells[:2], widths[:2]), *map(str.rjust, cells[2:], widths[2:])]).rstrip()
            for cells in [head, *body]
        ]
        rule, total = "─" * max(map(len, table)), self.total
        return "\n".join(
            [
                table[0],
                rule,
                *table[1:],
                rule,
                f"parameters: {total.parameters:,} ({_size(self.parameter_bytes)}), "
                f"trainable {total.trainable:,}, frozen {total.parameters - total.trainable:,}",
                f"one pass: {total.multiply_adds:,} multiply–adds, {total.flops:,} FLOPs, "
                f"activations {_size(total.activations)}",
            ]
        )

    __repr__ = __str__


def summary(
    model: Module,
    input_size: Sequence[int] | Sequence[Sequence[int]] | None = None,
    *,
    inputs: Any = None,
    depth: int = 3,
    dtypes: Any = None,
) -> Summary:
    """Runs the model once, in eval mode and without a graph, and tells what every layer made, holds and costs.

    input_size  the shape of the input, with the batch, or a list of shapes of several; zeros are put in
    dtypes      of the inputs, one or a list of them; by default the first parameter's
    inputs      a Tensor, or a tuple of arguments, in place of the three
    depth       levels of modules to print

    The model is left in its mode. Raises ValueError where neither size nor inputs are given, or both; what the model
    raises for such an input is raised.

    >>> import retrograd as rg
    >>> from retrograd import nn
    >>> print(rg.viz.summary(nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10)), (1, 784)))
    layer        output shape  parameters  multiply–adds  activations
    ─────────────────────────────────────────────────────────────────
    Sequential   (1, 10)           79,510         79,400        840 B
      0: Linear  (1, 100)          78,500         78,400        400 B
      1: ReLU    (1, 100)                                       400 B
      2: Linear  (1, 10)            1,010          1,000         40 B
    ─────────────────────────────────────────────────────────────────
    parameters: 79,510 (318.0 kB), trainable 79,510, frozen 0
    one pass: 79,400 multiply–adds, 158,900 FLOPs, activations 840 B
    """
    if (input_size is None) == (inputs is None):
        raise ValueError("summary: give either input_size, e.g. (1, 3, 32, 32) with the batch, or inputs.")
    arguments = _zeros(model, input_size, dtypes) if inputs is None else inputs
    arguments = tuple(arguments) if isinstance(arguments, (tuple, list)) else (arguments,)
    rows = {module: _row(path, module) for path, module in model.named_modules()}
    with _watched(rows), _evaluating(model), no_grad():
        model(*arguments)
    sizes = {id(p): p.numel() * p.dtype.itemsize for p in model.parameters()}
    return Summary(list(rows.values()), depth, sum(sizes.values()))


def _zeros(model: Module, input_size: Any, dtypes: Any) -> tuple[Tensor, ...]:
    sizes = [input_size] if all(isinstance(n, int) for n in input_size) else list(input_size)
    first = next(model.parameters(), None)
    default = np.float32 if first is None else first.dtype
    kinds = list(dtypes) if isinstance(dtypes, (list, tuple)) else [dtypes] * len(sizes)
    if len(kinds) != len(sizes):
        raise ValueError(f"summary: {len(sizes)} input sizes and {len(kinds)} dtypes; give one for each.")
    place = None if first is None else first.device
    return tuple([zeros(*size, dtype=kind or default, device=place) for size, kind in zip(sizes, kinds)])


def _row(path: str, module: Module) -> Row:
    row = Row(path, type(module).__name__, path.count(".") + 1 if path else 0)
    for parameter in module.parameters():
        row.parameters += parameter.numel()
        row.trainable += parameter.numel() if parameter.requires_grad else 0
    return row


@contextlib.contextmanager
def _watched(rows: dict[Module, Row]) -> Iterator[None]:
    """Within the block the rows take note of what their modules do."""
    running: list[Row] = []

    def enter(module: Module, args: Any) -> None:
        running.append(rows[module])

    def leave(module: Module, args: Any, output: Any) -> None:
        row = running.pop()
        row.calls += 1
        row.shapes = list(_shapes(output))

    def note(primitive: Primitive, arrays: Any, static: Any, out: Any) -> None:
        work = multiply_adds(primitive, arrays, static, out), flops(primitive, arrays, static, out)
        fresh = 0 if primitive.view else int(out.nbytes)
        for row in {id(row): row for row in running}.values():
            row.multiply_adds += work[0]
            row.flops += work[1]
            row.activations += fresh

    handles = []
    for module in rows:
        handles.append(module.register_forward_pre_hook(enter, prepend=True))
        handles.append(module.register_forward_hook(leave, always_call=True))
    try:
        with counting(note):
            yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def _evaluating(model: Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _shapes(output: Any) -> Iterator[Shape]:
    """Shapes of all tensors in an output, in nests of tuples, lists and dicts."""
    if isinstance(output, Tensor):
        yield output.shape
    elif isinstance(output, dict):
        yield from _shapes(list(output.values()))
    elif isinstance(output, (tuple, list)):
        for part in output:
            yield from _shapes(part)


def _cells(row: Row) -> list[str]:
    name = f"{row.path.rpartition('.')[2]}: {row.kind}" if row.path else row.kind
    shapes = ", ".join(map(str, row.shapes)) or ("" if row.calls else "not called")
    numbers = [f"{n:,}" if n else "" for n in (row.parameters, row.multiply_adds)]
    return ["  " * row.depth + name, shapes, *numbers, _size(row.activations) if row.activations else ""]


def _size(count: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"
