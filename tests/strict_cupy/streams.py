"""Streams and graphs.

A copy from page-locked memory happens no sooner than something waits for it. While a stream captures, nothing runs:
what is captured is computed for its shapes alone, and afterwards memory is put back as it was, or made NaN. A launch
computes into the same memory; it stops at memory that was given back, and at work of other streams that nobody waited
for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

import numpy as np

from tests.strict_cupy.array import ndarray
from tests.strict_cupy.memory import Memory, MemoryPointer
from tests.strict_cupy.rules import CUDARuntimeError, StrictError, state

_pointers = itertools.count(1000)


class PinnedMemoryPointer(bytearray):
    """Page-locked memory of the host."""


def empty_pinned(shape: Any, dtype: Any = float, order: str = "C") -> np.ndarray[Any, Any]:
    count = int(np.prod(shape, dtype=int)) * np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, PinnedMemoryPointer(count), order=order)


class Event:
    """The end of what a stream had to do when it was recorded."""

    def __init__(self, work: list[Callable[[], None]], past: dict[int, int]) -> None:
        self.work, self.past = work, past

    @property
    def done(self) -> bool:
        return not self.work

    def finish(self) -> None:
        while self.work:
            self.work.pop(0)()


class Stream:
    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: Any = None
    ) -> None:
        self.ptr = 0 if null else next(_pointers)
        self.non_blocking = non_blocking
        self.recording: Recording | None = None
        self.work: list[Callable[[], None]] = []
        self.past: dict[int, int] = {}
        """By stream: how many of its launches come before what this stream does next."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and other.ptr == self.ptr

    def __hash__(self) -> int:
        return self.ptr

    def __enter__(self) -> Stream:
        state.streams.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        state.streams.pop()

    def record(self, event: None = None) -> Event:
        self.work, work = [], self.work
        return Event(work, dict(self.past))

    def wait_event(self, event: Event) -> None:
        """The stream's own earlier work comes first; what this one waits for has happened afterwards."""
        event.finish()
        for stream, count in event.past.items():
            self.past[stream] = max(count, self.past.get(stream, 0))

    def follow(self, last: tuple[int, int] | None, what: str) -> tuple[int, int]:
        """A launch that must come after another one: its own place in the order."""
        if last is not None and self.past.get(last[0], 0) < last[1]:
            raise StrictError(f"{what} is launched in another stream than before, which does not wait for that one")
        self.past[self.ptr] = self.past.get(self.ptr, 0) + 1
        return self.ptr, self.past[self.ptr]

    # ---- capture
    def begin_capture(self, mode: int | None = None) -> None:
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if not self.non_blocking:
            raise StrictError("a stream that waits for the legacy stream breaks off its capture when that is used")
        self.recording = Recording()

    def end_capture(self) -> Graph:
        recording, self.recording = self.recording, None
        if recording is None:
            raise CUDARuntimeError("cudaErrorIllegalState: the stream does not capture")
        recording.undo()
        if recording.invalid:
            raise CUDARuntimeError("cudaErrorStreamCaptureInvalidated: operation failed due to a previous error")
        return Graph._of(recording)

    def is_capturing(self) -> bool:
        return self.recording is not None


NULL = Stream(null=True)


def get_current_stream(device_id: int = -1) -> Stream:
    stream: Stream = state.streams[-1] if state.streams else NULL
    return stream


class Recording:
    """What a stream captures: calls, with the memory that they were captured with."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.invalid = self.busy = False
        self.changed: dict[int, tuple[Memory, bytes]] = {}

    def launch(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Captures a call."""
        given = {id(m): m for m in memories((args, kwargs))}
        given |= {id(m): m for m in getattr(function, "touches", lambda *_: [])(*args)}
        before = {key: m.bytes() for key, m in given.items()}
        self.busy = True
        try:
            result = function(*args, **kwargs)
        finally:
            self.busy = False
        for key, m in given.items():
            if m.bytes() != before[key]:
                self.changed.setdefault(key, (m, before[key]))
        fresh = [a for a in arrays(result) if id(a._m) not in given]
        for a in fresh:
            self.changed.setdefault(id(a._m), (a._m, b""))
        self.nodes.append(Node(function, args, kwargs, given.values(), fresh, self))
        return result

    def undo(self) -> None:
        """Nothing has run: what was there before is there still, and the rest is undefined."""
        for memory, before in self.changed.values():
            if memory.recording is self:
                memory.poison()
            else:
                memory.set_bytes(before)
            if memory.recording is self and memory.pool is not None:
                memory.pool.captured = True
        self.changed.clear()


