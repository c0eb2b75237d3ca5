"""The table of the README: what a step takes beside PyTorch, here and in the other libraries."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import report
from benchmarks.report import ABSENT, Results, Row

__all__ = ["geometric_mean", "markdown"]

SUBJECT, ORACLE = "retrograd", "torch"
WAYS = {"retrograd": "retrograd", "numba": "numba", "compiled": "compiled", "compiled-numba": "compiled, numba"}
"""Our own columns, with all numbers of threads in a cell."""
BESIDE = ("jax", "mygrad", "autograd", "numpy")  # in the first of the runs, each divided by PyTorch

LITTLE = 4 * 2**20
"""Where both add less memory than this, what is left free by earlier steps decides, and a ratio says nothing."""


@dataclass(frozen=True)
class Column:
    """A heading and, by the name of a workload, a number beside PyTorch's for each run; None where there is none."""

    heading: str
    ratios: Sequence[Callable[[str], float | None]]
    absent: Callable[[str], str] = lambda name: ABSENT

    def cell(self, name: str) -> str:
        """Return what stands in the workload's line."""
        values = [ratio(name) for ratio in self.ratios]
        return " / ".join(self.absent(name) if value is None else _two_digits(value) for value in values)

    def mean(self, names: Sequence[str]) -> str:
        """Return what stands in the last line: the geometric means, and of how many workloads."""
        known = [[value for value in map(ratio, names) if value is not None] for ratio in self.ratios]
        if not all(known):
            return ABSENT
        return f"**{' / '.join(_two_digits(geometric_mean(values)) for values in known)}** ({len(known[0])})"


def markdown(runs: Sequence[Results]) -> str:
    """Return the table: ratios to PyTorch's time and memory, and their geometric means."""
    first = runs[0]
    columns = _columns(runs)
    header = ["training step", "ms", *(column.heading for column in columns)]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1)]
    for name, row in first["workloads"].items():
        lines.append([row["title"], _milliseconds(row), *(column.cell(name) for column in columns)])
    lines.append(["**geometric mean**", "", *(column.mean(list(first["workloads"])) for column in columns)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n".join(
        [
            *("# Training steps beside PyTorch", "", f"{report.machine_line(first)}{_further(runs)}", "", table, ""),
            "Times and memory are divided by PyTorch's: below 1 is better. Our own times are with "
            f"{' / '.join(map(_threads, runs))}, all else with {_threads(first)}. A mean is over as many training "
            f"steps as stand behind it, those that the library can do. `{first['settings']['command']}`\n",
        ]
    )


def geometric_mean(values: Sequence[float]) -> float:
    """Return the mean that weighs half and double alike."""
    return math.exp(statistics.fmean(map(math.log, values)))


def _columns(runs: Sequence[Results]) -> list[Column]:
    """Our own times with every number of threads, then the other libraries, then memory."""
    libraries = runs[0]["libraries"]
    columns = [Column(title, [_time(run, name) for run in runs]) for name, title in WAYS.items() if name in libraries]
    columns += [Column(libraries[name]["title"], [_time(runs[0], name)]) for name in BESIDE if name in libraries]
    rows = runs[0]["workloads"]
    return [*columns, Column("memory", [lambda name: _memory(rows[name])], lambda name: _no_memory(rows[name]))]


def _time(run: Results, library: str) -> Callable[[str], float | None]:
    def ratio(name: str) -> float | None:
        value = report.ratio(run["workloads"][name], library, ORACLE)
        return None if value is None else value.median

    return ratio


def _further(runs: Sequence[Results]) -> str:
    """Name the numbers of threads of the runs after the first."""
    return "".join(f"; {_threads(run)}" for run in runs[1:])


def _threads(run: Results) -> str:
    threads = run["machine"]["threads"]
    return f"{threads} thread{'s' if threads > 1 else ''}"


def _milliseconds(row: Row) -> str:
    if SUBJECT not in row["seconds"]:
        return ABSENT
    return report.three_digits(statistics.median(row["seconds"][SUBJECT]) * 1e3)


def _two_digits(value: float) -> str:
    return f"{value:.{3 if value < 0.1 else 2 if value < 10 else 1}f}"


def _growths(row: Row) -> list[int] | None:
    """Return by how much memory grew above the import, of which each library's own code is no part: ours, theirs."""
    measured = row.get("memory", {})
    if SUBJECT not in measured or ORACLE not in measured:
        return None
    return [measured[name]["peak"] - measured[name]["before"] for name in (SUBJECT, ORACLE)]


def _memory(row: Row) -> float | None:
    growths = _growths(row)
    if growths is None or max(growths) < LITTLE or min(growths) <= 0:
        return None
    return growths[0] / growths[1]


def _no_memory(row: Row) -> str:
    growths = _growths(row)
    return f"< {LITTLE // 2**20} MiB" if growths is not None and max(growths) < LITTLE else ABSENT
