"""The plot of a run: ratios of the training steps, growth curves, times of single operations."""

import statistics
import textwrap
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.report import Results

__all__ = ["plot"]


WIDTH = 12  # inches


def plot(results: Results, path: Path) -> None:
    """Draw ratios to the reference per workload, growth curves and times per operation; needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawings = [draw for name, draw in DRAWINGS.items() if results[name]]
    heights = [HEIGHTS[name](results[name]) for name in DRAWINGS if results[name]]
    figure, axes = pyplot.subplots(
        len(drawings), figsize=(WIDTH, sum(heights)), height_ratios=heights, squeeze=False, layout="constrained"
    )
    for draw, axis in zip(drawings, axes[:, 0], strict=True):
        draw(results, axis)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_workloads(results: Results, axis: Any) -> None:
    rows = results["workloads"]
    reference = next(name for name in (*report.REFERENCES, *results["libraries"]) if name in results["libraries"])
    for name in results["libraries"]:
        found = [(report.ratio(row, name, reference), place) for place, row in enumerate(rows.values())]
        points = [(value, place) for value, place in found if value is not None and name != reference]
        if not points:
            continue
        axis.errorbar(
            [value.median for value, _ in points],
            [place for _, place in points],
            xerr=(
                [value.median - value.lowest for value, _ in points],
                [value.highest - value.median for value, _ in points],
            ),
            **_dots(results, name),
        )
    axis.axvline(1, color="black", linewidth=1)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    titles = [textwrap.fill(row["title"], 36) for row in rows.values()]
    axis.set_yticks(range(len(rows)), titles, fontsize="x-small")
    axis.invert_yaxis()
    axis.grid(alpha=0.3)
    axis.set_xlabel(f"time of a step ÷ {results['libraries'][reference]['title']}: left of the line is faster")
    axis.set_title("Training steps: dots are medians, whiskers all rounds")
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
            axis.plot(*zip(*points, strict=True), **_dots(results, name))
    axis.set_xscale("log")
    axis.set_yticks(range(len(rows)), [row["title"] for row in rows.values()], fontsize="x-small")
    axis.invert_yaxis()
    axis.grid(axis="y", alpha=0.3)
    axis.set_xlabel("µs per call")
    axis.set_title("Single operations")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")


def _dots(results: Results, name: str) -> dict[str, Any]:
    """Return a library's look: retrograd's dots are round, larger and above the others."""
    title, ours = results["libraries"][name]["title"], name in report.OURS
    look = {"label": title, "color": _colour(results, name), "marker": "o" if ours else "D", "linestyle": "none"}
    return look | {"markersize": 6 if ours else 4, "zorder": 4 if ours else 3}


def _colour(results: Results, name: str) -> str:
    return f"C{list(results['libraries']).index(name)}"


def _draw_growth(results: Results, axis: Any) -> None:
    axis.set_axis_off()
    curves = results["growth"]
    lines = -(-len(curves) // COLUMNS)
    shown: dict[str, Any] = {}
    for place, curve in enumerate(curves.values()):
        line, column = divmod(place, COLUMNS)
        corner = column / COLUMNS, 1 - (line + 1) / lines + 0.18 / lines
        part = axis.inset_axes((*corner, 0.84 / COLUMNS, 0.68 / lines))
        _draw_curve(results, curve, part)
        shown |= dict(zip(*reversed(part.get_legend_handles_labels()), strict=True))
        if column == 0:
            part.set_ylabel("ms per step", fontsize="small")
    axis.legend(shown.values(), shown.keys(), loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")


def _draw_curve(results: Results, curve: report.Row, part: Any) -> None:
    points = curve["points"]
    for name in results["libraries"]:
        known = [(int(n), row["seconds"][name]) for n, row in points.items() if name in row["seconds"]]
        if known:
            times = [statistics.median(rounds) * 1e3 for _, rounds in known]
            look = _dots(results, name) | {"linestyle": "-", "linewidth": 2 if name in report.OURS else 1}
            part.plot([n for n, _ in known], times, **look | {"markersize": 3})
    part.set_xscale("log", base=2)
    part.set_yscale("log")
    part.set_xticks([int(n) for n in points], points)
    part.xaxis.set_minor_formatter("")
    part.yaxis.set_major_formatter("{x:g}")
    part.yaxis.set_minor_formatter("")
    part.set_title(textwrap.fill(curve["title"], 28), fontsize="small")
    part.tick_params(labelsize="x-small")
    part.grid(alpha=0.3)


COLUMNS = 3  # of growth curves
DRAWINGS = {"workloads": _draw_workloads, "growth": _draw_growth, "operations": _draw_operations}
HEIGHTS = {
    "workloads": lambda rows: 1.5 + 0.3 * len(rows),
    "growth": lambda curves: 3.4 * -(-len(curves) // COLUMNS),
    "operations": lambda rows: 1.5 + 0.15 * len(rows),
}
