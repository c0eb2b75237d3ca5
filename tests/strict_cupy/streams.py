"""Streams, as far as copies from page-locked memory go: a copy happens no sooner than something waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class PinnedMemoryPointer(bytearray):
    """Page-locked memory of the host."""


def empty_pinned(shape: Any, dtype: Any = float, order: str = "C") -> np.ndarray[Any, Any]:
    count = int(np.prod(shape, dtype=int)) * np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, PinnedMemoryPointer(count), order=order)


class Event:
    """The end of what a stream had to do when it was recorded."""

    def __init__(self, work: list[Callable[[], None]]) -> None:
        self.work = work

    @property
    def done(self) -> bool:
        return not self.work

    def finish(self) -> None:
        while self.work:
            self.work.pop(0)()


class Stream:
    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False) -> None:
        self.events: list[Event] = []
        self.work: list[Callable[[], None]] = []

    def record(self, event: None = None) -> Event:
        self.work, work = [], self.work
        self.events.append(Event(work))
        return self.events[-1]

    def wait_event(self, event: Event) -> None:
        """The stream's own earlier work comes first; what this one waits for has happened afterwards."""
        event.finish()


CURRENT = Stream(null=True)
