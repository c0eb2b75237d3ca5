"""What can be told of a value and of a node: statistics, bytes kept for backward; and how numbers are written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retrograd.autograd.graph import AccumulateGrad, Node
from retrograd.backends import backend_of_array

__all__ = ["broken", "constants_of", "kept", "number", "quantity", "scalar", "statistics"]


def statistics(array: Any, prefix: str = "") -> dict[str, Any]:
    """Mean, standard deviation (of the population), least and largest value, and how many are NaN or infinite."""
    if array.dtype.kind not in "fiub" or not array.size:
        return {}
    xp = backend_of_array[array.__class__]
    values = xp.astype(array, dtype="float64")
    finite = xp.isfinite(values)
    bad = int(values.size) - int(xp.sum(xp.astype(finite, dtype="int64")))
    found: dict[str, Any] = {}
    if bad:
        nan = int(xp.sum(xp.astype(xp.isnan(values), dtype="int64")))
        found = {f"{prefix}nan": nan, f"{prefix}inf": bad - nan}
    mean = found[f"{prefix}mean"] = float(xp.mean(values))
    found[f"{prefix}std"] = float(xp.sqrt(xp.mean((values - mean) ** 2)))
    found[f"{prefix}min"], found[f"{prefix}max"] = float(xp.min(values)), float(xp.max(values))
    if prefix:
        found[f"{prefix}norm"] = float(xp.sqrt(xp.sum(values * values)))
    return {k: v for k, v in found.items() if v or not k.endswith(("nan", "inf"))}


def broken(array: Any, prefix: str = "") -> dict[str, Any]:
    """How many elements are NaN or infinite; nothing where all are finite."""
    if array.dtype.kind not in "fc" or not array.size:
        return {}
    xp = backend_of_array[array.__class__]
    if bool(xp.all(xp.isfinite(array))):
        return {}
    nan = int(xp.sum(xp.astype(xp.isnan(array), dtype="int64")))
    inf = int(array.size) - nan - int(xp.sum(xp.astype(xp.isfinite(array), dtype="int64")))
    return {f"{prefix}{k}": n for k, n in (("nan", nan), ("inf", inf)) if n}


def scalar(array: Any) -> float | int | bool | None:
    """The number in an array of one element; None for others, and for complex ones."""
    if array.size != 1 or array.dtype.kind not in "fiub":
        return None
    value: float | int | bool = array.item()
    return value


def kept(node: Node) -> Iterator[Any]:
    """The arrays that a node keeps for its backward, parameters and other leaves not among them."""
    leaves = {
        id(leaf._array) for p in node.parents if isinstance(p, AccumulateGrad) and (leaf := p.variable) is not None
    }
    for name in node.saves:
        value = getattr(node, name, None)
        for array in value if isinstance(value, (list, tuple)) else (value,):
            if array.__class__ in backend_of_array and hasattr(array, "nbytes") and id(array) not in leaves:
                yield array


def constants_of(static: dict[str, Any]) -> dict[str, str]:
    """Static parameters as short text, those that say nothing left out."""
    found = {}
    for name, value in static.items():
        if value is not None and value is not False and (text := written(value)) != "()":
            found[name] = text if len(text) <= 40 else text[:39] + "…"
    return found


def written(value: Any) -> str:
    """A static parameter, the same in every run: no addresses, and of arrays the shape."""
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(written, value))})"
    if isinstance(value, slice):
        return ":".join("" if part is None else str(part) for part in (value.start, value.stop, value.step))
    if hasattr(value, "shape") and value.shape:
        return f"array{tuple(value.shape)}"
    if isinstance(value, (bool, int, float, str)) or value is None or value is Ellipsis:
        return "…" if value is Ellipsis else str(value)
    return str(getattr(value, "__name__", None) or type(value).__name__)


def number(value: float) -> str:
    """A value to five digits: 11.652."""
    return f"{value:.5g}"


def quantity(value: float, unit: str) -> str:
    """A count with its unit: 4.1 GFLOP, 3.2 MB, 1.5 ms; plain counts with separators."""
    if unit == "s":
        for factor, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if value >= factor:
                return f"{value / factor:.3g} {name}"
        return f"{value * 1e9:.3g} ns"
    if not unit:
        return f"{value:,}"
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:g} {unit}"
