"""What was measured: events, each with its time, its bytes and the events around it."""

from __future__ import annotations

import threading
from bisect import bisect_right
from dataclasses import dataclass, field
from time import perf_counter_ns

from retrograd.autograd.tensor import clock

__all__ = ["Event", "Frame", "Timeline"]


@dataclass(slots=True)
class Event:
    """One call. Times in nanoseconds, `start` from the beginning of the profile."""

    name: str
    kind: str
    """"operation", "rule" (an operation's backward), "module", "step" (an optimizer's), "pass" or "label"."""
    backward: bool
    """Whether it ran within a backward pass."""
    start: int
    time: int
    self_time: int
    """Without the events inside."""
    stack: tuple[str, ...]
    """Names of the events around it, outermost first, and its own."""
    scope: tuple[str, ...]
    """Modules and labels around it, a rule's being those of its operation."""
    thread: int
    shapes: tuple[tuple[int, ...], ...] = ()
    """Of an operation's inputs."""
    allocated: int = 0
    """Bytes of new memory in its results, without the events inside."""
    moved: int = 0
    """Bytes of the arrays that it read and wrote, each counted once, without the events inside."""


class Frame:
    """A call that has not returned yet."""

    __slots__ = ("allocated", "backward", "inside", "kind", "moved", "name", "scope", "stack", "start")

    def __init__(self, name: str, kind: str, around: Frame | None, scope: tuple[str, ...] | None) -> None:
        self.name, self.kind = name, kind
        self.inside = self.allocated = self.moved = 0  # of the events inside
        self.stack: tuple[str, ...] = (name,) if around is None else (*around.stack, name)
        self.backward: bool = kind in ("pass", "rule") or (around is not None and around.backward)
        self.scope: tuple[str, ...] = scope if scope is not None else () if around is None else around.scope
        self.start = perf_counter_ns()


@dataclass
class Timeline:
    """The events of all threads, in the order in which they ended, and where recorded nodes come from."""

    began: int = field(default_factory=perf_counter_ns)
    ended: int = 0
    events: list[Event] = field(default_factory=list)
    ticks: list[int] = field(default_factory=list)
    scopes: list[tuple[str, ...]] = field(default_factory=list)
    """From each tick of the clock that numbers nodes on, the scope in which nodes are recorded."""
    owner: int = field(default_factory=threading.get_ident)
    local: threading.local = field(default_factory=threading.local)

    def around(self) -> Frame | None:
        """The innermost call of this thread."""
        frames: list[Frame] = vars(self.local).get("frames", [])
        return frames[-1] if frames else None

    def begin(self, name: str, kind: str, scope: tuple[str, ...] | None = None) -> Frame:
        """A call starts; `scope` where it is not that of the call around it."""
        frames = vars(self.local).setdefault("frames", [])
        frame = Frame(name, kind, frames[-1] if frames else None, scope)
        frames.append(frame)
        return frame

    def end(self, frame: Frame) -> Event:
        """A call has returned, or raised."""
        time = perf_counter_ns() - frame.start
        frames = self.local.frames
        frames.pop()
        if frames:
            frames[-1].inside += time
        event = Event(
            *(frame.name, frame.kind, frame.backward, frame.start - self.began, time, time - frame.inside),
            *(frame.stack, frame.scope, threading.get_ident()),
        )
        self.events.append(event)
        return event

    def count(self, frame: Frame, event: Event, allocated: int, moved: int) -> None:
        """Notes the bytes of a call that has ended."""
        event.allocated, event.moved = max(allocated - frame.allocated, 0), max(moved - frame.moved, 0)
        around = self.around()
        if around is not None:
            around.allocated += max(allocated, frame.allocated)
            around.moved += max(moved, frame.moved)

    def enter(self, name: str, kind: str) -> Frame:
        """A module or a label starts: it is part of the scope of what follows."""
        around = self.around()
        frame = self.begin(name, kind, (*(around.scope if around else ()), name))
        self.mark(frame.scope)
        return frame

    def leave(self, frame: Frame) -> None:
        """It ends."""
        self.end(frame)
        self.mark(frame.scope[:-1])

    def mark(self, scope: tuple[str, ...]) -> None:
        """From now on nodes belong to another scope. Nodes of other threads than the profile's own count with it."""
        if threading.get_ident() == self.owner:
            self.ticks.append(next(clock))
            self.scopes.append(scope)

    def scope_of(self, tick: int) -> tuple[str, ...]:
        """The scope in which a node was recorded."""
        place = bisect_right(self.ticks, tick)
        return self.scopes[place - 1] if place else ()
