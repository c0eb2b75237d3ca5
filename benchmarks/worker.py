"""One library in one process: `python -m benchmarks.worker torch --threads 1`.

Reads requests and writes answers as lines of JSON on standard input and output, so that the libraries can be asked in
turn and none shares a process, a thread pool or an allocator with another. The caller sets the environment's thread
counts before it starts the process.

Requests: {"do": "time", "workload": NAME, "seconds": S} → {"seconds": median time of one step};
{"do": "values", "workload": NAME, "steps": N} → {"values": [numbers of step 1, ...]};
{"do": "memory", "workload": NAME} → {"before": bytes resident after the import and one small step, "peak": the most
while the workload was built and took steps}, which is asked of a fresh process. An operation's NAME is that of its row
with " forward" or " forward+backward" behind it. Answers instead may be {"not_applicable": reason} or
{"failed": message}.
"""

import argparse
import importlib
import json
import os
import re
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any, TextIO

import numpy as np

from benchmarks import memory
from benchmarks.libraries import LIBRARIES, NotApplicable
from benchmarks.workloads import GROWN, OPERATIONS, SMALLEST, WORKLOADS, Chain, Network

Step = Callable[[], Any]
Json = dict[str, Any]

SAMPLE_SECONDS = 0.005  # steps are timed in groups this long: the clock's cost vanishes, the collector's does not
WARM_UP_STEPS = 3
MEMORY_STEPS = 5
SAMPLED = 1000  # numbers of a large array that are compared


def build(library: ModuleType, name: str) -> Step:
    """Return the step of a workload or of an operation's row."""
    workload = WORKLOADS.get(name) or GROWN.get(name)
    if workload is not None:
        kind = "chain" if isinstance(workload, Chain) else "network" if isinstance(workload, Network) else "program"
        step: Step = getattr(library, kind)(workload)
        return step
    row, direction = name.rsplit(" ", 1)
    operation: Step = library.operation(OPERATIONS[row], direction == "forward+backward")
    return operation


def time_step(step: Step, wait: Callable[[Any], None], seconds: float) -> float:
    """Return the median time of one step, in seconds, over groups of steps that last `seconds` together."""
    for _ in range(WARM_UP_STEPS):
        wait(step())
    count = 1
    while (elapsed := _time_group(step, wait, count)) < SAMPLE_SECONDS:
        count = max(2 * count, int(count * SAMPLE_SECONDS / max(elapsed, 1e-9)))
    samples: list[float] = []
    total = 0.0
    while total < seconds or len(samples) < 3:
        samples.append(_time_group(step, wait, count))
        total += samples[-1]
    return statistics.median(samples) / count


def _time_group(step: Step, wait: Callable[[Any], None], count: int) -> float:
    result = None
    repeats = range(count)
    start = time.perf_counter()
    for _ in repeats:
        result = step()
    wait(result)
    return time.perf_counter() - start


def peak_memory(library: ModuleType, name: str) -> Json:
    """Return the resident memory before a workload is built, and the most that it took."""
    library.network(SMALLEST)()
    before = memory.resident()
    memory.forget_peak()
    step = build(library, name)
    for _ in range(MEMORY_STEPS):
        getattr(library, "wait", lambda result: None)(step())
    return {"before": before, "peak": memory.peak()}


def numbers(result: Any) -> list[float]:
    """Return what a step computed as one flat list; of a large array, numbers at regular distances."""
    if isinstance(result, (list, tuple)):
        return [number for part in result for number in numbers(part)]
    array = np.asarray(result.detach().numpy() if hasattr(result, "detach") else result, np.float64)
    return [float(number) for number in array.ravel()[:: max(1, array.size // SAMPLED)]]


def answer(library: ModuleType, request: Json) -> Json:
    """Do what one request asks."""
    try:
        if request["do"] == "memory":
            return peak_memory(library, request["workload"])
        step = build(library, request["workload"])
        if request["do"] == "values":
            return {"values": [numbers(step()) for _ in range(request["steps"])]}
        return {"seconds": time_step(step, getattr(library, "wait", lambda result: None), request["seconds"])}
    except NotApplicable as reason:
        return {"not_applicable": str(reason)}
    except Exception as error:  # a library's failure becomes its cell of the report; the others go on
        traceback.print_exc()
        return {"failed": summary(error)}


def load(name: str, threads: int) -> tuple[ModuleType | None, Json]:
    """Import a library and return it with its greeting: its version, or why it is left out."""
    entry = LIBRARIES[name]
    try:
        library = importlib.import_module(f"benchmarks.libraries.{entry.module}")
        library.configure(threads)
        return library, {"version": library.version()}
    except ModuleNotFoundError as error:
        if error.name == entry.requires:
            return None, {"left_out": "not installed"}
        return None, {"left_out": f"cannot be imported: {summary(error)}"}
    except Exception as error:
        traceback.print_exc()
        return None, {"left_out": f"cannot be imported: {summary(error)}"}


def summary(error: Exception) -> str:
    """Return an error's first line without the folders of any path in it: results are published."""
    return re.sub(r"(?:[A-Za-z]:)?(?:[\\/][\w.+-]+)+[\\/]", "", f"{type(error).__name__}: {error}".splitlines()[0])


def main() -> None:
    """Greet, then answer requests until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    pipe = _claim_standard_output()
    library, greeting = load(options.library, options.threads)
    print(json.dumps(greeting), file=pipe, flush=True)
    if library is None:
        return
    for line in sys.stdin:
        print(json.dumps(answer(library, json.loads(line))), file=pipe, flush=True)


def _claim_standard_output() -> TextIO:
    """Keep the pipe for answers and send whatever a library prints to standard error."""
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return pipe


if __name__ == "__main__":
    main()
