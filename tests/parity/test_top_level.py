"""Functions of layers at PyTorch's top level, whose arguments differ from those of nn.functional."""

import numpy as np
import pytest

import retrograd as rg

torch = pytest.importorskip("torch")

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(4, 3, 6)), rng.normal(size=(4, 3, 6))
MEAN, VAR, W, B = rng.normal(size=3), rng.uniform(0.5, 2, size=3), rng.normal(size=3), rng.normal(size=3)
SIGNS = np.array([1.0, -1.0, 1.0, -1.0])


def of(lib, *arrays):
    return [lib.asarray(a.copy()) for a in arrays]


def sequence(lib):
    scores = lib.asarray(rng_scores).log_softmax(2)
    return scores, lib.asarray(np.array([[1, 2], [2, 1]])), lib.asarray(np.array([5, 5])), lib.asarray(np.array([2, 1]))


rng_scores = rng.normal(size=(5, 2, 3))

CALLS = {
    "batch_norm": lambda lib: lib.batch_norm(*of(lib, X, W, B, MEAN, VAR), False, 0.1, 1e-5, True),
    "batch_norm in training": lambda lib: lib.batch_norm(*of(lib, X, W, B, MEAN, VAR), True, 0.1, 1e-5, True),
    "instance_norm": lambda lib: lib.instance_norm(*of(lib, X, W, B), None, None, True, 0.1, 1e-5, False),
    "layer_norm": lambda lib: lib.layer_norm(*of(lib, X), (6,), None, None, 1e-3),
    "embedding": lambda lib: lib.embedding(lib.asarray(X[0]), lib.asarray(np.array([2, 0, 2]))),
    "embedding, padding": lambda lib: lib.embedding(lib.asarray(X[0]), lib.asarray(np.array([2, 0])), 0, True),
    "dropout": lambda lib: lib.dropout(*of(lib, X), 0.4, True),
    "no dropout": lambda lib: lib.dropout(*of(lib, X), p=0.4, train=False),
    "alpha_dropout": lambda lib: lib.alpha_dropout(*of(lib, X), 0.4, True),
    "feature_alpha_dropout": lambda lib: lib.feature_alpha_dropout(*of(lib, X), 0.4, True),
    "binary_cross_entropy_with_logits": lambda lib: lib.binary_cross_entropy_with_logits(
        *of(lib, X[:, 0], np.abs(Y[:, 0]) % 1)
    ),
    "cosine_embedding_loss": lambda lib: lib.cosine_embedding_loss(*of(lib, X[:, 0], Y[:, 0], SIGNS), 0.1, 0),
    "ctc_loss": lambda lib: lib.ctc_loss(*sequence(lib), 0, 2),
    "hinge_embedding_loss": lambda lib: lib.hinge_embedding_loss(*of(lib, X[:, 0, 0], SIGNS), 2.0, 1),
    "kl_div": lambda lib: lib.kl_div(*of(lib, X, Y), reduction=2, log_target=True),
    "margin_ranking_loss": lambda lib: lib.margin_ranking_loss(*of(lib, X[:, 0, 0], Y[:, 0, 0], SIGNS), 0.2),
    "poisson_nll_loss": lambda lib: lib.poisson_nll_loss(*of(lib, X, np.abs(Y)), True, True, 1e-8, 1),
    "triplet_margin_loss": lambda lib: lib.triplet_margin_loss(*of(lib, X[0], X[1], Y[0]), swap=True, reduction=0),
    "conv2d": lambda lib: lib.conv2d(*of(lib, X[:, None], Y[:2, None]), padding=1),
    "max_pool2d": lambda lib: lib.max_pool2d(*of(lib, X), 2),
    "relu_": lambda lib: lib.relu_(*of(lib, X)),
    "pixel_shuffle": lambda lib: lib.pixel_shuffle(lib.asarray(X.reshape(1, 4, 3, 6)), 2),
    "cosine_similarity": lambda lib: lib.cosine_similarity(*of(lib, X, Y), dim=2),
    "pairwise_distance": lambda lib: lib.pairwise_distance(*of(lib, X, Y)),
    "prelu": lambda lib: lib.asarray(X).prelu(lib.asarray(W)),
    "hardshrink": lambda lib: lib.asarray(X).hardshrink(0.3),
}


@pytest.mark.parametrize("name", CALLS)
def test_values_are_pytorchs(name):
    results = []
    for library in (rg, torch):
        library.manual_seed(1)
        results.append(CALLS[name](library).numpy())
    np.testing.assert_allclose(*results, rtol=1e-9, atol=1e-12)


def test_the_running_statistics_move_as_in_pytorch():
    moved = []
    for library in (rg, torch):
        mean, var = of(library, MEAN, VAR)
        library.batch_norm(*of(library, X, W, B), mean, var, True, 0.1, 1e-5, True)
        moved.append(np.stack([mean.numpy(), var.numpy()]))
    np.testing.assert_allclose(*moved, rtol=1e-12)
