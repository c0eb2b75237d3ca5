"""Checkpoints give the same gradients as the function itself, for less memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd import gradgradcheck, ops
from retrograd.backends import Device
from retrograd.utils.checkpoint import checkpoint, checkpoint_sequential
from tests.autograd.factory import host, tensor_of


def test_gradients_of_arguments_and_of_parameters_inside_are_the_same(device: Device) -> None:
    def gradients(wrap: Any) -> list[Any]:
        x, w = tensor_of(np.array([0.5, -1.0]), device), tensor_of(np.array([2.0, 0.3]), device)
        h = ops.exp(x)  # both x and what is made of it go in
        ops.sum(wrap(lambda h, x: ops.sin(h * w) * x, h, x)).backward()
        return [host(x.grad), host(w.grad)]

    kept = gradients(lambda f, *args: f(*args))
    for reentrant in (False, True):
        again = gradients(lambda f, *args, r=reentrant: checkpoint(f, *args, use_reentrant=r))
        for a, b in zip(kept, again, strict=True):
            np.testing.assert_array_equal(a, b)


def test_second_derivatives_go_through_a_checkpoint() -> None:
    x = rg.tensor([0.5, -1.0], dtype=rg.float64, requires_grad=True)
    assert gradgradcheck(lambda x: checkpoint(lambda x: ops.exp(x) * x, x, use_reentrant=False), (x,))


def test_several_outputs_and_outputs_without_gradient_keep_their_form() -> None:
    x = rg.tensor([1.0, 2.0], requires_grad=True)
    out = checkpoint(lambda x: {"a": (x * 2, x * 3), "n": 7, "d": x.detach()}, x, use_reentrant=False)
    assert out["n"] == 7
    assert not out["d"].requires_grad
    assert out["a"][0].grad_fn.name() == "CheckpointFunctionBackward"
    ops.sum(out["a"][1]).backward()
    assert x.grad.tolist() == [3, 3]


def test_the_function_runs_once_forward_and_once_backward() -> None:
    calls = []

    def f(x: rg.Tensor) -> rg.Tensor:
        calls.append(rg.is_grad_enabled())
        return x * x

    x = rg.tensor(3.0, requires_grad=True)
    y = checkpoint(f, x, use_reentrant=False)
    assert len(calls) == 1
    y.backward()
    assert len(calls) == 2
    assert x.grad.item() == 6
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()


def test_a_retained_graph_can_be_replayed_again() -> None:
    x = rg.tensor(3.0, requires_grad=True)
    y = checkpoint(lambda x: x * x, x, use_reentrant=False)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12


def test_random_draws_are_the_same_the_second_time() -> None:
    x = rg.ones(100, requires_grad=True)
    y = checkpoint(lambda x: x * rg.rand(100), x, use_reentrant=False)
    rg.rand(7)
    before = rg.get_rng_state()
    ops.sum(y).backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    np.testing.assert_array_equal(rg.get_rng_state().numpy(), before.numpy())


def test_intermediate_values_are_not_kept() -> None:
    def chain(x: rg.Tensor) -> rg.Tensor:
        for _ in range(50):
            x = ops.sin(x)
        return x

    def kept(wrap: Any) -> int:
        x = rg.ones(10_000, requires_grad=True)
        tracemalloc.start()
        y = wrap(x)
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del y
        return size

    assert kept(lambda x: checkpoint(chain, x, use_reentrant=False)) < 0.1 * kept(chain)


def test_a_change_in_place_since_the_forward_pass_raises() -> None:
    x, w = rg.ones(2, requires_grad=True), rg.ones(2, requires_grad=True)
    y = checkpoint(lambda x: x * w, x, use_reentrant=False)
    with rg.no_grad():
        w.add_(1)
    with pytest.raises(RuntimeError, match="changed in place by add_ at"):
        ops.sum(y).backward()


def test_a_function_that_computes_something_else_the_second_time_raises() -> None:
    shapes = iter([2, 3])
    x = rg.ones(3, requires_grad=True)
    y = checkpoint(lambda x: x[: next(shapes)] * 2, x, use_reentrant=False)
    with pytest.raises(RuntimeError, match="did not compute the same outputs"):
        ops.sum(y).backward()


def test_checkpoints_nest_and_follow_each_other() -> None:
    x = rg.tensor(0.5, dtype=rg.float64, requires_grad=True)
    steps = [ops.sin, ops.exp, ops.tanh, ops.cos, ops.sin]
    plain = x
    for step in steps:
        plain = step(plain)
    (wanted,) = rg.autograd.grad(plain, x)
    for segments in (1, 2, 5):
        (g,) = rg.autograd.grad(checkpoint_sequential(steps, segments, x, use_reentrant=False), x)
        assert g.item() == wanted.item()
    (g,) = rg.autograd.grad(checkpoint(lambda x: checkpoint_sequential(steps, 3, x), x), x)
    assert g.item() == wanted.item()


def test_under_no_grad_the_function_is_just_called() -> None:
    with rg.no_grad():
        assert not checkpoint(lambda x: x * 2, rg.ones(1, requires_grad=True), use_reentrant=False).requires_grad
