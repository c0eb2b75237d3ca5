"""What a picture shows: its options, and the graph made ready to be drawn with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from retrograd.viz.colours import METRICS
from retrograd.viz.folding import collapsed, limited, readable_depth
from retrograd.viz.labels import FACTS
from retrograd.viz.rolling import rolled
from retrograd.viz.structure import Graph
from retrograd.viz.views import VIEWS, viewed

__all__ = ["Picture"]


@dataclass(frozen=True)
class Picture:
    """Options of every renderer.

    view        "forward", "backward" (the rules, from the outputs' gradient to the leaves') or "both"
    depth       levels of modules that are opened; 0 shows everything; by default as many as stay readable, with the
                innermost modules as boxes where the graph is large
    collapse    paths of further modules (or patterns, "layer*") to be drawn as one box
    roll        whether repeated equal modules are drawn once, with ×n
    max_nodes   boxes at most; what lies in the middle is hidden in a box that says how many they are
    show        facts on the boxes, where known: shape, dtype, device, parameters, flops, saved, forward_time,
                backward_time, value, grad, mean, std, min, max, grad_norm …, arguments, type; NaN and infinities always
    edges       whether edges say the shape and dtype of what they carry
    color       "role", or a metric: forward_time, backward_time, saved, parameters, flops, grad_norm
    dark        light text on a dark ground
    legend      whether the colours are explained
    direction   "down" or "right"
    title       above the picture

    Raises ValueError for what is none of these.
    """

    view: str = "forward"
    depth: int | None = None
    collapse: Sequence[str] = ()
    roll: bool = True
    max_nodes: int = 300
    show: Sequence[str] = ("type", "shape", "dtype", "parameters", "value", "grad")
    edges: bool = False
    color: str = "role"
    dark: bool = False
    legend: bool = True
    direction: str = "down"
    title: str = ""

    def __post_init__(self) -> None:
        self._one_of("view", self.view, VIEWS)
        self._one_of("color", self.color, ("role", *METRICS))
        self._one_of("direction", self.direction, ("down", "right"))
        for fact in self.show:
            self._one_of("show", fact, FACTS)
        if self.depth is not None and self.depth < 0:
            raise ValueError(f"picture: depth must be 0 (everything) or more, got {self.depth}.")
        if self.max_nodes < 3:
            raise ValueError(f"picture: max_nodes must be 3 or more, got {self.max_nodes}.")

    @staticmethod
    def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
        if value not in allowed:
            raise ValueError(f"picture: {name}={value!r} is none of {', '.join(allowed)}.")

    @classmethod
    def of(cls, options: dict[str, Any]) -> Picture:
        """From keyword arguments. Raises TypeError for an unknown one."""
        known = [f.name for f in fields(cls)]
        for name in options:
            if name not in known:
                raise TypeError(f"picture: there is no option {name!r}; there are {', '.join(known)}.")
        return cls(**options)

    def prepared(self, graph: Graph) -> tuple[Graph, Picture]:
        """The graph of the boxes to draw: viewed, rolled up, collapsed, limited."""
        graph = viewed(graph, self.view)
        if self.roll:
            graph = rolled(graph)
        depth = readable_depth(graph) if self.depth is None else self.depth
        graph = collapsed(graph, depth, self.collapse, leaves=self.depth is None and depth > 0)
        return limited(graph, self.max_nodes), self
