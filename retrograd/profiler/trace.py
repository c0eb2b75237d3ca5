"""Events in the Trace Event Format of Chrome ("complete" events, times in microseconds)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retrograd.profiler.timeline import Event

__all__ = ["chrome_trace"]


def chrome_trace(events: Sequence[Event]) -> dict[str, Any]:
    """The whole file; threads are numbered in the order in which they come."""
    threads: dict[int, int] = {}
    shown = [
        {
            "name": event.name,
            "cat": f"{event.kind},{'backward' if event.backward else 'forward'}",
            "ph": "X",
            "ts": event.start / 1e3,
            "dur": event.time / 1e3,
            "pid": 0,
            "tid": threads.setdefault(event.thread, len(threads)),
            "args": facts(event),
        }
        for event in events
    ]
    names = [
        {"name": "thread_name", "ph": "M", "pid": 0, "tid": number, "args": {"name": f"thread {number}"}}
        for number in threads.values()
    ]
    return {"traceEvents": [*names, *shown], "displayTimeUnit": "ms"}


def facts(event: Event) -> dict[str, Any]:
    """What else the viewer tells of an event."""
    found: dict[str, Any] = {}
    if event.scope:
        found["module"] = " / ".join(event.scope)
    if event.shapes:
        found["shapes"] = [list(shape) for shape in event.shapes]
    if event.moved:
        found["bytes moved"], found["bytes allocated"] = event.moved, event.allocated
    return found
