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
        ([(1030, 1100), (1100,), (1100,)], lambda x, w, b: F.layer_norm(x, (1100,), w, b)),
        ([(1030, 1100), (1100,)], lambda x, w: F.rms_norm(x, (1100,), w)),
        ([(1030, 1100), (1100,), (1100,)], lambda x, w, b: F.batch_norm(x, None, None, w, b, True)),
        ([(33, 7, 100, 110), (7,), (7,)], lambda x, w, b: F.batch_norm(x, None, None, w, b, True)),
        ([(3, 400, 999)], lambda x: F.softmax(x, -1)),
        ([(3, 400, 999)], lambda x: F.log_softmax(x, -1)),
        (
            [(1200, 999)],
            lambda x: F.cross_entropy(x, rg.arange(999, device=x.device).repeat(2)[:1200], reduction="none"),
        ),
    ],
    ids=[
        "attention",
        "attention to what is broadcast",
        "layer norm",
        "rms norm",
        "batch norm",
        "2-d batch norm",
        "softmax",
        "log softmax",
        "cross-entropy",
    ],
)
def test_results_and_gradients_do_not_depend_on_the_parts(device, threads, monkeypatch, shapes, function):
    def run():
        rg.manual_seed(0)
        inputs = [rg.randn(*shape, device=device, requires_grad=True) for shape in shapes]
        out = function(*inputs)
        out.backward(rg.randn(*out.shape, device=device))
        return [out.detach(), *(x.grad for x in inputs)]

    in_parts = run()
    monkeypatch.setattr("retrograd.autograd.ops.parts.most_elements", lambda xp: 2**40)
    rg.set_num_threads(1)
    for part, whole in zip(in_parts, run(), strict=True):
        np.testing.assert_allclose(part.cpu().numpy(), whole.cpu().numpy(), rtol=2e-5, atol=2e-5)
