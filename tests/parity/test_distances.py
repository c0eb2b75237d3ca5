"""Distances of all pairs of rows, and cosines of vectors, against PyTorch."""

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("shape", [(5, 3), (2, 1), (1, 3), (0, 3)])
def test_pdist_gives_pytorchs_distances_and_gradients(shape, p):
    x = np.random.default_rng(0).normal(size=shape)
    if len(x) > 3:
        x[3] = x[0]  # a distance of zero
    a, b = rg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out, expected = rg.nn.functional.pdist(a, p), torch.nn.functional.pdist(b, p)
    assert out.shape == tuple(expected.shape)
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-10)
    if not out.numel():  # PyTorch crashes on the way back from no distances
        return
    (out**2).sum().backward()
    (expected**2).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "action",
    [lambda lib: lib.nn.functional.pdist(lib.ones(3)), lambda lib: lib.nn.functional.pdist(lib.ones(3, 2), -1.0)],
)
def test_a_mistake_raises_pytorchs_exception(action):
    assert_same_kind(*[raised_by(action, library) for library in (rg, torch)])


@pytest.mark.parametrize("length", [1.0, 1e-7, 1e-8, 5e-9, 1e-9, 0.0])
@pytest.mark.parametrize("eps", [1e-8, 0.5])
def test_cosines_of_short_vectors_have_pytorchs_gradients(length, eps):
    x, y = np.random.default_rng(1).normal(size=(2, 2, 3)) * length
    results = []
    for library in (rg, torch):
        a, b = (library.asarray(v).requires_grad_() for v in (x, y))
        out = library.nn.functional.cosine_similarity(a, b, eps=eps)
        first = library.autograd.grad((out * library.asarray(np.array([1.0, 2.0]))).sum(), (a, b), create_graph=True)
        second = library.autograd.grad(sum((g * g).sum() for g in first), (a, b)) if length else ()  # NaN at 0 in both
        results.append([t.detach().numpy() for t in (out, *first, *second)])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-14)


def test_batches_of_distances_that_do_not_fit_raise_pytorchs_exception():
    def action(lib):
        return lib.cdist(lib.ones(2, 3, 4), lib.ones(3, 3, 4))

    assert_same_kind(*[raised_by(action, library) for library in (rg, torch)])


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_distances_of_broadcast_batches_have_pytorchs_gradients(p):
    x, y = np.random.default_rng(0).normal(size=(2, 1, 5, 3)), np.random.default_rng(1).normal(size=(4, 6, 3))
    results = []
    for library in (rg, torch):
        a, b = (library.asarray(v).requires_grad_() for v in (x, y))
        out = library.cdist(a, b, p=p)
        (out * out * out).sum().backward()
        results.append([t.detach().numpy() for t in (out, a.grad, b.grad)])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
