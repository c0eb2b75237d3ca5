"""Words of the Mersenne Twister and what is drawn from them one by one (`backends/mt19937.py`, `distributions.py`).

The words come out of the memory of NumPy's own generator, which stands afterwards where it would have left it.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

import numpy as np

from retrograd.backends.numba.jit import compiled

__all__ = ["shuffle", "words32", "words64"]

Array = Any
LENGTH, MIDDLE = 624, 397  # Matsumoto & Nishimura 1998, table II
HIGH, LOW, A = np.uint32(0x80000000), np.uint32(0x7FFFFFFF), np.uint32(0x9908B0DF)
B, C = np.uint32(0x9D2C5680), np.uint32(0xEFC60000)


@compiled
def twisted(word: Any, following: Any, middle: Any) -> Any:
    joined = (word & HIGH) | (following & LOW)
    return np.uint32(middle ^ (joined >> np.uint32(1)) ^ ((following & np.uint32(1)) * A))


@compiled
def twist(key: Array) -> None:
    """The next 624 words of the recurrence, eq. 2.1."""
    rest = LENGTH - MIDDLE
    for k in range(rest):
        key[k] = twisted(key[k], key[k + 1], key[k + MIDDLE])
    for k in range(rest, LENGTH - 1):
        key[k] = twisted(key[k], key[k + 1], key[k - rest])
    key[LENGTH - 1] = twisted(key[LENGTH - 1], key[0], key[MIDDLE - 1])


@compiled
def draw(memory: Array, out: Array) -> None:
    """The next words, tempered by eqs. 2.2 to 2.5."""
    key, done = memory[:LENGTH], 0
    while done < out.size:
        if memory[LENGTH] == LENGTH:
            twist(key)
            memory[LENGTH] = 0
        start = memory[LENGTH]
        count = min(LENGTH - start, out.size - done)
        words, part = key[start : start + count], out[done : done + count]
        for i in range(count):
            y = words[i]
            y = np.uint32(y ^ (y >> np.uint32(11)))
            y = np.uint32(y ^ ((y << np.uint32(7)) & B))
            y = np.uint32(y ^ ((y << np.uint32(15)) & C))
            part[i] = np.uint32(y ^ (y >> np.uint32(18)))
        memory[LENGTH] += count
        done += count


@compiled
def join(words: Array) -> None:
    """Pairs of words in memory, the first of which becomes the high half."""
    for i in range(words.size):
        words[i] = (words[i] << np.uint64(32)) | (words[i] >> np.uint64(32))


@functools.lru_cache(maxsize=16)
def memory_of(twister: Any) -> Array:
    """The key and the position of a generator, uint32 (625,)."""
    memory = (ctypes.c_uint32 * (LENGTH + 1)).from_address(twister.ctypes.state_address)
    return np.ctypeslib.as_array(memory)


def words32(twister: Any, count: int) -> Array:
    out = np.empty(count, np.uint32)
    draw(memory_of(twister), out)
    return out


def words64(twister: Any, count: int) -> Array:
    out = np.empty(count, np.uint64)
    draw(memory_of(twister), out.view(np.uint32))
    if sys.byteorder == "little":
        join(out)
    return out


@compiled
def exchange(words: Array, items: Array) -> None:
    for i in range(words.size):
        j = i + np.int64(words[i] % np.uint32(items.size - i))
        items[i], items[j] = items[j], items[i]


def shuffle(words: Array) -> Array:
    if words.dtype != np.uint32:
        return NotImplemented
    items = np.arange(len(words) + 1)
    exchange(words, items)
    return items
