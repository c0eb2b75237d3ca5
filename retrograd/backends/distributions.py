"""From words of random bits to samples: the transforms behind the host random stream, on NumPy arrays.

Every function here is pure: it turns words (uint32 or uint64, as the Mersenne Twister hands them out) or uniform
samples into samples of a distribution, with the roundings of PyTorch 2.13 on a CPU. Which words a sample takes is
decided in `mt19937`. The recipes are those PyTorch documents or shows; sources stand beside the formulas.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrograd.backends.kernels import fusable

Array = NDArray[Any]
Words = NDArray[np.unsignedinteger[Any]]

BLOCK = 16  # the long path of `randn` transforms sixteen numbers at a time

_MANTISSA = {np.dtype(np.float16): 11, np.dtype(np.float32): 24, np.dtype(np.float64): 53}
_LOW_24, _LOW_53 = np.uint32(2**24 - 1), np.uint64(2**53 - 1)
_TINY = np.float32(2.0**-24)
_TWO_PI = 2.0 * np.pi


def mantissa_bits(dtype: np.dtype[Any]) -> int:
    """Bits in the significand of a floating dtype, the leading one counted."""
    return _MANTISSA[dtype]


def unit_interval(words: Words) -> Array:
    """Uniform samples in [0, 1): float32 from the low 24 bits of uint32, float64 from the low 53 bits of uint64."""
    if words.dtype == np.uint32:
        single: Array = (words & _LOW_24).view(np.int32).astype(np.float32)
        single *= _TINY
        return single
    double: Array = (words & _LOW_53).view(np.int64).astype(np.float64)
    double *= 2.0**-53
    return double


def scale_and_shift(x: Array, scale: float, shift: float) -> Array:
    """x·scale + shift with one rounding, as the fused multiply-add of the processors PyTorch is compiled for."""
    a, b = x.dtype.type(scale), x.dtype.type(shift)
    if a == 1 or b == 0:  # at most one operation, hence one rounding
        scaled: Array = x if a == 1 else x * a
        return scaled if b == 0 else scaled + b
    if x.dtype == np.float32:  # the product of two float32 is exact in float64
        return (x.astype(np.float64) * np.float64(a) + np.float64(b)).astype(np.float32)
    return _fused_multiply_add(x, a, b)


def _fused_multiply_add(x: Array, a: np.float64, b: np.float64) -> Array:
    """float64 x·a + b, rounded once: the product's error after Dekker 1971, the sum's after Knuth's TwoSum."""
    product, (x_high, x_low), (a_high, a_low) = x * a, _halves(x), _halves(a)
    product_error = ((x_high * a_high - product) + x_high * a_low + x_low * a_high) + x_low * a_low
    total = product + b
    shifted = total - product
    sum_error = (product - (total - shifted)) + (b - shifted)
    fused = total + (sum_error + product_error)
    return np.where(np.isfinite(fused), fused, total)  # splitting overflows near the largest float64


def _halves(x: Any) -> tuple[Any, Any]:
    """x as a sum of two numbers of at most 26 bits (Veltkamp's splitting)."""
    c = 134217729.0 * x  # 2^27 + 1
    high = c - (c - x)
    return high, x - high


def uniform(words: Words, dtype: np.dtype[Any], low: float, high: float) -> Array:
    """Uniform samples in [low, high); a sample that rounding lifts to `high` becomes `low`, as in PyTorch."""
    sample = unit_interval(words)
    if low == 0 and high == 1 and dtype == sample.dtype:
        return sample
    a, b = sample.dtype.type(low), sample.dtype.type(high)
    sample = scale_and_shift(sample, b - a, a).astype(dtype, copy=False)
    sample[sample == dtype.type(high)] = dtype.type(low)
    return sample


