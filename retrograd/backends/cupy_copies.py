"""Copies to the GPU while it computes: from page-locked memory, on a stream of their own. Not part of the contract."""

from __future__ import annotations

from typing import Any

import cupy as cp
import cupyx
import numpy as np

from retrograd.backends.contract import Array

__all__ = ["finish_copy", "is_pinned", "pinned", "start_copy", "under_way"]


def pinned(x: Any) -> Any:
    """A copy of a NumPy array in page-locked memory, which the GPU reads by itself."""
    if not x.size:
        return x
    out = cupyx.empty_pinned(x.shape, x.dtype)
    np.copyto(out, x)
    return out


def is_pinned(x: Any) -> bool:
    """Whether a NumPy array, or what it is a view of, lies in page-locked memory."""
    while isinstance(x, np.ndarray):
        x = x.base
    return isinstance(x.obj if isinstance(x, memoryview) else x, cp.cuda.PinnedMemoryPointer)


copying: dict[int, Any] = {}
"""For every GPU the stream that copies to it while its other streams compute."""
under_way: list[tuple[Any, Any, Any]] = []
"""Copies that may not be over: the event of their end, and both arrays, whose memory must not be given to others."""


def start_copy(x: Any) -> tuple[Array, Any]:
    """The array to be on the current GPU, and the event that `finish_copy` takes before the array is used.

    Its memory is the current stream's, which may have used it for other arrays until now.
    """
    under_way[:] = [copy for copy in under_way if not copy[0].done]
    device = int(cp.cuda.runtime.getDevice())
    if device not in copying:
        copying[device] = cp.cuda.Stream(non_blocking=True)
    stream, out = copying[device], cp.empty(x.shape, x.dtype)
    stream.wait_event(cp.cuda.get_current_stream().record())
    out.set(x, stream=stream)
    event = stream.record()
    under_way.append((event, x, out))
    return out, event


def finish_copy(event: Any) -> None:
    """Work on the current stream waits from now on for the copy; the host does not."""
    cp.cuda.get_current_stream().wait_event(event)
