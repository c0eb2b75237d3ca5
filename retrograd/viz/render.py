"""From DOT to files, through Graphviz."""

from __future__ import annotations

from pathlib import Path

from retrograd.files import atomic_write

__all__ = ["render", "to_svg"]

FORMATS = {".svg": "svg", ".png": "png", ".pdf": "pdf"}

INSTALL = (
    "Install it with `sudo apt-get install graphviz` (Debian, Ubuntu), `brew install graphviz` (macOS) "
    "or `conda install -c conda-forge graphviz`;\nwithout it, `.dot` gives the same picture as text."
)


def render(dot: str, path: Path) -> Path:
    """Writes the picture; the file appears whole or not at all."""
    if path.suffix == ".dot":
        content = dot.encode()
    elif path.suffix in FORMATS:
        content = piped(dot, FORMATS[path.suffix])
    else:
        raise ValueError(f"render: {path.name!r} ends in none of .svg, .png, .pdf, .dot")
    with atomic_write(path) as file:
        file.write(content)
    return path


def to_svg(dot: str) -> str:
    """The picture as SVG text, for notebooks."""
    return piped(dot, "svg").decode()


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
