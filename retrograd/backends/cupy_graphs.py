"""Functions of CuPy arrays that are captured as CUDA graphs: one launch instead of one for every kernel.

A graph keeps the addresses that its kernels had when they were captured. Hence three rules:

- Inputs. One that has come at the same address every time, a parameter say, is read where it lies. One that moves is
  copied to a place of its own before each launch, and back afterwards if the function writes into it. When an input
  moves that never did before, the function is captured anew.
- Memory in between comes from a pool that belongs to the graph alone, and lives as long as it.
- Outputs. The next launch overwrites them, while the caller may hold them still: every launch hands out copies. Small
  ones the graph gathers in one block, of which one copy is made, however many they are.

A graph runs in the caller's stream, in its order; where that is another than last time, it waits for the last one.
Not part of the contract. Not yet verified on a GPU: see docs/gpu.md for what has been shown without one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cupy as cp

from retrograd.backends.contract import Array
from retrograd.backends.cupy_cublas import NUMBERS, Products

__all__ = ["Captured", "concatenated", "matmul"]

WARM_UPS = 2
"""Calls before the capture: they compile and load every kernel, which no capture may, and show which inputs move."""
CAPTURES = 4
"""Captures of one function; where inputs move after that, it stays as it is."""
ALIGNED = 512
"""Bytes between the starts of outputs in a block, as between CuPy's own blocks."""
SMALL = 1 << 16
"""Bytes up to which outputs share a block. (Whoever holds one keeps the whole block: a list of losses, say.)"""


class _Mode(threading.local):
    captured = False
    """Whether this thread runs a function that is, or is to be, captured."""
    capturing = False
    products: Products | None = None
    """What then computes its matrix products: cuBLAS called directly, or (None) CuPy."""


mode = _Mode()


def matmul(x: Array, y: Array, out: Array | None = None) -> Array:
    """cupy.matmul; in functions that are captured by cuBLAS called directly, for the dtypes that it has."""
    products = mode.products
    if products is None or x.dtype != y.dtype or x.dtype.char not in NUMBERS or not (x.ndim and y.ndim):
        return cp.matmul(x, y, out=out)
    if out is None or (out.flags.c_contiguous and out.dtype == x.dtype):
        return products.matmul(x, y, out)
    out[...] = products.matmul(x, y)
    return out


def concatenated(arrays: Sequence[Array], axis: int) -> Array:
    """cupy.concatenate; of more than eight small arrays it copies the addresses from the host, which no graph may."""
    while mode.captured and len(arrays) > 8:
        arrays = [cp.concatenate(arrays[i : i + 8], axis) for i in range(0, len(arrays), 8)]
    return cp.concatenate(arrays, axis)


@contextlib.contextmanager
def nothing_from_host() -> Iterator[None]:
    """Within, a copy from the host raises: a graph would copy from the same place at every launch, whatever is there.

    CuPy makes such copies by way of page-locked memory.
    """
    pool = cp.get_default_pinned_memory_pool()

    def allocate(size: int) -> Any:
        if mode.capturing:  # other threads may copy
            raise NotImplementedError("it copies from the host")
        return pool.malloc(size)

    cp.cuda.set_pinned_memory_allocator(allocate)
    try:
        yield
    finally:
        cp.cuda.set_pinned_memory_allocator(pool.malloc)


class Lane:
    """What the captured functions of a GPU share: they run one after the other."""

    def __init__(self) -> None:
        self.capturing = cp.cuda.Stream(non_blocking=True)
        self.last: Any = None
        try:
            self.products: Products | None = Products()
        except (ImportError, OSError, RuntimeError):  # CuPy's own products then stay outside of graphs
            self.products = None

    def follow(self, stream: Any) -> None:
        """What comes on this stream waits for what came on another one."""
        if self.last is not None and self.last != stream:
            stream.wait_event(self.last.record())
        self.last = stream

    @contextlib.contextmanager
    def running(self, stream: Any, capturing: bool = False) -> Iterator[None]:
        """Within, this thread runs a captured function in a stream."""
        if self.products is not None:
            self.products.use(stream)
        mode.captured, mode.capturing, mode.products = True, capturing, self.products
        try:
            yield
        finally:
            mode.captured, mode.capturing, mode.products = False, False, None


