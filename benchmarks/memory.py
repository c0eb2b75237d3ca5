"""The resident memory of this process and the most it has been, from the kernel's own count.

Linux keeps the high-water mark in /proc/self/status and starts it anew on request. `getrusage` cannot: its `ru_maxrss`
never falls, and on Linux a process inherits it from the one that started it. It serves where there is no /proc.
"""

import sys
from pathlib import Path

__all__ = ["SOURCE", "forget_peak", "peak", "resident"]

STATUS = Path("/proc/self/status")
SOURCE = "VmHWM of /proc/self/status" if STATUS.exists() else "ru_maxrss of getrusage"


def _status(field: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def _maximum() -> int:
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def resident() -> int:
    """Return the bytes of memory that this process holds now (without /proc: has held at most)."""
    return _status("VmRSS") if STATUS.exists() else _maximum()


def peak() -> int:
    """Return the most bytes that this process has held since `forget_peak`."""
    return _status("VmHWM") if STATUS.exists() else _maximum()


def forget_peak() -> None:
    """Start the high-water mark anew, where the system can."""
    if STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): "reset the peak resident set size"
