"""What pytest must know before it collects doctests from the package."""

from importlib.util import find_spec

import retrograd  # noqa: F401 - once, before pytest imports its modules one by one: primitives are declared only once

NEEDS = {
    "docs/coverage.py": "torch",
    "retrograd/backends/cupy*.py": "cupy",
    "retrograd/backends/numba/*.py": "numba",
    "tests/backends/compiled/*.py": "numba",
}
"""Modules that cannot be imported, or say nothing, without an optional library."""

collect_ignore_glob = [path for path, library in NEEDS.items() if find_spec(library) is None]
