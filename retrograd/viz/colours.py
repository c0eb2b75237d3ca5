"""Colours: of roles and of metrics, on light and dark ground, told apart by all kinds of colour vision.

Roles have tints of Okabe & Ito's palette (2008); metrics the cividis scale (Nuñez, Anderton & Renslow 2018), which
rises in lightness from blue to yellow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from retrograd.viz.facts import number, quantity
from retrograd.viz.structure import Graph, Vertex

__all__ = ["METRICS", "Paint", "Theme", "theme"]

METRICS = {
    "forward_time": ("forward time", "s"),
    "backward_time": ("backward time", "s"),
    "saved": ("saved for backward", "B"),
    "parameters": ("parameters", ""),
    "flops": ("FLOPs", "FLOP"),
    "grad_norm": ("norm of the gradient", "norm"),
}
"""Metrics that boxes can be coloured by: how the legend calls them, and their unit."""
CIVIDIS = ("#00224e", "#2a3f6d", "#575d6d", "#7d7c78", "#a59c74", "#d2c060", "#fee838")


class Theme(NamedTuple):
    """Ground, text, lines, and the fill of every role."""

    ground: str
    text: str
    line: str
    border: str
    cluster: tuple[str, str]
    red: str
    roles: dict[str, str]


LIGHT = Theme(
    "#ffffff", "#1a1a1a", "#555555", "#8a8a8a", ("#f6f7f9", "#eceff3"), "#c1272d",
    {
        "operation": "#e8e8e8", "gradient operation": "#ecd3e3", "backward operation": "#f4cdb8", "module": "#cfe3ee",
        "gradient": "#f6dd9a", "input": "#a9d4f5", "parameter": "#9fd8c3", "leaf": "#c4e6b5", "constant": "#ffffff",
        "output": "#f6c98f", "hidden": "#d9d9d9",
    },
)  # fmt: skip
DARK = Theme(
    "#15181c", "#eceff1", "#9aa4ad", "#6d7780", ("#1d2227", "#262c33"), "#ff6b6b",
    {
        "operation": "#3a4048", "gradient operation": "#5c3350", "backward operation": "#6b3d22", "module": "#234a60",
        "gradient": "#665217", "input": "#14507c", "parameter": "#0b5c45", "leaf": "#39592a", "constant": "#15181c",
        "output": "#80500f", "hidden": "#4a4a4a",
    },
)  # fmt: skip
LEGEND = {
    "operation": "operation", "gradient operation": "operation of a gradient", "backward operation": "backward rule",
    "module": "module", "gradient": "gradient", "input": "input", "parameter": "parameter", "leaf": "leaf",
    "constant": "no gradient", "output": "output", "hidden": "hidden",
}  # fmt: skip


def theme(dark: bool) -> Theme:
    return DARK if dark else LIGHT


def role(vertex: Vertex) -> str:
    """What a vertex is, as far as its colour goes."""
    if vertex.kind == "operation" and vertex.phase != "forward":
        return f"{vertex.phase} operation"
    if vertex.kind == "module" and vertex.phase != "forward":
        return f"{vertex.phase} operation"
    return vertex.kind


class Paint:
    """The fill and text colours of a graph's vertices, and the legend that explains them."""

    def __init__(self, graph: Graph, color: str, dark: bool) -> None:
        self.color, self.theme = color, theme(dark)
        self.roles = list(dict.fromkeys(role(v) for v in graph.vertices))
        known = [float(v.facts[color]) for v in graph.vertices if color in v.facts and math.isfinite(v.facts[color])]
        self.low, self.high = (min(known), max(known)) if known else (0.0, 0.0)
        self.log = self.low > 0 and self.high > 100 * self.low

    def of(self, vertex: Vertex) -> tuple[str, str]:
        """Fill and text."""
        if self.color == "role":
            return self.theme.roles[role(vertex)], self.theme.text
        value = vertex.facts.get(self.color)
        if value is None or not math.isfinite(value):
            return self.theme.ground, self.theme.text
        return shade(self.position(float(value)))

    def position(self, value: float) -> float:
        """Where a value lies between the least and the greatest, 0 to 1; by its logarithm where they lie far apart."""
        if self.high == self.low:
            return 1.0
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def legend(self) -> list[tuple[str, str, str]]:
        """Fill, text colour and meaning of every colour that occurs."""
        if self.color == "role":
            return [(self.theme.roles[r], self.theme.text, LEGEND[r]) for r in LEGEND if r in self.roles]
        name, unit = METRICS[self.color]
        steps = [self.high] if self.high == self.low else [self.value(i / 4) for i in range(5)]
        shown = [number(v) if unit == "norm" else quantity(round(v) if unit in ("", "B") else v, unit) for v in steps]
        rows = [(*shade(self.position(v)), text) for v, text in zip(steps, shown)]
        return [(self.theme.ground, self.theme.text, name), *rows]

    def value(self, position: float) -> float:
        """The value at a place of the scale."""
        if self.log:
            return self.low * float((self.high / self.low) ** position)
        return self.low + position * (self.high - self.low)


def shade(position: float) -> tuple[str, str]:
    """Fill at a place of the scale, and a text colour that is read on it."""
    rgb = blend(CIVIDIS, min(max(position, 0.0), 1.0))
    luminance = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]
    return "#{:02x}{:02x}{:02x}".format(*rgb), "#000000" if luminance > 110 else "#ffffff"


def blend(scale: Sequence[str], position: float) -> tuple[int, int, int]:
    """The colour at a place between the first and the last."""
    place = position * (len(scale) - 1)
    i = min(int(place), len(scale) - 2)
    a, b = ([int(c[n : n + 2], 16) for n in (1, 3, 5)] for c in scale[i : i + 2])
    r, g, blue = (round(x + (y - x) * (place - i)) for x, y in zip(a, b))
    return r, g, blue
