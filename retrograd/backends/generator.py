"""The host's random stream: PyTorch's CPU generator in NumPy.

Every method draws as many words as PyTorch 2.13 draws, in the same order, hence the same seed gives the same samples
and the stream stands at the same place afterwards. `mt19937` makes the words, `distributions` makes samples of them.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from retrograd.backends import distributions
from retrograd.backends.mt19937 import MersenneTwister

Array = NDArray[Any]
Size = int | tuple[int, ...]

_FLOATING = {np.dtype(kind): float(np.finfo(kind).max) for kind in (np.float16, np.float32, np.float64)}
_CHUNK = 1 << 15  # elements drawn at a time: a chunk and its temporaries stay in the second-level cache
_WIDE_SPAN = 1 << 28  # from here on an integer takes 64 bits, so that the remainder's bias stays small
_PERMUTATION_LIMIT = (2**32 - 1) // 20  # from here on PyTorch permutes by another algorithm


class Generator(MersenneTwister):
    """A stream of random numbers that equals PyTorch's CPU stream for the same seed. Safe to share between threads.

    `size` is an int or a tuple of ints; results are NumPy arrays of that shape, also for the size ().
    Raises RuntimeError for parameters outside a distribution's domain and for negative sizes, NotImplementedError (a
    RuntimeError) for dtypes a distribution does not have: PyTorch's types.

    >>> g = Generator().manual_seed(0)
    >>> g.uniform(3)
    array([0.49625..., 0.76822..., 0.08847...], dtype=float32)
    >>> g.randint(0, 10, (2, 2)).dtype
    dtype('int64')
    """

    def _fill(self, size: Size, dtype: np.dtype[Any], draw: Callable[[int], Array]) -> Array:
        """An array of samples drawn chunk by chunk: draw(count) gives the next samples of the stream."""
        shape = _shape(size)
        count = math.prod(shape)
        if count <= _CHUNK:
            with self._lock:
                return draw(count).astype(dtype, copy=False).reshape(shape)
        out = np.empty(shape, dtype)
        flat = out.reshape(-1)
        with self._lock:
            for start in range(0, flat.size, _CHUNK):
                part = flat[start : start + _CHUNK]
                part[...] = draw(part.size)
        return out

    def uniform(self, size: Size, dtype: DTypeLike = np.float32, low: float = 0.0, high: float = 1.0) -> Array:
        """Samples uniform in [low, high): torch.rand and Tensor.uniform_, bit for bit. float16, float32, float64."""
        kind = _floating("uniform", dtype)
        largest = _FLOATING[kind]
        if not (-largest <= low <= high <= largest and high - low <= largest):
            raise RuntimeError(f"uniform: expected low <= high within {kind}'s range, got low={low}, high={high}.")
        wide = kind == np.float64
        return self._fill(size, kind, lambda count: distributions.uniform(self._words(count, wide), kind, low, high))

    def normal(self, size: Size, dtype: DTypeLike = np.float32, mean: float = 0.0, std: float = 1.0) -> Array:
        """Normal samples: torch.randn and Tensor.normal_ to the last bits. float16, float32, float64.

        Below sixteen elements they are drawn one by one in float64, every second one from a cache; from sixteen on in
        blocks of sixteen. The two paths give different numbers, as in PyTorch.
        """
        kind = _floating("normal", dtype)
        if not std >= 0:
            raise RuntimeError(f"normal: expected std >= 0, got std={std}.")
        out = np.empty(_shape(size), kind)
        flat = out.reshape(-1)
        with self._lock:
            if flat.size < distributions.BLOCK:
                flat[...] = distributions.scale_and_shift(self._normals_one_by_one(flat.size), std, mean)
            else:
                self._fill_normal_blocks(flat, mean, std)
        return out

    def log_normal(self, size: Size, dtype: DTypeLike = np.float32, mean: float = 1.0, std: float = 2.0) -> Array:
        """Samples whose logarithm is normal with `mean` and `std`: Tensor.log_normal_ to the last bits."""
        kind = _floating("log_normal", dtype)
        if not std > 0:
            raise RuntimeError(f"log_normal: expected std > 0, got std={std}.")
        out = np.empty(_shape(size), kind)
        with self._lock:
            normals = distributions.scale_and_shift(self._normals_one_by_one(out.size), std, mean)
        out.reshape(-1)[...] = np.exp(normals)
        return out

    def _normals_one_by_one(self, count: int) -> Array:
        """Standard normals in float64; each pair's second one waits in the cache until it is asked for."""
        cached = [] if self._cached_normal is None or count == 0 else [self._cached_normal]
        pairs = (count - len(cached) + 1) // 2
        normals = distributions.normal_pairs(self._words64(2 * pairs))
        if cached:
            normals = np.concatenate([cached, normals])
        if count > 0:
            self._cached_normal = float(normals[count]) if len(normals) > count else None
        return normals[:count]

    def _fill_normal_blocks(self, flat: Array, mean: float, std: float) -> None:
        """Blocks of sixteen; an incomplete last block is replaced by a fresh one that ends with the array."""
        wide, block = flat.dtype == np.float64, distributions.BLOCK
        incomplete = flat.size % block
        whole = flat.size - incomplete
        skipped = 0 if flat.dtype == np.float16 else incomplete  # PyTorch fills the incomplete block too, but of halves
        for start in range(0, whole, _CHUNK):
            count = min(_CHUNK, whole - start)
            if last := incomplete and start + count == whole:
                words = self._words(count + skipped + block, wide)
                words = np.concatenate([words[:count], words[-block:]])
            else:
                words = self._words(count, wide)
            normals = distributions.scale_and_shift(distributions.normal_blocks(words), std, mean)
            flat[start : start + count] = normals[:count]
            if last:
                flat[-block:] = normals[count:]

    def randint(self, low: int, high: int, size: Size, dtype: DTypeLike = np.int64) -> Array:
        """Integers in [low, high): torch.randint, bit for bit. Every integer dtype, bool, and floating dtypes."""
        kind = np.dtype(dtype)
        low, high = operator.index(low), operator.index(high)
        smallest, largest = _integer_range("randint", kind)
        if low >= high:
            raise RuntimeError(f"randint: expected low < high, got low={low}, high={high}.")
        if low < smallest or high - 1 > largest or high > 2**63 - 1:
            raise RuntimeError(f"randint: [{low}, {high}) does not fit {kind}; choose another dtype or smaller bounds.")
        span = high - low
        wide = span >= _WIDE_SPAN
        return self._fill(size, kind, lambda count: distributions.integers(self._words(count, wide), span, low))

    def random_(self, size: Size, dtype: DTypeLike = np.int64) -> Array:
        """Tensor.random_() without bounds, bit for bit: integers in [0, largest of dtype], {False, True} for bool.

        Floating dtypes get integers from 0 to 2^mantissa bits, all of them exact. Unsigned dtypes beyond uint8 raise.
        """
        kind = np.dtype(dtype)
        if kind.kind not in "bif" and kind != np.uint8:
            raise NotImplementedError(f"random_: no unbounded draw for {kind}; use randint(low, high, size, dtype).")
        if kind.kind == "f":
            span = 2 ** distributions.mantissa_bits(_floating("random_", kind)) + 1
        else:
            span = _integer_range("random_", kind)[1] + 1
        wide = kind.itemsize == 8
        return self._fill(size, kind, lambda count: distributions.remainder(self._words(count, wide), span))

    def permutation(self, n: int) -> NDArray[np.int64]:
        """The integers 0 … n − 1 in random order, int64: torch.randperm(n), for n below 214,748,364."""
        n = operator.index(n)
        if n < 0:
            raise RuntimeError(f"permutation: n must not be negative, got {n}.")
        if n >= _PERMUTATION_LIMIT:
            raise NotImplementedError(f"permutation: n must be below {_PERMUTATION_LIMIT}, got {n}; shuffle in parts.")
        with self._lock:
            words = self._words32(max(n - 1, 0))
        return distributions.shuffle(words) if n else np.empty(0, np.int64)

    def bernoulli(self, p: float | Array, size: Size | None = None, dtype: DTypeLike = np.float32) -> Array:
        """Ones with probability p, else zeros: Tensor.bernoulli_(p) for a number, torch.bernoulli(p) for an array.

        An array p (floating, broadcast to `size`, by default its own shape) takes other words than a number p, as in
        PyTorch; a 0-d array counts as an array.
        """
        kind = np.dtype(dtype)
        if not isinstance(p, np.ndarray):
            if size is None:
                raise TypeError("bernoulli: a number p needs a size; give size=(...) or an array p.")
            p = float(p)
            if not 0 <= p <= 1:
                raise RuntimeError(f"bernoulli: expected p in [0, 1], got p={p}.")
            chance = p
            return self._fill(size, kind, lambda count: distributions.below(self._words64(count), chance))
        if _floating("bernoulli", p.dtype) == np.float16:
            p = p.astype(np.float32)
        if p.size and not (p.min() >= 0 and p.max() <= 1):
            raise RuntimeError("bernoulli: expected every p in [0, 1].")
        if size is not None:
            p = np.broadcast_to(p, _shape(size))
        with self._lock:
            words = self._words(p.size, p.dtype == np.float64)
        return (distributions.unit_interval(words).reshape(p.shape) < p).astype(kind)

    def dropout_mask(self, p: float, size: Size, dtype: DTypeLike = np.float32) -> Array:
        """Zeros with probability p, else ones: what torch.nn.functional.dropout(x, p) multiplies by, unscaled.

        Like PyTorch, draws nothing where there is nothing to decide: p = 0 or p = 1.
        """
        if not 0 <= p <= 1:
            raise ValueError(f"dropout: expected p in [0, 1], got p={p}.")
        if p in (0, 1):
            return np.full(_shape(size), 1 - p, dtype)
        return self.bernoulli(1 - p, size, dtype)

    def exponential(self, size: Size, dtype: DTypeLike = np.float32, rate: float = 1.0) -> Array:
        """Exponential samples of mean 1/rate: Tensor.exponential_(rate) to the last bits."""
        kind = _floating("exponential", dtype)
        if not rate > 0:
            raise RuntimeError(f"exponential: expected rate > 0, got rate={rate}.")
        return self._fill(size, kind, lambda count: distributions.exponential(self._words64(count), rate))

    def geometric(self, p: float, size: Size, dtype: DTypeLike = np.float32) -> Array:
        """Number of the first success in trials of probability p: Tensor.geometric_(p). Floating and integer dtypes."""
        kind = np.dtype(dtype)
        if kind.kind not in "iuf":
            raise NotImplementedError(f"geometric: expected a floating or integer dtype, got {kind}.")
        if not 0 < p < 1:
            raise RuntimeError(f"geometric: expected p in (0, 1), got p={p}.")
        return self._fill(size, kind, lambda count: distributions.geometric(self._words64(count), p))

    def cauchy(self, size: Size, dtype: DTypeLike = np.float32, median: float = 0.0, sigma: float = 1.0) -> Array:
        """Cauchy samples around `median` of half-width `sigma`: Tensor.cauchy_ to the last bits."""
        kind = _floating("cauchy", dtype)
        if not sigma > 0:
            raise RuntimeError(f"cauchy: expected sigma > 0, got sigma={sigma}.")
        return self._fill(size, kind, lambda count: distributions.cauchy(self._words64(count), median, sigma))

    def multinomial(self, weights: ArrayLike, num_samples: int, replacement: bool = False) -> NDArray[np.int64]:
        """Categories drawn in proportion to weights, int64: torch.multinomial.

        weights: floating, (categories,) or (rows, categories), need not sum to 1; the result is (num_samples,) or
        (rows, num_samples). When more categories are drawn without replacement than have weight, those without come
        last, in ascending order (PyTorch leaves their order open).
        Raises RuntimeError for negative, infinite or NaN weights and for rows without any weight.
        """
        weights = np.asarray(weights)
        num_samples = operator.index(num_samples)
        _check_weights(weights, num_samples, replacement)
        rows = np.atleast_2d(weights)
        if replacement and num_samples > 1:
            u = self.uniform((len(rows), num_samples), np.float64)
            chosen = distributions.categories(rows, u)
        else:  # the smallest of exponential times with these rates (Efraimidis & Spirakis 2006)
            with np.errstate(all="ignore"):  # an exponential time can underflow
                speed = rows / self.exponential(rows.shape, rows.dtype)
            if num_samples == 1:
                chosen = np.argmax(speed, axis=1, keepdims=True)
            else:
                chosen = np.argsort(-speed, axis=1, kind="stable")[:, :num_samples]
        return chosen.reshape(*weights.shape[:-1], num_samples)


