"""retrograd with the kernels that numba compiles: `rg.set_kernels("numba")`."""

import numba  # noqa: F401  what is missing is told by its name

import retrograd as rg
from benchmarks.libraries.retrograd import chain, network, operation, program, version

__all__ = ["chain", "configure", "network", "operation", "program", "version"]


def configure(threads: int) -> None:
    """Let operations use so many threads, BLAS too, and compiled kernels."""
    rg.set_num_threads(threads)
    rg.set_kernels("numba")
