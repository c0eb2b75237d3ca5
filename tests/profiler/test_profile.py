"""What a profile counts, what it leaves behind, and what it refuses."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd import graph
from retrograd.autograd.graph import AccumulateGrad, Node
from retrograd.autograd.primitive import REGISTRY
from retrograd.autograd.tensor import namespace
from retrograd.nn.module import Module
from retrograd.optim.optimizer import Optimizer
from retrograd.profiler import record_function
from retrograd.profiler.taps import subclasses


@pytest.fixture
def network():
    return rg.nn.Sequential(rg.nn.Linear(6, 5), rg.nn.Tanh(), rg.nn.Linear(5, 1))


def train(network, steps=2):
    optimizer = rg.optim.Adam(network.parameters())
    for _ in range(steps):
        optimizer.zero_grad()
        network(rg.ones(4, 6)).sum().backward()
        optimizer.step()


def test_importing_the_library_does_not_import_the_profiler():
    code = "import sys, retrograd; print('retrograd.profiler' in sys.modules, retrograd.profile.__name__)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "profile"]


def test_calls_forward_and_backward_are_counted_per_operation(network):
    with rg.profile() as p:
        train(network)
    rows = p.key_averages()
    assert {row.name: row.calls for row in rows} == {
        "linear": 4,
        "tanh": 2,
        "sum": 2,
        "backward pass": 2,
        "accumulate into .grad": 8,
        "Adam.step": 2,
    }
    for name in ("linear", "tanh", "sum"):
        assert rows[name].forward > 0
        assert rows[name].backward > 0
    assert rows["Adam.step"].backward == rows["backward pass"].forward == 0


def test_the_rows_add_up_to_no_more_than_the_whole(network):
    with rg.profile() as p:
        train(network)
        time.sleep(0.01)
    assert 0 < sum(row.time for row in p.key_averages()) < p.wall - 0.01


def test_an_operation_takes_the_time_that_it_takes():
    x = rg.ones(300, 300)
    with rg.profile() as p:
        before = time.perf_counter()
        for _ in range(20):
            x @ x
        outside = time.perf_counter() - before
    assert p.key_averages()["matmul"].time == pytest.approx(outside, rel=0.3)


def test_bytes_are_those_of_the_arrays():
    x = rg.ones(1000, dtype=rg.float32, requires_grad=True)
    with rg.profile() as p:
        y = x.tanh()
        y.backward(rg.ones(1000))
    forward, backward = [event for event in p.events() if event.name == "tanh"]
    assert (forward.allocated, forward.moved) == (4000, 8000)  # reads x, writes y
    assert (backward.allocated, backward.moved) == (4000, 12000)  # reads the cotangent and y, writes one
    assert forward.shapes == ((1000,),)


def test_what_a_rule_leaves_to_another_operation_is_counted_there_alone():
    table = rg.nn.Embedding(1000, 4)
    with rg.profile() as p:
        table(rg.arange(10)).sum().backward()
    rows = p.key_averages()
    assert rows["embedding_gradient"].allocated == 1000 * 4 * 4
    assert rows["embedding"].allocated == 10 * 4 * 4  # the rows that were looked up
    assert p.modules()["Embedding"].allocated == 1000 * 4 * 4 + 10 * 4 * 4


def test_summing_a_gradient_to_a_broadcast_input_is_a_row():
    x, bias = rg.ones(100, 50, requires_grad=True), rg.ones(50, requires_grad=True)
    with rg.profile() as p:
        (x + bias).sum().backward()
    row = p.key_averages()["sum where broadcast"]
    assert row.calls == 1
    assert row.allocated == 50 * 4
    assert row.moved >= 50 * 4


def test_a_view_neither_allocates_nor_moves():
    x = rg.ones(10, 10)
    with rg.profile() as p:
        x.reshape(100)
        x.T
    assert [(row.allocated, row.moved) for row in p.key_averages()] == [(0, 0), (0, 0)]


def test_a_result_that_is_a_view_of_new_memory_counts_as_allocated():
    with rg.profile() as p:
        rg.nn.functional.layer_norm(rg.ones(8, 10), (10,))
    assert sum(row.allocated for row in p.key_averages()) >= 8 * 10 * 4


def test_numbers_are_the_same_within_a_profile(network):
    def gradients():
        network.zero_grad()
        network(rg.ones(4, 6)).sum().backward()
        return [p.grad.numpy().copy() for p in network.parameters()]

    before = gradients()
    with rg.profile():
        within = gradients()
    for mine, other in zip(within, before, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_backward_of_a_graph_recorded_before_is_measured_and_one_recorded_within_works_after(network):
    loss = network(rg.ones(4, 6)).sum()
    with rg.profile() as p:
        loss.backward()
        later = network(rg.ones(4, 6)).sum()
    assert p.key_averages()["linear"].backward > 0
    events = len(p.events())
    later.backward()
    assert len(p.events()) == events


def test_operations_of_a_recorded_gradient_count_as_backward():
    x = rg.tensor([2.0], requires_grad=True)
    with rg.profile() as p:
        (g,) = rg.autograd.grad(x**3, x, create_graph=True)
    inner = [event for event in p.events() if event.kind == "operation" and event.backward]
    assert inner
    assert all("backward pass" in event.stack for event in inner)
    assert g.item() == 12.0


def test_modules_form_a_tree_and_rules_count_where_their_operation_was_called(network):
    with rg.profile() as p:
        train(network)
    rows = p.modules().rows
    assert [(row.name, row.depth, row.calls) for row in rows] == [
        ("Sequential", 0, 2),
        ("0 (Linear)", 1, 2),
        ("1 (Tanh)", 1, 2),
        ("2 (Linear)", 1, 2),
    ]
    rules = {event.scope: event for event in p.events() if event.kind == "rule" and event.name == "linear"}
    assert set(rules) == {("Sequential", "0 (Linear)"), ("Sequential", "2 (Linear)")}
    whole, *parts = rows
    assert whole.backward == pytest.approx(sum(part.backward for part in parts))
    assert whole.forward >= sum(part.forward for part in parts)


def test_a_label_is_part_of_the_scope():
    with rg.profile() as p, record_function("twice"):
        rg.ones(3) * 2
    (event,) = [event for event in p.events() if event.name == "multiply"]
    assert event.scope == ("twice",)
    assert event.stack == ("twice", "multiply")
    with record_function("outside a profile nothing happens"):
        rg.ones(3) * 2


def test_everything_is_put_back(network):
    def state():
        kernels = [p.kernels for p in REGISTRY.values()] + [p.scope["kernels"] for p in REGISTRY.values()]
        rules = [vars(kind).get(way) for kind in subclasses(Node) for way in ("backward", "backward_recorded")]
        steps = [vars(kind).get("step") for kind in subclasses(Optimizer)]
        return [*map(id, kernels + rules + steps), Module.__call__, graph.run, graph.fit, AccumulateGrad.accumulate]

    train(network)  # nodes of these operations have their class now
    before = state()
    with rg.profile():
        train(network)
    assert state() == before
    with pytest.raises(ZeroDivisionError), rg.profile():
        1 / 0
    assert state() == before


def test_a_profile_inside_another_raises_and_the_outer_one_goes_on():
    with rg.profile() as p:
        with pytest.raises(RuntimeError, match="another profile is running"), rg.profile():
            pass
        rg.ones(3) * 2
    assert p.key_averages()["multiply"].calls == 1
    with rg.profile():
        pass


def test_an_operation_that_raises_leaves_the_profile_in_order():
    with rg.profile() as p:
        with pytest.raises(RuntimeError):
            rg.ones(2, 3) @ rg.ones(2, 3)
        rg.ones(3) * 2
    assert [(event.name, event.stack) for event in p.events()] == [("matmul", ("matmul",)), ("multiply", ("multiply",))]


def test_threads_are_told_apart():
    with rg.profile() as p:
        worker = threading.Thread(target=lambda: rg.ones(3).tanh())
        worker.start()
        worker.join()
        rg.ones(3).exp()
    threads = {event.name: event.thread for event in p.events()}
    assert threads["tanh"] != threads["exp"] == threading.get_ident()


def test_a_function_written_by_hand_has_a_row():
    class Double(rg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = rg.ones(3, requires_grad=True)
    with rg.profile() as p:
        Double.apply(x).sum().backward()
    assert p.key_averages()["DoubleBackward"].backward > 0


def test_asking_before_anything_was_measured_says_so():
    with pytest.raises(RuntimeError, match="nothing has been measured yet"):
        rg.profile().key_averages()


def test_an_unknown_argument_is_refused():
    with pytest.raises(TypeError):
        rg.profile(activities=[])


def test_operations_and_rules_are_waited_for_where_the_device_computes_behind_the_callers_back(device, monkeypatch):
    x = rg.ones(3, requires_grad=True, device=device)
    xp = namespace(x)
    waits = []
    monkeypatch.setattr(xp, "synchronize", lambda: waits.append(1))
    with rg.profile() as p:
        y = x * 2
        y.backward(rg.ones(3, device=device))
    assert len(waits) == (0 if xp.name == "cpu" else 2)
    assert p.key_averages()["multiply"].allocated == 2 * 3 * 4
