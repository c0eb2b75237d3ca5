"""Time retrograd beside other libraries and write tables, plots and JSON.

    python benchmarks/run.py --threads 1,2 --rounds 4
    python benchmarks/run.py --against torch --workloads circle,mlp --quick

Each library runs in a process of its own, kept for the whole run and held to --threads threads; rounds go through the
libraries in turn, A B C A B C, so that a drift of the machine hits all alike. Python's garbage collector stays on.
Peak memory is taken in a fresh process for every library and workload, with the first number of threads alone; growth
curves and single operations take half of the rounds.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # this file's own folder holds modules that must not be found as top-level names

from benchmarks import machine, memory, plot, report, summary
from benchmarks.libraries import LIBRARIES
from benchmarks.workloads import GROWTH, OPERATIONS, WORKLOADS

SUBJECT = "retrograd"
OPERATIONS_WORKLOAD, GROWTH_WORKLOAD = "operations", "growth"
WORKLOAD_SECONDS = 0.3
GROWTH_SECONDS = 0.1
OPERATION_SECONDS = 0.05
QUICK = 10  # how many times shorter a quick run measures
QUICK_ROUNDS = 2

Json = dict[str, Any]


class Worker:
    """A library's process; ask() sends one request and waits for its answer."""

    def __init__(self, name: str, threads: int) -> None:
        environment = dict(os.environ, **dict.fromkeys(machine.THREAD_VARIABLES, str(threads)))
        environment["OPENBLAS_THREAD_TIMEOUT"] = "19"  # as retrograd sets it; here NumPy is imported first
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, "--threads", str(threads)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.greeting = self._read()

    def ask(self, **request: Any) -> Json:
        """Return the answer to a request, {"failed": ...} if the process is gone."""
        assert self.process.stdin is not None
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return {"failed": "its process has ended"}
        return self._read()

    def _read(self) -> Json:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return {"failed": f"its process ended with status {self.process.wait()}"}
        answer: Json = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def start(names: list[str], threads: int) -> tuple[list[Worker], dict[str, str]]:
    """Start a worker per library; return those that run, and why each other is left out."""
    workers, left_out = [], {}
    for name in names:
        worker = Worker(name, threads)
        if "version" in worker.greeting:
            workers.append(worker)
        else:
            left_out[name] = str(worker.greeting.get("left_out") or worker.greeting["failed"])
            worker.close()
    return workers, left_out


def measure(workers: list[Worker], name: str, title: str, rounds: int, seconds: float) -> Json:
    """Time one row in every library, in turn, `rounds` times."""
    times: dict[str, list[float]] = {worker.name: [] for worker in workers}
    absent: dict[str, str] = {}
    for _ in range(rounds):
        for worker in workers:
            if worker.name in absent:
                continue
            answer = worker.ask(do="time", workload=name, seconds=seconds)
            if "seconds" in answer:
                times[worker.name].append(answer["seconds"])
            else:
                absent[worker.name] = answer.get("not_applicable") or f"{report.FAILED}: {answer['failed']}"
    return {"title": title, "seconds": {n: t for n, t in times.items() if n not in absent}, "absent": absent}


def measure_memory(names: list[str], threads: int, workload: str) -> Json:
    """Return the memory before and at its peak in every library that has the workload, each in a process of its own."""
    found: Json = {}
    for name in names:
        worker = Worker(name, threads)
        answer = worker.ask(do="memory", workload=workload)
        worker.close()
        if "peak" in answer:
            found[name] = answer
    return found


