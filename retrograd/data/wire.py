"""Batches through the pipe between a worker and its loader: arrays travel beside the pickle, without a further copy."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

__all__ = ["Packed", "pack", "receive", "send"]

Packed = tuple[bytes, Sequence[memoryview]]
"""A pickle, and the memory of the arrays in it."""


def pack(message: Any) -> Packed:
    """A message ready to be sent. Raises what pickling it raises."""
    buffers: list[pickle.PickleBuffer] = []
    file = io.BytesIO()
    ForkingPickler(file, 5, True, buffers.append).dump(message)
    return file.getvalue(), [buffer.raw() for buffer in buffers]


def send(connection: Connection, packed: Packed) -> None:
    """Send what `pack` made. Raises OSError when nobody can receive it."""
    content, buffers = packed
    connection.send((content, [buffer.nbytes for buffer in buffers]))
    for buffer in buffers:
        if buffer.nbytes:
            connection.send_bytes(buffer)


def receive(connection: Connection) -> Any:
    """The next message. Raises EOFError or OSError when the sender ended before it was complete."""
    content, sizes = connection.recv()
    buffers = [np.empty(size, np.uint8) for size in sizes]
    for buffer in buffers:
        if buffer.nbytes:
            connection.recv_bytes_into(buffer.data)
    return pickle.loads(content, buffers=buffers)
