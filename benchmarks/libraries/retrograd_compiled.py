"""retrograd with every step compiled: `rg.compile(step)`."""

import retrograd as rg
from benchmarks.libraries import NotApplicable, retrograd
from benchmarks.libraries.pytorch_style import Step
from benchmarks.libraries.retrograd import configure, version
from benchmarks.workloads import Chain, Network, Operation, Program

__all__ = ["chain", "configure", "network", "operation", "program", "version"]


def chain(workload: Chain) -> Step:
    """Return the chain's step."""
    return compiled(retrograd.chain(workload))


def network(workload: Network) -> Step:
    """Return the training step."""
    return compiled(retrograd.network(workload))


def program(workload: Program) -> Step:
    """Return the program's step."""
    return compiled(retrograd.program(workload))


def operation(row: Operation, backward: bool) -> Step:
    """Return one call of the operation with its backward pass."""
    if not backward:
        raise NotApplicable("its graph is still to be used, so there is no whole step to compile")
    return compiled(retrograd.operation(row, backward))


def compiled(step: Step) -> Step:
    """Return the step, compiled; one that cannot be raises."""
    replayed: Step = rg.compile(step, fullgraph=True)
    return replayed
