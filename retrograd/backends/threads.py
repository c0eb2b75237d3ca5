"""How many cores the host computes on: ranges shared out among a few threads, and the threads of the BLAS library.

NumPy's loops use one core, but release the interpreter while they run: `share` gives each thread a range of a long
axis. Waking a thread costs tens of microseconds, so a caller says from which size on a range is worth one (`grain`).
Products are shared out by BLAS itself; a task that calls it from every thread at once, `share` has do so on one core
each. threadpoolctl (the extra `threads`) finds the BLAS library; without it that library keeps the number it started
with.
"""

from __future__ import annotations

import contextvars
import functools
import os
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["get_num_threads", "in_ranges", "one_thread", "set_num_threads", "share"]

Task = Callable[[int, int], None]

GRAIN = 2**19
"""Elements of an elementwise operation that are worth a thread."""


def cores() -> int:
    """What the environment says, as BLAS libraries read it, else the cores that this process may use."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        if os.environ.get(variable, "").isdigit():
            return max(1, int(os.environ[variable]))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# OpenBLAS's threads wait for their next product in a loop, for some hundredths of a second, and take a core from every
# range that is shared out meanwhile. `retrograd/__init__.py` lets them wait 2¹⁹ ticks; a NumPy that was imported before
# has read its environment already.
number = cores()
pool: ThreadPoolExecutor | None = None
sharing = threading.Lock()
"""Held while ranges are shared out: a task inside another, or in a second thread of the user's, runs in one piece."""


def get_num_threads() -> int:
    """The number of threads that operations on the CPU use.

    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    """
    return number


def one_thread() -> bool:
    """Whether what is called here has one thread to itself: there are no others, or they have ranges of their own."""
    return number == 1 or sharing.locked()


def set_num_threads(n: int) -> None:
    """Lets operations on the CPU use so many threads, those of the BLAS library included.

    The default is OMP_NUM_THREADS, or as many as there are cores. RuntimeError unless n is positive. A warning says so
    where the BLAS library cannot be told, because threadpoolctl is not installed.
    """
    global number
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n < 1:
        raise RuntimeError("set_num_threads expects a positive integer")
    if n != number:
        stop()
    number = n
    if not blas():
        warnings.warn(
            "the BLAS library keeps its number of threads: install threadpoolctl (pip install 'retrograd[threads]') "
            "or set OMP_NUM_THREADS before Python starts.",
            stacklevel=2,
        )
    for library in blas():
        library.set_num_threads(n)


@functools.cache
def blas() -> list[Any]:
    """What controls each BLAS library that is loaded; none without threadpoolctl."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return []
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def stop() -> None:
    """Ends the threads that wait for work."""
    global pool
    with sharing:
        if pool is not None:
            pool.shutdown()
            pool = None


def forget() -> None:
    """In a forked process: the threads stayed behind."""
    global pool, sharing
    pool, sharing = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)


def share(task: Task, length: int, grain: int, *, products: bool = False) -> None:
    """Runs task(start, stop) for ranges that make up `range(length)`, each in a thread of its own.

    There are as many ranges as threads, but none shorter than `grain`. `products` says that the task calls BLAS, which
    then runs on one core within each range. An exception in a range is raised here when all have ended.
    """
    pieces = min(number, length // max(grain, 1)) if number > 1 else 1
    if pieces < 2 or (products and not blas()) or not sharing.acquire(blocking=False):
        task(0, length)
        return
    limited = [(library, library.num_threads) for library in blas()] if products else []
    try:
        for library, _ in limited:
            library.set_num_threads(1)
        share_among(pieces, task, length)
    finally:
        for library, before in limited:
            library.set_num_threads(before)
        sharing.release()


def share_among(pieces: int, task: Task, length: int) -> None:
    """The first range runs here, the others in the pool."""
    global pool
    if pool is None:
        from concurrent.futures import ThreadPoolExecutor  # here, because importing it takes milliseconds

        pool = ThreadPoolExecutor(number - 1, thread_name_prefix="retrograd")
    ends = [length * i // pieces for i in range(pieces + 1)]
    context = contextvars.copy_context  # np.errstate, for one, holds in every range
    others = [pool.submit(context().run, task, ends[i], ends[i + 1]) for i in range(1, pieces)]
    try:
        task(0, ends[1])
    finally:
        errors = [other.exception() for other in others]
    for error in errors:
        if error is not None:
            raise error


def in_ranges(function: Callable[..., Any], *arrays: Any) -> Any:
    """function(*arrays) of an elementwise function, on all threads where it is a ufunc on arrays of one layout."""
    cut = [isinstance(a, np.ndarray) and a.ndim > 0 for a in arrays]
    even = all(a.shape == arrays[0].shape and a.flags.c_contiguous for c, a in zip(cut, arrays) if c)
    if number == 1 or not isinstance(function, np.ufunc) or not even or not cut[0]:
        return function(*arrays)
    kinds = [getattr(a, "dtype", type(a)) for a in arrays]
    out = np.empty(arrays[0].shape, function.resolve_dtypes((*kinds, None))[-1])
    *flat, result = [a.reshape(-1) if c else a for c, a in zip((*cut, True), (*arrays, out))]

    def task(start: int, stop: int) -> None:
        function(*[a[start:stop] if c else a for c, a in zip(cut, flat)], out=result[start:stop])

    share(task, out.size, GRAIN)
    return out