def normal_blocks(words: Words) -> Array:
    """Standard normals from words in multiples of sixteen, by Box & Muller 1958.

    Of each sixteen uniforms, the first eight give radii and the last eight angles; cosines come first, then sines.
    """
    u = unit_interval(words).reshape(-1, 2, BLOCK // 2)
    kind = u.dtype.type
    # The logarithm in float64 costs little and keeps float32 normals within three units in the last place.
    log = np.log((kind(1) - u[:, 0]).astype(np.float64)).astype(u.dtype, copy=False)
    radius, angle = np.sqrt(kind(-2) * log), kind(_TWO_PI) * u[:, 1]
    normals = np.empty_like(u)
    np.multiply(radius, np.cos(angle), out=normals[:, 0])
    np.multiply(radius, np.sin(angle), out=normals[:, 1])
    return normals.reshape(-1)


def normal_pairs(words: Words) -> Array:
    """Standard float64 normals from pairs of words, by Box & Muller 1958: cosine, sine, cosine, sine …"""
    u = unit_interval(words).reshape(-1, 2)
    radius, angle = np.sqrt(-2.0 * np.log1p(-u[:, 1])), _TWO_PI * u[:, 0]
    normals = np.empty_like(u)
    np.multiply(radius, np.cos(angle), out=normals[:, 0])
    np.multiply(radius, np.sin(angle), out=normals[:, 1])
    return normals.reshape(-1)


def remainder(words: Words, modulus: int) -> Words:
    """words mod modulus. Division is vectorised in NumPy and the remainder is not: five times faster so."""
    m = words.dtype.type(modulus)
    return words - (words // m) * m


def integers(words: Words, span: int, low: int) -> NDArray[np.int64]:
    """Integers low + (word mod span), modulo 2^64."""
    offsets = remainder(words, span)
    return offsets.astype(np.int64) + np.int64(low)


def below(words: Words, p: float) -> NDArray[np.bool_]:
    """Whether the uniform float64 of each 64-bit word is below p, decided without leaving the integers."""
    threshold = int(np.ceil(p * 2.0**53))  # exact: scaling by a power of two does not round
    return (words & _LOW_53) < np.uint64(threshold)


def exponential(words: Words, rate: float) -> Array:
    """−log(1 − u)/rate in float64, by inversion."""
    samples: Array = (-1.0 / rate) * np.log1p(-unit_interval(words))
    return samples


def geometric(words: Words, p: float) -> Array:
    """Number of the first success, ⌈log u / log(1 − p)⌉ in float64, by inversion."""
    samples: Array = np.ceil(np.log(unit_interval(words)) / np.log1p(-p))
    return samples


def cauchy(words: Words, median: float, sigma: float) -> Array:
    """median + sigma·tan(π(u − ½)) in float64, by inversion."""
    return scale_and_shift(np.tan(np.pi * (unit_interval(words) - 0.5)), sigma, median)


@fusable
def shuffle(words: Words) -> NDArray[np.int64]:
    """The permutation of len(words) + 1 items that Fisher and Yates's exchanges give (Durstenfeld 1964).

    Step i exchanges item i with item i + (word i mod number of items not yet placed).
    """
    n = len(words) + 1
    left = np.arange(n, 1, -1, dtype=words.dtype)
    partners = ((words % left).astype(np.int64) + np.arange(n - 1)).tolist()
    items = list(range(n))  # a list: single elements of an array cost ten times as much
    for i, j in enumerate(partners):
        items[i], items[j] = items[j], items[i]
    return np.array(items, dtype=np.int64)


def categories(weights: Array, u: Array) -> NDArray[np.int64]:
    """For each row of weights (rows, categories), the category whose share holds each u (rows, samples).

    Binary search in the cumulative distribution, all rows at once: the first category whose cumulative share is ≥ u.
    """
    cumulative = np.cumsum(weights, axis=1, dtype=np.result_type(weights, np.float32))
    cumulative = cumulative / cumulative[:, -1:]
    cumulative[:, -1] = 1
    first, last = np.zeros(u.shape, np.int64), np.full(u.shape, weights.shape[1] - 1)
    while np.any(first < last):
        middle = (first + last) // 2
        before = np.take_along_axis(cumulative, middle, axis=1) < u
        first, last = np.where(before, middle + 1, first), np.where(before, last, middle)
    return first
