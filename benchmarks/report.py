"""From timings to tables.

Results are one dictionary, as run.py writes it to JSON: `machine`, `settings`, `libraries` (name → title, version),
`left_out` (name → reason), and two groups of measurements, `workloads` and `operations`: row → `title`, `seconds`
(library → one median step time per round), `absent` (library → reason) and, of a workload, `memory` (library →
bytes resident `before` it and at its `peak`). `growth`: curve → `title` and `points` (size → such a row).
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Results = dict[str, Any]
Row = dict[str, Any]

OURS = ("retrograd", "numba", "compiled", "compiled-numba")
REFERENCES = ("torch", "numpy")
ABSENT = "—"  # does not apply
FAILED = "FAILED"  # applies, but raised
MEMORY = "peak memory, MiB (with the library itself)"


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest of what the rounds gave."""

    median: float
    lowest: float
    highest: float


def spread(values: Sequence[float]) -> Spread:
    """Summarise the rounds."""
    return Spread(statistics.median(values), min(values), max(values))


def ratio(row: Row, library: str, reference: str) -> Spread | None:
    """Return library ÷ reference, taken round by round so that a slow minute weighs on both; None if one is absent."""
    seconds = row["seconds"]
    if library not in seconds or reference not in seconds:
        return None
    return spread([mine / theirs for mine, theirs in zip(seconds[library], seconds[reference], strict=True)])


def microseconds(seconds: float) -> str:
    """Write a time in µs with three significant digits."""
    return three_digits(seconds * 1e6)


def three_digits(value: float) -> str:
    """Write a number with three significant digits, or without decimals."""
    return f"{value:,.{3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0}f}"


def markdown(results: Results, picture: str | None = None) -> str:
    """Return the whole report as Markdown; `picture` names the file of the plot beside it."""
    parts = ["# Speed", "", *_machine_lines(results), ""]
    if picture is not None:
        parts += [f"![the tables below as a plot]({picture})", ""]
    if results["workloads"]:
        parts += ["## Training steps", "", _how_workloads_were_timed(results), ""]
        for row in results["workloads"].values():
            parts += [f"### {row['title']}", "", *_markdown_table(*workload_table(results, row)), ""]
    if results["growth"]:
        parts += ["## Growth, µs per step", "", GROWTH_NOTE, ""]
        for curve in results["growth"].values():
            parts += [f"### {curve['title']}", "", *_markdown_table(*growth_table(results, curve)), ""]
    if results["operations"]:
        parts += ["## Single operations, µs", "", OPERATIONS_NOTE, ""]
        parts += [*_markdown_table(*operations_table(results)), ""]
    return "\n".join(parts)


def terminal(results: Results) -> str:
    """Return the same report in aligned columns."""
    parts = [*(line.removeprefix("- ") for line in _machine_lines(results)), ""]
    for row in results["workloads"].values():
        parts += [row["title"], *_aligned_table(*workload_table(results, row)), ""]
    for curve in results["growth"].values():
        parts += [f"{curve['title']}, µs per step", *_aligned_table(*growth_table(results, curve)), ""]
    if results["operations"]:
        parts += ["single operations, µs", *_aligned_table(*operations_table(results)), ""]
    return "\n".join(parts)


GROWTH_NOTE = "Medians of half as many rounds as the training steps have."
OPERATIONS_NOTE = (
    "Medians of half as many rounds. One call on tensors that require gradients; forward+backward includes starting a "
    "whole backward pass for that one operation, which a longer graph pays only once (the scalar chain shows the cost "
    "per operation within a graph). JAX calls a compiled function; NumPy records nothing and its derivatives are "
    "written by hand."
)


def workload_table(results: Results, row: Row) -> tuple[list[str], list[list[str]]]:
    """Return header and lines: a library each, its step time and its ratios to the references, fastest first."""
    references = [name for name in REFERENCES if name in results["libraries"]]
    header = ["library", "µs per step", "min–max"]
    header += [f"÷ {results['libraries'][name]['title']} (min–max)" for name in references]
    measured = row.get("memory", {})
    header += [MEMORY] if measured else []
    lines = []
    for name in sorted(row["seconds"], key=lambda name: statistics.median(row["seconds"][name])):
        times = spread(row["seconds"][name])
        line = [results["libraries"][name]["title"], microseconds(times.median)]
        line.append(f"{microseconds(times.lowest)}–{microseconds(times.highest)}")
        line += [_ratio_cell(ratio(row, name, reference)) for reference in references]
        lines.append(line + ([memory_cell(measured.get(name))] if measured else []))
    for name, reason in row["absent"].items():
        lines.append([results["libraries"][name]["title"], ABSENT, reason] + [ABSENT] * (len(header) - 3))
    return header, lines


