"""Where the user's code called the library: for messages that name a line."""

from __future__ import annotations

import sys

__all__ = ["user_line"]


_INSIDE = __name__.partition(".")[0] + "."


def user_line() -> str:
    """File and line of the innermost frame outside the library."""
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__", "").startswith(_INSIDE) and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
