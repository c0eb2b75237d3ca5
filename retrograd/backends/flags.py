"""Switches that change how the backends compute; one for the whole process.

`deterministic` makes scattered sums on a GPU add in a fixed order (sorted, then summed by segment), not atomically.
`check_indices` makes a GPU backend look at index arrays before it uses them: an index out of range raises IndexError,
at the price of waiting for the GPU at every such call. Without it CuPy wraps such an index silently. Index lists and
host arrays are always checked, because that costs no wait. RETROGRAD_CHECK_INDICES=1 in the environment turns it on.
"""

from __future__ import annotations

import os

__all__ = ["are_deterministic_algorithms_enabled", "check_index_arrays", "use_deterministic_algorithms"]

deterministic: bool = False
check_indices: bool = os.environ.get("RETROGRAD_CHECK_INDICES", "") not in ("", "0")


def use_deterministic_algorithms(mode: bool) -> None:
    """Take only algorithms whose result is the same in every run.

    >>> use_deterministic_algorithms(True)
    >>> are_deterministic_algorithms_enabled()
    True
    >>> use_deterministic_algorithms(False)
    """
    global deterministic
    deterministic = bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    return deterministic


def check_index_arrays(mode: bool) -> None:
    """Let a GPU backend raise IndexError for index arrays out of range (it then waits for the GPU at each of them)."""
    global check_indices
    check_indices = bool(mode)
