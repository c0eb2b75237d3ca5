"""Kernels that go over long arrays in parts, shared out among threads, give what they give in one piece."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd.ops.parts import GRAIN, by_rows
from retrograd.nn import functional as F


@pytest.fixture(params=[1, 2])
def threads(request):
    before = rg.get_num_threads()
    rg.set_num_threads(request.param)
    yield request.param
    rg.set_num_threads(before)


@pytest.mark.parametrize("shape", [(1, 3), (10 * GRAIN, 1), (7, GRAIN), (2, 5 * GRAIN)])
def test_every_row_is_visited_once(xp, threads, shape):
    seen, column = xp.zeros(shape, dtype=np.float32), xp.zeros((shape[0], 1), dtype=np.float32)

    def kernel(x, y):
        x += 1
        y += x[:, :1]

    by_rows(xp, kernel, seen, column)
    assert bool(xp.all(seen == 1))
    assert bool(xp.all(column == 1))


@pytest.mark.parametrize(
    ("shapes", "function"),
    [
        ([(8, 3, 128, 16)] * 3, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)),
        ([(9, 3, 128, 16), (3, 128, 16), (1, 1, 128, 8)], F.scaled_dot_product_attention),
    ],
    ids=["attention", "attention to what is broadcast"],
)
def test_results_and_gradients_do_not_depend_on_the_parts(device, threads, monkeypatch, shapes, function):
    def run():
        rg.manual_seed(0)
        inputs = [rg.randn(*shape, device=device, requires_grad=True) for shape in shapes]
        out = function(*inputs)
        out.backward(rg.randn(*out.shape, device=device))
        return [out.detach(), *(x.grad for x in inputs)]

    in_parts = run()
    monkeypatch.setattr("retrograd.autograd.ops.parts.GRAIN", 2**40)
    for part, whole in zip(in_parts, run(), strict=True):
        np.testing.assert_allclose(part.cpu().numpy(), whole.cpu().numpy(), rtol=1e-5, atol=1e-5)
