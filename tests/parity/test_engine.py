"""Backward itself against PyTorch: seeds, inputs, hooks, modes, several outputs, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

Call = Callable[[Any], Any]


def leaf(m: Any, *values: float) -> Any:
    return m.tensor(list(values), dtype=m.float64, requires_grad=True)


def numbers(nest: Any) -> Any:
    """Tensors as lists, rounded to what two libraries share."""
    if isinstance(nest, (tuple, list)):
        return [numbers(value) for value in nest]
    if hasattr(nest, "tolist"):
        return numbers(nest.tolist())
    return float(f"{nest:.10g}") if isinstance(nest, float) else nest


def none_in_seeds(m: Any) -> Any:
    x = leaf(m, 2.0)
    return m.autograd.grad([x * 2, x * 3], [x], grad_outputs=[None, m.ones(1, dtype=m.float64)])


def same_input_twice(m: Any) -> Any:
    x = leaf(m, 2.0, 3.0)
    return m.autograd.grad((x * x).sum(), [x, x])


def of_itself(m: Any) -> Any:
    x = leaf(m, 2.0)
    y = x * 2
    return m.autograd.grad(x, x), m.autograd.grad(y, y)


def seed_of_another_dtype(m: Any) -> Any:
    x = leaf(m, 1.0, 2.0)
    (x * 2).backward(m.ones(2, dtype=m.float32))
    (x * 2).backward(m.ones(2, dtype=m.int64))
    return x.grad, str(x.grad.dtype).split(".")[-1]


def differentiable_seed(m: Any) -> Any:
    x, v = leaf(m, 2.0), leaf(m, 3.0)
    (g,) = m.autograd.grad(x * x, x, v, create_graph=True)
    return m.autograd.grad(g, v)


def only_some_inputs(m: Any) -> Any:
    x, y = leaf(m, 3.0), leaf(m, 2.0)
    (x * y * y).sum().backward(inputs=[x])
    return x.grad, y.grad


def inputs_inside(m: Any) -> Any:
    x = leaf(m, 1.0)
    y = x * 2
    (y * 3).sum().backward(inputs=[y])
    return y.grad, x.grad


def unused_input(m: Any) -> Any:
    x, y = leaf(m, 3.0), leaf(m, 3.0)
    (x * 2).sum().backward(inputs=[y])
    return x.grad, y.grad


def sorted_values(m: Any) -> Any:
    x = leaf(m, 3.0, 1.0, 2.0)
    values, _ = m.sort(x)
    (values[0] * values[2]).backward()
    return x.grad


def second_order_of_a_split(m: Any) -> Any:
    x = leaf(m, 3.0, 1.0, 2.0, 5.0)
    a, _ = m.split(x, 2)
    (g,) = m.autograd.grad((a * a * a).sum(), x, create_graph=True)
    return g, m.autograd.grad(g.sum(), x)


def second_order_of_eigenvalues(m: Any) -> Any:
    A = m.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=m.float64, requires_grad=True)
    w, _ = m.linalg.eigh(A)
    (g,) = m.autograd.grad((w * w * w).sum(), A, create_graph=True)
    return g, m.autograd.grad((g * g).sum(), A)


def retained_outputs(m: Any) -> Any:
    x = leaf(m, 3.0, 1.0, 2.0)
    values, _ = x.topk(2)
    double = values * 2
    values.retain_grad()
    double.retain_grad()
    double.sum().backward()
    return values.grad, double.grad, x.grad


def retained_twice(m: Any) -> Any:
    x = leaf(m, 1.0)
    y = x * 2
    y.retain_grad()
    z = (y * 3).sum()
    z.backward(retain_graph=True)
    z.backward()
    return y.grad, x.grad


def modes(m: Any) -> Any:
    x = leaf(m, 2.0)
    m.set_grad_enabled(False)
    off = (x * 2).requires_grad
    m.set_grad_enabled(True)
    with m.set_grad_enabled(False):
        inside = (x * 2).requires_grad
        with m.enable_grad():
            enabled = (x * 2).requires_grad
    with m.inference_mode():
        inference = (x * 2).requires_grad, m.is_inference_mode_enabled()
    return off, inside, enabled, inference, (x * 2).requires_grad, m.is_grad_enabled()


def backward_without_recording(m: Any) -> Any:
    x = leaf(m, 2.0)
    y = (x * x * x).sum()
    with m.no_grad():
        y.backward(retain_graph=True)
        (g,) = m.autograd.grad(y, x, create_graph=True)
    return x.grad, g.requires_grad, m.autograd.grad(g, x)


def constant_part(m: Any) -> Any:
    x = leaf(m, 2.0)
    with m.no_grad():
        c = x * x
    (c * x).sum().backward()
    return x.grad


def detached_part(m: Any) -> Any:
    x = leaf(m, 2.0)
    y = x * x
    d = y.detach().requires_grad_()
    (d * y).sum().backward()
    return x.grad, d.grad


def linear_parts_twice(m: Any) -> Any:
    """What saves no tensor can be reversed again without retain_graph."""
    w = m.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    prepared = m.cat([w.t().reshape(4), w.flatten()[1:3]]).unsqueeze(0).expand(2, 6)
    for factor in (1.0, 2.0):
        (prepared * factor).sum().backward()
        (w.sum() + w.mean()).backward()
    return w.grad


def no_longer_required(m: Any) -> Any:
    x, z = leaf(m, 2.0), leaf(m, 3.0)
    y = (x * z).sum()
    x.requires_grad_(False)
    y.backward()
    return x.grad, z.grad


def unused_and_materialized(m: Any) -> Any:
    x, y = leaf(m, 2.0), leaf(m, 3.0, 4.0)
    out = (x * 2).sum()
    return (
        m.autograd.grad(out, [x, y], allow_unused=True, retain_graph=True),
        m.autograd.grad(out, [x, y], materialize_grads=True),
    )


CALLS = [
    none_in_seeds,
    same_input_twice,
    of_itself,
    seed_of_another_dtype,
    differentiable_seed,
    only_some_inputs,
    inputs_inside,
    unused_input,
    sorted_values,
    second_order_of_a_split,
    second_order_of_eigenvalues,
    retained_outputs,
    retained_twice,
    modes,
    backward_without_recording,
    constant_part,
    detached_part,
    linear_parts_twice,
    no_longer_required,
    unused_and_materialized,
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__.replace("_", " "))
def test_backward_gives_what_pytorchs_gives(call: Call) -> None:
    assert numbers(call(rg)) == numbers(call(torch))


def hooked(m: Any, hook: Any) -> Any:
    x = leaf(m, 1.0, 2.0)
    y = x * 2
    y.register_hook(hook)
    y.sum().backward()


MISTAKES: dict[str, Call] = {
    "no scalar": lambda m: leaf(m, 1.0, 2.0).backward(),
    "no graph": lambda m: m.ones(()).backward(),
    "a constant in the middle": lambda m: m.autograd.grad(leaf(m, 1.0).sum(), m.ones(1)),
    "a constant output": lambda m: m.autograd.grad(m.ones(()), leaf(m, 1.0)),
    "an unused input": lambda m: m.autograd.grad(leaf(m, 1.0).sum(), leaf(m, 1.0)),
    "no inputs": lambda m: m.autograd.grad(leaf(m, 1.0).sum(), []),
    "no inputs of backward": lambda m: leaf(m, 1.0).sum().backward(inputs=[]),
    "a constant among inputs": lambda m: leaf(m, 1.0).sum().backward(inputs=[m.ones(1)]),
    "fewer seeds": lambda m: m.autograd.backward([leaf(m, 1.0), leaf(m, 1.0)], [m.ones(1)]),
    "a seed of another shape": lambda m: (leaf(m, 1.0, 2.0) * 2).backward(m.ones(3)),
    "a number as seed": lambda m: (leaf(m, 1.0) * 2).backward(1.0),
    "both ways for unused": lambda m: m.autograd.grad(
        leaf(m, 1.0).sum(), leaf(m, 1.0), allow_unused=False, materialize_grads=True
    ),
    "a hook of another shape": lambda m: hooked(m, lambda g: g.sum()),
    "a hook of another dtype": lambda m: hooked(m, lambda g: g.float()),
    "a hook of another type": lambda m: hooked(m, lambda g: 3.0),
    "a hook on a constant": lambda m: m.ones(1).register_hook(lambda g: g),
    "retaining a constant's": lambda m: m.ones(1).retain_grad(),
    "a gradient of another shape": lambda m: setattr(leaf(m, 1.0), "grad", m.ones(2, dtype=m.float64)),
    "a gradient of another dtype": lambda m: setattr(leaf(m, 1.0), "grad", m.ones(1)),
    "a number as gradient": lambda m: setattr(leaf(m, 1.0), "grad", 3),
    "integers": lambda m: m.ones(1, dtype=m.int64).requires_grad_(),
    "a result's flag": lambda m: (leaf(m, 1.0) * 2).requires_grad_(False),
    "NaN in anomaly mode": lambda m: anomalous(m),
    "twice": lambda m: [y.backward() for y in [leaf(m, 1.0).exp().sum()] * 2],
}


def anomalous(m: Any) -> None:
    with m.autograd.set_detect_anomaly(True):
        (m.sqrt(leaf(m, 0.0)) * 0).sum().backward()


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been:UserWarning", "ignore:Error detected in:UserWarning")
@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_backward_refuses_what_pytorch_refuses(mistake: Call) -> None:
    assert_same_kind(raised_by(mistake, rg), raised_by(mistake, torch))
