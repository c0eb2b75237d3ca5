"""Notebooks as pages of the site: as they ran where `make notebooks` has kept a copy, else without their outputs."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["contents", "listed", "page"]

ROOT = Path(__file__).resolve().parents[2]
WRITTEN, RAN = ROOT / "notebooks", ROOT / "runs" / "notebooks"
PICTURES = {"image/png": "png", "image/svg+xml": "svg"}


@functools.cache
def listed() -> list[Path]:
    """The notebooks in the order of their numbers."""
    return sorted(WRITTEN.glob("[0-9]*.ipynb"))


def contents() -> str:
    """What notebooks there are, with links; how they are written is for those who write them."""
    text = (WRITTEN / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    there = {path.stem for path in listed()}
    return re.sub(r"`(\d+_\w+)`", lambda name: f"[{name[0]}]({name[1]}.md)" if name[1] in there else name[0], text)


def page(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and its pictures by the names of their files."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    ran = RAN / path.name
    executed = nbformat.read(ran, as_version=4) if ran.exists() else None
    fresh = executed is not None and [c.source for c in executed.cells] == [c.source for c in notebook.cells]
    pictures: dict[str, bytes] = {}
    blocks: list[str] = []
    for number, cell in enumerate((executed if fresh else notebook).cells):
        if cell.cell_type == "markdown":
            blocks.append(cell.source)
        elif cell.cell_type == "code":
            blocks.append(f"```python\n{cell.source}\n```")
            shown = list(outputs(cell.get("outputs", []), f"{path.stem}-{number}", pictures))
            if shown:
                blocks.append('<div class="outputs" markdown>\n\n' + "\n\n".join(shown) + "\n\n</div>")
        if number == 0:
            how = "The outputs are those of a run." if fresh else "Shown without its outputs: it has not been run here."
            blocks.append(f"*This page is the notebook `notebooks/{path.name}`. {how}*")
    return "\n\n".join(blocks) + "\n", pictures


def outputs(found: list[Any], stem: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """What a cell has shown: text, pictures, tables."""
    for number, output in enumerate(found):
        data = output.get("data", {})
        kind = next((k for k in PICTURES if k in data), None)
        if kind is not None:
            name = f"{stem}-{number}.{PICTURES[kind]}"
            pictures[name] = base64.b64decode(data[kind]) if kind == "image/png" else data[kind].encode()
            yield f"![output of the cell above]({name})"
        elif "text/html" in data:
            yield re.sub(r"\n\s*\n", "\n", data["text/html"])
        elif text := output.get("text") or data.get("text/plain"):
            yield f"```text\n{text.rstrip()}\n```"
