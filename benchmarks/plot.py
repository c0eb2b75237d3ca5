"""The plot of a run: ratios of the training steps, growth curves, times of single operations."""

import statistics
import textwrap
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.report import Results

__all__ = ["plot"]


def plot(results: Results, path: Path) -> None:
    """Draw ratios to the reference per workload and times per operation; needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = [(name, draw) for name, draw in DRAWINGS.items() if results[name]]
    heights = [1.6 if name == "operations" else 1.0 for name, _ in groups]
    figure, axes = pyplot.subplots(
        len(groups), figsize=(11, 4.5 * sum(heights)), height_ratios=heights, squeeze=False, layout="constrained"
    )
    for (_, draw), axis in zip(groups, axes[:, 0], strict=True):
        draw(results, axis)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_workloads(results: Results, axis: Any) -> None:
    rows = results["workloads"]
    reference = next(name for name in (*report.REFERENCES, *results["libraries"]) if name in results["libraries"])
    names = [name for name in results["libraries"] if name != reference]
    width = 0.8 / max(len(names), 1)
    for place, name in enumerate(names):
        found = [(index, report.ratio(row, name, reference)) for index, row in enumerate(rows.values())]
        bars = [(index + (place + 0.5) * width - 0.4, value) for index, value in found if value is not None]
        if not bars:
            continue
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
    axis.set_xticks(range(len(rows)), list(rows), rotation=30, ha="right")
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


def _draw_growth(results: Results, axis: Any) -> None:
    axis.set_axis_off()
    curves = results["growth"]
    shown: dict[str, Any] = {}
    for place, curve in enumerate(curves.values()):
        part = axis.inset_axes((place / len(curves), 0.08, 0.72 / len(curves), 0.8))
        for name in results["libraries"]:
            known = [(int(n), row["seconds"][name]) for n, row in curve["points"].items() if name in row["seconds"]]
            if known:
                times = [statistics.median(rounds) * 1e3 for _, rounds in known]
                title = results["libraries"][name]["title"]
                part.plot([n for n, _ in known], times, "o-", markersize=3, label=title, color=_colour(results, name))
        part.set_xscale("log", base=2)
        part.set_yscale("log")
        part.xaxis.set_major_formatter("{x:g}")
        part.yaxis.set_major_formatter("{x:g}")
        part.yaxis.set_minor_formatter("")
        part.set_title(textwrap.fill(curve["title"], 20), fontsize="x-small")
        part.tick_params(labelsize="x-small")
        part.grid(alpha=0.3)
        shown |= dict(zip(*reversed(part.get_legend_handles_labels()), strict=True))
        if place == 0:
            part.set_ylabel("ms per step")
    axis.legend(shown.values(), shown.keys(), loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")


DRAWINGS = {"workloads": _draw_workloads, "growth": _draw_growth, "operations": _draw_operations}