def growth_table(results: Results, curve: Row) -> tuple[list[str], list[list[str]]]:
    """Return header and lines: a size each, one column of median times per library, and the ratio to PyTorch."""
    points = curve["points"]
    names = [name for name in results["libraries"] if any(name in row["seconds"] for row in points.values())]
    compared = "torch" in names
    lines = []
    for size, row in points.items():
        line = [f"n = {size}", *(_operation_cell(row, name) for name in names)]
        lines.append(line + ([_ratio_cell(ratio(row, "retrograd", "torch"))] if compared else []))
    header = ["", *(results["libraries"][name]["title"] for name in names)]
    return header + (["retrograd ÷ PyTorch"] if compared else []), lines


def memory_cell(measured: dict[str, int] | None) -> str:
    """Write by how much memory grew, and the whole at its peak, in MiB."""
    if measured is None:
        return ABSENT
    return f"{(measured['peak'] - measured['before']) / 2**20:.1f} ({measured['peak'] / 2**20:.0f})"


def operations_table(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return header and lines: an operation each, one column per library that measured any or failed at one."""
    rows = results["operations"]
    cells = {name: [_operation_cell(row, name) for row in rows.values()] for name in results["libraries"]}
    names = [name for name, column in cells.items() if set(column) != {ABSENT}]
    lines = [[row["title"], *(cells[name][place] for name in names)] for place, row in enumerate(rows.values())]
    return ["operation", *(results["libraries"][name]["title"] for name in names)], lines


def _operation_cell(row: Row, name: str) -> str:
    if name in row["seconds"]:
        return microseconds(statistics.median(row["seconds"][name]))
    return FAILED if row["absent"].get(name, "").startswith(FAILED) else ABSENT


def _ratio_cell(value: Spread | None) -> str:
    if value is None:
        return ABSENT
    decimals = 2 if value.median >= 0.1 else 3
    return f"{value.median:.{decimals}f} ({value.lowest:.{decimals}f}–{value.highest:.{decimals}f})"


def machine_line(results: Results) -> str:
    """Name the machine, the threads and the day."""
    machine = results["machine"]
    threads = "one thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    size = f"{machine['cores']} cores, {machine['memory_gib']} GiB"
    return f"{machine['cpu']}, {size}, {machine['system']}; {threads}; {machine['date']}"


def _machine_lines(results: Results) -> list[str]:
    machine = results["machine"]
    lines = [
        f"- {machine_line(results)}",
        f"- Python {machine['python']}, NumPy {machine['numpy']} with {machine['blas']} ({machine['simd']})",
        "- " + ", ".join(f"{entry['title']} {entry['version']}" for entry in results["libraries"].values()),
    ]
    return lines + [f"- left out: {name} ({reason})" for name, reason in results["left_out"].items()]


def _how_workloads_were_timed(results: Results) -> str:
    settings = results["settings"]
    memory = ""
    if any("memory" in row for row in results["workloads"].values()):
        memory = "Memory is what a workload adds to a fresh process after the import and one small step "
        memory += f"({settings['memory']}). "
    return (
        f"Medians of {settings['rounds']} rounds; in each round every library ran in turn, in a process of its own, "
        f"for at least {settings['seconds']:g} s. Ratios are taken round by round: below 1 is faster. "
        f"{memory}`{settings['command']}`"
    )


def _markdown_table(header: list[str], lines: list[list[str]]) -> list[str]:
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return ["| " + " | ".join(cells) + " |" for cells in (header, rule, *lines)]


def _aligned_table(header: list[str], lines: list[list[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in (header, *lines)) for column in range(len(header))]
    return ["  " + "  ".join(_pad(line, widths)) for line in (header, *lines)]


def _pad(cells: list[str], widths: list[int]) -> Iterable[str]:
    yield cells[0].ljust(widths[0])
    for cell, width in zip(cells[1:], widths[1:], strict=True):
        yield cell.rjust(width)
