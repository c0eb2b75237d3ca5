"""Operations of one's own: forward and backward by hand, with the guards that keep a wrong one from passing unseen."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd import Function, gradcheck, gradgradcheck, ops
from retrograd.autograd.function import once_differentiable
from retrograd.backends import Device
from tests.autograd.factory import tensor_of


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, x: rg.Tensor) -> rg.Tensor:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, grad: rg.Tensor) -> rg.Tensor:
        (x,) = ctx.saved_tensors
        return grad * 3 * x * x


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx: Any, x: rg.Tensor) -> rg.Tensor:
        out = ops.exp(x)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: rg.Tensor) -> rg.Tensor:
        return grad * ctx.saved_tensors[0]


class SumAndProduct(Function):
    """Two outputs, written in the style of setup_context, with an argument that is no Tensor."""

    @staticmethod
    def forward(x: rg.Tensor, y: rg.Tensor, factor: float) -> tuple[rg.Tensor, rg.Tensor]:
        return x + y, x * y * factor

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, y, ctx.factor = inputs
        ctx.save_for_backward(x, y)

    @staticmethod
    def backward(ctx: Any, of_sum: rg.Tensor, of_product: rg.Tensor) -> tuple[Any, Any, None]:
        x, y = ctx.saved_tensors
        scaled = of_product * ctx.factor
        gx = of_sum + scaled * y if ctx.needs_input_grad[0] else None
        gy = of_sum + scaled * x if ctx.needs_input_grad[1] else None
        return gx, gy, None


def leaf(*values: float) -> rg.Tensor:
    return rg.tensor(list(values), dtype=rg.float64, requires_grad=True)


def returning(*gradients: Any, outputs: int = 1) -> type[Function]:
    """A Function of two arguments whose backward returns these."""

    class Returning(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            return x + y if isinstance(y, rg.Tensor) else x * 1

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return tuple(x(g) if callable(x) else x for x in gradients)

    return Returning


def test_both_orders_of_a_users_gradient_match_finite_differences(device: Device) -> None:
    x = tensor_of(np.array([0.5, -1.2, 2.0]), device)
    y = tensor_of(np.array([1.5, 0.3, -0.7]), device)
    for f, inputs in (
        (Cube.apply, (x,)),
        (Exp.apply, (x,)),
        (lambda a, b: SumAndProduct.apply(a, b, 3.0), (x, y)),
    ):
        assert gradcheck(f, inputs)
        assert gradgradcheck(f, inputs)


def test_a_third_derivative_goes_through_a_users_backward() -> None:
    x = rg.tensor(2.0, requires_grad=True)
    (first,) = rg.autograd.grad(Cube.apply(x), x, create_graph=True)
    (second,) = rg.autograd.grad(first, x, create_graph=True)
    (third,) = rg.autograd.grad(second, x)
    assert (first.item(), second.item(), third.item()) == (12, 12, 6)


def test_the_node_is_the_context_and_is_named_after_the_function() -> None:
    y = Cube.apply(leaf(1.0))
    assert y.grad_fn.name() == "CubeBackward"
    assert type(y.grad_fn).__name__ == "CubeBackward"
    assert y.grad_fn.next_functions[0][0].name() == "AccumulateGrad"


def test_one_output_alone_gets_zeros_for_the_other() -> None:
    x, y = leaf(2.0), leaf(3.0)
    SumAndProduct.apply(x, y, 2.0)[1].backward()
    assert (x.grad.item(), y.grad.item()) == (6, 4)


def test_without_materialising_an_output_without_gradient_gets_None() -> None:
    seen = []

    class Two(Function):
        @staticmethod
        def forward(ctx: Any, x: rg.Tensor) -> Any:
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any) -> Any:
            seen.append((a, b))
            return b * 2

    x = leaf(1.0)
    Two.apply(x)[1].backward()
    assert seen[0][0] is None
    assert x.grad.item() == 2


def test_an_input_that_needs_no_gradient_is_known_to_backward() -> None:
    x, y = leaf(2.0), rg.tensor([3.0], dtype=rg.float64)
    total, product = SumAndProduct.apply(x, y, 1.0)
    ops.sum(total + product).backward()
    assert x.grad.item() == 4
    assert y.grad is None


def test_an_output_marked_non_differentiable_has_no_gradient() -> None:
    class Sorted(Function):
        @staticmethod
        def forward(ctx: Any, x: rg.Tensor) -> Any:
            order = rg.tensor(np.argsort(x.detach().numpy()))
            ranks = order * 1.0
            ctx.mark_non_differentiable(ranks)
            ctx.save_for_backward(order)
            return x[order], order, ranks

        @staticmethod
        def backward(ctx: Any, g: Any, of_order: Any, of_ranks: Any) -> Any:
            (order,) = ctx.saved_tensors
            out = np.zeros(3)
            out[order.numpy()] = g.numpy()
            return rg.tensor(out)

    values, order, ranks = Sorted.apply(leaf(3.0, 1.0, 2.0))
    assert values.requires_grad
    assert not order.requires_grad
    assert not ranks.requires_grad


class Doubled(Function):
    """Changes its input in place."""

    @staticmethod
    def forward(ctx: Any, x: rg.Tensor) -> rg.Tensor:
        x.mul_(2)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx: Any, g: rg.Tensor) -> rg.Tensor:
        return g * 2


def test_an_input_changed_in_place_keeps_its_gradient() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    z = Doubled.apply(y)
    assert z is y
    assert y.grad_fn.name() == "DoubledBackward"
    ops.sum(y * y).backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * 36 * np.array([1.0, 2.0]))


def test_a_base_follows_a_view_changed_in_place_by_a_function() -> None:
    x = leaf(1.0, 2.0)
    base = x * 1
    Doubled.apply(base[0:1])
    np.testing.assert_array_equal(base.detach().numpy(), [2, 2])
    ops.sum(base).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 1])


def test_a_leaf_must_not_be_changed_in_place() -> None:
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place"):
        Doubled.apply(leaf(1.0))


def test_what_is_marked_dirty_must_be_returned() -> None:
    class Lost(Doubled):
        @staticmethod
        def forward(ctx: Any, x: rg.Tensor) -> rg.Tensor:
            ctx.mark_dirty(x)
            return x * 1

    with pytest.raises(RuntimeError, match="must all be outputs of the Function"):
        Lost.apply(leaf(1.0) * 1)


def test_an_output_that_is_its_input_is_separate_from_it() -> None:
    class Reverse(Function):
        @staticmethod
        def forward(ctx: Any, x: rg.Tensor) -> rg.Tensor:
            return x

        @staticmethod
        def backward(ctx: Any, g: rg.Tensor) -> rg.Tensor:
            return -g

    x = leaf(1.0)
    y = Reverse.apply(x)
    assert y is not x
    y.backward()
    assert x.grad.item() == -1
    z = Reverse.apply(h := x * 1)
    h.mul_(5)
    assert z.item() == 1


def test_a_saved_tensor_changed_in_place_raises_and_names_the_line() -> None:
    x = leaf(1.0) * 1
    y = Cube.apply(x)
    x.add_(1)
    with pytest.raises(RuntimeError, match=r"saved by CubeBackward, changed by add_ at .*test_function.py:\d+"):
        y.backward()


def test_saved_tensors_are_freed_by_backward_unless_the_graph_is_retained() -> None:
    x = leaf(2.0)
    y = Cube.apply(x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 24
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()


def test_saved_inputs_and_outputs_make_no_cycle() -> None:
    gc.disable()
    try:
        x = leaf(1.0)
        y = Exp.apply(Cube.apply(x))
        a, b = SumAndProduct.apply(y, y, 2.0)
        nodes = [weakref.ref(t.grad_fn) for t in (y, a, b)]
        y.backward(retain_graph=True)
        del y, a, b
        assert [node() for node in nodes] == [None] * 3
    finally:
        gc.enable()


def test_a_gradient_that_backward_shares_is_never_written_into() -> None:
    kept = rg.ones(2, dtype=rg.float64)
    shared = returning(lambda g: kept, lambda g: kept)
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    for _ in range(2):
        ops.sum(shared.apply(x, y) + shared.apply(x, y)).backward()
    np.testing.assert_array_equal(kept.numpy(), [1, 1])
    np.testing.assert_array_equal(x.grad.numpy(), [4, 4])
    np.testing.assert_array_equal(y.grad.numpy(), [4, 4])
    scalar = rg.tensor(1.0)
    w = rg.tensor(2.0, requires_grad=True)
    for _ in range(2):
        returning(lambda g: scalar, None).apply(w, None).backward()
    assert (w.grad.item(), scalar.item()) == (2, 1)


BAD = {
    "too few gradients": (returning(lambda g: g), RuntimeError, r"incorrect number of gradients \(expected 2, got 1\)"),
    "too many": (returning(lambda g: g, None, lambda g: g), RuntimeError, r"expected 2, got 3"),
    "a gradient of another shape": (
        returning(lambda g: g[0], None),
        RuntimeError,
        r"ReturningBackward.* gradient of shape \(\) for an input of shape \(2,\)",
    ),
    "a gradient for what is no Tensor": (
        returning(lambda g: g, lambda g: g),
        RuntimeError,
        "different from None at position 2",
    ),
    "no Tensor": (returning(1.0, None), RuntimeError, "must be a Tensor or None"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_backward_that_returns_nonsense_is_told(what: str) -> None:
    function, kind, message = BAD[what]
    with pytest.raises(kind, match=message):
        function.apply(leaf(1.0, 2.0), 7).backward(rg.ones(2, dtype=rg.float64))


def test_trailing_Nones_are_forgiven() -> None:
    x = leaf(1.0)
    returning(lambda g: g * 2, None, None, None).apply(x, 7).backward()
    assert x.grad.item() == 2


def test_a_gradient_that_broadcasts_is_summed_to_the_input() -> None:
    class Spread(Function):
        @staticmethod
        def forward(ctx: Any, x: rg.Tensor) -> rg.Tensor:
            return x + rg.zeros(2, 3, dtype=rg.float64)

        @staticmethod
        def backward(ctx: Any, g: rg.Tensor) -> rg.Tensor:
            return g

    x = leaf(1.0)
    ops.sum(Spread.apply(x)).backward()
    assert x.grad.tolist() == [6]


def test_once_differentiable_raises_at_the_second_derivative() -> None:
    class Opaque(Function):
        @staticmethod
        def forward(ctx: Any, x: rg.Tensor) -> rg.Tensor:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, g: rg.Tensor) -> rg.Tensor:
            (x,) = ctx.saved_tensors
            assert not rg.is_grad_enabled()
            return rg.tensor(2 * g.numpy() * x.detach().numpy())

    x = leaf(3.0)
    Opaque.apply(x).backward()
    assert x.grad.item() == 6
    (g,) = rg.autograd.grad(Opaque.apply(x), x, create_graph=True)
    assert g.item() == 6
    assert g.requires_grad
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        rg.autograd.grad(g + x, x)


def test_under_no_grad_nothing_is_recorded() -> None:
    with rg.no_grad():
        y = Cube.apply(leaf(2.0))
    assert not y.requires_grad
    assert y.item() == 8


def test_forward_itself_records_nothing() -> None:
    class Watching(Cube):
        @staticmethod
        def forward(ctx: Any, x: rg.Tensor) -> rg.Tensor:
            assert not rg.is_grad_enabled()
            return Cube.forward(ctx, x)

    x = leaf(2.0)
    Watching.apply(x).backward()
    assert x.grad.item() == 12


def test_only_tensors_can_be_saved() -> None:
    class Numbers(Cube):
        @staticmethod
        def forward(ctx: Any, x: rg.Tensor) -> rg.Tensor:
            ctx.save_for_backward(3)
            return x * 1

    with pytest.raises(TypeError, match="can only save variables, but argument 0 is of type int"):
        Numbers.apply(leaf(1.0))


def test_a_function_without_backward_says_so() -> None:
    class Half(Function):
        @staticmethod
        def forward(ctx: Any, x: rg.Tensor) -> rg.Tensor:
            return x * 0.5

    with pytest.raises(NotImplementedError, match="must implement either the backward"):
        Half.apply(leaf(1.0)).backward()
    with pytest.raises(RuntimeError, match="should not be instantiated"):
        Half()


def test_anomaly_mode_names_the_line_that_applied_the_function() -> None:
    bad = returning(lambda g: g * float("nan"), None)
    with rg.autograd.detect_anomaly():
        y = bad.apply(leaf(1.0), 7)
        with pytest.raises(RuntimeError, match=r"ReturningBackward.*NaN.*test_function.py:\d+"):
            y.backward()


def test_a_hook_sees_the_gradient_of_a_functions_output() -> None:
    x, seen = leaf(2.0), []
    y = Cube.apply(x)
    y.register_hook(seen.append)
    (y * 5).backward()
    assert seen[0].item() == 5
