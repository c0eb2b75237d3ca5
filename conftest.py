"""What pytest must know before it collects doctests from the package."""

from importlib.util import find_spec

import retrograd  # noqa: F401 - once, before pytest imports its modules one by one: primitives are declared only once

collect_ignore = [] if find_spec("cupy") else ["retrograd/backends/cupy.py"]
"""Without CuPy its backend cannot be imported, and half an import would stay behind."""
