"""Events added up: a row per operation, per module, or per operation and shapes of its inputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from retrograd.profiler.timeline import Event

__all__ = ["Averages", "Row", "SORTS", "by_operation", "by_scope", "duration", "quantity"]

SORTS = ("time", "forward", "backward", "calls", "allocated", "moved", "name")


@dataclass
class Row:
    """Sums over calls. Times in seconds and without what runs inside; bytes over all calls, forward and backward."""

    name: str
    calls: int = 0
    forward: float = 0.0
    backward: float = 0.0
    allocated: int = 0
    """New memory."""
    moved: int = 0
    """Bytes of the arrays read and written."""
    shapes: tuple[tuple[int, ...], ...] | None = None
    depth: int = 0
    """Of a module, how many are around it."""

    @property
    def time(self) -> float:
        """Forward and backward."""
        return self.forward + self.backward

    @property
    def bandwidth(self) -> float:
        """Bytes moved per second: near the memory's own, an operation can hardly be faster."""
        return self.moved / self.time if self.time else 0.0

    def add(self, event: Event, nanoseconds: int, called: bool) -> None:
        """Counts an event in."""
        if event.backward:
            self.backward += nanoseconds * 1e-9
        else:
            self.forward += nanoseconds * 1e-9
        self.calls += called
        self.allocated += event.allocated
        self.moved += event.moved


@dataclass
class Averages:
    """Rows, and what they are shares of."""

    rows: list[Row]
    wall: float
    """Seconds from the beginning to the end of the profile."""
    what: str = "operation"
    rest: str = "outside operations"
    sums: bool = True
    """Whether the rows add up to the whole."""

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no {self.what} {name!r} in this profile; there are {[row.name for row in self.rows]}")

    def sorted(self, by: str = "time") -> Averages:
        """Rows with the most first, or by name. ValueError for an unknown column."""
        if by not in SORTS:
            raise ValueError(f"sort_by must be one of {SORTS}, got {by!r}")
        rows = sorted(self.rows, key=lambda row: getattr(row, by), reverse=by != "name")
        return Averages(rows, self.wall, self.what, self.rest, self.sums)

    def table(self, sort_by: str | None = "time", row_limit: int = -1) -> str:
        """The rows as text; `row_limit` -1 for all, `sort_by` None for the order they have."""
        rows = (self.sorted(sort_by) if sort_by is not None else self).rows
        shown = rows if row_limit < 0 else rows[:row_limit]
        shaped = any(row.shapes is not None for row in rows)
        header = [self.what, "calls", "forward", "backward", "time", "share", "allocated", "moved", "per second"]
        lines = [header + (["shapes"] if shaped else [])]
        lines += [self.line(row, shaped) for row in shown]
        if len(shown) < len(rows):
            lines.append([f"… {len(rows) - len(shown)} more", *[""] * (len(lines[0]) - 1)])
        if self.sums:
            spent = sum(row.time for row in rows)
            lines.append(self.summed(self.rest, max(self.wall - spent, 0.0), len(lines[0])))
            lines.append(self.summed("total", self.wall, len(lines[0])))
        return aligned(lines)

    def line(self, row: Row, shaped: bool) -> list[str]:
        """A row's cells."""
        times = [duration(t) if t else "" for t in (row.forward, row.backward, row.time)]
        rate = f"{quantity(row.bandwidth)}/s" if row.moved else ""
        cells = ["  " * row.depth + row.name, str(row.calls), *times, self.share(row.time)]
        cells += [quantity(row.allocated), quantity(row.moved), rate]
        shapes = "; ".join("×".join(map(str, shape)) or "scalar" for shape in row.shapes or ())
        return cells + ([shapes] if shaped else [])

    def summed(self, name: str, seconds: float, width: int) -> list[str]:
        """A line of time alone."""
        return [name, "", "", "", duration(seconds), self.share(seconds), *[""] * (width - 6)]

    def share(self, seconds: float) -> str:
        """Part of the whole."""
        return f"{100 * seconds / self.wall:.1f} %" if self.wall else ""


def by_operation(events: Iterable[Event], wall: float, shapes: bool) -> Averages:
    """A row per operation, forward and backward together; optimizer steps and the engine's own time have rows too."""
    rows: dict[Any, Row] = {}
    counted = {event.name for event in events if event.kind == "operation"}
    for event in events:
        if event.kind in ("module", "label"):
            continue
        key = (event.name, event.shapes) if shapes and event.kind == "operation" else event.name
        row = rows.setdefault(key, Row(event.name, shapes=event.shapes if key != event.name else None))
        row.add(event, event.self_time, event.kind != "rule" or event.name not in counted)
    return Averages(list(rows.values()), wall)


def by_scope(events: Iterable[Event], wall: float) -> Averages:
    """A row per module or label, with all that runs inside it; a rule counts where its operation was called."""
    rows: dict[tuple[str, ...], Row] = {}
    for event in sorted(events, key=lambda event: event.start):
        if event.kind in ("module", "label"):
            row = rows.setdefault(event.scope, Row(event.scope[-1], depth=len(event.scope) - 1))
            row.add(event, event.time, called=True)
        elif event.scope:
            for depth in range(1, len(event.scope) + 1):
                row = rows.setdefault(event.scope[:depth], Row(event.scope[depth - 1], depth=depth - 1))
                row.add(event, event.self_time if event.backward else 0, called=False)  # forward is in its own time
    ordered = [row for _, row in sorted(rows.items(), key=lambda item: places(item[0], list(rows)))]
    return Averages(ordered, wall, "module", sums=False)


def places(path: tuple[str, ...], order: list[tuple[str, ...]]) -> list[int]:
    """Where a scope and those around it first came: what sorts a tree."""
    return [order.index(path[: depth + 1]) for depth in range(len(path))]


def duration(seconds: float) -> str:
    """1.234 s, 12.3 ms or 123 µs."""
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= unit:
            value = seconds / unit
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {name}"
    return f"{seconds * 1e6:.2f} µs"


def quantity(count: float) -> str:
    """Bytes, in the unit that fits."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} B" if count else ""


def aligned(lines: list[list[str]]) -> str:
    """Columns of text, the first to the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    ]
    return "\n".join(line.rstrip() for line in [shown[0], "─" * len(shown[0]), *shown[1:]])