def run(options: argparse.Namespace, threads: int) -> Json:
    """Measure everything that was asked for with so many threads and return the results."""
    workers, left_out = start(options.libraries, threads)
    for name, reason in left_out.items():
        print(f"left out: {name} ({reason})", file=sys.stderr)
    if SUBJECT in left_out:
        for worker in workers:
            worker.close()
        raise SystemExit(f"{SUBJECT} {left_out[SUBJECT]}; nothing to compare. Try: pip install -e .")
    results: Json = {
        "machine": machine.describe(threads),
        "settings": {
            "rounds": options.rounds,
            "seconds": WORKLOAD_SECONDS / options.shorter,
            "memory": memory.SOURCE,
            "command": command(options),
        },
        "libraries": {
            worker.name: {"title": LIBRARIES[worker.name].title, "version": worker.greeting["version"]}
            for worker in workers
        },
        "left_out": left_out,
        "workloads": {},
        "growth": {},
        "operations": {},
    }

    def timed(name: str, title: str, seconds: float, rounds: int = options.rounds) -> Json:
        print(title, file=sys.stderr)
        return measure(workers, name, title, rounds, seconds / options.shorter)

    fewer = max(1, options.rounds // 2)
    try:
        for name in options.workloads:
            if name == OPERATIONS_WORKLOAD:
                rows = [f"{key} {way}" for key in OPERATIONS for way in ("forward", "forward+backward")]
                results["operations"] = {row: timed(row, row, OPERATION_SECONDS, fewer) for row in rows}
            elif name == GROWTH_WORKLOAD:
                for key, curve in GROWTH.items():
                    points = {
                        n: timed(point.name, f"{curve.title}: {n}", GROWTH_SECONDS, fewer)
                        for n, point in curve.points.items()
                    }
                    results["growth"][key] = {"title": curve.title, "points": points}
            else:
                row = timed(name, WORKLOADS[name].title, WORKLOAD_SECONDS)
                if options.memory and threads == options.threads[0]:
                    row["memory"] = measure_memory(list(row["seconds"]), threads, name)
                results["workloads"][name] = row
    finally:
        for worker in workers:
            worker.close()
    return results


def write(results: Json, folder: Path) -> None:
    """Write JSON, Markdown and, if matplotlib is installed, the plot; named by the number of threads."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"threads-{results['machine']['threads']}"
    (folder / f"{stem}.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    picture: str | None = f"{stem}.png"
    try:
        plot.plot(results, folder / f"{stem}.png")
    except ModuleNotFoundError as error:
        print(f"no plot: {error.name} is not installed", file=sys.stderr)
        picture = None
    (folder / f"{stem}.md").write_text(report.markdown(results, picture), encoding="utf-8")


def failures(results: Json) -> list[str]:
    """Return a line for every cell that failed; a combination that does not apply is no failure."""
    rows = [*results["workloads"].values(), *results["operations"].values()]
    rows += [row for curve in results["growth"].values() for row in curve["points"].values()]
    return [
        f"{name}, {row['title']}: {reason}"
        for row in rows
        for name, reason in row["absent"].items()
        if reason.startswith(report.FAILED)
    ]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; an unknown library or workload ends the program with the list of known ones."""
    others = [name for name in LIBRARIES if name not in (SUBJECT, "torch-fused")]
    known = [*WORKLOADS, GROWTH_WORKLOAD, OPERATIONS_WORKLOAD]
    parser = argparse.ArgumentParser(description="Time retrograd beside other libraries.")
    parser.add_argument("--against", default=",".join(others), help=f"libraries, of {', '.join(others)} (default: all)")
    parser.add_argument("--workloads", default=",".join(known), help=f"of {', '.join(known)} (default: all)")
    parser.add_argument("--threads", type=_counts, default=[1], help="threads per library, e.g. 1,2 (default: 1)")
    parser.add_argument("--rounds", type=_at_least_one, help="rounds through the libraries (default: 7)")
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds, each {QUICK} times shorter: rough"
    )
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave peak memory out")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder for the results")
    options = parser.parse_args(arguments)
    options.libraries = [SUBJECT]
    for name in _names(parser, "--against", options.against, others):
        options.libraries += ["torch", "torch-fused"] if name == "torch" else [name]
    options.workloads = _names(parser, "--workloads", options.workloads, known)
    if max(options.threads) > len(machine.usable_cores()):
        parser.error(f"--threads {max(options.threads)}: this machine has {len(machine.usable_cores())} cores")
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else 7)
    options.shorter = QUICK if options.quick else 1
    return options


def command(options: argparse.Namespace) -> str:
    """Return the command line that repeats the measurement."""
    others = ",".join(name for name in options.libraries if name not in (SUBJECT, "torch-fused"))
    return (
        f"python benchmarks/run.py --against {others} --workloads {','.join(options.workloads)} "
        f"--threads {','.join(map(str, options.threads))} --rounds {options.rounds}"
        f"{' --quick' if options.quick else ''}{'' if options.memory else ' --no-memory'}"
    )


def _names(parser: argparse.ArgumentParser, option: str, text: str, known: list[str]) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in known:
            parser.error(f"{option}: unknown {name!r}; choose from {', '.join(known)}")
    return names


def _counts(text: str) -> list[int]:
    return [_at_least_one(number) for number in text.split(",")]


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def main(arguments: list[str] | None = None) -> int:
    """Run, write, print; the status is 1 when a library failed."""
    options = parse(arguments)
    everything = []
    for threads in options.threads:
        results = run(options, threads)
        write(results, options.out)
        print(report.terminal(results))
        everything.append(results)
    if results["workloads"]:
        table = summary.markdown(everything)
        (options.out / "summary.md").write_text(table, encoding="utf-8")
        print(table)
    failed = [line for results in everything for line in failures(results)]
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
