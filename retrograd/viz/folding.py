"""Modules folded into one box, and what is too much into a box that says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from retrograd.viz.structure import Edge, Graph, Scope, Vertex, components

__all__ = ["collapsed", "limited", "readable_depth"]

SMALL, READABLE = 32, 48
"""Vertices that are drawn one by one, and boxes on one picture that an eye follows."""
APART = ("gradient", "backward")
"""Scopes that only set a pass apart: they count as no level."""
SUMS = ("parameters", "flops", "saved", "forward_time", "backward_time", "nan", "inf", "grad_nan", "grad_inf")


def level(parts: Sequence[str]) -> int:
    """How many of a path's parts are modules."""
    return len(parts) - (1 if parts and parts[0] in APART else 0)


def readable_depth(graph: Graph) -> int:
    """The greatest depth that keeps the picture readable, innermost modules folded; 0 where all of it is small."""
    if len(graph.vertices) <= SMALL:
        return 0
    paths = [components(v.module) for v in graph.vertices]
    leaves = innermost(graph)
    for depth in range(max(map(level, paths), default=0), 1, -1):
        if boxes(paths, depth, leaves) <= READABLE:
            return depth
    return 1


def boxes(paths: list[list[str]], depth: int, leaves: set[str]) -> int:
    """How many there are at a depth, innermost modules being boxes."""
    alone, folded = 0, set()
    for parts in paths:
        if level(parts) >= depth or ".".join(parts) in leaves:
            folded.add(tuple(parts[: depth + len(parts) - level(parts)]))
        else:
            alone += 1
    return alone + len(folded)


def innermost(graph: Graph) -> set[str]:
    """Modules without modules in them."""
    paths = {v.module for v in graph.vertices if v.module}
    outer = {".".join(parts[:n]) for parts in map(components, paths) for n in range(1, len(parts))}
    return paths - outer


def collapsed(graph: Graph, depth: int = 0, modules: Sequence[str] = (), leaves: bool = False) -> Graph:
    """The graph with modules as single vertices: those of this depth (0: none), those named, those of one operation.

    With `leaves` also the innermost ones.
    """
    sizes: dict[str, int] = {}
    for v in graph.vertices:
        for path in above(v.module):
            sizes[path] = sizes.get(path, 0) + 1
    inner = innermost(graph) if leaves else set()
    fold = {p: size == 1 or p in inner or foldable(p, depth, modules) for p, size in sizes.items()}
    groups: dict[str, list[Vertex]] = {}
    target: dict[str, str] = {}
    for v in graph.vertices:
        outermost = next((p for p in above(v.module) if fold[p]), None)
        if outermost is not None:
            group = groups.setdefault(outermost, [])
            group.append(v)
            target[v.id] = group[0].id
    if not groups:
        return graph
    last = {target[e.source]: e.source for e in graph.edges if target.get(e.source, "") != target.get(e.target, "")
            and e.source in target}  # fmt: skip
    made = {vs[0].id: one(graph, path, vs, last.get(vs[0].id)) for path, vs in groups.items()}
    vertices = [made.get(v.id, v) for v in graph.vertices if target.get(v.id, v.id) == v.id]
    kept = {p: s for p, s in graph.scopes.items() if not any(fold.get(q) for q in above(p))}
    return Graph(vertices, joined(graph.edges, target), kept)


def foldable(path: str, depth: int, modules: Sequence[str]) -> bool:
    parts = components(path)
    return (depth > 0 and level(parts) == depth) or any(path == m or fnmatchcase(path, m) for m in modules)


def above(path: str) -> list[str]:
    """A path and all that it lies in."""
    parts = components(path)
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def one(graph: Graph, path: str, inside: list[Vertex], last: str | None) -> Vertex:
    """The vertex that stands for a module; its result is the last value that leaves it.

    Sums count modules inside it that were rolled up as often as they occur.
    """
    scope = graph.scopes.get(path, Scope(path))
    times = {v.id: repetitions(graph, v.module, path) for v in inside}
    operations = [v for v in inside if v.kind in ("operation", "module", "gradient")] or inside
    end = next((v for v in inside if v.id == last), operations[-1])
    facts: dict[str, Any] = {
        "type": scope.kind,
        "operations": sum(times[v.id] for v in inside if v.kind == "operation"),
    }
    if len(operations) == 1 and operations[0].kind == "operation":
        facts |= {k: v for k, v in operations[0].facts.items() if k not in SUMS}
    facts |= {"path": scope.path, "times": scope.times}
    for name in SUMS:
        if any(name in v.facts for v in inside):
            facts[name] = sum(v.facts.get(name, 0) * times[v.id] for v in inside)
    norms = [v.facts["grad_norm"] for v in inside if "grad_norm" in v.facts and v.kind in ("parameter", "gradient")]
    if norms:
        facts["grad_norm"] = math.sqrt(sum(n * n for n in norms))
    outer, _, name = scope.path.rpartition(".")
    label = scope.label or name
    needs = any(v.requires_grad for v in operations)
    return Vertex(inside[0].id, "module", label, end.shape, end.dtype, outer, end.phase, needs, facts)


def repetitions(graph: Graph, module: str, outer: str) -> int:
    """How many modules a vertex stands for, seen from a module around it."""
    inner = [p for p in above(module) if len(p) > len(outer)]
    return math.prod(graph.scopes[p].times for p in inner if p in graph.scopes)


def limited(graph: Graph, most: int) -> Graph:
    """The graph with its middle in one box that says how many vertices it hides, where there are too many."""
    count = len(graph.vertices)
    if count <= most:
        return graph
    head = (most - 1) // 2
    tail = most - 1 - head
    hidden = graph.vertices[head : count - tail]
    box = Vertex(hidden[0].id, "hidden", f"{len(hidden):,} nodes hidden", facts={"hidden": len(hidden)})
    vertices = [*graph.vertices[:head], box, *graph.vertices[count - tail :]]
    left = {path for v in vertices for path in above(v.module)}
    scopes = {path: scope for path, scope in graph.scopes.items() if path in left}
    return Graph(vertices, joined(graph.edges, {v.id: box.id for v in hidden}), scopes)


def joined(edges: list[Edge], target: dict[str, str]) -> list[Edge]:
    """Edges between what vertices have become: each pair once, and none within."""
    found: dict[Any, Edge] = {}
    for i, e in enumerate(edges):
        source, end = target.get(e.source, e.source), target.get(e.target, e.target)
        if (source, end) == (e.source, e.target):
            found[i] = e
        elif source != end:
            new = replace(e, source=source, target=end, view=False, inplace=False, version=0)
            old = found.setdefault((source, end, e.cut), new)
            old.grad = old.grad or e.grad
    return list(found.values())
