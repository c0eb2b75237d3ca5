"""Repeated equal modules rolled up: twelve layers in a row become one, marked ×12.

Modules are equal when their operations, shapes and inner edges are. They may be rolled up when each is fed by the one
before it, or from where all are fed, and none but the last (or all alike) feed what comes after.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from retrograd.viz.structure import Edge, Graph, Scope, Vertex, components

__all__ = ["rolled"]


def rolled(graph: Graph) -> Graph:
    """The graph with repeated equal modules drawn once; linear in its size and in the depth of its modules."""
    deepest = max((len(components(v.module)) for v in graph.vertices), default=0)
    for level in range(1, deepest + 1):
        graph = rolled_at(graph, level)
    return graph


def rolled_at(graph: Graph, level: int) -> Graph:
    """Rolls up modules of one level."""
    blocks: dict[str, list[Vertex]] = {}
    sequence: list[str] = []
    for v in graph.vertices:
        parts = components(v.module)
        path = ".".join(parts[:level]) if len(parts) >= level else ""
        if path and path not in blocks:
            sequence.append(path)
        elif not path and v.kind in ("operation", "module"):
            sequence.append("")  # something between two modules: they do not follow each other
        blocks.setdefault(path, []).append(v)
    blocks.pop("", None)
    place = {v.id: (path, i) for path, inside in blocks.items() for i, v in enumerate(inside)}
    into: dict[str, list[Edge]] = {}
    out: dict[str, list[Edge]] = {}
    for e in graph.edges:
        into.setdefault(e.target, []).append(e)
        out.setdefault(e.source, []).append(e)
    signs = {path: signature(path, inside, place, into) for path, inside in blocks.items()}
    target: dict[str, str] = {}
    scopes = dict(graph.scopes)
    for run in runs(sequence, signs):
        if joinable(run, blocks, place, into, out):
            for path in run[1:]:
                target |= {v.id: first.id for v, first in zip(blocks[path], blocks[run[0]])}
            scopes[run[0]] = rolled_scope(scopes.get(run[0], Scope(run[0])), run)
    return graph if not target else Graph(*merged(graph, target, place), shown(scopes, target, graph))


def signature(path: str, inside: list[Vertex], place: dict[str, tuple[str, int]], into: dict[str, list[Edge]]) -> Any:
    """What two modules must share to be equal."""
    found = []
    for v in inside:
        sources = tuple(
            [place[e.source][1] if place.get(e.source, ("",))[0] == path else -1 for e in into.get(v.id, ())]
        )
        name = v.label.rpartition(".")[2] if v.kind in ("parameter", "constant", "gradient") else v.label
        found.append((v.kind, name, v.shape, v.dtype, v.phase, v.module[len(path) :], sources))
    return path.rpartition(".")[0], tuple(found)


def runs(sequence: list[str], signs: dict[str, Any]) -> Iterable[list[str]]:
    """Neighbours with the same signature."""
    run: list[str] = []
    for path in [*sequence, ""]:
        if run and path and signs[path] == signs[run[0]]:
            run.append(path)
            continue
        if len(run) > 1:
            yield run
        run = [path] if path else []


def joinable(run: list[str], blocks: Any, place: Any, into: Any, out: Any) -> bool:
    """Whether nothing is lost when a run is drawn as its first module."""
    number = {path: i for i, path in enumerate(run)}
    fed, feeding = [], []
    for i, path in enumerate(run):
        sources, targets = [], []
        for v in blocks[path]:
            for e in into.get(v.id, ()):
                where, k = place.get(e.source, ("", 0))
                if where != path:
                    sources.append((place[v.id][1], ("before", k) if number.get(where) == i - 1 else e.source))
            for e in out.get(v.id, ()):
                where = place.get(e.target, ("", 0))[0]
                if where != path and number.get(where) != i + 1:
                    targets.append((place[v.id][1], e.target))
        fed.append(sources)
        feeding.append(targets)
    alike = all(sources == fed[1] for sources in fed[2:])
    return alike and (not any(feeding[:-1]) or all(targets == feeding[0] for targets in feeding))


def rolled_scope(scope: Scope, run: list[str]) -> Scope:
    """The first module's scope, standing for all."""
    first, last = (path.rpartition(".")[2] for path in (run[0], run[-1]))
    return replace(scope, label=f"{first} … {last}", times=scope.times * len(run))


def merged(graph: Graph, target: dict[str, str], place: dict[str, tuple[str, int]]) -> tuple[list[Vertex], list[Edge]]:
    """Vertices and edges without the repetitions."""
    edges, seen = [], set()
    for e in graph.edges:
        source, end = target.get(e.source, e.source), target.get(e.target, e.target)
        if (source, end) == (e.source, e.target):
            edges.append(e)
            seen.add((source, end))
    for e in graph.edges:
        source, end = target.get(e.source, e.source), target.get(e.target, e.target)
        inside = place.get(source, (None,))[0] == place.get(end, ("",))[0]
        if (source, end) != (e.source, e.target) and not inside and (source, end) not in seen:
            seen.add((source, end))
            edges.append(replace(e, source=source, target=end))
    return [v for v in graph.vertices if v.id not in target], edges


def shown(scopes: dict[str, Scope], target: dict[str, str], graph: Graph) -> dict[str, Scope]:
    """Scopes that still have something in them."""
    left = {".".join(components(v.module)[: n + 1]) for v in graph.vertices if v.id not in target
            for n in range(len(components(v.module)))}  # fmt: skip
    return {path: scope for path, scope in scopes.items() if path in left}
