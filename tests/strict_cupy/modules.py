"""The modules `cupy` and `cupyx`, put together."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tests.strict_cupy import memory, rules, streams
from tests.strict_cupy.array import Device, ndarray
from tests.strict_cupy.functions import as_strided, functions, linalg
from tests.strict_cupy.kernels import ElementwiseKernel
from tests.strict_cupy.streams import empty_pinned
from tests.strict_cupy.ufuncs import UFUNCS, ufunc

_NUMPYS = (
    "bool_",
    "int8",
    "uint8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
)
_MEMORY = ("Memory", "MemoryPointer", "MemoryPool", "alloc", "set_pinned_memory_allocator", "using_allocator")
_STREAMS = ("Graph", "PinnedMemoryPointer", "Stream", "get_current_stream")


def make_cupy() -> ModuleType:
    cupy = ModuleType("cupy")
    shared: dict[str, Any] = {**functions, **UFUNCS}
    for name in _NUMPYS:
        shared[name] = getattr(np, name)
    vars(cupy).update(
        shared,
        __version__=rules.SIGNATURES["version"],
        dtype=np.dtype,
        newaxis=None,
        ndarray=ndarray,
        ufunc=ufunc,
        get_default_pinned_memory_pool=memory.get_default_pinned_memory_pool,
        ElementwiseKernel=ElementwiseKernel,
        linalg=SimpleNamespace(**linalg),
        lib=SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=as_strided)),
        cuda=SimpleNamespace(
            Device=Device,
            **{name: getattr(memory, name) for name in _MEMORY},
            **{name: getattr(streams, name) for name in _STREAMS},
            runtime=SimpleNamespace(
                CUDARuntimeError=rules.CUDARuntimeError,
                getDeviceCount=lambda: rules.DEVICES,
                getDevice=lambda: rules.state.device,
                setDevice=_set_device,
            ),
        ),
    )
    return cupy


def make_cupyx() -> ModuleType:
    cupyx = ModuleType("cupyx")
    vars(cupyx).update(errstate=rules.errstate, empty_pinned=empty_pinned)
    return cupyx


def _set_device(index: int) -> None:
    if not 0 <= index < rules.DEVICES:
        raise RuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
    rules.state.device = index
