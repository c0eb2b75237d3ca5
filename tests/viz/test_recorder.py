"""`viz.record`: every primitive of a block, the modules it ran in, and what is known of it."""

import threading

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn, viz
from retrograd.autograd.primitive import REGISTRY


def labels(graph, kind="operation"):
    return [v.label for v in graph if v.kind == kind]


def test_operations_without_gradient_are_recorded_too():
    x = rg.ones(2)
    with viz.record() as g:
        y = (x + 1).argmax()
    assert labels(g) == ["Add", "Argmax"]
    assert g.of(y).dtype == "int64"


def test_the_lecture_trace_has_every_value_and_every_adjoint():
    x1, x2 = rg.tensor(2.0, requires_grad=True), rg.tensor(5.0, requires_grad=True)
    with viz.record({"x1": x1, "x2": x2}) as g:
        y = x1.log() + x1 * x2 - x2.sin()
        y.backward()
    found = {v.label: (v.facts["value"], v.facts["grad"]) for v in g if v.kind != "output"}
    expected = {
        "x1": (2, 5.5),
        "x2": (5, 2 - np.cos(5)),
        "Log": (np.log(2), 1),
        "Mul": (10, 1),
        "Sin": (np.sin(5), -1),
        "Add": (np.log(2) + 10, 1),
        "Sub": (np.log(2) + 10 - np.sin(5), 1),
    }
    assert found.keys() == expected.keys()
    for label, pair in expected.items():
        assert found[label] == pytest.approx(pair, rel=1e-5)
    assert "= 11.652" in g.dot
    assert "grad 5.5" in g.dot
    assert "grad 1.7163" in g.dot


def test_the_lecture_graph_of_j_has_its_numbers_on_the_nodes():
    a, b, c = (rg.tensor([v], requires_grad=True) for v in (3.0, 2.0, 5.0))
    with viz.record({"a": a, "b": b, "c": c}) as g:
        u = a * b
        v = u + c
        j = 2 * v
        j.backward(gradient=rg.tensor([1.0]))
    g.name(u=u, v=v, J=j)
    assert [g.of(t).facts["value"] for t in (u, v, j)] == [6, 11, 22]
    assert [g.of(t).facts["grad"] for t in (a, b, c)] == [4, 6, 2]
    assert g.of(u).facts["rule"] == "MulBackward0"
    assert g.outputs[0].label == "J"


def test_operations_lie_in_the_modules_that_ran_them():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    with viz.record(model) as g:
        model(rg.ones(1, 3))
    assert [(v.module, v.label) for v in g if v.kind == "operation"] == [("0", "Addmm"), ("1", "Relu")]
    assert labels(g, "parameter") == ["0.weight", "0.bias"]
    assert labels(g, "input") == ["input"]
    assert g.scopes["0"].kind == "Linear"


def test_every_call_of_a_module_is_a_scope_of_its_own():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(self.relu(x) - 1)

    model = Twice()
    with viz.record(model) as g:
        model(rg.ones(2, requires_grad=True))
        model(rg.ones(2, requires_grad=True))
    assert [v.module for v in g if v.label == "Relu"] == ["relu", "relu#2", "Twice#2.relu", "Twice#2.relu#2"]


def test_modules_that_were_not_named_go_by_their_class():
    model = nn.Sequential(nn.Linear(2, 2))
    with viz.record() as g:
        model(rg.ones(1, 2))
    assert g.find("Addmm")[0].module == "Sequential.0"


def test_other_entry_points_than_forward_are_recorded():
    class Coder(nn.Module):
        def __init__(self):
            super().__init__()
            self.code = nn.Linear(2, 1)

        def encode(self, x):
            return self.code(x).tanh()

    model = Coder()
    with viz.record(model) as g:
        model.encode(rg.ones(1, 2))
    assert labels(g) == ["Addmm", "Tanh"]


def test_flops_parameters_and_saved_bytes_are_known():
    model = nn.Linear(30, 20, bias=False)
    with viz.record(model) as g:
        model(rg.ones(10, 30)).exp()
    (product,) = g.find("*", kind="operation")[1:2] if len(labels(g)) > 2 else g.find("Mm")
    assert product.facts["flops"] == 2 * 10 * 30 * 20
    assert sum(v.facts.get("parameters", 0) for v in g) == 600
    assert g.find("Exp")[0].facts["saved"] == 10 * 20 * 4


def test_times_are_noted_where_asked_for():
    x = rg.ones(50, 50, requires_grad=True)
    with viz.record(times=True) as g:
        (x @ x).sum().backward()
    product = g.find("Mm")[0]
    assert product.facts["forward_time"] > 0
    assert product.facts["backward_time"] > 0
    with viz.record() as g:
        (x @ x).sum().backward()
    assert "forward_time" not in g.find("Mm")[0].facts


def test_statistics_are_those_of_numpy():
    x = rg.tensor([1.0, 2.0, 6.0], requires_grad=True)
    with viz.record(stats=True) as g:
        (x * x).sum().backward()
    facts = g.find("Mul")[0].facts
    squares = np.array([1.0, 4.0, 36.0])
    assert [facts[k] for k in ("mean", "std", "min", "max")] == pytest.approx([squares.mean(), squares.std(), 1, 36])
    assert g.of(x).facts["grad_norm"] == pytest.approx(np.linalg.norm([2, 4, 12]))


def test_nan_and_infinity_are_counted():
    x = rg.tensor([0.0, -1.0, 1.0], requires_grad=True)
    with viz.record() as g:
        x.log().sum().backward()
    facts = g.find("Log")[0].facts
    assert (facts["nan"], facts["inf"]) == (1, 1)
    assert g.of(x).facts["grad_inf"] == 1
    assert "1 NaN" in g.dot
    assert "#c1272d" in g.dot


