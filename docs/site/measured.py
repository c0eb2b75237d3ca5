"""Measurements in pages, read from what the benchmarks wrote, so that no number is typed twice.

{{ measured steps }}                    training steps: microseconds, and the ratio to PyTorch
{{ measured operations mul, tanh }}     single operations
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["expand", "page", "steps"]

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
DIRECTIVE = re.compile(r"^\{\{ measured (?P<kind>steps|operations)(?: (?P<names>.+?))? \}\}$", re.MULTILINE)


def expand(markdown: str) -> str:
    """The page with its tables filled in."""

    def table(found: re.Match[str]) -> str:
        return steps() if found["kind"] == "steps" else operations(found["names"].split(", "))

    return DIRECTIVE.sub(table, markdown)


def text_of(threads: int) -> str:
    return (RESULTS / f"threads-{threads}.md").read_text(encoding="utf-8")


def rows(table: str) -> list[list[str]]:
    """The cells of a Markdown table's lines, without the head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def steps() -> str:
    """Every workload with retrograd, PyTorch and, where it is written for it, bare NumPy."""
    head = "| one thread, µs per training step | retrograd | PyTorch | NumPy by hand | ÷ PyTorch |"
    out = [head, "|---|---:|---:|---:|---:|"]
    for title, body in re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", text_of(1), re.DOTALL | re.MULTILINE):
        found = {row[0]: row for row in rows(body)}
        if {"retrograd", "PyTorch"} <= found.keys():
            ours = found["retrograd"]
            by_hand = found["NumPy by hand"][1] if "NumPy by hand" in found else "—"
            cells = [ours[1], found["PyTorch"][1], by_hand, ours[3].split(" ")[0]]
            out.append(f"| {title} | {' | '.join(cells)} |")
    if len(out) == 2:
        raise ValueError("benchmarks/results/threads-1.md holds no training steps of retrograd and PyTorch")
    return "\n".join(out)


def operations(names: list[str]) -> str:
    """The lines of the table of operations that begin with one of the names."""
    lines = [line for line in text_of(1).splitlines() if line.startswith("|")]
    head = next(line for line in lines if line.startswith("| operation"))
    chosen = [line for line in lines if line.startswith(tuple(f"| {name} " for name in names))]
    if not chosen:
        raise ValueError(f"benchmarks/results/threads-1.md holds none of the operations {', '.join(names)}")
    return "\n".join([head, "|---|" + "---:|" * (head.count("|") - 2), *chosen])


def page() -> str:
    """All measurements, as the benchmarks wrote them, one level deeper."""
    parts = [
        "# Performance", "",
        "How long a training step takes, beside other libraries, measured by the commands that each part names; "
        "[what costs what](engine/speed.md) explains the numbers. The tables are written by `make bench`.",
    ]  # fmt: skip
    for path in sorted(RESULTS.glob("*.md")):
        threads = path.stem.replace("threads-1", "One thread").replace("threads-", "Threads: ")
        text = path.read_text(encoding="utf-8").partition("\n")[2]
        text = re.sub(r"^(#+) ", lambda found: f"#{found[1]} ", text, flags=re.MULTILINE)
        text = re.sub(r"\]\((?!https?:)([\w-]+\.png)\)", r"](results/\1)", text)
        parts += ["", f"## {threads}", "", text.strip()]
    return "\n".join([*parts, ""])
