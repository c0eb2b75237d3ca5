"""Random tensors. Values are drawn on the host, from one stream that equals PyTorch's, and copied to the device.

The same seed therefore gives the same values on every device.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from retrograd.autograd.methods.arguments import checked_dtype, place_of, refusing, sizes
from retrograd.autograd.methods.creation import from_host
from retrograd.autograd.methods.registry import method, public
from retrograd.autograd.promotion import get_default_dtype
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.autograd.view import overwrite, prepare
from retrograd.backends import Device, device_of
from retrograd.backends.generator import Generator as HostGenerator

__all__ = [
    "Generator",
    "chosen",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]

Array = np.ndarray[Any, Any]
Draw = Callable[[tuple[int, ...]], Array]


class Generator(HostGenerator):
    """A stream of random numbers of its own, for the `generator=` of the functions below. It lives on the host.

    Raises RuntimeError for another device: values are drawn on the host and copied, whatever the tensor's device.

    >>> import retrograd as rg
    >>> g = rg.Generator().manual_seed(0)
    >>> rg.rand(2, generator=g)
    tensor([0.4963, 0.7682])
    """

    def __init__(self, device: Any = "cpu") -> None:
        if Device(device).type != "cpu":
            raise RuntimeError(f"Generator: streams live on the cpu, got {device!r}; tensors there take one as well.")
        super().__init__()

    @property
    def device(self) -> Device:
        """The CPU."""
        return Device("cpu")

    def get_state(self) -> Tensor:  # type: ignore[override]  # the host's arrays become tensors here
        """The state of the stream: uint8, shape (5056,), in the layout of PyTorch's generators."""
        return make(super().get_state())

    def set_state(self, state: Any) -> Generator:
        """Continues where `get_state` was called, here or in PyTorch; returns the generator."""
        super().set_state(namespace(state).to_host(state.array) if isinstance(state, Tensor) else state)
        return self


default_generator = Generator()
"""The stream of every function that is given no other."""


def manual_seed(seed: int) -> Generator:
    """Starts the default stream that belongs to a seed, and returns its generator.

    >>> import retrograd as rg
    >>> _ = rg.manual_seed(0)
    >>> rg.randn(2)
    tensor([ 1.5410, -0.2934])
    """
    try:
        number = int(seed)
    except ValueError:
        raise ValueError(f"manual_seed: expected an integer, got {seed!r}.") from None
    return default_generator.manual_seed(number)


def seed() -> int:
    """Starts the default stream from a seed of the operating system, and returns it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default stream was started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default stream."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Continues the default stream where `get_rng_state` was called."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(enabled: bool = True) -> Iterator[None]:
    """Draws inside the block leave the default stream outside it untouched."""
    if not enabled:
        yield
        return
    state = default_generator.get_state()
    try:
        yield
    finally:
        default_generator.set_state(state)


def chosen(generator: Generator | None) -> HostGenerator:
    """The generator given, or the default one."""
    if generator is None:
        return default_generator
    if not isinstance(generator, HostGenerator):
        raise TypeError(f"generator must be an rg.Generator or None, got {type(generator).__name__}")
    return generator


def _floating(dtype: Any) -> np.dtype[Any]:
    return get_default_dtype() if dtype is None else checked_dtype(dtype)


# ---- of a shape

creating = refusing("out", "layout", "pin_memory", "memory_format")


@creating
def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform in [0, 1), of a shape given as `rand(2, 3)` or `rand((2, 3))`."""
    return from_host(chosen(generator).uniform(sizes(size), _floating(dtype)), device, requires_grad)


