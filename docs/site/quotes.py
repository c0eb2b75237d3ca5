"""Quotes of the source, and of what programs say, pulled in when the site is built: a quote that is gone fails.

In a page, on a line of its own:

    {{ source retrograd/autograd/graph.py:run from "while heap:" to "g = pending.pop" }}
    {{ written multiply recorder }}       the function that is generated for a primitive; or `backward`
    {{ output retrograd train --help }}   what a command of the package prints
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shlex
import textwrap
from pathlib import Path

__all__ = ["QuoteError", "expand", "quote"]

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 45
"""Lines of a quote: longer ones are not read."""
SOURCE = re.compile(r'(?P<file>\S+?)(?::(?P<name>[\w.]+))?(?: from "(?P<first>.*?)")?(?: to "(?P<last>.*?)")?')
DIRECTIVE = re.compile(r"^\{\{ (?P<kind>source|written|output) (?P<what>.+?) \}\}$", re.MULTILINE)


class QuoteError(ValueError):
    """A page quotes what is not there."""


def expand(markdown: str) -> str:
    """The page with its quotes filled in."""
    kinds = {"source": source, "written": written, "output": output}
    return DIRECTIVE.sub(lambda found: kinds[found["kind"]](found["what"]), markdown)


def source(what: str) -> str:
    """A block of code with its file and line numbers."""
    asked = SOURCE.fullmatch(what)
    if asked is None:
        raise QuoteError(f'source {what!r}: write `file:name from "text" to "text"`')
    start, text = quote(ROOT / asked["file"], asked["name"], asked["first"], asked["last"])
    return f'```python title="{asked["file"]}" linenums="{start}"\n{text}\n```'


def quote(path: Path, name: str | None, first: str | None, last: str | None) -> tuple[int, str]:
    """Number of the first line, and the lines of an object of the file, from one that contains a text to another."""
    whole = path.read_text(encoding="utf-8")
    lines = whole.splitlines()
    start, end = span(ast.parse(whole), name.split("."), path) if name else (1, len(lines))
    if first is not None:
        start = found(lines, first, start, end, path)
    if last is not None:
        end = found(lines, last, start, end, path)
    elif first is not None and name is None:
        end = start
    if end - start >= LONGEST:
        raise QuoteError(f"{path.name}: a quote of {end - start + 1} lines is too long; {LONGEST} are allowed")
    return start, textwrap.dedent("\n".join(lines[start - 1 : end])).rstrip()


def found(lines: list[str], text: str, start: int, end: int, path: Path) -> int:
    """Number of the first line between two that contains the text."""
    for number in range(start, end + 1):
        if text in lines[number - 1]:
            return number
    raise QuoteError(f"{path.name}: no line between {start} and {end} contains {text!r}; has the code changed?")


def span(tree: ast.Module, name: list[str], path: Path) -> tuple[int, int]:
    """First and last line of a class, function, method or assignment."""
    body: list[ast.stmt] = tree.body
    node: ast.stmt | None = None
    for part in name:
        node = next((n for n in reversed(body) if part in names(n)), None)  # the last of several overloads
        if node is None:
            raise QuoteError(f"{path.name}: there is no {'.'.join(name)}; has the code changed?")
        body = getattr(node, "body", [])
    assert node is not None
    assert node.end_lineno is not None
    decorators = [d.lineno for d in getattr(node, "decorator_list", [])]
    return min([node.lineno, *decorators]), node.end_lineno


def names(node: ast.stmt) -> list[str]:
    """What a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [t.id for t in targets if isinstance(t, ast.Name)]


def written(what: str) -> str:
    """Code that a primitive generates for itself."""
    from retrograd.autograd import recording
    from retrograd.autograd.primitive import REGISTRY

    name, _, which = what.partition(" ")
    if name not in REGISTRY or which not in ("recorder", "backward"):
        raise QuoteError(f"written {what!r}: a primitive's name, and `recorder` or `backward`")
    primitive = REGISTRY[name]
    text = (
        recording.recorder_source(primitive)
        if which == "recorder"
        else recording.backward_source(primitive, "backward", recorded=False)
    )
    return f'```python title="generated for {name}"\n{text}\n```'


def output(what: str) -> str:
    """What a command prints; `retrograd` alone, so that a page cannot run anything else."""
    from retrograd.cli import main

    program, *arguments = shlex.split(what)
    if program != "retrograd":
        raise QuoteError(f"output {what!r}: only `retrograd` is run")
    said = io.StringIO()
    os.environ["COLUMNS"] = "100"  # the width of what argparse prints
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        main(arguments)
    if not said.getvalue().strip():
        raise QuoteError(f"output {what!r}: it printed nothing")
    text = re.sub(r"^usage: \S+", "usage: retrograd", said.getvalue().rstrip())
    return f'```text title="$ {what}"\n{text}\n```'
