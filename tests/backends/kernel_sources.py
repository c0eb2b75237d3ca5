"""The library's kernels as complete programs: for NVIDIA's run-time compiler, and as plain loops for the host's C++."""

from __future__ import annotations

from retrograd.backends.cuda_kernels import KERNELS, Kernel

C_TYPES = {
    "float16": "float16", "float32": "float", "float64": "double", "int8": "signed char", "uint8": "unsigned char",
    "int16": "short", "int32": "int", "int64": "long long", "bool": "bool",
}  # fmt: skip


def for_gpu() -> str:
    """Every kernel in every dtype, as CuPy writes an elementwise kernel around its body."""
    kernels = [_gpu(kernel, dtype) for kernel in KERNELS for dtype in kernel.types]
    return "\n".join(["#include <cupy/carray.cuh>", "#include <cupy/float16.cuh>", KERNELS[0].preamble, *kernels])


def for_host() -> str:
    """Every kernel in float32 and float64 (and the integer ones) as a loop, one C function each."""
    loops = [_host(kernel, dtype) for kernel in KERNELS for dtype in kernel.types if dtype != "float16"]
    return "\n".join(["#include <cmath>", "using namespace std;", KERNELS[0].preamble, *loops])


def parameters(kernel: Kernel) -> list[tuple[bool, str, str, bool]]:
    """(raw, type, name, output) of each parameter."""
    found = []
    for text, output in ((kernel.inputs, False), (kernel.outputs, True)):
        for part in text.split(","):
            *raw, kind, name = part.split()
            found.append((raw == ["raw"], kind, name, output))
    return found


def _gpu(kernel: Kernel, dtype: str) -> str:
    arguments, locals_ = [], []
    for raw, kind, name, output in parameters(kernel):
        c_type = C_TYPES[dtype if kind == "T" else kind]
        if not raw and not output and kind != "T":
            arguments.append(f"{c_type} {name}")
            continue
        carray = f"CArray<{c_type}, 1, true, true>"
        constant = "" if output else "const "
        arguments.append(f"{carray} {name if raw else '_raw_' + name}")
        if not raw:
            locals_.append(f"{constant}{c_type} &{name} = _raw_{name}[i];")
    return (
        f'extern "C" __global__ void {kernel.name}_{dtype}({", ".join(arguments)}, CIndexer<1> _ind) {{\n'
        f"typedef {C_TYPES[dtype]} T;\nCUPY_FOR(i, _ind.size()) {{\n" + "\n".join(locals_) + f"\n{kernel.body};\n}}\n}}"
    )


def _host(kernel: Kernel, dtype: str) -> str:
    arguments, locals_ = [], []
    for raw, kind, name, output in parameters(kernel):
        c_type = C_TYPES[dtype if kind == "T" else kind]
        constant = "" if output else "const "
        if not raw and not output and kind != "T":
            arguments.append(f"{c_type} {name}")
            continue
        arguments.append(f"{constant}{c_type}* {name if raw else '_raw_' + name}")
        if not raw:
            locals_.append(f"{constant}{c_type} &{name} = _raw_{name}[i];")
    return (
        f'extern "C" void {kernel.name}_{dtype}({", ".join(arguments)}, long long _size) {{\n'
        f"typedef {C_TYPES[dtype]} T;\nfor (long long i = 0; i < _size; ++i) {{\n"
        + "\n".join(locals_)
        + f"\n{kernel.body};\n}}\n}}"
    )
