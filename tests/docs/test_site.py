"""The documentation: quotes follow the source, the reference has every public name, pages fetch nothing."""

from __future__ import annotations

import importlib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import retrograd as rg
from docs.site import hooks, measured, notebooks, pictures, quotes, reference

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if "site" not in path.parts]


@pytest.mark.parametrize("page", PAGES, ids=[path.relative_to(DOCS).as_posix() for path in PAGES])
def test_every_quote_and_picture_of_a_page_is_there(page):
    whole = measured.expand(quotes.expand(page.read_text(encoding="utf-8")))
    assert "{{" not in pictures.expand(whole, page.relative_to(DOCS).as_posix())


def test_a_quote_is_the_lines_of_the_source(tmp_path):
    file = tmp_path / "code.py"
    file.write_text("import os\n\n\nclass A:\n    @property\n    def f(self):\n        # why\n        return 1\n")
    assert quotes.quote(file, "A.f", None, None) == (5, "@property\ndef f(self):\n    # why\n    return 1")
    assert quotes.quote(file, "A.f", "# why", "return") == (7, "# why\nreturn 1")


@pytest.mark.parametrize("what", ["{file}:A.g", '{file}:A from "nowhere"', '{file} from "class" to "import"'])
def test_a_quote_of_what_is_gone_raises(tmp_path, what):
    file = tmp_path / "code.py"
    file.write_text("import os\n\n\nclass A:\n    pass\n")
    with pytest.raises(quotes.QuoteError, match="has the code changed"):
        quotes.source(what.format(file=file))


def test_a_quote_that_nobody_would_read_raises(tmp_path):
    file = tmp_path / "code.py"
    file.write_text("x = 1\n" * 60)
    with pytest.raises(quotes.QuoteError, match="too long"):
        quotes.source(str(file))


@pytest.mark.parametrize("page", reference.PAGES, ids=[page.title for page in reference.PAGES])
def test_the_reference_explains_every_public_name_of_a_module(page):
    text = reference.write(page)
    module = importlib.import_module(page.module)
    names = reference.members(page) if page.prefix in ("Tensor", "rg") else set(module.__all__) - page.skip
    missing = [n for n in names if f"{{ #{page.prefix}.{n} }}" not in text and not is_module(getattr(module, n, None))]
    assert not missing


def is_module(thing):
    return type(thing).__name__ == "module"


def test_every_method_of_tensor_is_in_the_reference():
    text = reference.write(reference.PAGES[0])
    assert [n for n in dir(rg.Tensor) if not n.startswith("_") and f"{n}`" not in text and f".{n} }}" not in text] == []


def test_names_in_pages_lead_to_the_reference():
    places = reference.index()
    assert places["nn.Linear"] == "reference/nn.md#nn.Linear"
    assert places["rg.exp"] == places["Tensor.exp"] == "reference/functions.md#rg.exp"


def test_docstrings_become_markdown_that_says_the_same():
    text = "Sum of x * y_i < 3.\n\na    the first\nbcd  the second,\n     and more\nRaises ValueError.\n\n>>> 1\n1"
    assert reference.prose(text) == (
        "Sum of x \\* y\\_i &lt; 3.\n\n- `a` — the first\n- `bcd` — the second, and more\n\nRaises ValueError.\n\n"
        "```pycon\n>>> 1\n1\n```"
    )


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_pictures_are_svg_on_light_and_on_dark_ground(name):
    light, dark = (pictures.PICTURES[name](ground) for ground in (False, True))
    for picture in (light, dark):
        assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert light != dark


@pytest.mark.parametrize(
    ("html", "fetches"),
    [
        ('<script src="https://example.org/a.js">', True),
        ('<link rel="stylesheet" href="//example.org/a.css">', True),
        ('<a href="https://example.org">', False),
        ('<script src="../assets/a.js">', False),
    ],
)
def test_what_a_page_would_fetch_from_elsewhere_is_found(html, fetches):
    assert bool(hooks.REMOTE.search(html)) is fetches


def test_every_notebook_becomes_a_page():
    pytest.importorskip("nbformat", reason="notebooks are read by nbformat, in the extra docs")
    for path in notebooks.listed():
        text, _ = notebooks.page(path)
        assert text.startswith("# ")
