"""The programs in HIPS autograd, composed of NumPy's functions and SciPy's as its own examples are."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
from autograd.scipy.signal import convolve
from autograd.scipy.special import erf
from autograd.tracer import getval

from benchmarks.flat import adamw, update
from benchmarks.libraries import NotApplicable
from benchmarks.libraries.hips_training import cross_entropy, mean_square, one_hot, sigmoid, training
from benchmarks.programs import Program, Step, images, sequences
from benchmarks.programs.arrays import PENALTY, SCALE, SHIFT, Data, distances, elementwise
from benchmarks.workloads import SGD, Adam

__all__ = ["program"]

Taken = Iterator[Any]
"""Parameters, taken in the order of the modules."""


def program(workload: Program) -> Step:
    """Return the step of a program that the library can do."""
    if workload.kind in LACKING:
        raise NotApplicable(LACKING[workload.kind])
    return PROGRAMS[workload.kind](**workload.sizes)


def _elementwise() -> Step:
    chain = autograd.value_and_grad(lambda x: elementwise(anp, x, SCALE, SHIFT))
    return lambda: chain(Data.elementwise())


def _distances() -> Step:
    pairs = autograd.value_and_grad(lambda points: distances(anp, *points))
    return lambda: pairs(Data.distances())


def _cross_entropy() -> Step:
    logits, targets = Data.cross_entropy()
    loss = autograd.value_and_grad(cross_entropy(targets, logits.shape[1]))
    return lambda: loss(logits)


def _embedding() -> Step:
    table, rows, targets = Data.embedding()
    loss = mean_square(targets)
    return training(lambda values: loss(values[0][rows]), [table], partial(update, settings=SGD(100.0)))


def _critic(layers: Any, x: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = layers
    x = anp.tanh(anp.dot(x, w1.T) + b1)
    return anp.dot(anp.tanh(anp.dot(x, w2.T) + b2), w3.T) + b3


def _penalty() -> Step:
    arrays, real, fake = Data.penalty()

    def objective(layers: Any) -> Any:
        slope = autograd.grad(lambda x: anp.sum(_critic(layers, x)))((real + fake) * 0.5)
        penalty = anp.mean((anp.sqrt(anp.sum(slope * slope, 1)) - 1) ** 2)
        return anp.mean(_critic(layers, fake)) - anp.mean(_critic(layers, real)) + PENALTY * penalty

    return training(objective, arrays, partial(update, settings=Adam(1e-4, 0.5, 0.9)))


def _inference() -> Step:
    (w1, b1, w2, b2), x = Data.inference()
    return lambda: anp.dot(sigmoid(anp.dot(x, w1.T) + b1), w2.T) + b2


def _linear(p: Taken, x: Any) -> Any:
    return anp.dot(x, next(p).T) + next(p)


def _relu(x: Any) -> Any:
    return anp.maximum(x, 0)


def _convolved(p: Taken, x: Any) -> Any:
    """Convolution without padding, ReLU, maximum of squares 2×2; SciPy's convolution turns the filters round."""
    filters, bias = next(p)[:, :, ::-1, ::-1], next(p)
    x = _relu(convolve(x, filters, axes=([2, 3], [2, 3]), dot_axes=([1], [1]), mode="valid") + bias[:, None, None])
    maps, channels, height, width = x.shape
    return anp.max(anp.max(x.reshape(maps, channels, height // 2, 2, width // 2, 2), axis=5), axis=3)


def _lenet() -> Step:
    pictures, labels = images.batch(*images.MNIST)
    framed = np.pad(pictures, ((0, 0), (0, 0), (2, 2), (2, 2)))
    loss = cross_entropy(labels, 10)

    def objective(values: Any) -> Any:
        p = iter(values)
        x = _convolved(p, _convolved(p, framed)).reshape(len(labels), -1)
        return loss(_linear(p, _relu(_linear(p, _relu(_linear(p, x))))))

    return training(objective, images.Parameters.lenet(), partial(update, settings=SGD(0.01, 0.9)))


def _char_lstm(steps: int = 64, batch: int = 32) -> Step:
    inputs, targets = sequences.text(steps, batch)
    characters = one_hot(inputs.ravel(), sequences.VOCABULARY)
    loss = cross_entropy(targets.ravel(), sequences.VOCABULARY)

    def objective(values: Any) -> Any:
        embedding, from_inputs, from_states, bias, further_bias, weight, offset = values
        projected = anp.dot(anp.dot(characters, embedding), from_inputs.T) + (bias + further_bias)
        h = c = np.zeros((batch, from_states.shape[1]), np.float32)
        states = []
        for projection in anp.split(projected, steps):
            i, f, g, o = anp.split(projection + anp.dot(h, from_states.T), 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * anp.tanh(g)
            h = sigmoid(o) * anp.tanh(c)
            states.append(h)
        return loss(anp.dot(anp.concatenate(states), weight.T) + offset)

    return training(objective, sequences.Parameters.char_lstm(), partial(update, settings=Adam(2e-3)))


def _layer_norm(weight: Any, bias: Any, x: Any) -> Any:
    centred = x - anp.mean(x, axis=-1, keepdims=True)
    return centred / anp.sqrt(anp.mean(centred * centred, axis=-1, keepdims=True) + 1e-5) * weight + bias


def _attention(q: Any, k: Any, v: Any, mask: Any) -> Any:
    """Vaswani et al. 2017, eq. 1; q, k, v (batch, heads, tokens, width)."""
    scores = anp.matmul(q, anp.swapaxes(k, 2, 3)) * q.shape[-1] ** -0.5 + mask
    weights = anp.exp(scores - getval(scores).max(axis=-1, keepdims=True))
    return anp.matmul(weights / anp.sum(weights, axis=-1, keepdims=True), v)


def _transformer(tokens: int = 128, batch: int = 8) -> Step:
    inputs, targets = sequences.text(batch, tokens)
    characters = one_hot(inputs.ravel(), sequences.VOCABULARY)
    mask = np.triu(np.full((tokens, tokens), -np.inf, np.float32), 1)
    loss = cross_entropy(targets.ravel(), sequences.VOCABULARY)

    def mixed(p: Taken, x: Any) -> Any:
        heads = [part.reshape(batch, tokens, sequences.HEADS, -1) for part in anp.split(_linear(p, x), 3, axis=1)]
        joined = _attention(*(anp.swapaxes(part, 1, 2) for part in heads), mask)
        return _linear(p, anp.swapaxes(joined, 1, 2).reshape(x.shape))

    def widened(p: Taken, x: Any) -> Any:
        wide = _linear(p, x)
        return _linear(p, 0.5 * wide * (1 + erf(wide * 2**-0.5)))

    def objective(values: Any) -> Any:
        p = iter(values)
        embedded = anp.dot(characters, next(p)).reshape(batch, tokens, -1) + next(p)
        x = embedded.reshape(batch * tokens, -1)
        for _ in range(sequences.LAYERS):
            first, second = (next(p), next(p)), (next(p), next(p))
            x = x + mixed(p, _layer_norm(*first, x))
            x = x + widened(p, _layer_norm(*second, x))
        return loss(_linear(p, _layer_norm(next(p), next(p), x)))

    descent = partial(adamw, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01)
    return training(objective, sequences.Parameters.transformer(tokens), descent)


PROGRAMS: dict[str, Callable[..., Step]] = {
    "elementwise": _elementwise,
    "distances": _distances,
    "cross-entropy": _cross_entropy,
    "embedding": _embedding,
    "penalty": _penalty,
    "inference": _inference,
    "lenet": _lenet,
    "lstm": _char_lstm,
    "transformer": _transformer,
}
LACKING = {
    "two-conv": "its convolution, an einsum, takes two seconds",
    "resnet8": "its convolution has no stride",
    "adamw": "no AdamW",
}