@creating
def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal with mean 0 and variance 1, of a shape given as `randn(2, 3)` or `randn((2, 3))`."""
    return from_host(chosen(generator).normal(sizes(size), _floating(dtype)), device, requires_grad)


@creating
def randint(
    low: Any = None,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers from low up to, and without, high: `randint(high, size)` or `randint(low, high, size)`; int64."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None or not hasattr(size, "__iter__"):
        raise TypeError(f"randint: size must be a tuple of integers, got {size!r}; e.g. randint(0, 10, (2, 3)).")
    kind = np.dtype(np.int64) if dtype is None else checked_dtype(dtype)
    values = chosen(generator).randint(0 if low is None else low, high, sizes((size,)), kind)
    return from_host(values, device, requires_grad)


@creating
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The integers 0 … n − 1 in random order, int64 unless another dtype is given that can hold them."""
    kind = np.dtype(np.int64) if dtype is None else checked_dtype(dtype)
    values = chosen(generator).permutation(n)
    numbers = values.astype(kind)
    if n and int(numbers.max()) != n - 1:
        raise RuntimeError(f"randperm: {n - 1} does not fit {kind}; choose a wider dtype.")
    return from_host(numbers, device, requires_grad)


@creating
def normal(
    mean: float | Tensor = 0.0,
    std: float | Tensor = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers: one mean and one std with a size, or a mean or std for every element (tensors that broadcast).

    No gradient passes to the means and deviations.
    """
    tensors = [t for t in (mean, std) if isinstance(t, Tensor)]
    if not tensors:
        if size is None:
            raise TypeError("normal: a mean and a std that are numbers need a size, e.g. normal(0.0, 1.0, (2, 3)).")
        values = chosen(generator).normal(sizes((size,)), _floating(dtype), mean, std)  # type: ignore[arg-type]
        return from_host(values, device, requires_grad)
    if size is not None or dtype is not None:
        raise TypeError("normal: size and dtype are those of the tensors; leave them out.")
    place = device_of(tensors[0]._array) if device is None else place_of(device)
    means, deviations = (namespace(t).to_host(t.array) if isinstance(t, Tensor) else t for t in (mean, std))
    shape = np.broadcast_shapes(*(t.shape for t in tensors))
    kind = np.result_type(*(t.dtype for t in tensors))
    if isinstance(std, Tensor):
        if np.any(deviations < 0):
            raise RuntimeError("normal: every std must be 0 or more.")
        values = chosen(generator).normal(shape, kind) * deviations + means
    else:
        values = chosen(generator).normal(shape, kind, 0.0, deviations) + means
    return from_host(np.asarray(values, dtype=kind), place, requires_grad)


@creating
def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """Ones with the probabilities in `input`, or with probability p in its shape; else zeros. No gradient passes."""
    place, stream = device_of(input._array), chosen(generator)
    if p is not None:
        return from_host(stream.bernoulli(float(p), input.shape, input.dtype), place)
    chances = namespace(input).to_host(input.array)
    return from_host(stream.bernoulli(chances, None, input.dtype), place)


@creating
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Indices, int64, drawn in proportion to weights: input (categories,) or (rows, categories), need not sum to 1.

    Raises RuntimeError for negative or infinite weights, for a row of zeros, and for more samples than categories
    without replacement.
    """
    weights = namespace(input).to_host(input.array)
    return from_host(chosen(generator).multinomial(weights, num_samples, replacement), device_of(input._array))


# ---- like another tensor, and in place


def _in_memory_order(array: Any, draw: Draw, dense: bool = False) -> Array:
    """Draws in the order in which an array's elements lie in memory, which is the order that PyTorch fills.

    `dense` is for a new array that keeps only the order of the array's axes.
    """
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]) if array.shape[axis] > 1 else 0)
    contiguous = array.flags.c_contiguous or (dense and _ascending(order, array.shape))
    if contiguous:
        return draw(array.shape)
    values = _one_by_one(draw, tuple(array.shape[axis] for axis in order))
    return values.transpose(np.argsort(order))


def _ascending(order: list[int], shape: tuple[int, ...]) -> bool:
    longer = [axis for axis in order if shape[axis] > 1]
    return longer == sorted(longer)


def _one_by_one(draw: Draw, shape: tuple[int, ...]) -> Array:
    """Draws by the path of short arrays: PyTorch takes the one of long arrays only for contiguous memory."""
    count, short = int(np.prod(shape)), 14
    parts = [draw((min(short, count - start),)) for start in range(0, count, short)]
    return np.concatenate(parts).reshape(shape) if parts else draw(shape)


