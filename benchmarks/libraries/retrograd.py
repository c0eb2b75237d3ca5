"""retrograd, written exactly as the PyTorch programs it is compared with."""

import retrograd as rg
from benchmarks.libraries import pytorch_style
from benchmarks.libraries.pytorch_style import Step
from benchmarks.workloads import Chain, Network, Operation, Program


def configure(threads: int) -> None:
    """Let operations use so many threads, BLAS too."""
    rg.set_num_threads(threads)


def version() -> str:
    """Return retrograd's version."""
    return rg.__version__


def chain(workload: Chain) -> Step:
    """Return the chain's step."""
    return pytorch_style.chain(rg, workload)


def network(workload: Network) -> Step:
    """Return the training step."""
    return pytorch_style.network(rg, workload)


def program(workload: Program) -> Step:
    """Return the program's step."""
    return workload.step(rg)


def operation(row: Operation, backward: bool) -> Step:
    """Return one call of the operation."""
    return pytorch_style.operation(rg, row, backward)
