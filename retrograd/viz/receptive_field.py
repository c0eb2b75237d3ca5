"""Which part of the input an element of each layer's output sees.

A field has along every axis a size r, a jump j (how far the fields of neighbours lie apart) and a start c (the centre
of the first one). After windows of extent e, stride s and padding p in front (Araujo, Norris & Sim 2019, "Computing
receptive fields of convolutional neural networks", section 2):

    r' = r + (e − 1)·j        c' = c + ((e − 1)/2 − p)·j        j' = j·s
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from retrograd.autograd.methods.creation import zeros
from retrograd.autograd.modes import enable_grad
from retrograd.autograd.tensor import Tensor
from retrograd.autograd.windows import extent, output_length, per_axis
from retrograd.nn import Flatten, Linear, Module

__all__ = ["Field", "ReceptiveFields", "receptive_field"]

Window = tuple[int, int, int, int]
"""Size, stride, padding in front, dilation."""

_RESIZING = (
    "ConvTranspose",
    "MaxUnpool",
    "Upsample",
    "UpsamplingNearest",
    "UpsamplingBilinear",
    "Pixel",
    "Fold",
    "Unfold",
)


@dataclass(frozen=True)
class Field:
    """What an output element of a layer sees, a number per axis; `lengths` of the output where an input was run."""

    path: str
    kind: str
    size: tuple[int, ...]
    jump: tuple[int, ...]
    start: tuple[float, ...]
    lengths: tuple[int, ...] | None = None


class ReceptiveFields(list[Field]):
    """The fields of the layers in the order of their calls; as text a table."""

    def __getitem__(self, key: Any) -> Any:
        """By number, or by the layer's path."""
        if not isinstance(key, str):
            return super().__getitem__(key)
        for field in self:
            if field.path == key:
                return field
        raise KeyError(f"no layer {key!r}; there are {', '.join(repr(field.path) for field in self)}")

    def __str__(self) -> str:
        head = ["layer", "field", "jump", "start"]
        body = [[f"{f.path}: {f.kind}", _times(f.size), _times(f.jump), _times(f.start)] for f in self]
        widths = [max(map(len, column)) for column in zip(head, *body)]
        return "\n".join("  ".join(map(str.ljust, cells, widths)).rstrip() for cells in [head, *body])

    __repr__ = __str__


def receptive_field(model: Module, input_size: Sequence[int] | None = None) -> ReceptiveFields:
    """The fields of a model's convolutions and poolings, and of the linear layers after them.

    Without `input_size` the windows of the layers are chained in the order in which they were registered: right for
    layers that run one after the other. With it, e.g. (1, 3, 32, 32) with the batch, the model is run on zeros, and
    each layer takes the field of what reaches it: branches that meet are united. Flatten and linear layers, which see
    the whole image, and adaptive pooling need it.
    Raises ValueError for layers whose fields differ from place to place, such as upsampling, for what changes the size
    without being a layer, and for branches of different jumps.

    >>> from retrograd import nn
    >>> print(receptive_field(nn.Sequential(nn.MaxPool2d(3, 1), nn.MaxPool2d(2), nn.AvgPool2d(1), nn.MaxPool2d(4, 2))))
    layer         field  jump  start
    0: MaxPool2d  3×3    1×1   1×1
    1: MaxPool2d  4×4    2×2   1.5×1.5
    2: AvgPool2d  4×4    2×2   1.5×1.5
    3: MaxPool2d  10×10  4×4   4.5×4.5
    """
    return _chained(model) if input_size is None else _traced(model, tuple(input_size))


# ---- one layer


