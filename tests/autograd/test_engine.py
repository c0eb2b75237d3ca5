"""The engine: accumulation, retention, orders, restriction to some inputs; it stays linear, flat and honest."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd import backward, grad, ops
from retrograd.autograd.graph import Node
from retrograd.autograd.primitive import REGISTRY, primitive


def leaf(*values: float) -> rg.Tensor:
    return rg.tensor(values if len(values) > 1 else values[0], dtype=rg.float64, requires_grad=True)


def alive(kind: type) -> int:
    return sum(issubclass(type(thing), kind) for thing in gc.get_objects())  # isinstance would wake lazy modules


# ---- accumulation


def test_a_second_backward_without_clearing_doubles_the_gradient() -> None:
    x = leaf(1.0, 2.0)
    for _ in range(2):
        ops.sum(x * x).backward()
    assert x.grad.tolist() == [4, 8]


def test_gradients_of_all_uses_of_a_tensor_add_up() -> None:
    x = leaf(3.0)
    wide = x * 0
    for i in range(100):
        wide = wide + x * i
    (wide + x * x).backward()
    assert x.grad.item() == sum(range(100)) + 6


def test_a_diamond_of_twenty_layers_has_the_product_of_its_paths() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(20):
        y = y + y
    y.backward()
    assert x.grad.item() == 2**20


def test_leaves_never_share_the_memory_of_their_gradients() -> None:
    for create_graph in (False, True):
        a, b, seed = leaf(1.0, 2.0), leaf(3.0, 4.0), rg.ones(2, dtype=rg.float64)
        (a + b).backward(seed, create_graph=create_graph)
        a.grad.zero_()
        assert b.grad.tolist() == [1, 1]
        assert seed.tolist() == [1, 1]


def test_a_gradient_seen_by_the_user_is_not_changed_by_later_passes() -> None:
    x, seen = leaf(1.0, 2.0), []
    y = x * 1
    y.register_hook(seen.append)
    out = ops.sum(y)
    out.backward(retain_graph=True)
    first = [t.tolist() for t in seen]
    out.backward()
    assert [t.tolist() for t in seen[:1]] == first


# ---- retention


def test_saved_values_are_freed_unless_the_graph_is_retained() -> None:
    x = leaf(2.0)
    y = ops.exp(x) * x
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match=r"a second time[\s\S]*retain_graph=True"):
        y.backward()


def test_a_gradient_of_an_intermediate_leaves_what_lies_below_it_usable() -> None:
    x = leaf(2.0)
    h = ops.exp(x)
    (g,) = grad(h * h, h)
    assert g.item() == 2 * h.item()
    h.backward()
    assert x.grad.item() == h.item()


def test_an_output_that_leads_to_no_input_is_left_alone() -> None:
    x, z = leaf(2.0), leaf(3.0)
    other = ops.exp(z)
    grad([x * x, other], x)
    other.backward()
    assert z.grad.item() == other.item()


# ---- orders


def test_derivatives_exist_to_the_fifth_order() -> None:
    x = leaf(0.7)
    y = ops.sin(x * 2)
    for order, wanted in enumerate([np.sin, np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v), np.sin, np.cos]):
        np.testing.assert_allclose(y.item(), 2**order * wanted(1.4), rtol=1e-12)
        (y,) = grad(y, x, create_graph=True)


def test_grad_that_is_recorded_can_be_used_in_a_loss() -> None:
    x, w = leaf(2.0), leaf(3.0)
    (g,) = grad(w * x**3, x, create_graph=True)
    (g * g).backward()
    np.testing.assert_allclose([w.grad.item(), x.grad.item()], [2 * 3 * (3 * 4) ** 2, 2 * 36 * 36])


# ---- inputs and seeds


def test_unused_inputs_raise_or_give_None_or_zeros() -> None:
    x, unused = leaf(2.0), leaf(1.0, 2.0)
    y = x * x
    with pytest.raises(RuntimeError, match="allow_unused=True"):
        grad(y, [x, unused], retain_graph=True)
    assert grad(y, [x, unused], allow_unused=True, retain_graph=True)[1] is None
    assert grad(y, [x, unused], materialize_grads=True)[1].tolist() == [0, 0]
    assert x.grad is None


def test_grad_outputs_weigh_the_outputs() -> None:
    x = leaf(1.0, 2.0)
    (g,) = grad([x * x, x * 3], x, [rg.tensor([1.0, 10.0]), rg.tensor([1.0, 1.0])])
    assert g.tolist() == [5, 43]


def test_backward_with_inputs_fills_only_these_leaves_or_not() -> None:
    x, w = leaf(2.0), leaf(3.0)
    h = x * w
    (h * h).backward(inputs=[w, h])
    assert (w.grad.item(), h.grad.item()) == (24, 12)
    assert x.grad is None
    with pytest.raises(RuntimeError, match="cannot be empty"):
        (x * 1).backward(inputs=[])


def test_several_roots_that_depend_on_each_other_add_up() -> None:
    x = leaf(2.0)
    h = x * x
    backward([h, h * 3])
    assert x.grad.item() == 16


@pytest.mark.parametrize(
    ("seed", "kind"),
    [(None, RuntimeError), (rg.ones(3), RuntimeError), (rg.ones(2, 1), RuntimeError), (1.0, TypeError)],
)
def test_a_seed_that_does_not_fit_raises(seed: object, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        (leaf(1.0, 2.0) * 2).backward(seed)


def test_backward_of_what_requires_no_gradient_raises() -> None:
    with pytest.raises(RuntimeError, match="does not require"):
        rg.ones(1).backward()
    with pytest.raises(RuntimeError, match="does not require"):
        grad(leaf(1.0) * 1, rg.ones(1))


# ---- hooks


def test_an_exception_in_a_hook_leaves_everything_as_it_was() -> None:
    x = leaf(2.0)
    y = x * x

    def fail(g: rg.Tensor) -> None:
        raise ValueError("no")

    handle = y.register_hook(fail)
    with pytest.raises(ValueError, match="no"):
        (y * 3).backward(create_graph=True)
    assert x.grad is None
    assert rg.is_grad_enabled()
    handle.remove()
    (y * 3).backward()
    assert x.grad.item() == 12


def test_backward_may_be_called_inside_a_hook() -> None:
    x, z = leaf(2.0), leaf(5.0)
    y = x * x

    def inner(g: rg.Tensor) -> None:
        with rg.enable_grad():
            (z * z).backward()

    y.register_hook(inner)
    (y * 3).backward()
    assert (x.grad.item(), z.grad.item()) == (12, 10)


# ---- modes


def test_every_thread_has_its_own_grad_mode() -> None:
    seen: dict[str, bool] = {}
    inside = threading.Event()
    checked = threading.Event()

    def other() -> None:
        with rg.no_grad():
            inside.set()
            checked.wait(5)
            seen["other"] = (leaf(1.0) * 2).requires_grad

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(5)
    seen["this"] = (leaf(1.0) * 2).requires_grad
    checked.set()
    thread.join()
    assert seen == {"this": True, "other": False}


def test_threads_train_on_graphs_of_their_own() -> None:
    results = {}

    def work(i: int) -> None:
        x = leaf(float(i))
        for _ in range(200):
            (x * x * x).backward()
        results[i] = x.grad.item()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: 200 * 3 * i * i for i in range(4)}


def test_anomaly_mode_names_the_line_of_the_forward_call() -> None:
    x = leaf(0.0)
    with rg.autograd.detect_anomaly():
        y = ops.sqrt(x) * 0
        with pytest.raises(RuntimeError, match=r"SqrtBackward0 returned NaN.*test_engine.py:\d+"):
            y.backward()


def test_outside_anomaly_mode_no_line_is_noted() -> None:
    x = leaf(0.0)
    outside = ops.sqrt(x)
    assert not hasattr(outside.grad_fn, "trace")
    with rg.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="its line is unknown"):
        (outside * 0).backward()


def test_anomaly_mode_without_check_nan_notes_lines_and_lets_nan_pass() -> None:
    x = leaf(-1.0)
    with rg.autograd.detect_anomaly(check_nan=False):
        y = ops.sqrt(x)
        y.backward()
    assert np.isnan(x.grad.item())
    assert "test_engine.py" in y.grad_fn.trace


def test_anomaly_mode_raises_for_nothing_but_nan() -> None:
    x = leaf(1.0, 2.0)
    with rg.autograd.detect_anomaly():
        ops.sum(ops.exp(x) / 0).backward()
    assert x.grad.tolist() == [np.inf, np.inf]


# ---- size


@pytest.mark.slow
def test_a_million_operations_run_forward_and_backward_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {}
    for length in (100_000, 1_000_000):
        x = rg.tensor(1.0, requires_grad=True)
        y = x
        for _ in range(length):
            y = y * 1.0
        calls = 0
        kind = type(y.grad_fn)
        once = kind.backward

        def counted(node: Node, *args: object, once: object = once) -> object:
            nonlocal calls
            calls += 1
            return once(node, *args)  # type: ignore[operator]

        monkeypatch.setattr(kind, "backward", counted)
        y.backward()
        monkeypatch.undo()
        counts[length] = calls
        assert x.grad.item() == 1
        del y
    assert counts == {100_000: 100_000, 1_000_000: 1_000_000}


def test_a_long_chain_can_be_dropped_without_backward() -> None:
    y = leaf(1.0)
    for _ in range(200_000):
        y = y * 1.0
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None


def test_long_chains_of_functions_and_of_recorded_gradients_need_no_stack() -> None:
    class Same(rg.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: rg.Tensor) -> rg.Tensor:
            ctx.save_for_backward(x)
            return x * 1

        @staticmethod
        def backward(ctx: Any, g: rg.Tensor) -> rg.Tensor:
            return g * ctx.saved_tensors[0].detach() / 3

    x = leaf(3.0)
    y = x
    for _ in range(5_000):
        y = Same.apply(y)
    (first,) = grad(y * y, x, create_graph=True)
    (second,) = grad(first, x)
    assert (round(first.item(), 9), round(second.item(), 9)) == (6, 2)


def test_memory_stays_flat_over_ten_thousand_training_steps_without_the_collector() -> None:
    rng = np.random.default_rng(0)
    data, target = rg.tensor(rng.normal(size=(4, 3))), rg.tensor(rng.normal(size=(4, 2)))
    w, b = rg.tensor(rng.normal(size=(2, 3)), requires_grad=True), rg.zeros(2, dtype=rg.float64, requires_grad=True)

    def step() -> None:
        error = ops.tanh(ops.linear(data, w, b)) - target
        ops.sum(error * error).backward()
        with rg.no_grad():
            for p in (w, b):
                p.sub_(p.grad * 1e-3)
                p.grad = None

    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            step()
        before, nodes = alive(rg.Tensor), alive(Node)
        tracemalloc.start()
        for _ in range(10_000):
            step()
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert alive(rg.Tensor) == before
        assert alive(Node) == nodes
        assert grown < 100_000
    finally:
        gc.enable()


def test_a_dropped_graph_is_freed_at_once_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        before = alive(Node)
        x = leaf(1.0, 2.0)
        y = ops.sum(ops.exp(x.reshape(2, 1) @ x.reshape(1, 2))[0] * x)
        (g,) = grad(y, x, create_graph=True)
        del x, y, g
        assert alive(Node) == before
    finally:
        gc.enable()


# ---- declaring primitives


@pytest.mark.parametrize("name", ["keep", "shape", "seq", "hooks"])
def test_a_rule_that_names_what_nodes_keep_for_themselves_is_refused(name: str) -> None:
    scope: dict[str, Any] = {"primitive": primitive}
    exec(f"@primitive\ndef clash_over_{name}(xp, x, *, {name}): return x", scope)
    exec(f"rule = lambda xp, g, {name}: g", scope)
    try:
        with pytest.raises(TypeError, match=rf"\['{name}'\], which"):
            scope[f"clash_over_{name}"].vjp(scope["rule"])
    finally:
        REGISTRY.pop(f"clash_over_{name}", None)


def test_a_parameter_named_like_the_generated_code_s_own_is_refused() -> None:
    with pytest.raises(TypeError, match=r"\['kernel'\], which"):

        @primitive
        def clash(xp, x, *, kernel):
            return x
