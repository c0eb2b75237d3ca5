"""`Function` and checkpoints against PyTorch: the same class, written for either, gives the same and fails the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import retrograd as rg
import retrograd.utils.checkpoint
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")
pytest.importorskip("torch.utils.checkpoint")

Call = Callable[[Any], Any]


def leaf(m: Any, *values: float) -> Any:
    return m.tensor(list(values), dtype=m.float64, requires_grad=True)


def numbers(nest: Any) -> Any:
    """Tensors as lists, names of nodes and everything else as it is."""
    if isinstance(nest, (tuple, list)):
        return [numbers(value) for value in nest]
    return nest.tolist() if hasattr(nest, "tolist") else nest


def assert_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            assert_same(a, b)
    elif isinstance(theirs, float):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    else:
        assert ours == theirs


def function(m: Any, forward: Any, backward: Any = None, setup: Any = None) -> Any:
    """A Function of either library from its parts."""
    body = {"forward": staticmethod(forward)}
    if backward is not None:
        body["backward"] = staticmethod(backward)
    if setup is not None:
        body["setup_context"] = staticmethod(setup)
    return type("Own", (m.autograd.Function,), body)


def saving(m: Any, compute: Any, backward: Any) -> Any:
    """A Function of one Tensor that saves it."""

    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return compute(x)

    return function(m, forward, backward)


def cube(m: Any) -> Any:
    return saving(m, lambda x: x**3, lambda ctx, g: g * 3 * ctx.saved_tensors[0] ** 2)


def two(m: Any, materialize: bool = True) -> Any:
    """x², x³; notes which gradients backward got."""

    def forward(ctx: Any, x: Any, seen: Any) -> Any:
        ctx.save_for_backward(x)
        ctx.set_materialize_grads(materialize)
        ctx.seen = seen
        return x**2, x**3

    def backward(ctx: Any, g2: Any, g3: Any) -> Any:
        (x,) = ctx.saved_tensors
        ctx.seen.append([g is not None and g.tolist() for g in (g2, g3)])
        parts = [g * d for g, d in ((g2, 2 * x), (g3, 3 * x * x)) if g is not None]
        return sum(parts), None

    return function(m, forward, backward)


def orders(m: Any) -> Any:
    x = leaf(m, 1.5, -2.0)
    y = cube(m).apply(x)
    (first,) = m.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = m.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = m.autograd.grad(second.sum(), x)
    return y, first, second, third


def only_second_output(m: Any, materialize: bool) -> Any:
    x, seen = leaf(m, 2.0), []
    _, b = two(m, materialize).apply(x, seen)
    b.sum().backward()
    return x.grad, seen


def partial_needs(m: Any) -> Any:
    seen: list[Any] = []

    def forward(ctx: Any, x: Any, y: Any, k: Any) -> Any:
        seen.append(ctx.needs_input_grad)
        return x * y * k

    own = function(m, forward, lambda ctx, g: (seen.append(ctx.needs_input_grad), (g, None, None))[1])
    x = leaf(m, 2.0)
    own.apply(x, m.ones(1, dtype=m.float64), 3).sum().backward()
    return [list(s) for s in seen], x.grad


def in_place(m: Any) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.mark_dirty(x)
        return x.mul_(2)

    own = function(m, forward, lambda ctx, g: g * 2)
    x = leaf(m, 1.0, 2.0)
    y = x * 3
    z = own.apply(y)
    (z * z).sum().backward()
    return z is y, y, x.grad, type(y.grad_fn).__name__


def non_differentiable(m: Any) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        large = x > 1
        ctx.mark_non_differentiable(large)
        return x * 2, large

    own = function(m, forward, lambda ctx, g, g_large: g * 2)
    x = leaf(m, 0.5, 2.0)
    y, large = own.apply(x)
    y.sum().backward()
    return y.requires_grad, large.requires_grad, large, x.grad


def with_setup(m: Any) -> Any:
    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.k = inputs
        ctx.save_for_backward(x, output)

    def backward(ctx: Any, g: Any) -> Any:
        _, out = ctx.saved_tensors
        return g * out * ctx.k, None

    own = function(m, lambda x, k: (x * k).exp(), backward, setup)
    x = leaf(m, 0.3, -0.2)
    y = own.apply(x, 2.0)
    (first,) = m.autograd.grad(y.sum(), x, create_graph=True)
    return y, first, m.autograd.grad(first.sum(), x)


def identity(m: Any) -> Any:
    own = function(m, lambda ctx, x: x, lambda ctx, g: g * 5)
    x = leaf(m, 1.0)
    y = own.apply(x)
    y.sum().backward()
    return y is x, x.grad, y.requires_grad


def view_as_output(m: Any) -> Any:
    own = function(m, lambda ctx, x: x.view(-1), lambda ctx, g: g.view(1, 2) * 5)
    x = m.ones(1, 2, dtype=m.float64, requires_grad=True)
    own.apply(x).sum().backward()
    return x.grad


def without_recording(m: Any) -> Any:
    with m.no_grad():
        a = cube(m).apply(leaf(m, 2.0))
    b = cube(m).apply(m.ones(2))
    return a.requires_grad, b.requires_grad, a.grad_fn, a.is_leaf


def no_gradient(m: Any) -> Any:
    own = function(m, lambda ctx, x, y: x * y, lambda ctx, g: (None, g))
    x, y = leaf(m, 2.0), leaf(m, 3.0)
    own.apply(x, y).sum().backward()
    return x.grad, y.grad


def other_dtype(m: Any) -> Any:
    own = function(m, lambda ctx, x: x.float(), lambda ctx, g: g)
    x = leaf(m, 2.0)
    own.apply(x).sum().backward()
    return str(x.grad.dtype).split(".")[-1], x.grad


def broadcast_gradient(m: Any) -> Any:
    own = function(m, lambda ctx, x: x.expand(3, 2).clone(), lambda ctx, g: g)
    x = leaf(m, 2.0, 1.0)
    own.apply(x).sum().backward()
    return x.grad


def hook_on_output(m: Any) -> Any:
    x = leaf(m, 2.0)
    y = cube(m).apply(x)
    y.register_hook(lambda g: g * 10)
    y.sum().backward()
    return x.grad


def retained(m: Any) -> Any:
    x = leaf(m, 2.0)
    y = cube(m).apply(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


def tuple_of_one(m: Any) -> Any:
    own = function(m, lambda ctx, x: (x * 2,), lambda ctx, g: (g * 2,))
    x = leaf(m, 2.0)
    result = own.apply(x)
    result[0].sum().backward()
    return type(result).__name__, x.grad


def mixed_outputs(m: Any) -> Any:
    own = function(m, lambda ctx, x: (x * 2, "label", None), lambda ctx, g, _, __: g * 2)
    x = leaf(m, 2.0)
    y, label, nothing = own.apply(x)
    y.sum().backward()
    return label, nothing, x.grad


def integer_output(m: Any) -> Any:
    own = function(m, lambda ctx, x: (x * 2, x.long()), lambda ctx, g, _: g * 2)
    y, i = own.apply(leaf(m, 2.0))
    return y.requires_grad, i.requires_grad


def graph_shown(m: Any) -> Any:
    x = leaf(m, 2.0)
    y = cube(m).apply(x * 1)
    return y.grad_fn.name(), [n.name().replace("struct ", "").split("::")[-1] for n, _ in y.grad_fn.next_functions]


def saved_none(m: Any) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x, None)
        return x * 2

    own = function(m, forward, lambda ctx, g: g * (2 if ctx.saved_tensors[1] is None else 3))
    x = leaf(m, 1.0)
    own.apply(x).sum().backward()
    return x.grad


def intermediate(m: Any) -> Any:
    """Saves what is neither input nor output."""

    def forward(ctx: Any, x: Any) -> Any:
        e = x.exp()
        ctx.save_for_backward(e)
        return e * 2

    own = function(m, forward, lambda ctx, g: g * 2 * ctx.saved_tensors[0])
    x = leaf(m, 1.0)
    own.apply(x).sum().backward()
    return x.grad


def named_vjp(m: Any) -> Any:
    own = type(
        "Own",
        (m.autograd.Function,),
        {"forward": staticmethod(lambda ctx, x: x * 2), "vjp": staticmethod(lambda ctx, g: g * 7)},
    )
    x = leaf(m, 1.0)
    own.apply(x).sum().backward()
    return x.grad


SAME: dict[str, Call] = {
    "backward under the name vjp": named_vjp,
    "three orders": orders,
    "only the second output": lambda m: only_second_output(m, True),
    "only the second output, not materialised": lambda m: only_second_output(m, False),
    "needs_input_grad": partial_needs,
    "mark_dirty": in_place,
    "mark_non_differentiable": non_differentiable,
    "setup_context": with_setup,
    "identity": identity,
    "a view as output": view_as_output,
    "nothing recorded": without_recording,
    "no gradient": no_gradient,
    "a gradient of another dtype": other_dtype,
    "a gradient that broadcasts": broadcast_gradient,
    "hook": hook_on_output,
    "retain_graph": retained,
    "a tuple of one": tuple_of_one,
    "outputs that are no Tensors": mixed_outputs,
    "an integer output": integer_output,
    "names in the graph": graph_shown,
    "None saved": saved_none,
    "an intermediate saved": intermediate,
}


@pytest.mark.parametrize("call", SAME.values(), ids=SAME.keys())
def test_functions_compute_what_they_compute_in_pytorch(call: Call) -> None:
    assert_same(numbers(call(rg)), numbers(call(torch)))


def once(m: Any) -> Any:
    own = saving(m, lambda x: x**3, m.autograd.function.once_differentiable(lambda ctx, g: g * ctx.saved_tensors[0]))
    x = leaf(m, 2.0)
    (g,) = m.autograd.grad(own.apply(x).sum(), x, create_graph=True)
    return g.sum().backward()


def changed_after_saving(m: Any) -> Any:
    x = leaf(m, 2.0) * 1
    y = cube(m).apply(x)
    x.mul_(2)
    return y.sum().backward()


def twice(m: Any) -> Any:
    y = cube(m).apply(leaf(m, 2.0)).sum()
    y.backward()
    return y.backward()


def returning(m: Any, *gradients: Any) -> Any:
    own = function(m, lambda ctx, x, k: x * k, lambda ctx, g: tuple(f(g) if callable(f) else f for f in gradients))
    return own.apply(leaf(m, 2.0, 1.0), 3.0).sum().backward()


def both_names(m: Any) -> Any:
    own = function(m, lambda ctx, x: x * 2, lambda ctx, g: g * 2)
    own.vjp = staticmethod(lambda ctx, g: g * 3)
    return own.apply(leaf(m, 1.0)).sum().backward()


MISTAKES: dict[str, Call] = {
    "backward and vjp": both_names,
    "differentiated twice": once,
    "changed after saving": changed_after_saving,
    "backward twice": twice,
    "too few gradients": lambda m: returning(m, lambda g: g),
    "too many gradients": lambda m: returning(m, lambda g: g, None, lambda g: g),
    "a gradient of another shape": lambda m: returning(m, lambda g: g[:1].expand(3), None),
    "a gradient for a number": lambda m: returning(m, lambda g: g, lambda g: g),
    "a number as gradient": lambda m: returning(m, 1.0, None),
    "no backward": lambda m: function(m, lambda ctx, x: x * 2).apply(leaf(m, 1.0)).sum().backward(),
    "no forward": lambda m: type("Own", (m.autograd.Function,), {}).apply(leaf(m, 1.0)),
    "forward raises": lambda m: function(m, lambda ctx, x: [][1]).apply(leaf(m, 1.0)),
    "backward raises": lambda m: (
        function(m, lambda ctx, x: x * 1, lambda ctx, g: {}["k"]).apply(leaf(m, 1.0)).backward()
    ),
    "saving a number": lambda m: function(m, lambda ctx, x: (ctx.save_for_backward(1), x)[1]).apply(leaf(m, 1.0)),
    "a leaf changed in place": lambda m: function(m, lambda ctx, x: (ctx.mark_dirty(x), x.mul_(2))[1]).apply(
        leaf(m, 1.0)
    ),
    "dirty and not returned": lambda m: function(m, lambda ctx, x: (ctx.mark_dirty(x), x * 2)[1]).apply(
        leaf(m, 1.0) * 1
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_in_functions_raise_what_pytorch_raises(mistake: Call) -> None:
    assert_same_kind(raised_by(mistake, rg), raised_by(mistake, torch))


def test_a_mistake_in_forward_leaves_recording_as_it_was() -> None:
    raised_by(MISTAKES["forward raises"], rg)
    raised_by(MISTAKES["backward raises"], rg)
    assert rg.is_grad_enabled()


# ---- checkpoints


def checkpointed(m: Any, reentrant: bool) -> Any:
    w, x = leaf(m, 1.5, -0.5), leaf(m, 0.3, 0.7)
    y = m.utils.checkpoint.checkpoint(lambda x: (x * w).sin() * x, x, use_reentrant=reentrant)
    (y * y).sum().backward()
    return y, x.grad, w.grad


def sequential(m: Any, segments: int) -> Any:
    m.manual_seed(0)
    layers = m.nn.Sequential(
        m.nn.Linear(3, 4), m.nn.Tanh(), m.nn.Linear(4, 4), m.nn.Sigmoid(), m.nn.Linear(4, 1)
    ).double()
    x = m.tensor([[0.1, -0.2, 0.3]], dtype=m.float64, requires_grad=True)
    m.utils.checkpoint.checkpoint_sequential(layers, segments, x, use_reentrant=False).sum().backward()
    return x.grad, [p.grad for p in layers.parameters()]


def with_dropout(m: Any) -> Any:
    m.manual_seed(3)
    x = m.ones(50, requires_grad=True)
    y = m.utils.checkpoint.checkpoint(lambda x: m.nn.functional.dropout(x, 0.5), x, use_reentrant=False)
    y.sum().backward()
    return y, x.grad, m.rand(2)


def recorded(m: Any) -> Any:
    x = leaf(m, 0.3)
    y = m.utils.checkpoint.checkpoint(lambda x: (x * 2).exp(), x, use_reentrant=False)
    (g,) = m.autograd.grad(y.sum(), x, create_graph=True)
    return g, m.autograd.grad(g.sum(), x)


def nests_and_keywords(m: Any) -> Any:
    x = leaf(m, 1.0, 2.0)
    y = m.utils.checkpoint.checkpoint(lambda a, k=1: {"out": a * k, "list": [a.exp(), 3]}, x, k=2, use_reentrant=False)
    (y["out"] * y["list"][0]).sum().backward()
    return x.grad, y["list"][1]


def hooks_inside_and_outside(m: Any) -> Any:
    x, seen = leaf(m, 1.0, 2.0), []

    def inner(a: Any) -> Any:
        b = a * 2
        b.register_hook(lambda g: g * 3)
        return b * b

    y = m.utils.checkpoint.checkpoint(inner, x, use_reentrant=False)
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.sum().backward()
    return x.grad, seen


def changed_in_place(m: Any) -> Any:
    x = leaf(m, 1.0, 2.0)
    y = m.utils.checkpoint.checkpoint(lambda a: a.exp(), x, use_reentrant=False)
    y.mul_(2)
    y.sum().backward()
    return x.grad


CHECKPOINTS: dict[str, Call] = {
    "nests and keywords": nests_and_keywords,
    "hooks": hooks_inside_and_outside,
    "output changed in place": changed_in_place,
    "with a parameter": lambda m: checkpointed(m, False),
    "reentrant": lambda m: checkpointed(m, True),
    "in two segments": lambda m: sequential(m, 2),
    "in three segments": lambda m: sequential(m, 3),
    "with dropout": with_dropout,
    "second order": recorded,
}


@pytest.mark.parametrize("call", CHECKPOINTS.values(), ids=CHECKPOINTS.keys())
def test_checkpoints_compute_what_they_compute_in_pytorch(call: Call) -> None:
    assert_same(numbers(call(rg)), numbers(call(torch)))
