"""How a Tensor shows itself in a notebook: its facts in a row, its values below."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from retrograd.autograd.graph import AccumulateGrad
from retrograd.autograd.printing import represent
from retrograd.autograd.tensor import Tensor, namespace
from retrograd.backends import device_of

__all__ = ["as_html", "row_of", "table"]


def as_html(tensor: Tensor) -> str:
    """A table of facts above the text that `print` gives."""
    return f"{table(facts(tensor))}<pre>{escape(represent(tensor))}</pre>"


def facts(tensor: Tensor) -> dict[str, str]:
    """Shape, dtype, device, range and mean, and the place in the graph."""
    found = {"shape": str(tensor.shape), "dtype": tensor.dtype.name, "device": str(device_of(tensor._array))}
    if tensor._array.size and tensor.dtype.kind != "b":
        xp, array = namespace(tensor), tensor.array
        found |= {name: f"{float(getattr(xp, name)(array)):.4g}" for name in ("min", "mean", "max")}
        if tensor.dtype.kind == "f" and (bad := int(xp.count_nonzero(~xp.isfinite(array)))):
            found["not finite"] = str(bad)
    if isinstance(tensor._node, AccumulateGrad):
        found["requires_grad"] = "True"
        grad = tensor.grad
        found["grad"] = "None" if grad is None else f"norm {grad.norm().item():.4g}"
    elif tensor._node is not None:
        found["grad_fn"] = tensor._node.name()
    return found


def table(facts: dict[str, str]) -> str:
    """Names over values."""
    return f"<table><tr>{row_of(facts, 'th')}</tr><tr>{row_of(facts.values(), 'td')}</tr></table>"


def row_of(cells: Iterable[object], tag: str) -> str:
    """Cells of a row, their text escaped."""
    return "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells)
