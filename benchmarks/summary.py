"""The table of the README: what a step takes here beside PyTorch, for every number of threads that was measured."""

import math
import statistics
from collections.abc import Sequence

from benchmarks import report
from benchmarks.report import ABSENT, Results, Row

__all__ = ["geometric_mean", "markdown"]

SUBJECT, ORACLE = "retrograd", "torch"
BESIDE = ("jax", "numpy")  # in the first of the runs, each divided by PyTorch

LITTLE = 4 * 2**20
"""Where both add less memory than this, what is left free by earlier steps decides, and a ratio says nothing."""


def markdown(runs: Sequence[Results]) -> str:
    """Return the table: ratios to PyTorch's time and memory, and their geometric means."""
    first = runs[0]
    beside = [name for name in BESIDE if name in first["libraries"]]
    header = ["training step", "retrograd, ms", *(_threads(run) for run in runs)]
    header += [f"{first['libraries'][name]['title']}" for name in beside] + ["memory"]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1)]
    for name, row in first["workloads"].items():
        milliseconds = _milliseconds(row)
        ratios = [_cell(report.ratio(run["workloads"][name], SUBJECT, ORACLE)) for run in runs]
        others = [_cell(report.ratio(row, other, ORACLE)) for other in beside]
        lines.append([row["title"], milliseconds, *ratios, *others, _memory(row)])
    means = [_mean_cell(run) for run in runs]
    lines.append(["**geometric mean**", "", *means, *[""] * (len(beside) + 1)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n".join(
        [
            *("# Training steps beside PyTorch", "", f"{report.machine_line(first)}{_further(runs)}", "", table, ""),
            "Times and memory are divided by PyTorch's: below 1 is better. JAX and NumPy by hand are with the first "
            f"number of threads. `{first['settings']['command']}`\n",
        ]
    )


def _further(runs: Sequence[Results]) -> str:
    """Name the numbers of threads of the runs after the first."""
    return "".join(f"; {_threads(run)}" for run in runs[1:])


def geometric_mean(run: Results) -> float | None:
    """Return the geometric mean of retrograd ÷ PyTorch over the workloads that both have; None without any."""
    found = [report.ratio(row, SUBJECT, ORACLE) for row in run["workloads"].values()]
    known = [math.log(value.median) for value in found if value is not None]
    return math.exp(statistics.fmean(known)) if known else None


def _mean_cell(run: Results) -> str:
    mean = geometric_mean(run)
    return ABSENT if mean is None else f"**{mean:.2f}**"


def _threads(run: Results) -> str:
    threads = run["machine"]["threads"]
    return f"{threads} thread{'s' if threads > 1 else ''}"


def _milliseconds(row: Row) -> str:
    if SUBJECT not in row["seconds"]:
        return ABSENT
    return report.three_digits(statistics.median(row["seconds"][SUBJECT]) * 1e3)


def _cell(value: report.Spread | None) -> str:
    if value is None:
        return ABSENT
    return f"{value.median:.2f}" if value.median >= 0.1 else f"{value.median:.3f}"


def _memory(row: Row) -> str:
    """The growth above the import, of which each library's own code is no part."""
    measured = row.get("memory", {})
    if SUBJECT not in measured or ORACLE not in measured:
        return ABSENT
    mine, theirs = (measured[name]["peak"] - measured[name]["before"] for name in (SUBJECT, ORACLE))
    if max(mine, theirs) < LITTLE:
        return f"< {LITTLE // 2**20} MiB"
    return f"{mine / theirs:.2f}" if theirs > 0 else ABSENT
