"""Distances of all pairs of rows against PyTorch."""

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
