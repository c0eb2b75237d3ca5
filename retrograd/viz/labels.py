"""What stands on a box: the lines of text, from the facts that a picture shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from retrograd.viz.facts import number, quantity
from retrograd.viz.structure import Edge, Vertex

__all__ = ["FACTS", "broken_in", "carried", "lines", "tooltip"]

UNITS = {"forward_time": "s", "backward_time": "s", "saved": "B", "flops": "FLOP", "parameters": ""}
NAMES = {
    "forward_time": "forward", "backward_time": "backward", "saved": "saved", "flops": "", "parameters": "parameters",
    "value": "=", "grad": "grad", "mean": "mean", "std": "std", "min": "min", "max": "max", "grad_norm": "‖grad‖",
    "grad_mean": "grad mean", "grad_std": "grad std", "grad_min": "grad min", "grad_max": "grad max",
}  # fmt: skip
FACTS = ("type", "shape", "dtype", "device", "arguments", *NAMES)
"""What `show` may name."""
BROKEN = {"nan": "NaN", "inf": "Inf", "grad_nan": "NaN in grad", "grad_inf": "Inf in grad"}


def lines(vertex: Vertex, show: Sequence[str]) -> list[str]:
    """The name, and under it the facts to be shown, as far as they are known."""
    facts = vertex.facts
    found = [headline(vertex, show)]
    result = [str(vertex.shape)] if "shape" in show and vertex.shape is not None else []
    result += [vertex.dtype] if "dtype" in show and vertex.dtype is not None else []
    result += [str(facts["device"])] if "device" in show and "device" in facts else []
    if result:
        found.append(" ".join(result))
    if "arguments" in show and facts.get("arguments"):
        found.append(", ".join(f"{k}={v}" for k, v in facts["arguments"].items()))
    single = vertex.kind in ("parameter", "leaf", "gradient") and facts.get("parameters", 0) < 2
    known = [name for name in NAMES if name in show and facts.get(name) is not None]
    found += [fact(name, facts[name]) for name in known if not (name == "parameters" and single)]
    if "stopped" in facts and facts["stopped"] != vertex.label:
        found.append(f"no gradient: {facts['stopped']}")
    if "changed" in facts:
        found.append(f"saved, then changed: {facts['changed']}")
    return found + broken_in(vertex)


def headline(vertex: Vertex, show: Sequence[str]) -> str:
    """Name, class and repetitions."""
    facts = vertex.facts
    kind = f": {facts['type']}" if facts.get("type") and "type" in show else ""
    name = f" {facts['name']}" if facts.get("name") else ""
    times = f" ×{facts['times']}" if facts.get("times", 1) > 1 else ""
    inside = vertex.module and vertex.kind in ("parameter", "constant")  # the frame around it says the rest of its name
    return f"{vertex.label.rpartition('.')[2] if inside else vertex.label}{name}{kind}{times}"


def fact(name: str, value: Any) -> str:
    """One fact with its name: "saved 3.2 MB", "grad 5.5"."""
    if name in UNITS:
        text = quantity(value, UNITS[name])
        return f"{text} parameters" if name == "parameters" else f"{NAMES[name]} {text}".strip()
    return f"{NAMES[name]} {number(value) if isinstance(value, float) else value}"


def broken_in(vertex: Vertex) -> list[str]:
    """How many elements are not finite; empty where all are."""
    return [f"{vertex.facts[k]:,} {name}" for k, name in BROKEN.items() if vertex.facts.get(k)]


def carried(edge: Edge) -> str:
    """What an edge carries, as text."""
    return f"{edge.shape} {edge.dtype or ''}".strip() if edge.shape is not None else ""


def marks(edge: Edge) -> str:
    """What is special about an edge: its version, where the gradient stops."""
    version = f"v{edge.version}" if edge.version else ""
    return " ".join(filter(None, [version, f"✂ {edge.cut}" if edge.cut else ""]))


def tooltip(vertex: Vertex) -> str:
    """All facts, one in a line."""
    found = [headline(vertex, ("type",)), f"{vertex.phase} {vertex.kind}"]
    if vertex.module:
        found.append(f"in {vertex.module}")
    if vertex.shape is not None:
        found.append(f"{vertex.shape} {vertex.dtype or ''}".strip())
    written: dict[str, Callable[[Any], str]] = {name: lambda v, name=name: fact(name, v) for name in NAMES}  # type: ignore[misc]
    for name, value in vertex.facts.items():
        if name in written:
            found.append(written[name](value))
        elif name == "arguments":
            found += [f"{k} = {v}" for k, v in value.items()]
        elif name not in ("type", "times", "name"):
            found.append(f"{BROKEN.get(name, name)}: {value}")
    return "\n".join(found)
