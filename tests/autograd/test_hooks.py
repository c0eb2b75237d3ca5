"""Hooks: what they see, what they may replace, what they must not, and that they go when removed."""

from __future__ import annotations

from typing import Any

import pytest

import retrograd as rg
from retrograd.autograd import grad, ops


def leaf(*values: float) -> rg.Tensor:
    return rg.tensor(list(values), dtype=rg.float64, requires_grad=True)


def test_a_hook_sees_the_sum_of_all_that_arrives() -> None:
    x = leaf(1.0, 2.0)
    y, seen = x * 1, []
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y * 2 + y * 3).sum().backward()
    assert seen == [[5, 5]]


def test_a_hook_on_a_leaf_replaces_what_accumulates_until_it_is_removed() -> None:
    x = leaf(1.0, 2.0)
    with x.register_hook(lambda g: g * 2):
        (x * 3).sum().backward()
        assert x.grad.tolist() == [6, 6]
    (x * 3).sum().backward()
    assert x.grad.tolist() == [9, 9]


def test_hooks_run_in_the_order_of_their_registration() -> None:
    x = leaf(1.0)
    y = x * 1
    y.register_hook(lambda g: g + 1)
    second = y.register_hook(lambda g: g * 10)
    y.backward(rg.ones(1, dtype=rg.float64), retain_graph=True)
    assert x.grad.item() == 20
    second.remove()
    second.remove()
    x.grad = None
    y.backward(rg.ones(1, dtype=rg.float64))
    assert x.grad.item() == 2


def test_a_retained_gradient_is_the_one_that_the_hooks_have_left() -> None:
    x = leaf(1.0)
    early, late = x * 2, x * 2
    early.retain_grad()
    early.register_hook(lambda g: g * 10)
    late.register_hook(lambda g: g * 10)
    late.retain_grad()
    (early + late).sum().backward()
    assert (early.grad.item(), late.grad.item(), x.grad.item()) == (10, 10, 40)


def test_hooks_work_with_a_recorded_gradient_and_are_part_of_it() -> None:
    x = leaf(2.0)
    y, seen = x * x, []
    y.register_hook(lambda g: seen.append(g.requires_grad))
    y.register_hook(lambda g: g * x)
    (g,) = grad((y * y).sum(), x, create_graph=True)  # 2y · x · 2x = 4x⁴
    assert g.item() == 64
    assert seen == [True]
    assert grad(g, x)[0].item() == 8 * 2 * 4 + 4 * 4 * 2 * 4  # by x: 8xy; by y: 4x², and through the hook again ·x·2x


def test_hooks_run_for_autograd_grad_too() -> None:
    x = leaf(2.0)
    x.register_hook(lambda g: g * 5)
    assert grad((x * 3).sum(), x)[0].item() == 15
    assert x.grad is None


def test_hooks_on_one_of_several_outputs_see_its_gradient_alone() -> None:
    x, seen = leaf(3.0, 1.0, 2.0), []
    a, b, _ = x.unbind()
    b.register_hook(lambda g: seen.append(g.item()))
    (a + b * 2).backward()
    assert seen == [2]
    assert x.grad.tolist() == [1, 2, 0]


def test_a_hook_after_accumulation_sees_the_leaf_with_its_gradient() -> None:
    x, seen = leaf(1.0), []
    handle = x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.item()))
    for _ in range(2):
        (x * 2).sum().backward()
    handle.remove()
    (x * 2).sum().backward()
    assert seen == [2, 4]


@pytest.mark.parametrize(
    ("result", "kind"),
    [(3.0, TypeError), (rg.ones(1), RuntimeError), (rg.ones(3, dtype=rg.float64), RuntimeError)],
    ids=["no Tensor", "another dtype", "another shape"],
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_hook_that_returns_nonsense_is_told(result: Any, kind: type[Exception], create_graph: bool) -> None:
    x = leaf(2.0)
    y = x * x
    y.register_hook(lambda g: result)
    with pytest.raises(kind, match="a hook must"):
        y.sum().backward(create_graph=create_graph)
    assert rg.is_grad_enabled()
    assert x.grad is None


def test_a_hook_cannot_be_put_on_what_gets_no_gradient() -> None:
    with pytest.raises(RuntimeError, match="hook"):
        rg.ones(1).register_hook(lambda g: g)


def test_a_hook_may_backward_through_the_leaf_it_interrupts() -> None:
    x = leaf(2.0)
    y = x * x

    def hook(g: rg.Tensor) -> None:
        with rg.enable_grad():
            (x * 5).sum().backward()

    y.register_hook(hook)
    (y + x).sum().backward()
    assert x.grad.item() == 5 + 4 + 1


def test_a_hook_that_keeps_its_gradient_sees_no_later_change() -> None:
    x, kept = leaf(1.0, 2.0), []
    x.register_hook(kept.append)
    for _ in range(3):
        ops.sum(x * 2).backward()
    assert [g.tolist() for g in kept] == [[2, 2]] * 3
    assert x.grad.tolist() == [6, 6]


def test_a_leaf_that_is_dead_before_backward_is_passed_over() -> None:
    x, z = leaf(2.0), leaf(3.0)
    y = (x * z).sum()
    del x
    y.backward()
    assert z.grad.item() == 2
