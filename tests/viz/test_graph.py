"""`viz.graph`: what is read from the autograd graph, and how a Graph is walked, saved and loaded."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn, viz


@pytest.fixture
def loss():
    a = rg.tensor([[1.0, 2.0]], requires_grad=True)
    w = rg.tensor([[3.0], [4.0]], requires_grad=True)
    x = rg.tensor([5.0])
    out = ((a @ w) * x).tanh().sum()
    return out, {"a": a, "x": x}


def kinds(graph):
    return [(v.kind, v.label) for v in graph.vertices]


def test_the_graph_lists_what_was_computed_in_order(loss):
    out, names = loss
    assert kinds(viz.graph(out, params=names)) == [
        ("parameter", "a"),
        ("leaf", "leaf"),
        ("operation", "Mm"),
        ("constant", "x"),
        ("operation", "Mul"),
        ("operation", "Tanh"),
        ("operation", "Sum"),
        ("output", "output"),
    ]


def test_edges_follow_the_data_and_say_what_they_carry(loss):
    graph = viz.graph(loss[0])
    edge = next(e for e in graph.edges if graph[e.source].label == "Mm")
    assert graph[edge.target].label == "Mul"
    assert (edge.shape, edge.dtype, edge.grad) == ((1, 1), "float32", True)
    assert len(graph.edges) == 7


def test_no_gradient_flows_along_the_edge_of_a_constant(loss):
    graph = viz.graph(loss[0], params=loss[1])
    (x,) = graph.find("x")
    assert [e.grad for e in graph.edges if e.source == x.id] == [False]


def test_parents_and_children_are_neighbours(loss):
    graph = viz.graph(loss[0])
    (product,) = graph.find("Mm")
    assert [v.label for v in graph.parents(product)] == ["leaf", "leaf"]
    assert [v.label for v in graph.children(product)] == ["Mul"]
    assert graph.parents("v0") == []
    assert {v.kind for v in graph.inputs} == {"leaf", "constant"}
    assert [v.kind for v in graph.outputs] == ["output"]


def test_a_live_tensor_is_found_in_the_graph(loss):
    graph = viz.graph(loss[0])
    assert graph.of(loss[0]).label == "Sum"
    with pytest.raises(KeyError, match=r"does not know this tensor of shape \(2,\)"):
        graph.of(rg.zeros(2))


def test_tensors_get_names_afterwards(loss):
    graph = viz.graph(loss[0]).name(loss=loss[0])
    assert graph.outputs[0].label == "loss"


def test_json_gives_the_same_graph_back(loss):
    graph = viz.graph(loss[0], params=loss[1])
    graph.vertices[0].facts |= {"mean": float("inf"), "min": float("-inf")}
    assert viz.Graph.from_json(graph.to_json()) == graph


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 99}', '{"version": 1, "vertices": [{"no": 1}]}'])
def test_what_is_no_json_of_a_graph_is_refused(text):
    with pytest.raises(ValueError, match="from_json: this is not the JSON of a graph"):
        viz.Graph.from_json(text)


def test_the_same_program_gives_the_same_graph():
    def program():
        a = rg.tensor([1.0], requires_grad=True)
        return viz.graph((a * a).exp())

    assert program().to_json() == program().to_json()
    assert program().dot == program().dot


def test_a_chain_of_a_hundred_thousand_operations_is_listed():
    h = a = rg.tensor(1.0, requires_grad=True)
    for _ in range(100_000):
        h = h + a
    assert len(viz.graph(h).vertices) == 100_002


def test_several_outputs_of_one_operation_are_one_operation():
    x = rg.tensor(np.ones((4, 2), dtype=np.float32), requires_grad=True)
    first, second = x.split(2)
    graph = viz.graph([first, second])
    assert [v.kind for v in graph.vertices].count("output") == 2
    assert [v.kind for v in graph.vertices].count("operation") == 1


def test_outputs_and_inputs_carry_the_names_of_their_dicts():
    x = rg.ones(2, requires_grad=True)
    graph = viz.graph({"loss": (x * 2).sum()}, inputs={"image": x})
    assert [(v.kind, v.label) for v in graph if v.kind in ("input", "output")] == [
        ("input", "image"),
        ("output", "loss"),
    ]


def test_parameters_of_a_module_place_operations_in_its_layers():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)))
    graph = viz.graph(model(rg.ones(1, 3)), params=model)
    assert [(v.label, v.module) for v in graph if v.kind == "operation"] == [
        ("Addmm", "0"),
        ("Relu", ""),
        ("Addmm", "2.0"),
        ("Addmm", "2.1"),
    ]
    assert graph.scopes["2"].kind == "Sequential"
    assert [v.label for v in graph.find(module="2", kind="parameter")] == ["2.0.weight", "2.0.bias"] + [
        "2.1.weight",
        "2.1.bias",
    ]


def test_scalars_carry_their_value_and_gradient():
    a = rg.tensor(3.0, requires_grad=True)
    (a * a).backward()
    (vertex,) = viz.graph(a * a, params={"a": a}).parameters
    assert (vertex.facts["value"], vertex.facts["grad"]) == (3.0, 6.0)


def test_the_graph_of_a_gradient_is_told_from_the_forward_graph():
    x = rg.tensor(2.0, requires_grad=True)
    y = x**3
    (g,) = rg.autograd.grad(y, x, create_graph=True)
    graph = viz.graph(g, params={"x": x}, of=y)
    assert {v.phase for v in graph if v.kind == "operation"} <= {"forward", "gradient"}
    assert graph.of(g).phase == "gradient"


def test_views_and_changes_in_place_are_marked():
    x = rg.ones(2, 3, requires_grad=True)
    h = x * 1
    h[0].mul_(2)
    graph = viz.graph(h.sum())
    assert any(e.inplace for e in graph.edges)
    assert [e.view for e in viz.graph((x * 1).T.sum()).edges].count(True) == 1


def test_a_value_that_was_saved_and_then_changed_is_told():
    x = rg.ones(2, requires_grad=True)
    h = x * 1
    y = h.exp().sum() + (h * h).sum()
    with rg.no_grad():
        h.add_(1)
    changed = [v.facts["changed"] for v in viz.graph(y) if "changed" in v.facts]
    assert any("version 1" in text and "add_" in text for text in changed)


def test_saved_bytes_count_every_array_once():
    x = rg.ones(10, requires_grad=True)
    h = x.exp()
    graph = viz.graph((h * h).sum())
    assert sum(v.facts.get("saved", 0) for v in graph) == 40


def test_a_tensor_without_graph_is_refused():
    with pytest.raises(ValueError, match="has no graph"):
        viz.graph(rg.tensor(1.0))


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match="expected a Tensor or a list of them, got str"):
        viz.graph("loss")
