"""Pictures of graphs: what is in them, and that the files are real."""

import struct
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import retrograd as rg
from retrograd import viz

HAS_DOT = pytest.mark.skipif(
    __import__("shutil").which("dot") is None, reason="Graphviz's program dot is not installed"
)


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


def test_edges_follow_the_data(loss):
    graph = viz.graph(loss[0])
    label = {v.id: v.label for v in graph.vertices}
    assert ("Mm", "Mul") in [(label[e.source], label[e.target]) for e in graph.edges]
    assert len(graph.edges) == 7


def test_the_same_program_gives_the_same_text(loss):
    a = rg.tensor([1.0], requires_grad=True)
    assert viz.graph((a * a).exp()).dot == viz.graph((a * a).exp()).dot


def test_shapes_and_dtypes_are_shown(loss):
    assert r"Mm\n(1, 1) float32" in viz.graph(loss[0]).dot


def test_a_chain_of_twenty_thousand_operations_is_listed():
    h = a = rg.tensor(1.0, requires_grad=True)
    for _ in range(20_000):
        h = h + a
    assert len(viz.graph(h).vertices) == 20_002


def test_names_from_users_are_escaped():
    a = rg.tensor(1.0, requires_grad=True)
    dot = viz.graph(a * a, params={'"]; evil [label="\\': a}).dot
    assert r'label="\"]; evil [label=\"\\\n() float32"' in dot


def test_several_outputs_of_one_operation_are_one_operation():
    x = rg.tensor(np.ones((4, 2), dtype=np.float32), requires_grad=True)
    first, second = x.split(2)
    graph = viz.graph([first, second])
    assert [v.kind for v in graph.vertices].count("output") == 2


def test_a_tensor_without_graph_is_refused():
    with pytest.raises(ValueError, match="has no graph"):
        viz.graph(rg.tensor(1.0))


@HAS_DOT
def test_svg_is_well_formed_and_names_the_operations(loss, tmp_path):
    path = viz.graph(loss[0]).render(tmp_path / "g.svg")
    text = "".join(ElementTree.parse(path).getroot().itertext())
    assert "Tanh" in text
    assert "(1, 1) float32" in text


@HAS_DOT
def test_png_and_pdf_are_written_with_their_signatures(loss, tmp_path):
    png = viz.graph(loss[0]).render(tmp_path / "g.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    assert width > 50
    assert height > 100
    assert viz.graph(loss[0]).render(tmp_path / "g.pdf").read_bytes().startswith(b"%PDF")


@HAS_DOT
def test_a_notebook_shows_svg(loss):
    assert "<svg" in viz.graph(loss[0])._repr_svg_()


def test_dot_text_is_written_without_the_program(loss, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = viz.graph(loss[0]).render(tmp_path / "g.dot")
    assert path.read_text().startswith("digraph")


def test_without_the_program_the_error_says_how_to_install_it(loss, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="apt-get install graphviz"):
        viz.graph(loss[0]).render(tmp_path / "g.svg")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_ending_is_refused(loss, tmp_path):
    with pytest.raises(ValueError, match=r"'g.jpeg' ends in none of"):
        viz.graph(loss[0]).render(tmp_path / "g.jpeg")


def test_a_missing_folder_is_named(loss, tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        viz.graph(loss[0]).render(tmp_path / "missing" / "g.dot")
