"""Worker processes that fetch batches ahead of the loop.

Each worker has a pipe of its own and answers its tasks in order. Nothing is shared between workers, no lock and no
queue, so that one which dies takes nothing with it; and whoever loses the other end of a pipe ends.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import random
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np

from retrograd.autograd.methods.random import manual_seed
from retrograd.backends import Device
from retrograd.data.fetch import EndOfData, Fetch, fetcher
from retrograd.data.wire import Inbox, Outbox, Packed, pack

__all__ = ["Answer", "Job", "Worker", "WorkerInfo", "get_worker_info"]

_GRACE = 2.0  # seconds that a worker may take to finish its batch, before it is stopped by force


@dataclass(frozen=True)
class WorkerInfo:
    """Who a worker process is: its number, how many there are, the seed it started from, its copy of the data set."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


@dataclass(frozen=True)
class Job:
    """What a worker needs to know, the same for all of a loader."""

    dataset: Any
    batched: bool
    collate: Callable[[Any], Any]
    drop_last: bool
    base_seed: int
    num_workers: int
    init_fn: Callable[[int], Any] | None


@dataclass(frozen=True)
class Answer:
    """A batch, or the end of the worker's share of an iterable data set, or the exception that came instead."""

    batch: Any = None
    end: bool = False
    error: Exception | None = None


_RESTART = "restart"  # a task: begin another epoch
_info: WorkerInfo | None = None
_open_ends: set[Connection] = set()
"""The loaders' ends of all pipes. A forked worker inherits them and closes them, lest it keep other pipes open."""


def get_worker_info() -> WorkerInfo | None:
    """In a worker process who it is, elsewhere None: by it an IterableDataset yields each worker its share."""
    return _info


# ---- in the loader's process


class Worker:
    """A running worker process: tasks in, answers out in the same order."""

    def __init__(self, number: int, job: Job, context: Any) -> None:
        self._pipe, theirs = context.Pipe()
        self._inbox = Inbox(self._pipe)
        _open_ends.add(self._pipe)
        try:
            self._process = context.Process(
                target=_work, args=(number, job, theirs), daemon=True, name=f"data worker {number}"
            )
            with warnings.catch_warnings():  # BLAS's threads, which BLAS itself stops before a fork
                warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
                self._process.start()
        except BaseException:
            self._hang_up()
            raise
        finally:
            theirs.close()

    def assign(self, key: Any) -> None:
        """Ask for the batch of what a sampler yielded. A worker that died is found out when it owes the answer."""
        with contextlib.suppress(OSError):
            self._pipe.send((key, self._inbox.released()))

    def restart(self) -> None:
        """Begin another epoch."""
        with contextlib.suppress(OSError):
            self._pipe.send(_RESTART)

    def answer(self, timeout: float) -> Answer | None:
        """The answer to the oldest open task; None if it takes longer than `timeout` seconds (0: wait for ever).

        Raises RuntimeError when the process died.
        """
        ready = wait([self._pipe, self._process.sentinel], timeout or None)
        if not ready:
            return None
        try:
            if self._pipe in ready or self._pipe.poll():  # the last words of a dead one are heard first
                answer: Answer = self._inbox.receive()
                return answer
        except (EOFError, OSError):
            pass
        self._process.join(_GRACE)
        code = self._process.exitcode
        how = f"by signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"
        raise RuntimeError(
            f"DataLoader: {self._process.name} (process {self._process.pid}) ended {how} and owes a batch;\n"
            "  it may have run out of memory. With num_workers=0 the error shows where it happens."
        )

    def _hang_up(self) -> None:
        _open_ends.discard(self._pipe)
        self._pipe.close()


def stop(workers: list[Worker], owner: int) -> None:
    """End the processes: by closing their pipes, and by force those that have not ended soon after."""
    if os.getpid() != owner:  # a forked copy of the loader must not end its parent's workers
        return
    for worker in workers:
        worker._hang_up()
    deadline = time.monotonic() + _GRACE
    for worker in workers:
        process = worker._process
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.terminate()
            process.join(_GRACE)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()
    workers.clear()


