"""`with rg.profile() as p:`"""

from __future__ import annotations

import json
import os
import threading
from time import perf_counter_ns
from types import TracebackType
from typing import Self

from retrograd.files import atomic_write
from retrograd.profiler.flame import flame_graph, folded
from retrograd.profiler.rows import Averages, by_operation, by_scope
from retrograd.profiler.taps import Taps
from retrograd.profiler.timeline import Event, Frame, Timeline
from retrograd.profiler.trace import chrome_trace

__all__ = ["profile", "record_function"]

_running = threading.Lock()
_current: profile | None = None


class profile:
    """Measures every operation, forward and backward, module and optimizer step that runs in the block.

    `print(p)` shows a table: seconds and bytes per operation, then per module. An operation's time is that of its
    arithmetic; what Python and the engine add is in "outside operations" (the profile's own cost among it) and, within
    a backward pass, in "backward pass". On a GPU every operation is waited for, so that its time is its own.
    All threads are measured. RuntimeError inside another profile.

    >>> import retrograd as rg
    >>> layer = rg.nn.Linear(4, 3)
    >>> with rg.profile() as p:
    ...     layer(rg.ones(2, 4)).sum().backward()
    >>> rows = p.key_averages()
    >>> rows["linear"].calls, rows["linear"].backward > 0
    (1, True)
    >>> str(p).split()[:9]
    ['operation', 'calls', 'forward', 'backward', 'time', 'share', 'allocated', 'moved', 'per']
    """

    def __init__(self) -> None:
        self._timeline: Timeline | None = None

    def __enter__(self) -> Self:
        global _current
        if not _running.acquire(blocking=False):
            raise RuntimeError("profile: another profile is running; end it first, or measure both parts in one block.")
        self._timeline = Timeline()
        self._taps = Taps(self._timeline)
        try:
            self._taps.open()
        except BaseException:
            self._taps.close()
            _running.release()
            raise
        _current = self
        self._timeline.began = perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _current
        self._measured().ended = perf_counter_ns()
        _current = None
        try:
            self._taps.close()
        finally:
            _running.release()

    def _measured(self) -> Timeline:
        if self._timeline is None:
            raise RuntimeError("profile: nothing has been measured yet; use it in a `with` block.")
        return self._timeline

    # ---- what was measured

    def events(self) -> list[Event]:
        """All calls, by their beginning."""
        return sorted(self._measured().events, key=lambda event: (event.start, -event.time))

    @property
    def wall(self) -> float:
        """Seconds that the block has taken."""
        timeline = self._measured()
        return ((timeline.ended or perf_counter_ns()) - timeline.began) * 1e-9

    def key_averages(self, group_by_input_shape: bool = False) -> Averages:
        """A row per operation (and shapes of its inputs), in the order of their first end."""
        return by_operation(self._measured().events, self.wall, group_by_input_shape)

    def modules(self) -> Averages:
        """A row per module or label, as a tree, with all that runs inside it."""
        return by_scope(self._measured().events, self.wall)

    def table(self, sort_by: str = "time", row_limit: int = -1) -> str:
        """The operations as text, sorted by "time", "forward", "backward", "calls", "allocated", "moved" or "name"."""
        return self.key_averages().table(sort_by, row_limit)

    def __str__(self) -> str:
        tables = [self.table()]
        modules = self.modules()
        if len(modules):
            tables.append(modules.table(sort_by=None))
        return "\n\n".join(tables)

    # ---- files

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Writes all events as JSON for chrome://tracing, edge://tracing or https://ui.perfetto.dev."""
        with atomic_write(path) as file:
            file.write(json.dumps(chrome_trace(self.events())).encode())

    def export_stacks(self, path: str | os.PathLike[str]) -> None:
        """Writes folded stacks, `outer;inner nanoseconds` a line: what flame graph programs read."""
        with atomic_write(path) as file:
            file.write("".join(f"{line}\n" for line in folded(self.events())).encode())

    def export_flame_graph(self, path: str | os.PathLike[str]) -> None:
        """Writes the flame graph as an SVG picture that needs nothing else; pointing at a box shows its numbers."""
        with atomic_write(path) as file:
            file.write(flame_graph(self.events(), self._measured().ended - self._measured().began).encode())


class record_function:
    """Names a part of a program: it shows in the profile among the modules. Outside a profile it does nothing.

    >>> import retrograd as rg
    >>> from retrograd.profiler import record_function
    >>> with rg.profile() as p, record_function("square"):
    ...     y = rg.ones(3) * 2
    >>> [row.name for row in p.modules()]
    ['square']
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._frame: tuple[Timeline, Frame] | None = None

    def __enter__(self) -> Self:
        if _current is not None:
            timeline = _current._measured()
            self._frame = timeline, timeline.enter(self.name, "label")
        return self

    def __exit__(self, *_: object) -> None:
        if self._frame is not None:
            timeline, frame = self._frame
            timeline.leave(frame)
            self._frame = None
