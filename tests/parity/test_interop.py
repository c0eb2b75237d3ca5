"""Tensors pass between the libraries, and scipy minimises with our gradients."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "uint8", "bool"])
def test_memory_passes_to_pytorch_and_back(dtype):
    ours = rg.zeros(2, 3, dtype=getattr(rg, dtype))
    theirs = torch.from_dlpack(ours)
    assert str(theirs.dtype) == f"torch.{dtype}"
    theirs.fill_(1)
    assert ours.tolist() == theirs.tolist()
    again = rg.from_dlpack(theirs)
    theirs.zero_()
    assert again.tolist() == ours.tolist() == theirs.tolist()


def test_a_tensor_of_pytorch_is_data() -> None:
    theirs = torch.arange(6.0).reshape(2, 3)
    shared, copied = rg.as_tensor(theirs), rg.tensor(theirs)
    theirs.zero_()
    assert shared.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert copied.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_scipy_minimises_with_our_gradient():
    optimize = pytest.importorskip("scipy.optimize")

    def rosenbrock(point):
        x = rg.tensor(point, requires_grad=True)
        value = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
        value.backward()
        return value.item(), x.grad.numpy()

    found = optimize.minimize(rosenbrock, np.zeros(5), jac=True, method="BFGS")
    assert found.success
    np.testing.assert_allclose(found.x, np.ones(5), atol=1e-5)
    assert found.nfev < 60
