"""Every renderer: golden texts, files that are opened and read, hostile names, and a machine without Graphviz."""

import io
import json
import re
import struct
import subprocess
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from retrograd import viz
from tests.viz.pictures import HAS_DOT, NASTY, lecture, nasty, tower

GOLDEN = Path(__file__).parent / "golden"
PICTURES = {
    "lecture": (lecture, {}),
    "lecture_both": (lecture, {"view": "both", "dark": True, "edges": True}),
    "tower": (tower, {"depth": 1, "title": "six blocks"}),
    "tower_blocks": (tower, {"depth": 2, "color": "parameters", "direction": "right"}),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("ending", ["dot", "mmd"])
def test_the_text_is_the_golden_one(name, ending, tmp_path):
    make, options = PICTURES[name]
    text = make().render(tmp_path / f"g.{ending}", **options).read_text()
    assert text == (GOLDEN / f"{name}.{ending}").read_text()


@HAS_DOT
@pytest.mark.parametrize("name", PICTURES)
def test_svg_is_well_formed_and_names_what_it_shows(name, tmp_path):
    make, options = PICTURES[name]
    root = ElementTree.parse(make().render(tmp_path / "g.svg", **options)).getroot()
    text = "".join(root.itertext())
    assert root.tag.endswith("svg")
    assert ("Log" if "lecture" in name else "blocks: Sequential") in text


@HAS_DOT
def test_png_has_a_size_and_is_not_blank(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow, which reads PNG files, is not installed")
    path = lecture().render(tmp_path / "g.png")
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    pixels = np.asarray(image.open(io.BytesIO(content)).convert("RGB"))
    assert pixels.shape == (height, width, 3)
    assert min(width, height) > 200
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20


@HAS_DOT
def test_pdf_is_one(tmp_path):
    content = lecture().render(tmp_path / "g.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert b"%%EOF" in content[-20:]


def test_json_is_the_whole_graph(tmp_path):
    g = tower()
    assert viz.Graph.from_json(g.render(tmp_path / "g.json").read_text()) == g


class Page(HTMLParser):
    """What an HTML page is made of."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.inside, self.data = [], [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        attributes = dict(attributes)
        self.links += [attributes[k] for k in ("src", "href") if k in attributes]
        self.inside = attributes.get("id", tag)

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "data":
            self.data += data


def test_the_page_loads_nothing_and_holds_the_graph():
    text = tower().to_html(depth=1)
    page = Page(text)
    assert page.links == []
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    data = json.loads(page.data)
    assert [s["path"] for s in data["scopes"] if not s["open"]][:2] == ["first", "blocks"]
    assert any(v["lines"][0] == "Addmm" for v in data["vertices"])


# ---- hostile names


@HAS_DOT
def test_no_name_breaks_out_of_dot_or_svg():
    svg = nasty().to_svg()
    root = ElementTree.fromstring(svg)
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    graph = subprocess.run(["dot", "-Tjson"], input=nasty().dot, capture_output=True, text=True, check=True).stdout
    boxes = [o for o in json.loads(graph)["objects"] if o["name"].startswith("v")]
    assert [o["name"] for o in boxes] == ["v0", "v1", "v2"]


def test_no_name_breaks_out_of_mermaid():
    for text in (nasty().to_mermaid(), nasty().to_mermaid(title=NASTY, edges=True)):
        assert "<script" not in text
        assert "evil [" not in text
        for line in text.splitlines():
            assert line.count('"') in (0, 2), line


def test_no_name_breaks_out_of_html():
    page = Page(nasty().to_html(title=NASTY))
    assert page.tags.count("script") == 2
    assert "b" not in page.tags
    assert json.loads(page.data)["vertices"][0]["lines"][0]


@HAS_DOT
def test_no_name_breaks_out_of_the_frames():
    a = rg.tensor(1.0, requires_grad=True)
    frames = viz.backward_frames(a * a, params={NASTY: a})
    root = ElementTree.fromstring(frames.to_svg())
    assert not [e for e in root.iter() if e.tag.endswith("script")]


# ---- without Graphviz


@pytest.mark.parametrize("ending", ["dot", "mmd", "json", "html"])
def test_texts_and_the_page_need_no_program(ending, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert tower().render(tmp_path / f"g.{ending}").stat().st_size > 500


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_without_the_program_the_error_says_how_to_install_it(ending, tmp_path, monkeypatch):
    pytest.importorskip("graphviz", reason="the graphviz package is not installed")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="apt-get install graphviz"):
        tower().render(tmp_path / f"g.{ending}")
    assert list(tmp_path.iterdir()) == []


# ---- options


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"view": "sideways"}, ValueError, "view='sideways' is none of forward, backward, both"),
        ({"color": "taste"}, ValueError, "color='taste' is none of role, forward_time"),
        ({"show": ["smell"]}, ValueError, "show='smell' is none of"),
        ({"depth": -1}, ValueError, "depth must be 0"),
        ({"max_nodes": 2}, ValueError, "max_nodes must be 3 or more"),
        ({"direction": "up"}, ValueError, "direction='up' is none of down, right"),
        ({"depht": 1}, TypeError, "there is no option 'depht'; there are view, depth"),
    ],
)
@pytest.mark.parametrize("ending", ["dot", "mmd", "html", "json"])
def test_a_wrong_option_is_named(options, error, message, ending, tmp_path):
    with pytest.raises(error, match=re.escape(message)):
        lecture().render(tmp_path / f"g.{ending}", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'g.jpeg' ends in none of .svg, .png, .pdf, .dot, .mmd, .html, .json"):
        lecture().render(tmp_path / "g.jpeg")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        lecture().render(tmp_path / "missing" / "g.dot")


def test_edges_say_shapes_where_asked_for():
    assert '[label="() float32"' in lecture().to_dot(edges=True)


def test_a_metric_has_a_legend_from_least_to_most():
    dot = tower(times=True).to_dot(color="forward_time")
    legend = dot[dot.index("legend [") :]
    assert "forward time" in legend
    assert "#00224e" in legend
    assert "#fee838" in legend


def test_the_legend_explains_only_what_occurs():
    legend = lecture().dot.split("legend [")[1]
    assert "parameter" in legend
    assert "hidden" not in legend
    assert "legend" not in lecture().to_dot(legend=False)


@HAS_DOT
def test_a_notebook_shows_svg():
    assert "<svg" in lecture()._repr_svg_()
