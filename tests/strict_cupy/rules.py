"""The rules' own state: what was recorded, how often the host waited, which device is current."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SIGNATURES: dict[str, Any] = json.loads(Path(__file__).with_name("signatures.json").read_text())
DEVICES = 2


class StrictError(AssertionError):
    """Something that CuPy lets pass and that is wrong on a GPU."""


class CUDARuntimeError(RuntimeError):
    """cupy.cuda.runtime.CUDARuntimeError."""


class _State(threading.local):
    def __init__(self) -> None:
        self.device = 0
        self.linalg = "ignore"
        self.allocator: Any = None
        self.streams: list[Any] = []

    def recording(self) -> Any:
        """What the current stream captures, or None."""
        return self.streams[-1].recording if self.streams else None

    def launch(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs work of the device, or captures it; what that consists of is not captured besides."""
        recording = self.recording()
        if recording is None or recording.busy:
            return function(*args, **kwargs)
        return recording.launch(function, args, kwargs)


state = _State()
recorded: list[str] = []
"""Integer indices out of range since the last `take_recorded`: a GPU wraps them silently."""
waits: list[str] = []
"""Calls that made the host wait for the device, in order."""
_forbidden: list[str] = []


def take_recorded() -> list[str]:
    taken = list(recorded)
    recorded.clear()
    return taken


def launching(function: Any) -> Any:
    """A function that is work of the device."""

    @functools.wraps(function)
    def launched(*args: Any, **kwargs: Any) -> Any:
        return state.launch(function, *args, **kwargs)

    return launched


def refuse_capture(what: str) -> None:
    """CuPy raises for these libraries while a stream captures."""
    if state.recording() is not None:
        raise NotImplementedError(f"calling {what} during stream capture is currently unsupported")


def wait(what: str) -> None:
    if state.recording() is not None:
        state.recording().invalid = True
        raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")
    waits.append(what)
    if _forbidden:
        raise StrictError(f"{what} makes the host wait for the device, which {_forbidden[-1]} forbids.")


@contextlib.contextmanager
def no_waiting(who: str = "this test") -> Iterator[None]:
    _forbidden.append(who)
    try:
        yield
    finally:
        _forbidden.pop()


@contextlib.contextmanager
def errstate(*, linalg: str | None = None) -> Iterator[None]:
    """cupyx.errstate: 'raise' waits for the device after every decomposition."""
    before, state.linalg = state.linalg, linalg or state.linalg
    try:
        yield
    finally:
        state.linalg = before
