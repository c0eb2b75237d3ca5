"""Device memory: its owner, pointers into it, and pools, so that a test can say which memory a graph may touch."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet, ref

import numpy as np

from tests.strict_cupy import rules
from tests.strict_cupy.rules import StrictError, state

_known: dict[int, ref[Memory]] = {}
"""By the identity of NumPy's owner: what owns the memory here, as long as anything does."""
living: WeakSet[Memory] = WeakSet()


class Memory:
    """cupy.cuda.Memory: what arrays and pointers hold, and what is given back when none of them is left."""

    def __init__(self, size: int, root: Any = None) -> None:
        self.root = np.empty(max(size, 1), np.uint8) if root is None else root
        self.size = self.root.nbytes
        self.pool: Any = None
        self.recording = state.recording()
        """The capture during which it was made."""
        key = id(self.root)
        _known[key] = ref(self, lambda _: _known.pop(key, None))
        living.add(self)

    @property
    def ptr(self) -> int:
        return int(self.root.__array_interface__["data"][0])

    @staticmethod
    def of(array: Any) -> Memory:
        """The memory of a NumPy array, which comes from the current allocator if it is new."""
        root = array
        while True:
            base = getattr(root, "base", None)
            if base is None or not (isinstance(base, np.ndarray) or getattr(base, "base", None) is not None):
                break
            root = base
        found = _known.get(id(root))
        memory = None if found is None else found()
        if memory is None:
            memory = Memory(0, root)
            memory.pool = None if state.allocator is None else state.allocator.__self__
            if memory.pool is not None:
                memory.pool.check()
        return memory

    def bytes(self) -> bytes:
        return ctypes.string_at(self.ptr, self.size)

    def set_bytes(self, values: bytes) -> None:
        ctypes.memmove(self.ptr, values, self.size)

    def poison(self) -> None:
        """NaN in every floating dtype."""
        ctypes.memset(self.ptr, 0xFF, self.size)


class MemoryPointer:
    """cupy.cuda.MemoryPointer: a place in memory, which it keeps."""

    def __init__(self, mem: Memory, offset: int) -> None:
        self.mem, self.ptr = mem, mem.ptr + offset

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.mem, self.ptr - self.mem.ptr + offset)

    def __sub__(self, offset: int) -> MemoryPointer:
        return self + -offset

    def copy_from_device_async(self, src: MemoryPointer, size: int, stream: Any = None) -> None:
        state.launch(_copied, self, src, size)


def _copied(target: MemoryPointer, source: MemoryPointer, size: int) -> None:
    for pointer in (target, source):
        if not pointer.mem.ptr <= pointer.ptr <= pointer.ptr + size <= pointer.mem.ptr + pointer.mem.size:
            raise StrictError(f"a copy of {size} bytes goes beyond its memory of {pointer.mem.size}")
    ctypes.memmove(target.ptr, source.ptr, size)


class MemoryPool:
    """cupy.cuda.MemoryPool. After a capture what is free in it belongs to the graph, which will write there."""

    def __init__(self, allocator: Any = None) -> None:
        self.allocator = allocator or (lambda size: MemoryPointer(Memory(size), 0))
        self.captured = False

    def check(self) -> None:
        if self.captured and state.recording() is None:
            rules.recorded.append("memory from the pool of a graph was given to others")

    def malloc(self, size: int) -> MemoryPointer:
        self.check()
        pointer: MemoryPointer = self.allocator(size)
        pointer.mem.pool = self
        return pointer


class PinnedMemoryPool:
    """cupy.cuda.PinnedMemoryPool. CuPy copies from the host by way of memory that it takes from here."""

    def malloc(self, size: int) -> None:
        if state.recording() is not None:
            rules.recorded.append("a graph copies from the host, from where other values lie when it is launched")


_pinned = PinnedMemoryPool()
_pinned_allocator: list[Any] = [_pinned.malloc]


def get_default_pinned_memory_pool() -> PinnedMemoryPool:
    return _pinned


def set_pinned_memory_allocator(allocator: Any = None) -> None:
    _pinned_allocator[:] = [allocator]


def copy_from_host(size: int) -> None:
    """What CuPy does before it copies from the host."""
    _pinned_allocator[0](size)


def alloc(size: int) -> MemoryPointer:
    return MemoryPointer(Memory(size), 0) if state.allocator is None else state.allocator(size)


@contextlib.contextmanager
def using_allocator(allocator: Any = None) -> Iterator[None]:
    before, state.allocator = state.allocator, allocator
    try:
        yield
    finally:
        state.allocator = before
