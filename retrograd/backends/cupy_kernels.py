"""The CUDA kernels of `cuda_kernels.py`, by name, ready to be called."""

from __future__ import annotations

from typing import Any

import cupy as cp

from retrograd.backends.cuda_kernels import KERNELS

__all__ = ["kernels"]

# Constructing a kernel compiles nothing; the first call with a dtype does.
kernels: dict[str, Any] = {
    k.name: cp.ElementwiseKernel(k.inputs, k.outputs, k.body, f"retrograd_{k.name}", preamble=k.preamble)
    for k in KERNELS
}
