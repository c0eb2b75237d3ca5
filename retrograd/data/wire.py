"""Batches on their way from a worker to its loader: a pickle, and beside it the memory of the arrays in it.

Where the system has shared memory without a name (Linux), large arrays are handed over in blocks of it: the worker
copies them in, the loader's tensors lie in them, and when the last of these is gone the worker may fill the block anew.
Such a block has no file and no owner: it ends with the last process that holds it, however that ends. Smaller arrays,
and all on other systems, go through the pipe.
"""

from __future__ import annotations

import collections
import ctypes
import io
import mmap
import os
import pickle
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

__all__ = ["Inbox", "Outbox", "Packed", "pack"]

Packed = tuple[bytes, Sequence[memoryview]]
"""A pickle, and the memory of the arrays in it."""

SHARING = hasattr(os, "memfd_create")
WORTH_SHARING = 1 << 17  # bytes; below, the pipe is as fast
_ALIGNMENT = 64  # bytes, a cache line
_WASTE = 4  # a block may be so many times larger than what is put into it


def pack(message: Any) -> Packed:
    """A message ready to be sent. Raises what pickling it raises."""
    buffers: list[pickle.PickleBuffer] = []
    file = io.BytesIO()
    reduction.ForkingPickler(file, 5, True, buffers.append).dump(message)
    return file.getvalue(), [buffer.raw() for buffer in buffers]


def _placed(sizes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Where each buffer begins and ends in a block."""
    start = 0
    for size in sizes:
        yield start, start + size
        start += -(-size // _ALIGNMENT) * _ALIGNMENT


class Outbox:
    """The worker's side. One thread sends, another may release."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._blocks: list[mmap.mmap] = []
        self._free: set[int] = set()
        self._lock = threading.Lock()

    def send(self, packed: Packed) -> None:
        """Send what `pack` made. Raises OSError when nobody can receive it."""
        content, buffers = packed
        sizes = [buffer.nbytes for buffer in buffers]
        total = sum(sizes)
        if not SHARING or total < WORTH_SHARING:
            self._connection.send((content, sizes, None))
            for buffer in buffers:
                if buffer.nbytes:
                    self._connection.send_bytes(buffer)
            return
        number, handle = self._block(total + _ALIGNMENT * len(sizes))
        try:
            memory = np.frombuffer(self._blocks[number], np.uint8)
            for buffer, (start, end) in zip(buffers, _placed(sizes)):
                if start == end:
                    continue
                np.copyto(memory[start:end], np.frombuffer(buffer, np.uint8))
            self._connection.send((content, sizes, (number, handle is not None)))
            if handle is not None:
                reduction.send_handle(self._connection, handle, None)  # None: the receiver, for Windows
        finally:
            if handle is not None:
                os.close(handle)

    def release(self, numbers: Iterable[int]) -> None:
        """These blocks may be filled anew."""
        with self._lock:
            self._free.update(numbers)

    def _block(self, size: int) -> tuple[int, int | None]:
        """The number of a free block that is large enough; of a new one also its handle, which the loader needs."""
        with self._lock:
            for number in self._free:
                if size <= len(self._blocks[number]) <= _WASTE * size:
                    self._free.remove(number)
                    return number, None
        handle = os.memfd_create("batch", os.MFD_CLOEXEC)
        try:
            os.ftruncate(handle, size)
            self._blocks.append(mmap.mmap(handle, size))
        except BaseException:
            os.close(handle)
            raise
        return len(self._blocks) - 1, handle


class Inbox:
    """The loader's side."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._blocks: dict[int, mmap.mmap] = {}
        self._released: collections.deque[int] = collections.deque()

    def receive(self) -> Any:
        """The next message. Raises EOFError or OSError when the sender ended before it was complete."""
        content, sizes, block = self._connection.recv()
        if block is None:
            buffers: list[Any] = [np.empty(size, np.uint8) for size in sizes]
            for buffer in buffers:
                if buffer.nbytes:
                    self._connection.recv_bytes_into(buffer.data)
            return pickle.loads(content, buffers=buffers)
        number, new = block
        if new:
            self._map(number)
        return pickle.loads(content, buffers=self._buffers(number, sizes))

    def released(self) -> list[int]:
        """Blocks whose arrays are gone, since this was last asked: to be told to the worker."""
        return [self._released.popleft() for _ in range(len(self._released))]

    def _map(self, number: int) -> None:
        handle = reduction.recv_handle(self._connection)
        try:
            self._blocks[number] = mmap.mmap(handle, 0)
        finally:
            os.close(handle)

    def _buffers(self, number: int, sizes: Sequence[int]) -> list[memoryview]:
        """Parts of the block; it is released when the last array in them is gone."""
        block = self._blocks[number]
        whole = (ctypes.c_char * len(block)).from_buffer(block)  # an object of this batch alone, that its arrays hold
        weakref.finalize(whole, self._released.append, number).atexit = False
        memory = memoryview(whole).cast("B")
        return [memory[start:end] for start, end in _placed(sizes)]
