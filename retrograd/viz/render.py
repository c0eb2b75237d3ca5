"""From graphs to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrograd.files import atomic_write

if TYPE_CHECKING:
    from retrograd.viz.structure import Graph

__all__ = ["ENDINGS", "piped", "render"]

PROGRAM = {".svg": "svg", ".png": "png", ".pdf": "pdf"}
ENDINGS = (*PROGRAM, ".dot", ".mmd", ".html", ".json")

INSTALL = (
    "Install it with `sudo apt-get install graphviz` (Debian, Ubuntu), `brew install graphviz` (macOS) "
    "or `conda install -c conda-forge graphviz`;\nwithout it, .html, .dot, .mmd and .json still work."
)


def render(graph: Graph, path: Path, options: dict[str, Any]) -> Path:
    """Writes the picture; the file appears whole or not at all."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"render: {path.name!r} ends in none of {', '.join(ENDINGS)}")
    if ending in PROGRAM:
        content = piped(graph.to_dot(**options), PROGRAM[ending])
    elif ending == ".json":
        from retrograd.viz.picture import Picture

        Picture.of(options)  # says what is wrong with them
        content = graph.to_json(indent=1).encode()
    else:
        text = {".dot": graph.to_dot, ".mmd": graph.to_mermaid, ".html": graph.to_html}[ending](**options)
        content = text.encode()
    with atomic_write(path) as file:
        file.write(content)
    return path


def piped(dot: str, format: str) -> bytes:
    """What the program `dot` makes of the text."""
    try:
        import graphviz
    except ImportError:
        raise RuntimeError('pictures need the graphviz package: pip install "retrograd[viz]"') from None
    try:
        output: bytes = graphviz.Source(dot).pipe(format=format)
    except graphviz.backend.ExecutableNotFound:
        raise RuntimeError(f"pictures need Graphviz's program `dot`, which was not found. {INSTALL}") from None
    return output
