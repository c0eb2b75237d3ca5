"""retrograd with every step compiled, and with the kernels that numba compiles."""

from benchmarks.libraries.retrograd_compiled import chain, network, operation, program, version
from benchmarks.libraries.retrograd_numba import configure

__all__ = ["chain", "configure", "network", "operation", "program", "version"]
