"""The neutral graph: vertices, edges and module scopes as plain facts, and nothing of how they are drawn."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from retrograd.autograd.tensor import Tensor

__all__ = ["KINDS", "Edge", "Graph", "Scope", "Vertex"]

KINDS = ("operation", "module", "input", "parameter", "leaf", "constant", "output", "gradient", "hidden")
VERSION = 1
"""Of the JSON form."""


@dataclass(slots=True)
class Vertex:
    """One thing in the picture.

    kind           "operation"; "input", "parameter" (a named leaf), "leaf" (another that requires a gradient) and
                   "constant" (a value that requires none) are what a computation starts from; "output" what it gives;
                   "module" a collapsed module, "gradient" what backward gives a leaf, "hidden" a box in place of many
    shape, dtype   of its result; None where it has several or none
    module         path of the scope it belongs to, "" for the outermost
    phase          "forward", "backward" (a VJP), or "gradient" (recorded while a gradient was taken, create_graph)
    facts          what else is known: parameters, flops, saved (bytes kept for backward that no earlier one keeps),
                   forward_time, backward_time (seconds), value, grad, mean, std, min, max, the same with grad_ before
                   it, nan, inf, rule (its node's name), saves_out (keeps its result), stopped (why no gradient) …
    """

    id: str
    kind: str
    label: str
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    module: str = ""
    phase: str = "forward"
    requires_grad: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Edge:
    """Data flows from `source` to `target` (both are ids).

    view      the target shows the source's memory
    version   how often that memory had been changed in place when the target read it
    inplace   the target changes that memory, or has been made by a change
    grad      whether a gradient flows back along it
    cut       why not, where one would be expected: "detach", "no_grad", "integer" …
    saved     the target keeps the value for its rule in backward
    """

    source: str
    target: str
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    view: bool = False
    version: int = 0
    inplace: bool = False
    grad: bool = False
    cut: str = ""
    saved: bool = False


@dataclass(slots=True)
class Scope:
    """One call of a module: its path in the graph, its class, and how many equal ones a picture shows as one."""

    path: str
    kind: str = ""
    label: str = ""
    times: int = 1


@dataclass
class Graph:
    """Vertices and edges in the order of computation; every picture is a function of it.

    Ids are "v0", "v1" … in that order, the same for the same program. Iterating gives the vertices. In a notebook it
    shows itself as a picture.

    >>> import retrograd as rg
    >>> a = rg.tensor(3.0, requires_grad=True)
    >>> g = rg.viz.graph((a * a).exp(), params={"a": a})
    >>> [v.label for v in g.parents(g.find("Exp")[0])]
    ['Mul']
    """

    vertices: list[Vertex] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    scopes: dict[str, Scope] = field(default_factory=dict)
    places: Any = field(default=None, repr=False, compare=False)
    """What knows the vertices of live Tensors: set by those who read a graph, lost in JSON."""
    _index: Any = field(default=None, init=False, repr=False, compare=False)

    # ---- walking

    def __iter__(self) -> Iterator[Vertex]:
        return iter(self.vertices)

    def __len__(self) -> int:
        return len(self.vertices)

    def __getitem__(self, id: str) -> Vertex:
        """The vertex with an id; KeyError where there is none."""
        vertex: Vertex = self._indexed()[0][id]
        return vertex

    def parents(self, vertex: Vertex | str) -> list[Vertex]:
        """What flows into a vertex, in the order of the operands."""
        by_id, above, _ = self._indexed()
        return [by_id[e.source] for e in above.get(vertex if isinstance(vertex, str) else vertex.id, ())]

    def children(self, vertex: Vertex | str) -> list[Vertex]:
        """What a vertex flows into, in the order of computation."""
        by_id, _, below = self._indexed()
        return [by_id[e.target] for e in below.get(vertex if isinstance(vertex, str) else vertex.id, ())]

    def find(self, label: str = "*", *, kind: str | None = None, module: str | None = None) -> list[Vertex]:
        """Vertices whose label fits a pattern ("conv*"), of a kind, inside a module (its path or a pattern)."""
        return [
            v
            for v in self.vertices
            if (v.label == label or fnmatchcase(v.label, label))
            and (kind is None or v.kind == kind)
            and (module is None or _inside(v.module, module))
        ]

    @property
    def inputs(self) -> list[Vertex]:
        """What the computation starts from, parameters among it: vertices without parents."""
        above = self._indexed()[1]
        return [v for v in self.vertices if v.id not in above]

    @property
    def outputs(self) -> list[Vertex]:
        """What it gives."""
        return [v for v in self.vertices if v.kind == "output"]

    @property
    def parameters(self) -> list[Vertex]:
        """The leaves that have a name."""
        return [v for v in self.vertices if v.kind == "parameter"]

    def of(self, tensor: Tensor) -> Vertex:
        """The vertex of a live Tensor; KeyError for one that the graph does not know."""
        id = None if self.places is None else self.places(tensor)
        if id is None:
            raise KeyError(f"the graph does not know this tensor of shape {tensor.shape}")
        return self[id]

    def name(self, **tensors: Tensor) -> Graph:
        """Gives names to the vertices of Tensors: `g.name(loss=loss)`. Returns the graph."""
        for name, tensor in tensors.items():
            vertex = self.of(tensor)
            vertex.facts["name"] = name
            for below in self.children(vertex):
                if below.kind == "output":
                    below.label = name
        return self

    def _indexed(self) -> Any:
        """Vertices by id, edges by target and by source; made again when something was added."""
        size = len(self.vertices), len(self.edges)
        if self._index is None or self._index[0] != size:
            above: dict[str, list[Edge]] = {}
            below: dict[str, list[Edge]] = {}
            for edge in self.edges:
                above.setdefault(edge.target, []).append(edge)
                below.setdefault(edge.source, []).append(edge)
            self._index = size, ({v.id: v for v in self.vertices}, above, below)
        return self._index[1]

    # ---- as JSON

    def to_json(self, indent: int | None = None) -> str:
        """The whole graph as JSON text; NaN and infinities as strings, so that every reader takes it."""
        whole = {
            "version": VERSION,
            "vertices": [_lean(v) for v in self.vertices],
            "edges": [_lean(e) for e in self.edges],
            "scopes": [_lean(s) for s in self.scopes.values()],
        }
        return json.dumps(whole, indent=indent, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Graph:
        """The graph that `to_json` wrote. ValueError where the text is none, or of another version."""
        try:
            whole = json.loads(text)
            if whole["version"] != VERSION:
                raise ValueError(f"its version is {whole['version']!r}, this library reads {VERSION}")
            return cls(
                [Vertex(**_shaped(v)) for v in whole["vertices"]],
                [Edge(**_shaped(e)) for e in whole["edges"]],
                {s["path"]: Scope(**s) for s in whole["scopes"]},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"from_json: this is not the JSON of a graph: {error}") from None

    # ---- as pictures

    @property
    def dot(self) -> str:
        """The picture in the DOT language; needs no program."""
        return self.to_dot()

    def to_dot(self, **options: Any) -> str:
        """The picture in the DOT language, with the options of `render`."""
        from retrograd.viz.dot import to_dot
        from retrograd.viz.picture import Picture

        return to_dot(*Picture.of(options).prepared(self))

    def to_mermaid(self, **options: Any) -> str:
        """The picture in Mermaid's language, for Markdown; with the options of `render`."""
        from retrograd.viz.mermaid import to_mermaid
        from retrograd.viz.picture import Picture

        return to_mermaid(*Picture.of(options).prepared(self))

    def to_html(self, **options: Any) -> str:
        """A page that works offline: zoom, fold modules by a click, hover for facts, search. Options as of `render`."""
        from retrograd.viz.html import to_html
        from retrograd.viz.picture import Picture

        return to_html(self, Picture.of(options))

    def to_svg(self, **options: Any) -> str:
        """The picture as SVG text; needs the program `dot`. Options as of `render`."""
        from retrograd.viz.render import piped

        text: str = piped(self.to_dot(**options), "svg").decode()
        return text

    def render(self, path: str | Path, **options: Any) -> Path:
        """Writes the picture; the ending (.svg, .png, .pdf, .dot, .mmd, .html, .json) chooses the format.

        Options are those of `viz.Picture`: depth, collapse, roll, max_nodes, view, show, color, dark, legend …
        SVG, PNG and PDF need Graphviz (the extra `viz` and the program `dot`); RuntimeError says how to install it.
        Returns the path.
        """
        from retrograd.viz.render import render

        return render(self, Path(path), options)

    def _repr_svg_(self) -> str:
        return self.to_svg()


def _inside(path: str, module: str) -> bool:
    return path == module or path.startswith(f"{module}.") or fnmatchcase(path, module)


def _lean(thing: Any) -> dict[str, Any]:
    """Fields as JSON takes them, without those that say nothing."""
    fields = asdict(thing).items()
    return {
        k: _plain(v)
        for k, v in fields
        if k in ("id", "kind", "label") or (v is not None and v is not False and v not in ("", 0, {}))
    }


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return value


def _shaped(fields: dict[str, Any]) -> dict[str, Any]:
    """What JSON has turned to lists and strings, turned back."""
    if fields.get("shape") is not None:
        fields["shape"] = tuple(fields["shape"])
    fields["facts"] = {k: _number(v) if k != "name" else v for k, v in fields.get("facts", {}).items()}
    if not fields["facts"]:
        del fields["facts"]
    return fields


def _number(value: Any) -> Any:
    return float(value) if value in ("nan", "inf", "-inf") else value


def components(path: str) -> list[str]:
    """A path's parts, outermost first."""
    return path.split(".") if path else []


def prefixes(paths: Iterable[str]) -> list[str]:
    """All paths and all that lie above them, each once, the outer before the inner."""
    found: dict[str, None] = {}
    for path in paths:
        parts = components(path)
        for n in range(1, len(parts) + 1):
            found.setdefault(".".join(parts[:n]))
    return list(found)
