"""The words under the host's random stream: the Mersenne Twister, seeded and saved as PyTorch does.

MT19937 is Matsumoto & Nishimura 1998, seeded by its authors' `init_genrand` of 2002; the words come from NumPy.
"""

import operator
import secrets
import threading
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from retrograd.backends.kernels import fusable

DEFAULT_SEED = 67280421310721  # a generator nobody has seeded starts here, as PyTorch's does

_STATE_WORDS = 624

# The layout of torch.Generator.get_state(): 5056 bytes, so that a stream can move between the libraries.
_STATE = np.dtype(
    [
        ("seed", "<u8"),
        ("left", "<i4"),  # words until the next twist, plus one
        ("seeded", "<i4"),
        ("next", "<u8"),  # index of the next word
        ("words", "<u8", _STATE_WORDS),
        ("unused_normals", "<f8"),
        ("cached_normal", "<f8"),
        ("unused_radius", "<f8"),
        ("has_cached_normal", "<i8"),
        ("unused_float_normal", "<i8"),
    ]
)


class MersenneTwister:
    """A stream of random words with a seed and a state. Safe to share between threads that hold its lock to draw."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._twister = np.random.MT19937()
        self.manual_seed(DEFAULT_SEED)

    def manual_seed(self, seed: int) -> Self:
        """Start the stream that belongs to `seed`, and return this generator.

        seed: an integer in [−2⁶³, 2⁶⁴); a negative one stands for seed + 2⁶⁴. Only the low 32 bits choose the stream.
        Raises RuntimeError for anything but an integer, ValueError outside that range.
        """
        try:
            seed = operator.index(seed)
        except TypeError:
            raise RuntimeError(f"manual_seed: expected an integer, got {type(seed).__name__}.") from None
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"manual_seed: the seed must be in [-2**63, 2**64), got {seed}.")
        with self._lock:
            self._seed = seed % 2**64
            # RandomState seeds by init_genrand, which MT19937(seed) does not.
            start: Any = np.random.RandomState(seed % 2**32).get_state(legacy=False)
            self._twister.state = start
            self._cached_normal: float | None = None  # every second sample of the serial normals, part of the state
        return self

    def seed(self) -> int:
        """Start a stream chosen by the operating system, and return its seed."""
        seed = secrets.randbits(53)
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed the stream was started from, in [0, 2⁶⁴)."""
        return self._seed

    def get_state(self) -> NDArray[np.uint8]:
        """The whole state of the stream: uint8, shape (5056,), in the layout of torch.Generator.get_state()."""
        record = np.zeros((), _STATE)
        with self._lock:
            twister: Any = self._twister.state["state"]
            position = int(twister["pos"])
            record["seed"], record["seeded"], record["words"] = self._seed, 1, twister["key"]
            record["left"], record["next"] = _STATE_WORDS + 1 - position, position % _STATE_WORDS
            if self._cached_normal is not None:
                record["cached_normal"], record["has_cached_normal"] = self._cached_normal, 1
        return np.frombuffer(record.tobytes(), np.uint8).copy()

    def set_state(self, state: Any) -> Self:
        """Continue where `get_state` was called, here or in PyTorch, and return this generator.

        state: uint8, shape (5056,). Raises TypeError for another dtype, RuntimeError for anything that is no state;
        the stream is then left as it was.
        """
        if not isinstance(state, np.ndarray) or state.dtype != np.uint8:
            kind = state.dtype if isinstance(state, np.ndarray) else type(state).__name__
            raise TypeError(f"set_state: expected a uint8 array from get_state(), got {kind}.")
        if state.size != _STATE.itemsize:
            raise RuntimeError(f"set_state: a state has {_STATE.itemsize} bytes, got {state.size}; use get_state().")
        record = np.frombuffer(state.tobytes(), _STATE)[0]
        left, following = int(record["left"]), int(record["next"])
        position = _STATE_WORDS if left == 1 else following
        if record["seeded"] != 1 or not 1 <= position <= _STATE_WORDS or left + position != _STATE_WORDS + 1:
            raise RuntimeError("set_state: these bytes are no state of an MT19937 generator; use get_state().")
        words = record["words"].astype(np.uint32)
        with self._lock:
            self._seed = int(record["seed"])
            self._twister.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": position}}
            self._cached_normal = float(record["cached_normal"]) if record["has_cached_normal"] & 1 else None
        return self

    def __getstate__(self) -> NDArray[np.uint8]:
        return self.get_state()

    def __setstate__(self, state: NDArray[np.uint8]) -> None:
        MersenneTwister.__init__(self)
        self.set_state(state)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(initial_seed={self._seed})"

    def _words32(self, count: int) -> NDArray[np.uint32]:
        return words32(self._twister, count)

    def _words64(self, count: int) -> NDArray[np.uint64]:
        return words64(self._twister, count)

    def _words(self, count: int, wide: bool) -> NDArray[Any]:
        return self._words64(count) if wide else self._words32(count)


@fusable
def words32(twister: np.random.MT19937, count: int) -> NDArray[np.uint32]:
    """The next words of a stream."""
    return twister.random_raw(count).astype(np.uint32)


@fusable
def words64(twister: np.random.MT19937, count: int) -> NDArray[np.uint64]:
    """64-bit words, each of two 32-bit ones, the high half first."""
    halves = twister.random_raw(2 * count)
    words: NDArray[np.uint64] = halves[0::2] << np.uint64(32)
    words |= halves[1::2]
    return words
