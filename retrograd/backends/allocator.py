"""Keeps glibc from handing large blocks back to the kernel.

glibc serves a block above M_MMAP_THRESHOLD by `mmap` and returns it at every free, so an array of a few megabytes is
paged in anew each time it is made, and the page faults cost more than the arithmetic. Raising that threshold and
M_TRIM_THRESHOLD (mallopt(3)) lets freed blocks be used again. The price is a process that keeps its high-water mark.
`RETROGRAD_MALLOC=0` turns it off; on other platforms (musl, macOS, Windows) nothing happens.
"""

from __future__ import annotations

import os
import sys

__all__ = ["keep_large_blocks"]

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_THRESHOLDS = (1 << 30, 1 << 25)  # bytes; glibc before 2.35 takes no more than the second


def keep_large_blocks() -> bool:
    """Raise both thresholds; True when glibc accepted them."""
    if os.environ.get("RETROGRAD_MALLOC") == "0" or not _is_glibc():
        return False
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # mallopt returns 1 on success. Setting either one also switches glibc's own adjustment of the thresholds off.
    options = (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD)
    accepted = [any(mallopt(option, size) == 1 for size in _THRESHOLDS) for option in options]
    return all(accepted)


def _is_glibc() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (ValueError, OSError):
        return False
