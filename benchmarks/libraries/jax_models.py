"""The convolutional networks, the LSTM and the Transformer in JAX, as its users write them for speed on a CPU.

Images and filters lie channels last, which XLA's convolutions on a CPU prefer; a pool is two maxima of strided slices,
because the gradient of `lax.reduce_window` takes ten times as long there; the LSTM's projections of its inputs are
one product ahead of the scan.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.libraries.jax_training import adam, momentum, negative_log_likelihood, training
from benchmarks.programs import Program, Step, images, sequences
from benchmarks.programs.initial import Array

__all__ = ["MODELS"]

Taken = Iterator[Any]
"""Parameters, taken in the order of the modules."""


def _channels_last(arrays: list[Array], pooled: tuple[int, int, int] | None = None) -> list[Array]:
    """Return filters as (height, width, in, out) and the first linear layer's columns in the order of maps such maps.

    `pooled` are channels, height and width of what that layer sees.
    """
    arrays = [array.transpose(2, 3, 1, 0) if array.ndim == 4 else array for array in arrays]
    if pooled is not None:
        first = next(place for place, array in enumerate(arrays) if array.ndim == 2)
        weight = arrays[first]
        arrays[first] = weight.reshape(-1, *pooled).transpose(0, 2, 3, 1).reshape(weight.shape)
    return arrays


def _batch(shape: tuple[int, ...]) -> tuple[Array, Array]:
    pictures, labels = images.batch(*shape)
    return pictures.transpose(0, 2, 3, 1), labels


def _convolve(x: Any, filters: Any, stride: int = 1, padding: int = 0) -> Any:
    around = [(padding, padding)] * 2
    return lax.conv_general_dilated(x, filters, (stride, stride), around, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _pool(x: Any) -> Any:
    """The maximum of squares 2×2."""
    tall = jnp.maximum(x[:, ::2], x[:, 1::2])
    return jnp.maximum(tall[:, :, ::2], tall[:, :, 1::2])


def _linear(p: Taken, x: Any) -> Any:
    return x @ next(p).T + next(p)


def _lenet_loss(parameters: Any, running: Any, x: Any, labels: Any) -> Any:
    p = iter(parameters)
    x = _pool(jax.nn.relu(_convolve(x, next(p), padding=2) + next(p)))
    x = _pool(jax.nn.relu(_convolve(x, next(p)) + next(p))).reshape(len(x), -1)
    x = jax.nn.relu(_linear(p, jax.nn.relu(_linear(p, x))))
    return negative_log_likelihood(_linear(p, x), labels), running


def _lenet(workload: Program) -> Step:
    parameters = _channels_last(images.Parameters.lenet(), (16, 5, 5))
    return training(_lenet_loss, momentum(0.01, 0.9), parameters, _batch(images.MNIST))


def _two_convolutions_loss(parameters: Any, running: Any, x: Any, labels: Any) -> Any:
    p = iter(parameters)
    x = _pool(jax.nn.relu(_convolve(x, next(p), padding=1) + next(p)))
    x = _pool(jax.nn.relu(_convolve(x, next(p), padding=1) + next(p))).reshape(len(x), -1)
    return negative_log_likelihood(_linear(p, jax.nn.relu(_linear(p, x))), labels), running


def _two_convolutions(workload: Program) -> Step:
    parameters = _channels_last(images.Parameters.two_convolutions(), (64, 7, 7))
    return training(_two_convolutions_loss, adam(1e-3), parameters, _batch(images.MNIST))


def _resnet8_loss(parameters: Any, running: Any, x: Any, labels: Any) -> Any:
    p, old, new = iter(parameters), iter(running), []

    def normed_convolution(x: Any, stride: int = 1, padding: int = 1) -> Any:
        """Ioffe & Szegedy 2015, algorithm 1; of the running averages the variance is the unbiased one, as PyTorch's."""
        x = _convolve(x, next(p), stride, padding)
        mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
        count = x.size // x.shape[-1]
        new.extend(0.9 * next(old) + 0.1 * now for now in (mean, variance * (count / (count - 1))))
        return (x - mean) * (lax.rsqrt(variance + 1e-5) * next(p)) + next(p)

    x = jax.nn.relu(normed_convolution(x))
    for channels, out, stride in images.BLOCKS:
        body = normed_convolution(jax.nn.relu(normed_convolution(x, stride)))
        x = jax.nn.relu(body + (x if channels == out else normed_convolution(x, stride, padding=0)))
    return negative_log_likelihood(_linear(p, jnp.mean(x, (1, 2))), labels), new


def _resnet8(workload: Program) -> Step:
    parameters = _channels_last(images.Parameters.resnet8())
    widths = [array.shape[-1] for array in parameters if array.ndim == 4]
    averages = [start(width, np.float32) for width in widths for start in (np.zeros, np.ones)]
    return training(_resnet8_loss, momentum(0.01, 0.9, 1e-4), parameters, _batch(images.CIFAR), averages)


def _char_lstm_loss(parameters: Any, running: Any, inputs: Any, targets: Any) -> Any:
    embedding, from_inputs, from_states, bias, further_bias, weight, offset = parameters
    projected = embedding[inputs] @ from_inputs.T + (bias + further_bias)

    def advance(carry: Any, projection: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(projection + h @ from_states.T, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    start = jnp.zeros((inputs.shape[1], from_states.shape[1]))
    _, states = lax.scan(advance, (start, start), projected)
    logits = states @ weight.T + offset
    return negative_log_likelihood(logits.reshape(targets.size, -1), targets.reshape(-1)), running


def _char_lstm(workload: Program) -> Step:
    data = sequences.text(workload.sizes.get("steps", 64), workload.sizes.get("batch", 32))
    return training(_char_lstm_loss, adam(2e-3), sequences.Parameters.char_lstm(), data)


def _layer_norm(p: Taken, x: Any) -> Any:
    centred = x - jnp.mean(x, -1, keepdims=True)
    return centred * lax.rsqrt(jnp.mean(centred * centred, -1, keepdims=True) + 1e-5) * next(p) + next(p)


def _transformer_loss(parameters: Any, running: Any, inputs: Any, targets: Any) -> Any:
    p = iter(parameters)
    x = next(p)[inputs] + next(p)
    for _ in range(sequences.LAYERS):
        first, second = [next(p), next(p)], [next(p), next(p)]
        qkv = _linear(p, _layer_norm(iter(first), x)).reshape(*inputs.shape, 3, sequences.HEADS, -1)
        mixed = jax.nn.dot_product_attention(*jnp.moveaxis(qkv, 2, 0), is_causal=True)
        x = x + _linear(p, mixed.reshape(x.shape))
        wide = jax.nn.gelu(_linear(p, _layer_norm(iter(second), x)), approximate=False)
        x = x + _linear(p, wide)
    logits = _linear(p, _layer_norm(p, x))
    return negative_log_likelihood(logits.reshape(targets.size, -1), targets.reshape(-1)), running


def _transformer(workload: Program) -> Step:
    tokens, batch = workload.sizes.get("tokens", 128), workload.sizes.get("batch", 8)
    parameters = sequences.Parameters.transformer(tokens)
    return training(_transformer_loss, adam(1e-3, weight_decay=0.01), parameters, sequences.text(batch, tokens))


MODELS: dict[str, Callable[[Program], Step]] = {
    "lenet": _lenet,
    "two-conv": _two_convolutions,
    "resnet8": _resnet8,
    "lstm": _char_lstm,
    "transformer": _transformer,
}
