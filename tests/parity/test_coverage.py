"""The page that says what of PyTorch is here is the one that the command writes."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("torch")

DOCS = Path(__file__).parent.parent.parent / "docs"


def coverage():
    spec = importlib.util.spec_from_file_location("coverage_page", DOCS / "coverage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current():
    assert (DOCS / "coverage.md").read_text() == coverage().page(), "run `python docs/coverage.py`"


def test_an_argument_that_raises_makes_a_name_partly_supported():
    page = coverage()

    def theirs(x, fast=False):
        return x

    def ours(x, fast=False):
        if fast:
            raise NotImplementedError("fast")
        return x

    modules = [type("m", (), {"f": staticmethod(function)}) for function in (theirs, ours)]
    assert page.compared("f", *modules) == page.Entry("f", ("`fast`",))
    modules[1].f = staticmethod(lambda x: x)
    assert page.compared("f", *modules) == page.Entry("f", ("(fast)",))
    assert page.compared("g", type("m", (), {"g": len}), modules[1]) == page.Entry("g", None)