class Node:
    """A captured call. Of memory it keeps the bytes, not the right to them."""

    def __init__(self, function: Any, args: Any, kwargs: Any, given: Any, fresh: Any, recording: Recording) -> None:
        self.function, self.args, self.kwargs = function, kept(args), kept(kwargs)
        self.outs = [a._a for a in fresh]
        self.owners = [
            ref(m.pool) if m.recording is recording and m.pool is not None else ref(m)
            for m in (*given, *(a._m for a in fresh))
        ]

    def run(self) -> None:
        if any(owner() is None for owner in self.owners):
            raise StrictError(f"a graph touches memory that was given back ({self.function})")
        args, kwargs = shown(self.args), shown(self.kwargs)
        given = {id(m) for m in memories((args, kwargs))}
        result = self.function(*args, **kwargs)
        for out, new in zip(self.outs, [a for a in arrays(result) if id(a._m) not in given], strict=True):
            np.copyto(out, new._a)


class Graph:
    """cupy.cuda.Graph."""

    nodes: list[Node]
    last: tuple[int, int] | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("currently this class cannot be initiated by the user")

    @classmethod
    def _of(cls, recording: Recording) -> Graph:
        graph = cls.__new__(cls)
        graph.nodes, graph.last = recording.nodes, None
        return graph

    def launch(self, stream: Stream | None = None) -> None:
        stream = stream or get_current_stream()
        if stream.is_capturing():
            raise StrictError("a graph is launched within a capture")
        self.last = stream.follow(self.last, "a graph")
        for node in self.nodes:
            node.run()

    def upload(self, stream: Stream | None = None) -> None:
        pass


# ---- arrays in nests of arguments


def parts(nest: Any) -> Iterator[Any]:
    """Arrays and pointers in a nest of tuples, lists, dicts and slices."""
    if isinstance(nest, (ndarray, MemoryPointer)):
        yield nest
    elif isinstance(nest, (tuple, list)):
        for part in nest:
            yield from parts(part)
    elif isinstance(nest, dict):
        yield from parts(list(nest.values()))


def arrays(nest: Any) -> list[ndarray]:
    return [part for part in parts(nest) if isinstance(part, ndarray)]


def memories(nest: Any) -> Iterator[Memory]:
    for part in parts(nest):
        yield part._m if isinstance(part, ndarray) else part.mem


class Kept:
    def __init__(self, array: Any, device: int, offset: int | None = None) -> None:
        self.array, self.device, self.offset = array, device, offset


def kept(nest: Any) -> Any:
    """A nest with NumPy's arrays in the places of the device's."""
    if isinstance(nest, ndarray):
        return Kept(nest._a, nest._device)
    if isinstance(nest, MemoryPointer):
        return Kept(nest.mem.root, 0, nest.ptr - nest.mem.ptr)
    if isinstance(nest, (tuple, list)):
        return type(nest)([kept(part) for part in nest])
    return {key: kept(part) for key, part in nest.items()} if isinstance(nest, dict) else nest


def shown(nest: Any) -> Any:
    """The nest of arguments again."""
    if isinstance(nest, Kept):
        if nest.offset is not None:
            return MemoryPointer(Memory.of(nest.array), nest.offset)
        array = ndarray._of(nest.array)
        array._device = nest.device
        return array
    if isinstance(nest, (tuple, list)):
        return type(nest)([shown(part) for part in nest])
    return {key: shown(part) for key, part in nest.items()} if isinstance(nest, dict) else nest