def test_detach_is_a_cut():
    x = rg.ones(2, requires_grad=True)
    with viz.record() as g:
        y = (x * 2).detach() + x
    assert labels(g) == ["Mul", "detach", "Add"]
    assert [e.cut for e in g.edges if e.cut] == ["detach"]
    assert g.of(y).requires_grad


def test_a_cut_lies_behind_the_change_in_place_that_it_follows():
    x = rg.tensor(2.0, requires_grad=True)
    with viz.record() as g:
        h = x * 1
        h.mul_(2)
        h.exp()
        y = h.detach() * x
        rg.autograd.grad(y, x, create_graph=True)
    (cut,) = g.find("detach")
    (source,) = g.parents(cut)
    assert (source.label, [p.label for p in g.parents(source)]) == ("Mul", ["Mul"])


def test_no_grad_is_a_cut():
    x = rg.ones(2, requires_grad=True)
    with viz.record() as g, rg.no_grad():
        y = x * 2
    assert g.of(y).facts["stopped"] == "no_grad"
    assert [e.cut for e in g.edges if e.cut] == ["no_grad"]


def test_integers_are_a_cut():
    x = rg.ones(2, requires_grad=True)
    with viz.record() as g:
        y = x.argmax()
    assert g.of(y).facts["stopped"] == "integer"


def test_a_change_in_place_gives_the_next_version():
    x = rg.ones(2, requires_grad=True)
    with viz.record() as g:
        h = x * 1
        h.mul_(3)
        h.exp()
    exp = g.find("Exp")[0]
    (edge,) = [e for e in g.edges if e.target == exp.id]
    assert edge.version == 1
    assert any(e.inplace for e in g.edges)


def test_a_change_in_place_without_graph_is_an_operation():
    x = rg.zeros(2)
    with viz.record() as g:
        x.sin()
        x.add_(1)
        x.exp()
    assert labels(g) == ["Sin", "add_", "Exp"]


def test_changes_before_the_recording_give_no_version():
    x = rg.zeros(2).add_(1)
    with viz.record() as g:
        x.exp()
    assert [e.version for e in g.edges if g[e.target].label == "Exp"] == [0]


def test_the_graph_of_a_gradient_has_a_phase_of_its_own():
    x = rg.tensor(2.0, requires_grad=True)
    with viz.record() as g:
        y = x.exp()
        (first,) = rg.autograd.grad(y, x, create_graph=True)
    assert g.of(y).phase == "forward"
    assert g.of(first).phase == "gradient"
    assert g.of(first).module == "gradient"


def test_a_function_of_ones_own_is_one_operation_with_its_inputs():
    class Cube(rg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x * x * g

    x = rg.tensor(2.0, requires_grad=True)
    with viz.record() as g:
        y = Cube.apply(x).exp()
        y.backward()
    (cube,) = g.find("Cube")
    assert [v.kind for v in g.parents(cube)] == ["leaf"]
    assert [v.label for v in g.children(cube)] == ["Exp"]
    assert cube.facts["grad"] == pytest.approx(np.exp(8), rel=1e-5)


def test_what_was_computed_before_the_block_is_an_input():
    h = rg.ones(2, requires_grad=True) * 2
    with viz.record() as g:
        h.exp()
    assert labels(g, "input") == ["computed before"]


def test_the_recording_keeps_no_tensor_alive():
    import weakref

    x = rg.ones(2)
    with viz.record() as g:
        y = x + 1
        reference = weakref.ref(y)
        del y
    assert reference() is None
    assert labels(g) == ["Add"]


def test_results_and_gradients_are_those_without_a_recording():
    rg.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    x = rg.randn(5, 4)
    model(x).sum().backward()
    expected = [p.grad.numpy().copy() for p in model.parameters()]
    model.zero_grad()
    with viz.record(model, times=True, stats=True):
        model(x).sum().backward()
    for p, e in zip(model.parameters(), expected):
        np.testing.assert_array_equal(p.grad.numpy(), e)


def test_after_the_block_everything_is_as_it_was():
    codes = {name: p.record.__code__ for name, p in REGISTRY.items() if name != "add"}
    call = nn.Module.__call__
    rg.ones(1, requires_grad=True).exp().backward()
    node = REGISTRY["exp"].node
    before = node.backward

    def failing():
        with viz.record():
            rg.ones(1, requires_grad=True).exp().backward()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert nn.Module.__call__ is call
    assert node.backward is before
    assert all("heard" not in p.scope for p in REGISTRY.values())
    changed = [n for n, code in codes.items() if REGISTRY[n].record.__code__ is not code]
    assert set(changed) <= {"exp", "full", "ones"}


def test_a_recording_within_a_recording_is_refused():
    with viz.record(), pytest.raises(RuntimeError, match="another recording is running"), viz.record():
        pass


def test_other_threads_are_not_recorded():
    x = rg.ones(3)
    with viz.record() as g:
        thread = threading.Thread(target=lambda: x.exp())
        thread.start()
        thread.join()
        x.sin()
    assert labels(g) == ["Sin"]


def test_a_recorded_operation_that_fails_raises_what_it_always_raises():
    with viz.record() as g, pytest.raises(RuntimeError, match="matmul|mm|shape"):
        rg.ones(2, 3) @ rg.ones(2, 3)
    assert labels(g) == []


def test_a_long_recording_is_linear():
    x = rg.tensor(1.0, requires_grad=True)
    with viz.record() as g:
        h = x
        for _ in range(5000):
            h = h + x
    assert len(g) == 5002
