"""From timings to tables and a plot.

Results are one dictionary, as run.py writes it to JSON: `machine`, `settings`, `libraries` (name → title, version),
`left_out` (name → reason), and two groups of measurements, `workloads` and `operations`: row → `title`, `seconds`
(library → one median step time per round) and `absent` (library → reason).
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Results = dict[str, Any]
Row = dict[str, Any]

REFERENCES = ("torch", "numpy")
ABSENT = "—"  # does not apply
FAILED = "FAILED"  # applies, but raised


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
    value = seconds * 1e6
    decimals = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{decimals}f}"


def markdown(results: Results) -> str:
    """Return the whole report as Markdown."""
    parts = ["# Speed", "", *_machine_lines(results), ""]
    if results["workloads"]:
        parts += ["## Training steps", "", _how_workloads_were_timed(results), ""]
        for row in results["workloads"].values():
            parts += [f"### {row['title']}", "", *_markdown_table(*workload_table(results, row)), ""]
    if results["operations"]:
        parts += ["## Single operations, µs", "", OPERATIONS_NOTE, ""]
        parts += [*_markdown_table(*operations_table(results)), ""]
    return "\n".join(parts)


def terminal(results: Results) -> str:
    """Return the same report in aligned columns."""
    parts = [*(line.removeprefix("- ") for line in _machine_lines(results)), ""]
    for row in results["workloads"].values():
        parts += [row["title"], *_aligned_table(*workload_table(results, row)), ""]
    if results["operations"]:
        parts += ["single operations, µs", *_aligned_table(*operations_table(results)), ""]
    return "\n".join(parts)


OPERATIONS_NOTE = (
    "One call on tensors that require gradients; forward+backward includes starting a whole backward pass for that "
    "one operation, which a longer graph pays only once (the scalar chain shows the cost per operation within a "
    "graph). JAX calls a compiled function; NumPy records nothing and its derivatives are written by hand."
)


def workload_table(results: Results, row: Row) -> tuple[list[str], list[list[str]]]:
    """Return header and lines: a library each, its step time and its ratios to the references, fastest first."""
    references = [name for name in REFERENCES if name in results["libraries"]]
    header = ["library", "µs per step", "min–max"]
    header += [f"÷ {results['libraries'][name]['title']} (min–max)" for name in references]
    lines = []
    for name in sorted(row["seconds"], key=lambda name: statistics.median(row["seconds"][name])):
        times = spread(row["seconds"][name])
        line = [results["libraries"][name]["title"], microseconds(times.median)]
        line.append(f"{microseconds(times.lowest)}–{microseconds(times.highest)}")
        lines.append(line + [_ratio_cell(ratio(row, name, reference)) for reference in references])
    for name, reason in row["absent"].items():
        lines.append([results["libraries"][name]["title"], ABSENT, reason] + [ABSENT] * len(references))
    return header, lines


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


def _machine_lines(results: Results) -> list[str]:
    machine = results["machine"]
    threads = "one thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    lines = [
        f"- {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}; {threads}; "
        f"{machine['date']}",
        f"- Python {machine['python']}, NumPy {machine['numpy']} with {machine['blas']} ({machine['simd']})",
        "- " + ", ".join(f"{entry['title']} {entry['version']}" for entry in results["libraries"].values()),
    ]
    return lines + [f"- left out: {name} ({reason})" for name, reason in results["left_out"].items()]


def _how_workloads_were_timed(results: Results) -> str:
    settings = results["settings"]
    return (
        f"Medians of {settings['rounds']} rounds; in each round every library ran in turn, in a process of its own, "
        f"for at least {settings['seconds']:g} s. Ratios are taken round by round: below 1 is faster. "
        f"`{settings['command']}`"
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


def plot(results: Results, path: Path) -> None:
    """Draw ratios to the reference per workload and times per operation; needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = [(name, draw) for name, draw in (("workloads", _draw_workloads), ("operations", _draw_operations))]
    groups = [(name, draw) for name, draw in groups if results[name]]
    heights = [1.0 if name == "workloads" else 1.6 for name, _ in groups]
    figure, axes = pyplot.subplots(
        len(groups), figsize=(11, 4.5 * sum(heights)), height_ratios=heights, squeeze=False, layout="constrained"
    )
    for (_, draw), axis in zip(groups, axes[:, 0], strict=True):
        draw(results, axis)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_workloads(results: Results, axis: Any) -> None:
    rows = results["workloads"]
    reference = next(name for name in (*REFERENCES, *results["libraries"]) if name in results["libraries"])
    names = [name for name in results["libraries"] if name != reference]
    width = 0.8 / max(len(names), 1)
    for place, name in enumerate(names):
        found = [(index, ratio(row, name, reference)) for index, row in enumerate(rows.values())]
        bars = [(index + (place + 0.5) * width - 0.4, value) for index, value in found if value is not None]
        medians = [value.median for _, value in bars]
        below = [value.median - value.lowest for _, value in bars]
        above = [value.highest - value.median for _, value in bars]
        axis.bar(
            [position for position, _ in bars],
            [median - 1 for median in medians],
            width,
            bottom=1,
            yerr=(below, above),
            capsize=2,
            label=results["libraries"][name]["title"],
            color=_colour(results, name),
        )
    axis.axhline(1, color="black", linewidth=1)
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.set_xticks(range(len(rows)), [row["title"].replace(", ", "\n") for row in rows.values()])
    axis.set_ylabel(f"time of a step ÷ {results['libraries'][reference]['title']}")
    axis.set_title("Training steps: below the line is faster; bars are medians, whiskers all rounds")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")


def _draw_operations(results: Results, axis: Any) -> None:
    rows = results["operations"]
    for name in results["libraries"]:
        points = [
            (statistics.median(row["seconds"][name]) * 1e6, place)
            for place, row in enumerate(rows.values())
            if name in row["seconds"]
        ]
        if points:
            title = results["libraries"][name]["title"]
            axis.plot(*zip(*points, strict=True), "o", markersize=5, label=title, color=_colour(results, name))
    axis.set_xscale("log")
    axis.set_yticks(range(len(rows)), [row["title"] for row in rows.values()], fontsize="x-small")
    axis.invert_yaxis()
    axis.grid(axis="y", alpha=0.3)
    axis.set_xlabel("µs per call")
    axis.set_title("Single operations")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")


def _colour(results: Results, name: str) -> str:
    return f"C{list(results['libraries']).index(name)}"