# ---- in the worker's process


def _work(number: int, job: Job, pipe: Connection) -> None:
    for inherited in list(_open_ends):
        inherited.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the loop, which then closes the pipe
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    answers: queue.SimpleQueue[Packed] = queue.SimpleQueue()
    outbox, hung_up = Outbox(pipe), threading.Event()
    # Threads read and write, so that neither side ever waits for the other to read while the other waits as well.
    for action in (lambda: _read_tasks(pipe, tasks, outbox), lambda: _write_answers(outbox, answers)):
        threading.Thread(target=_until_hung_up, args=(action, hung_up, tasks), daemon=True).start()
    with Device("cpu"):
        _answer_tasks(number, job, tasks, answers, hung_up)


def _until_hung_up(action: Callable[[], None], hung_up: threading.Event, tasks: queue.SimpleQueue[Any]) -> None:
    with contextlib.suppress(EOFError, OSError):
        action()
    hung_up.set()
    tasks.put(None)  # wakes the main thread


def _read_tasks(pipe: Connection, tasks: queue.SimpleQueue[Any], outbox: Outbox) -> None:
    while True:
        task = pipe.recv()
        if task != _RESTART:
            outbox.release(task[1])
        tasks.put(task)


def _write_answers(outbox: Outbox, answers: queue.SimpleQueue[Packed]) -> None:
    while True:
        outbox.send(answers.get())


def _answer_tasks(
    number: int,
    job: Job,
    tasks: queue.SimpleQueue[Any],
    answers: queue.SimpleQueue[Packed],
    hung_up: threading.Event,
) -> None:
    fetch = _started(number, job)
    ended = False
    while (task := tasks.get()) is not None and not hung_up.is_set():
        if task == _RESTART:
            fetch, ended = _fetcher(job), False
            continue
        answer = Answer(end=True) if ended else _answer(fetch, task[0], number)
        ended = answer.end
        answers.put(_packed(answer, number))


def _started(number: int, job: Job) -> Fetch:
    global _info
    seed = job.base_seed + number
    random.seed(seed)
    manual_seed(seed)
    words = [number, job.base_seed % 2**32, job.base_seed >> 32, 0]  # PyTorch's choice, tested against it
    np.random.seed(np.random.SeedSequence(words).generate_state(4))  # noqa: NPY002  # for data sets that use it
    _info = WorkerInfo(number, job.num_workers, seed, job.dataset)
    try:
        if job.init_fn is not None:
            job.init_fn(number)
    except Exception as error:
        return _raising(error)
    return _fetcher(job)


def _fetcher(job: Job) -> Fetch:
    try:
        return fetcher(job.dataset, job.batched, job.collate, job.drop_last)
    except Exception as error:  # an iterable data set is asked for its iterator here
        return _raising(error)


def _raising(error: Exception) -> Fetch:
    def fetch(key: Any) -> Any:
        raise error

    return fetch


def _answer(fetch: Fetch, key: Any, number: int) -> Answer:
    try:
        return Answer(fetch(key))
    except EndOfData:
        return Answer(end=True)
    except Exception as error:
        return Answer(error=_portable(error, number))


def _packed(answer: Answer, number: int) -> Packed:
    try:
        return pack(answer)
    except Exception as error:  # a batch that cannot be pickled
        return pack(Answer(error=_portable(error, number)))


def _portable(error: Exception, number: int) -> Exception:
    """The exception with this process's traceback as a note; a RuntimeError if it cannot travel or would mislead."""
    note = f"raised in data worker {number}:\n{''.join(traceback.format_exception(error)).rstrip()}"
    travels = not isinstance(error, StopIteration)  # which would end the loop without a word
    if travels:
        try:
            travels = type(pickle.loads(pickle.dumps(error))) is type(error)
        except Exception:
            travels = False
    if not travels:
        error = RuntimeError(f"{type(error).__name__} in a data set: {error}")
    error.add_note(note)
    return error