def _like(
    input: Tensor, dtype: Any, device: Any, requires_grad: bool, draw: Callable[[tuple[int, ...], np.dtype[Any]], Array]
) -> Tensor:
    if not isinstance(input, Tensor):
        raise TypeError(f"input must be a Tensor, got {type(input).__name__}")
    kind = input.dtype if dtype is None else checked_dtype(dtype)
    place = device_of(input._array) if device is None else place_of(device)
    values = _in_memory_order(input.array, lambda shape: draw(shape, kind), dense=True)
    return from_host(values, place, requires_grad)


@creating
def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform in [0, 1), in a tensor's shape, dtype and device unless others are given."""
    return _like(input, dtype, device, requires_grad, chosen(generator).uniform)


@creating
def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal with mean 0 and variance 1, in a tensor's shape, dtype and device unless others are given."""
    return _like(input, dtype, device, requires_grad, chosen(generator).normal)


@creating
def randint_like(
    input: Tensor,
    low: int | None = None,
    high: int | None = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers from low up to, and without, high, in a tensor's shape, dtype and device: `randint_like(x, high)`."""
    if high is None:
        low, high = 0, low
    if high is None:
        raise TypeError("randint_like: the upper bound is missing, e.g. randint_like(x, 10).")
    first, end = low or 0, high
    return _like(
        input, dtype, device, requires_grad, lambda shape, kind: chosen(generator).randint(first, end, shape, kind)
    )


def _filled(self: Tensor, name: str, draw: Draw) -> Tensor:
    """Overwrites a tensor with draws; refuses before it draws."""
    prepare(self)
    values = _in_memory_order(self.array, draw)
    return overwrite(self, from_host(values, device_of(self._array)), name)


def uniform_(self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with uniform numbers in [from_, to)."""
    return _filled(self, "uniform_", lambda shape: chosen(generator).uniform(shape, self.dtype, from_, to))


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with normal numbers."""
    return _filled(self, "normal_", lambda shape: chosen(generator).normal(shape, self.dtype, mean, std))


def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with numbers whose logarithm is normal."""
    return _filled(self, "log_normal_", lambda shape: chosen(generator).log_normal(shape, self.dtype, mean, std))


def random_(
    self: Tensor, from_: int | None = None, to: int | None = None, *, generator: Generator | None = None
) -> Tensor:
    """Fills the tensor with integers in [from_, to), or [0, n) for `random_(n)`, or all that the dtype can hold."""
    if to is None and from_ is not None:
        from_, to = 0, from_

    def draw(shape: tuple[int, ...]) -> Array:
        if to is None:
            return chosen(generator).random_(shape, self.dtype)
        return chosen(generator).randint(from_ or 0, to, shape, self.dtype)

    return _filled(self, "random_", draw)


def bernoulli_(self: Tensor, p: float | Tensor = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with ones with probability p, or with the probabilities in a tensor p; else zeros."""
    if isinstance(p, Tensor):
        prepare(self)
        chances = np.broadcast_to(namespace(p).to_host(p.array), self.shape)
        values = chosen(generator).bernoulli(chances, self.shape, self.dtype)
        return overwrite(self, from_host(values, device_of(self._array)), "bernoulli_")
    return _filled(self, "bernoulli_", lambda shape: chosen(generator).bernoulli(p, shape, self.dtype))


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with exponential numbers of mean 1/lambd."""
    return _filled(self, "exponential_", lambda shape: chosen(generator).exponential(shape, self.dtype, lambd))


def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with the numbers of the first success in trials of probability p."""
    return _filled(self, "geometric_", lambda shape: chosen(generator).geometric(p, shape, self.dtype))


def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with Cauchy numbers around the median, of half-width sigma."""
    return _filled(self, "cauchy_", lambda shape: chosen(generator).cauchy(shape, self.dtype, median, sigma))


_function: Callable[..., Any]
for _function in (manual_seed, seed, initial_seed, get_rng_state, set_rng_state, Generator):
    public(_function, method=False)
for _function in (rand, randn, randint, randperm, normal, rand_like, randn_like, randint_like):
    public(_function, method=False)
for _function in (bernoulli, multinomial):
    public(_function)
for _function in (uniform_, normal_, log_normal_, random_, bernoulli_, exponential_, geometric_, cauchy_):
    method(_function)
