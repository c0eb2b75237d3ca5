"""Where the user's code called the library: for messages that name a line."""

from __future__ import annotations

import sys

__all__ = ["user_line"]


def user_line() -> str:
    """File and line of the innermost frame outside the library."""
    frame = sys._getframe(1)
    package = __name__.partition(".")[0]
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