def _shape(size: Size) -> tuple[int, ...]:
    shape = (operator.index(size),) if not isinstance(size, tuple) else tuple(operator.index(n) for n in size)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"size: dimensions must not be negative, got {shape}.")
    return shape


def _floating(name: str, dtype: DTypeLike) -> np.dtype[Any]:
    kind = np.dtype(dtype)
    if kind not in _FLOATING:
        raise NotImplementedError(f"{name}: expected float16, float32 or float64, got {kind}.")
    return kind


def _integer_range(name: str, kind: np.dtype[Any]) -> tuple[int, int]:
    if kind.kind == "b":
        return 0, 1
    if kind.kind in "iu":
        return int(np.iinfo(kind).min), int(np.iinfo(kind).max)
    largest = int(_FLOATING[_floating(name, kind)])
    return -largest, largest


def _check_weights(weights: Array, num_samples: int, replacement: bool) -> None:
    _floating("multinomial", weights.dtype)
    if weights.ndim not in (1, 2):
        raise RuntimeError(f"multinomial: weights must have 1 or 2 dimensions, got shape {weights.shape}.")
    if num_samples <= 0:
        raise RuntimeError(f"multinomial: num_samples must be positive, got {num_samples}.")
    if weights.shape[-1] == 0 or (not replacement and num_samples > weights.shape[-1]):
        raise RuntimeError(
            f"multinomial: cannot draw {num_samples} of {weights.shape[-1]} categories without replacement;"
            " pass replacement=True or ask for fewer."
        )
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        raise RuntimeError("multinomial: weights must be finite and not negative.")
    if not np.all(weights.sum(axis=-1) > 0):
        raise RuntimeError("multinomial: every row needs at least one positive weight.")
