"""PyTorch as most people run it: eager mode on the CPU, default optimizers."""

import torch

from benchmarks.libraries import pytorch_style
from benchmarks.libraries.pytorch_style import Step
from benchmarks.workloads import Chain, Network, Operation, Program


def configure(threads: int) -> None:
    """Keep PyTorch to `threads` threads."""
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def version() -> str:
    """Return PyTorch's version."""
    return str(torch.__version__)


def chain(workload: Chain) -> Step:
    """Return the chain's step."""
    return pytorch_style.chain(torch, workload)


def network(workload: Network) -> Step:
    """Return the training step."""
    return pytorch_style.network(torch, workload)


def program(workload: Program) -> Step:
    """Return the program's step."""
    return workload.step(torch)


def operation(row: Operation, backward: bool) -> Step:
    """Return one call of the operation."""
    return pytorch_style.operation(torch, row, backward)
