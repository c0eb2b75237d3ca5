"""Notebooks as plain text and back: what to write by hand and to read in a diff.

    python notebooks/text.py notebooks/03_small_nets.ipynb > draft.txt    a notebook as text
    python notebooks/text.py draft.txt notebooks/03_small_nets.ipynb      text as a notebook, without outputs

A line `%% markdown` or `%% code` begins a cell; the notebook gets no outputs, no counts, and always the same cell ids.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

_HEAD = re.compile(r"^%% (markdown|code)\s*$", re.MULTILINE)


def to_notebook(text: str) -> NotebookNode:
    """Cells as written. Raises ValueError where the text does not begin with a cell."""
    before, *parts = _HEAD.split(text)
    if before.strip() or not parts:
        raise ValueError("to_notebook: the text must begin with a line '%% markdown' or '%% code'.")
    make = {"markdown": new_markdown_cell, "code": new_code_cell}
    cells = [
        make[kind](source.strip("\n"), id=f"cell-{number}")
        for number, (kind, source) in enumerate(zip(parts[::2], parts[1::2]), 1)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def to_text(notebook: NotebookNode) -> str:
    """The sources of the cells, without what they printed."""
    return "\n\n".join(f"%% {cell.cell_type}\n{cell.source}" for cell in notebook.cells) + "\n"


def main(source: str, target: str | None = None) -> None:
    if target is None:
        print(to_text(nbformat.read(source, as_version=4)), end="")
    else:
        notebook = to_notebook(Path(source).read_text(encoding="utf-8"))
        nbformat.validate(notebook)
        nbformat.write(notebook, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