def window_of(module: Module, rank: int) -> list[Window] | None:
    """The windows of a layer along each axis; None if it works on each place by itself."""
    kind = type(module).__name__
    if kind.startswith(_RESIZING):
        raise ValueError(f"receptive_field: the fields of {kind} differ from place to place; leave it out.")
    if not hasattr(module, "kernel_size"):
        return None
    size = per_axis(kind, "kernel_size", module.kernel_size, rank)
    stride = per_axis(kind, "stride", module.stride, rank)
    dilation = per_axis(kind, "dilation", getattr(module, "dilation", 1), rank)
    padding = getattr(module, "padding", 0)
    if padding == "same":
        before = tuple((extent(n, d) - 1) // 2 for n, d in zip(size, dilation))
    else:
        before = per_axis(kind, "padding", 0 if padding == "valid" else padding, rank, least=0)
    return list(zip(size, stride, before, dilation))


def rank_of(module: Module) -> int | None:
    """Number of axes of a layer with windows, by its name, as in Conv2d."""
    digit = type(module).__name__[-2:-1]
    return int(digit) if digit.isdigit() and hasattr(module, "kernel_size") else None


def through(field: Field, windows: Sequence[Window], path: str, kind: str) -> Field:
    """The field after windows."""
    extents = [extent(size, dilation) for size, _, _, dilation in windows]
    lengths = None
    if field.lengths is not None:
        lengths = tuple(output_length(n, k, s, p, d) for n, (k, s, p, d) in zip(field.lengths, windows))
    return Field(
        path,
        kind,
        tuple(r + (e - 1) * j for r, e, j in zip(field.size, extents, field.jump)),
        tuple(j * s for j, (_, s, _, _) in zip(field.jump, windows)),
        tuple(c + ((e - 1) / 2 - p) * j for c, e, j, (_, _, p, _) in zip(field.start, extents, field.jump, windows)),
        lengths,
    )


def whole(field: Field, path: str, kind: str) -> Field:
    """The field of what sees all places of a map, such as a linear layer."""
    if field.lengths is None:
        raise ValueError(
            f"receptive_field: {kind} {path!r} sees the whole image; give input_size, e.g. (1, 3, 32, 32)."
        )
    return through(field, [(n, 1, 0, 1) for n in field.lengths], path, kind)


# ---- layers in a row


def _chained(model: Module) -> ReceptiveFields:
    layers = [(path, module) for path, module in model.named_modules() if not list(module.children())]
    ranks = {rank for _, module in layers if (rank := rank_of(module)) is not None}
    if len(ranks) != 1:
        found = "none" if not ranks else f"some of {', '.join(map(str, sorted(ranks)))} dimensions"
        raise ValueError(
            f"receptive_field: expected convolutions or poolings of one number of dimensions, found {found}."
        )
    (rank,) = ranks
    field = Field("", "", (1,) * rank, (1,) * rank, (0.0,) * rank)
    fields = ReceptiveFields()
    for path, module in layers:
        kind = type(module).__name__
        if isinstance(module, (Flatten, Linear)) or kind.startswith("Adaptive"):
            whole(field, path, kind)
        windows = window_of(module, rank)
        if windows is not None:
            field = through(field, windows, path, kind)
            fields.append(field)
    return fields


# ---- layers as they are called


def _traced(model: Module, input_size: tuple[int, ...]) -> ReceptiveFields:
    rank = len(input_size) - 2
    if rank < 1:
        raise ValueError(f"receptive_field: input_size is (batch, channels, lengths …), got {input_size}.")
    first = next(model.parameters(), None)
    with enable_grad():
        image = zeros(
            *input_size,
            dtype=None if first is None else first.dtype,
            device=None if first is None else first.device,
            requires_grad=True,
        )
        trace = _Trace(rank, image)
        with trace.watching(model):
            model(image)
    return trace.fields


class _Trace:
    """The fields of tensors, by the nodes that computed them."""

    def __init__(self, rank: int, image: Tensor) -> None:
        self.rank = rank
        self.fields = ReceptiveFields()
        start = Field("", "", (1,) * rank, (1,) * rank, (0.0,) * rank, image.shape[2:])
        self.known: dict[int, Field] = {image._node.seq: start}  # type: ignore[union-attr]  # it requires a gradient

    @contextlib.contextmanager
    def watching(self, model: Module) -> Iterator[None]:
        """Within the block the layers of the model are followed, in eval mode."""
        layers = {module: path for path, module in model.named_modules() if not list(module.children())}
        modes = {module: module.training for module in model.modules()}

        def called(module: Module, args: Any, output: Any) -> None:
            self.call(module, layers[module], args, output)

        handles = [module.register_forward_hook(called) for module in layers]
        try:
            model.eval()
            yield
        finally:
            for handle in handles:
                handle.remove()
            for module, training in modes.items():
                module.training = training

    def call(self, module: Module, path: str, args: Any, output: Any) -> None:
        """A layer was called: its output's field is noted."""
        source = args[0] if args else None
        result = output[0] if isinstance(output, tuple) else output
        if not isinstance(source, Tensor) or not isinstance(result, Tensor) or source._node is None:
            return
        field = self.reaching(source, path)
        if field is None or result._node is None:
            return
        after = self.after(module, path, field, source, result)
        self.known[result._node.seq] = after
        if after.path == path:
            self.fields.append(after)

    def after(self, module: Module, path: str, field: Field, source: Tensor, result: Tensor) -> Field:
        """The field of a layer's output; it bears the layer's path if the layer has windows or sees all."""
        kind = type(module).__name__
        if kind.startswith("Adaptive"):
            return self.adaptive(field, path, kind, result.shape[2:])
        if isinstance(module, Linear) and field.lengths is not None and math.prod(field.lengths) > 1:
            return _flat(whole(field, path, kind))
        if isinstance(module, Linear):
            return Field(path, kind, field.size, field.jump, field.start, field.lengths)
        windows = window_of(module, self.rank)
        if windows is not None:
            field = through(field, windows, path, kind)
            return Field(path, kind, field.size, field.jump, field.start, result.shape[2:])
        if result.ndim == self.rank + 2 and result.shape[2:] != source.shape[2:]:
            raise ValueError(
                f"receptive_field: {kind} {path!r} changes lengths {source.shape[2:]} to {result.shape[2:]}, "
                "by no windows that are known."
            )
        return field

    def adaptive(self, field: Field, path: str, kind: str, lengths: tuple[int, ...]) -> Field:
        """Windows that divide the map evenly."""
        before = field.lengths or ()
        if any(n % m for n, m in zip(before, lengths)):
            raise ValueError(
                f"receptive_field: the windows of {kind} {path!r} from {before} to {lengths} differ in size."
            )
        return through(field, [(n // m, n // m, 0, 1) for n, m in zip(before, lengths)], path, kind)

    def reaching(self, x: Tensor, path: str) -> Field | None:
        """The field of a tensor: that of the layers' outputs behind it, united."""
        found: dict[int, Field] = {}
        seen: set[int] = set()
        stack: list[Any] = [x._node]
        while stack:
            node = stack.pop()
            if node is None or node.seq in seen:
                continue
            seen.add(node.seq)
            if node.seq in self.known:
                found[node.seq] = self.known[node.seq]
            else:
                stack.extend(node.parents)
        if not found:
            return None
        field = _united(list(found.values()), path)
        if x.ndim == self.rank + 2 and field.lengths is not None and x.shape[2:] != field.lengths:
            raise ValueError(
                f"receptive_field: before {path!r} something that is no layer changes lengths {field.lengths} to "
                f"{x.shape[2:]};\n  use a module for it, e.g. nn.MaxPool2d for F.max_pool2d."
            )
        return field


def _flat(field: Field) -> Field:
    """The field after a layer that has no places: all its outputs see the same."""
    return Field(field.path, field.kind, field.size, field.jump, field.start, (1,) * len(field.size))


def _united(fields: list[Field], path: str) -> Field:
    """The smallest field that holds all."""
    first, *others = fields
    if any(field.jump != first.jump for field in others):
        raise ValueError(
            f"receptive_field: branches of jumps {', '.join(str(field.jump) for field in fields)} meet before "
            f"{path!r}; their fields drift apart."
        )
    low = [min(f.start[i] - (f.size[i] - 1) / 2 for f in fields) for i in range(len(first.size))]
    high = [max(f.start[i] + (f.size[i] - 1) / 2 for f in fields) for i in range(len(first.size))]
    size = tuple(int(b - a) + 1 for a, b in zip(low, high))
    return Field("", "", size, first.jump, tuple((a + b) / 2 for a, b in zip(low, high)), first.lengths)


def _times(numbers: Sequence[float]) -> str:
    return "×".join(f"{number:g}" for number in numbers)
