"""`retrograd graph`: every model by name, in every format, quickly."""

import json
import time
import xml.etree.ElementTree as ElementTree

import pytest

from retrograd import models, viz
from retrograd.cli import main
from retrograd.models.catalogue import CATALOGUE
from tests.viz.pictures import HAS_DOT


def graph(*arguments):
    return main(["graph", *map(str, arguments)])


def test_every_model_has_an_entry():
    makers = {name for name in models.__all__ if name[0].islower()}
    assert makers <= CATALOGUE.keys()


@HAS_DOT
def test_resnet50_is_drawn_in_under_five_seconds(tmp_path):
    start = time.perf_counter()
    assert graph("resnet50", "--out", tmp_path / "r50.svg") == 0
    assert time.perf_counter() - start < 5
    text = "".join(ElementTree.parse(tmp_path / "r50.svg").getroot().itertext())
    assert "layer3: Sequential" in text
    assert "1 … 5: Bottleneck ×5" in text
    assert "1,117,184 parameters" in text


def test_depth_1_of_resnet50_is_its_ten_layers(tmp_path):
    assert graph("resnet50", "--depth", 1, "--out", tmp_path / "r.dot") == 0
    text = (tmp_path / "r.dot").read_text()
    assert text.count("[shape=box") == 13  # ten modules, the flattening between two, input and output
    assert 'label="layer4: Sequential' in text


@pytest.mark.parametrize("ending", ["dot", "mmd", "html", "json"])
def test_text_formats_need_no_graphviz(ending, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert graph("lenet", "--out", tmp_path / f"m.{ending}") == 0
    assert (tmp_path / f"m.{ending}").stat().st_size > 1000


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_without_graphviz_the_error_says_how_to_install_it(ending, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert graph("mlp", "--out", tmp_path / f"m.{ending}") == 2
    assert "apt-get install graphviz" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_html_is_named_after_the_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert graph("lenet", "--html", "--dark") == 0
    assert capsys.readouterr().out.strip() == "lenet.html"
    assert (tmp_path / "lenet.html").read_text().startswith("<!DOCTYPE html>")


def test_json_holds_all_parameters(tmp_path):
    graph("resnet18", "--out", tmp_path / "r.json")
    g = viz.Graph.from_json((tmp_path / "r.json").read_text())
    assert sum(v.facts["parameters"] for v in g.parameters) == 11_689_512
    assert json.loads((tmp_path / "r.json").read_text())["version"] == 1


@pytest.mark.parametrize("color", ["backward_time", "grad_norm", "saved", "flops"])
def test_every_metric_is_known_where_it_is_asked_for(color, tmp_path):
    assert graph("lenet", "--color", color, "--depth", 1, "--out", tmp_path / "m.dot") == 0
    assert "#fee838" in (tmp_path / "m.dot").read_text()


@pytest.mark.parametrize("view", ["backward", "both"])
def test_views_of_the_backward_pass_are_drawn(view, tmp_path):
    assert graph("mlp", "--view", view, "--out", tmp_path / "m.dot") == 0
    assert "AddmmBackward0" in (tmp_path / "m.dot").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(set(CATALOGUE) - {"resnet50", "lenet", "mlp"}))
def test_every_model_is_drawn_at_a_readable_size(model, tmp_path):
    assert graph(model, "--out", tmp_path / "m.dot") == 0
    assert 3 < (tmp_path / "m.dot").read_text().count("[shape=box") <= 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet51"], "invalid choice"),
        (["mlp", "--depth", "-1"], "depth must be 0 (everything) or more"),
        (["mlp", "--html", "--out", "m.svg"], "'m.svg' must end in .html"),
        (["mlp", "--show", "smell"], "show='smell' is none of"),
        (["mlp", "--view", "up"], "invalid choice"),
        (["mlp", "--max-nodes", "1"], "max_nodes must be 3 or more"),
    ],
)
def test_a_mistake_is_named_and_leaves_no_file(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        status = graph(*arguments)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
