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
_THRESHOLD = 1 << 30  # bytes; glibc takes an int


def keep_large_blocks() -> bool:
    """Raise both thresholds; True when glibc accepted them."""
    if os.environ.get("RETROGRAD_MALLOC") == "0" or not _is_glibc():
        return False
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # Setting either one also switches glibc's own adjustment of the thresholds off. mallopt returns 1 on success.
    accepted = [mallopt(option, _THRESHOLD) == 1 for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD)]
    return all(accepted)


def _is_glibc() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (ValueError, OSError):
        return False
