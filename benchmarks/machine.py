"""What the figures were taken on: hardware and versions, never the machine's name or its paths."""

import datetime
import os
import platform
from pathlib import Path

import numpy as np

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def describe(threads: int) -> dict[str, str | int]:
    """Return CPU model, usable cores, system, Python, NumPy, its BLAS and vector extensions, threads used, date."""
    configuration = np.show_config(mode="dicts")
    blas = configuration["Build Dependencies"]["blas"]
    return {
        "cpu": _cpu_model(),
        "cores": len(usable_cores()),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": f"{blas['name']} {blas['version']}",
        "simd": ", ".join(configuration["SIMD Extensions"]["found"]),
        "threads": threads,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def usable_cores() -> list[int]:
    """Return the numbers of the cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def keep_to_cores(count: int) -> None:
    """Keep this process to `count` cores, the highest numbered: the system's own work prefers the lowest."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, usable_cores()[-count:])


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> int:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return 0
