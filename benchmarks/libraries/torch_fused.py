"""PyTorch with `Adam(fused=True)`, its fastest optimizer on the CPU; elsewhere the same as eager mode."""

import torch

from benchmarks.libraries import NotApplicable, pytorch_style
from benchmarks.libraries.pytorch_style import Step
from benchmarks.libraries.torch_eager import configure, version
from benchmarks.workloads import Adam, Chain, Network, Operation, Program

__all__ = ["chain", "configure", "network", "operation", "program", "version"]

REASON = "no Adam here, so the same as PyTorch"


def chain(workload: Chain) -> Step:
    """Raise NotApplicable: the chain has no optimizer."""
    raise NotApplicable(REASON)


def network(workload: Network) -> Step:
    """Return the training step of a network that Adam trains."""
    if not isinstance(workload.optimizer, Adam):
        raise NotApplicable(REASON)
    return pytorch_style.network(torch, workload, fused=True)


def program(workload: Program) -> Step:
    """Return the step of a program that Adam or AdamW trains."""
    if not workload.adam:
        raise NotApplicable(REASON)
    return workload.step(torch, fused=True)


def operation(row: Operation, backward: bool) -> Step:
    """Raise NotApplicable: an operation has no optimizer."""
    raise NotApplicable(REASON)
