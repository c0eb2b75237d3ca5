"""Whose memory a gradient is: no two leaves share one, and nothing that a user holds changes behind their back."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd import grad, ops

Build = Callable[[rg.Tensor, rg.Tensor], rg.Tensor]


def leaf(*values: float) -> rg.Tensor:
    return rg.tensor(list(values), dtype=rg.float64, requires_grad=True)


SHARING: dict[str, Build] = {
    "sum of two": lambda x, y: (x + y).sum(),
    "sum over views": lambda x, y: (x.reshape(2, 1) + y.reshape(2, 1)).sum(),
    "halves": lambda x, y: ops.concat(x, y, axis=0).sum(),
    "stacked": lambda x, y: ops.stack(x, y, axis=0).sum(),
    "flipped twice": lambda x, y: (x.flip(0).flip(0) + y).sum(),
    "broadcast": lambda x, y: (x.expand(3, 2) + y).sum(),
    "mean": lambda x, y: (x + y).mean() * 2,
    "identity": lambda x, y: (x * 1 + y * 1).sum(),
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("build", SHARING.values(), ids=SHARING.keys())
def test_changing_the_gradient_of_one_leaf_in_place_leaves_the_others(build: Build, create_graph: bool) -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    build(x, y).backward(create_graph=create_graph)
    before = y.grad.tolist()
    with rg.no_grad():
        x.grad.add_(100)
    assert y.grad.tolist() == before
    assert not np.shares_memory(x.grad.array, y.grad.array)


@pytest.mark.parametrize("build", SHARING.values(), ids=SHARING.keys())
def test_gradients_from_autograd_grad_do_not_share_memory(build: Build) -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    gx, gy = grad(build(x, y), (x, y))
    before = gy.tolist()
    gx.add_(100)
    assert gy.tolist() == before


def test_a_retained_gradient_may_be_changed_in_place() -> None:
    x = leaf(1.0, 2.0)
    h = x + 0
    h.retain_grad()
    h.sum().backward()
    h.grad.mul_(9)
    assert (h.grad.tolist(), x.grad.tolist()) == ([9, 9], [1, 1])


@pytest.mark.parametrize("through", [lambda x: x * 1, lambda x: x + 0, lambda x: x.view(2), lambda x: x.clone()])
def test_the_seed_of_backward_is_never_written(through: Callable[[rg.Tensor], rg.Tensor]) -> None:
    x, seed = leaf(1.0, 2.0), rg.ones(2, dtype=rg.float64)
    for _ in range(3):
        y = through(x)
        (y + y).backward(seed)
        x.grad.add_(1)
    assert seed.tolist() == [1, 1]


def test_a_gradient_accumulates_in_the_memory_that_the_user_holds() -> None:
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    held = x.grad
    (x * x).sum().backward()
    assert held is x.grad
    assert held.tolist() == [4, 8]


def test_the_gradient_of_a_scalar_accumulates_in_place_too() -> None:
    x = rg.tensor(3.0, dtype=rg.float64, requires_grad=True)
    (x * x).backward()
    held, memory = x.grad, x.grad.array
    (x * x).backward()
    assert held is x.grad
    assert memory == held.item() == 12


def test_a_recorded_gradient_is_kept_when_more_accumulates() -> None:
    x = leaf(1.0, 2.0)
    (x * x).sum().backward(create_graph=True)
    held = x.grad
    for create_graph in (True, False):
        (x * x).sum().backward(create_graph=create_graph)
        assert held.tolist() == [2, 4]
        assert x.grad is not held
    assert x.grad.tolist() == [6, 12]
    x.grad = None


def test_a_recorded_gradient_of_a_leaf_can_be_differentiated() -> None:
    x = leaf(3.0)
    (x**3).sum().backward(create_graph=True)
    (g,) = grad(x.grad, x)
    assert (x.grad.item(), g.item()) == (27, 18)
    x.grad = None


def test_a_gradient_that_cannot_be_written_is_replaced() -> None:
    x = leaf(1.0, 2.0)
    x.grad = rg.ones(1, dtype=rg.float64).expand(2)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_a_leaf_that_ceased_to_require_a_gradient_gets_none() -> None:
    x, z = leaf(2.0), leaf(3.0)
    y = (x * z).sum()
    x.requires_grad_(False)
    y.backward()
    assert x.grad is None
    assert z.grad.item() == 2


def test_gradients_have_the_dtypes_of_their_leaves_in_a_mixed_graph() -> None:
    half = rg.tensor([1.0, 2.0], dtype=rg.float16, requires_grad=True)
    single = rg.tensor([3.0, 4.0], requires_grad=True)
    double = leaf(5.0, 6.0)
    for create_graph in (False, True):
        (half * single * double + half).sum().backward(create_graph=create_graph)
        assert [t.grad.dtype for t in (half, single, double)] == [rg.float16, rg.float32, rg.float64]
        assert half.grad.tolist() == [16, 25]
        for t in (half, single, double):
            t.grad = None


def test_saved_arrays_are_freed_by_backward_while_the_result_lives() -> None:
    x = leaf(*range(1, 5))
    h = ops.exp(x)
    saved = weakref.ref(h.array)
    out = (h * h).sum()
    del h
    assert saved() is not None
    gc.disable()
    try:
        out.backward()
        assert saved() is None
    finally:
        gc.enable()
    assert out.grad_fn is not None


def test_a_backward_that_fails_leaves_recording_and_gradients_as_they_were() -> None:
    class Failing(rg.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: rg.Tensor) -> rg.Tensor:
            return x * 1

        @staticmethod
        def backward(ctx: object, g: rg.Tensor) -> rg.Tensor:
            raise KeyError("rule")

    x = leaf(2.0)
    for create_graph in (False, True):
        with pytest.raises(KeyError):
            (Failing.apply(x) * x).sum().backward(create_graph=create_graph)
        with pytest.raises(KeyError):
            grad(Failing.apply(x).sum(), x, create_graph=create_graph)
        assert rg.is_grad_enabled()
    with rg.no_grad():
        y = rg.enable_grad()(lambda: Failing.apply(x))()
        with pytest.raises(KeyError):
            y.backward(rg.ones(1, dtype=rg.float64))
        assert not rg.is_grad_enabled()


def test_threads_that_share_leaves_lose_no_gradient() -> None:
    w = rg.zeros(200_000, dtype=rg.float64, requires_grad=True)
    h = w * 2
    start = threading.Barrier(4)

    def work() -> None:
        start.wait(10)
        for _ in range(10):
            (h * 3).sum().backward(retain_graph=True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert w.grad.tolist() == [6 * 40] * 200_000


def test_a_hundred_thousand_uses_of_one_tensor_add_up_without_as_many_copies() -> None:
    x = leaf(1.0)
    parts = [x * 1 for _ in range(100_000)]
    ops.sum(ops.stack(*parts, axis=0)).backward()
    assert x.grad.item() == 100_000