lanes: dict[int, Lane] = {}
lock = threading.RLock()


def lane_of_device() -> Lane:
    """The lane of the current GPU."""
    device = int(cp.cuda.runtime.getDevice())
    if device not in lanes:
        lanes[device] = Lane()
    return lanes[device]


class Captured:
    """A function that takes arrays and gives a tuple of arrays, and does nothing but launch kernels.

    It writes into the inputs whose places `written` names, and into no others. When it cannot be captured, `failed` is
    called with the error, and it goes on as it is.
    """

    def __init__(
        self, function: Callable[..., tuple[Array, ...]], written: Sequence[int], failed: Callable[[Exception], None]
    ) -> None:
        self.function, self.written, self.failed = function, written, failed
        self.lane: Lane | None = None
        self.graph: Graph | None = None
        self.before: list[Sequence[Array]] = []
        """The inputs of earlier calls, held so that no other array comes to lie where they did."""
        self.captures = 0
        self.plain = False

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        if self.plain:
            return self.function(*inputs)
        with lock:
            lane = lane_of_device()
            self.lane = self.lane or lane
            if lane is not self.lane:  # memory of one GPU is not that of another
                return self.function(*inputs)
            if self.graph is None or not self.graph.fits(inputs):
                if self.graph is None and len(self.before) < WARM_UPS:
                    return self.warm_up(lane, inputs)
                try:
                    self.capture(lane, inputs)
                except Exception as error:
                    self.plain, self.graph, self.before = True, None, []
                    self.failed(error)
                    return self.function(*inputs)
            assert self.graph is not None
            lane.follow(cp.cuda.get_current_stream())
            return self.graph.launch(inputs)

    def warm_up(self, lane: Lane, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """A call as it is, but for its products."""
        stream = cp.cuda.get_current_stream()
        lane.follow(stream)  # they share a workspace
        self.before.append(inputs)
        with lane.running(stream):
            return self.function(*inputs)

    def capture(self, lane: Lane, inputs: Sequence[Array]) -> None:
        """Makes the graph; nothing runs yet."""
        self.captures += 1
        if self.captures > CAPTURES:
            raise RuntimeError("its inputs come from ever new addresses")
        before = self.before if self.graph is None else [self.graph.inputs]
        moving = [any(place(old[i]) != place(x) for old in before) for i, x in enumerate(inputs)]
        self.graph = None  # its memory is free for the next one
        self.graph = Graph(self.function, lane, inputs, moving, self.written)
        self.before = []


class Graph:
    """One capture of a function."""

    def __init__(
        self, function: Any, lane: Lane, inputs: Sequence[Array], moving: Sequence[bool], written: Sequence[int]
    ) -> None:
        self.pool = cp.cuda.MemoryPool(new_memory)
        self.pointers = [None if moves else x.data.ptr for x, moves in zip(inputs, moving)]
        self.strides = [x.strides for x in inputs]
        self.copied = [(i, *span(x)) for i, x in enumerate(inputs) if moving[i] and x.size]
        self.written = [entry for entry in self.copied if entry[0] in written]
        homes = [id(x.data.mem) for x in inputs]
        if any(
            homes[i] == homes[j] and i != j and (moving[i] or moving[j]) for i in written for j in range(len(homes))
        ):
            raise RuntimeError("it writes into an input that shares its memory with another, and one of them moves")
        stream = lane.capturing
        with cp.cuda.using_allocator(self.pool.malloc), nothing_from_host(), stream:
            self.inputs = [room_for(x) if moves else x for x, moves in zip(inputs, moving)]
            stream.begin_capture()
            try:
                with lane.running(stream, capturing=True):
                    outputs = function(*self.inputs)
                    self.outputs = Outputs(outputs, self.inputs)
                    self.block = cp.cuda.alloc(self.outputs.size)
                    self.outputs.gather(self.block)
            except BaseException:
                with contextlib.suppress(Exception):  # what went wrong may have ended the capture
                    stream.end_capture()
                raise
            self.graph = stream.end_capture()

    def fits(self, inputs: Sequence[Array]) -> bool:
        """Whether inputs lie where they did, and in the same order."""
        for x, pointer, strides in zip(inputs, self.pointers, self.strides):
            if (pointer is not None and x.data.ptr != pointer) or x.strides != strides:
                return False
        return True

    def launch(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Runs the kernels, in the current stream."""
        for i, low, size in self.copied:
            (self.inputs[i].data + low).copy_from_device_async(inputs[i].data + low, size)
        self.graph.launch()
        for i, low, size in self.written:
            (inputs[i].data + low).copy_from_device_async(self.inputs[i].data + low, size)
        return self.outputs.copies(self.block)


class Outputs:
    """Where arrays lie, and how their copies are to; those of one allocation keep their distances: views stay views."""

    def __init__(self, arrays: Sequence[Array], inputs: Sequence[Array]) -> None:
        theirs = {id(x.data.mem) for x in inputs}
        ends: dict[int, tuple[Array, int, int]] = {}
        """By allocation: an array in it, and the lowest and the highest address of all."""
        for x in arrays:
            key, (low, size) = id(x.data.mem), span(x)
            if key in theirs:
                raise RuntimeError("a result is a view of an input")
            start = x.data.ptr + low
            _, lowest, highest = ends.get(key, (x, start, start))
            ends[key] = x, min(lowest, start), max(highest, start + size)
        self.size = 0
        self.small: list[tuple[int, Any, int]] = []
        """Offset in the block, start and size of what shares it."""
        self.large: list[tuple[Any, int]] = []
        homes: dict[int, tuple[int, int]] = {}
        """By allocation: the number of the copy, the block's is 0, and by how much addresses differ from offsets."""
        for key, (x, lowest, highest) in ends.items():
            start, size = x.data + (lowest - x.data.ptr), highest - lowest
            if size > SMALL:
                self.large.append((start, size))
                homes[key] = len(self.large), -lowest
            else:
                self.small.append((self.size, start, size))
                homes[key] = 0, self.size - lowest
                self.size += max(1, -(-size // ALIGNED)) * ALIGNED
        self.forms = [
            (x.shape, x.dtype, x.strides, number, x.data.ptr + offset)
            for x in arrays
            for number, offset in (homes[id(x.data.mem)],)
        ]

    def gather(self, block: Any) -> None:
        """Copies the small ones to a block."""
        for offset, start, size in self.small:
            if size:
                (block + offset).copy_from_device_async(start, size)

    def copies(self, block: Any) -> tuple[Array, ...]:
        """The arrays, in new memory."""
        found = []
        for start, size in ((block, self.size), *self.large):
            found.append(cp.cuda.alloc(size))
            found[-1].copy_from_device_async(start, size)
        return tuple(
            [cp.ndarray(shape, dtype, found[n] + offset, strides) for shape, dtype, strides, n, offset in self.forms]
        )


def place(x: Array) -> tuple[int, tuple[int, ...]]:
    """Where an array lies, and in which order."""
    return x.data.ptr, x.strides


def span(x: Array) -> tuple[int, int]:
    """The bytes between an array's first element and its lowest one, and those between lowest and highest."""
    if not x.size:
        return 0, 0
    ways = [(length - 1) * step for length, step in zip(x.shape, x.strides)]
    low = sum(way for way in ways if way < 0)
    return low, sum(way for way in ways if way > 0) - low + int(x.itemsize)


def room_for(x: Array) -> Array:
    """New memory for an array, in the same order."""
    low, size = span(x)
    return cp.ndarray(x.shape, x.dtype, cp.cuda.alloc(size) - low, x.strides)


def new_memory(size: int) -> Any:
    """What the pool of a graph takes from the GPU, or MemoryError.

    To CuPy's own error the pool would give back all free blocks, which kernels captured before still use.
    """
    try:
        return cp.cuda.MemoryPointer(cp.cuda.Memory(size), 0)
    except cp.cuda.runtime.CUDARuntimeError as error:
        raise MemoryError(f"no {size} bytes on the GPU for a graph") from error
