"""The libraries that are compared, one file each.

A library's module offers `configure(threads)`, `version()`, `chain(workload)`, `network(workload)`, `program(workload)`
and `operation(row, backward)`; the last four return a function of no arguments that does one step (one call for an
operation) and returns what it computed: the chain its end and the weight's gradient, a network its loss, a program what
it says, an operation its result or its gradients. `wait(result)`, where a library computes behind the caller's back,
waits for it. A combination that makes no sense raises NotApplicable with the reason.
"""

from dataclasses import dataclass


class NotApplicable(Exception):
    """This library has nothing to measure here; the message is the reason that the report prints."""


@dataclass(frozen=True)
class Entry:
    """Where a library's module lives, what it must import, and what the report calls it."""

    module: str
    requires: str
    title: str


NO_TWIN = "not written for it"
"""Why a program is absent from a library without PyTorch's names."""


LIBRARIES: dict[str, Entry] = {
    "retrograd": Entry("retrograd", "retrograd", "retrograd"),
    "compiled": Entry("retrograd_compiled", "retrograd", "retrograd (compiled)"),
    "numba": Entry("retrograd_numba", "numba", "retrograd (numba)"),
    "compiled-numba": Entry("retrograd_numba_compiled", "numba", "retrograd (compiled, numba)"),
    "torch": Entry("torch_eager", "torch", "PyTorch"),
    "torch-fused": Entry("torch_fused", "torch", "PyTorch (fused Adam)"),
    "jax": Entry("jax_compiled", "jax", "JAX (compiled)"),
    "autograd": Entry("hips_autograd", "autograd", "HIPS autograd"),
    "mygrad": Entry("mygrad", "mygrad", "MyGrad"),
    "numpy": Entry("numpy_twin", "numpy", "NumPy by hand"),
}
