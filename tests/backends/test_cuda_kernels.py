"""Every GPU kernel compiles for the GPUs in use, and computes what its NumPy twin computes; neither needs a GPU."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrograd.backends.cuda_kernels import KERNELS
from tests.backends.kernel_sources import for_gpu, for_host, parameters
from tests.strict_cupy.kernels import TWINS

BY_NAME = {kernel.name: kernel for kernel in KERNELS}


def _folder(package: str, *inside: str) -> Path:
    """A folder of an installed package; skips, saying what is missing."""
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f'{package} is not installed: pip install "retrograd[kernels]"')
    return Path(spec.submodule_search_locations[0], *inside)


@pytest.fixture(scope="module")
def nvrtc() -> ctypes.CDLL:
    folder = _folder("nvidia.cuda_nvrtc", "lib")
    libraries = [path for path in sorted(folder.glob("libnvrtc.so*")) if "builtins" not in path.name]
    if not libraries:
        pytest.skip("the installed nvidia-cuda-nvrtc has no library for this platform")
    return ctypes.CDLL(str(libraries[0]))


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_every_kernel_compiles(nvrtc, architecture):
    cupy, runtime = _folder("cupy", "_core", "include"), _folder("nvidia.cuda_runtime", "include")
    options = [f"--gpu-architecture={architecture}", "--std=c++17", f"-I{cupy}", f"-I{runtime}"]
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), for_gpu().encode(), b"kernels.cu", 0, None, None) == 0
    given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    status = nvrtc.nvrtcCompileProgram(program, len(options), given)
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert status == 0, log.value.decode()[:4000]
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    assert size.value > 1000
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


@pytest.fixture(scope="module")
def host_kernels(tmp_path_factory) -> ctypes.CDLL:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    folder = tmp_path_factory.mktemp("kernels")
    source, library = folder / "kernels.cpp", folder / "kernels.so"
    source.write_text(for_host())
    command = [compiler, "-O1", "-std=c++17", "-shared", "-fPIC", "-w", "-o", str(library), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return ctypes.CDLL(str(library))


def run(library: ctypes.CDLL, name: str, dtype: str, arguments: list[Any], size: int) -> None:
    """Call a kernel's loop; arrays are written in place."""
    passed: list[Any] = []
    for (_, kind, _, _), value in zip(parameters(BY_NAME[name]), arguments, strict=True):
        if isinstance(value, np.ndarray):
            passed.append(value.ctypes.data_as(ctypes.c_void_p))
        else:
            passed.append({"float64": ctypes.c_double, "int64": ctypes.c_longlong, "bool": ctypes.c_bool}[kind](value))
    getattr(library, f"{name}_{dtype}")(*passed, ctypes.c_longlong(size))


def same(library: ctypes.CDLL, name: str, dtype: str, inputs: list[Any], outputs: list[Any], size: int) -> None:
    """The kernel and its twin, from the same start, write the same."""
    expected = [a.copy() for a in outputs]
    with np.errstate(all="ignore"):
        TWINS[f"retrograd_{name}"](*inputs, *expected)
    run(library, name, dtype, [*inputs, *outputs], size)
    for actual, wanted in zip(outputs, expected, strict=True):
        assert actual.dtype == wanted.dtype
        tolerance = 8 * np.finfo(dtype).eps if dtype.startswith("float") else 0
        np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["sigmoid", "erf", "erfc"])
def test_elementwise_kernels_agree_with_their_twins(host_kernels, name, dtype):
    x = np.r_[np.linspace(-120, 120, 4801), -1e30, 1e30, -np.inf, np.inf, np.nan, 0.0, -0.0].astype(dtype)
    same(host_kernels, name, dtype, [x], [np.empty_like(x)], x.size)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int8", "bool"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_cumulative_max_agrees_with_its_twin(host_kernels, rng, axis, dtype):
    x = rng.integers(0, 2 if dtype == "bool" else 5, size=(3, 7, 4)).astype(dtype)
    if dtype.startswith("float"):
        x[1, 2, 3] = x[2, 5, 0] = np.nan
    length, inner = x.shape[axis], int(np.prod(x.shape[axis + 1 :]))
    same(
        host_kernels, "cumulative_max", dtype, [x, length, inner], [np.empty_like(x), np.zeros(x.shape, np.int64)],
        x.size // length,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_segment_sum_agrees_with_its_twin(host_kernels, rng, dtype):
    targets = rng.integers(0, 6, size=40)
    order = np.argsort(targets, kind="stable")
    values = rng.integers(-9, 9, size=(40, 3)).astype(dtype)
    inputs = [targets[order], order, values, 40, 3]
    same(host_kernels, "segment_sum", dtype, inputs, [np.ones((6, 3), dtype)], values.size)


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sgd_kernels_agree_with_their_twins(host_kernels, rng, dtype, first, maximize):
    grad, param, buffer = rng.normal(size=(3, 50)).astype(dtype)
    for nesterov in (False, True):
        inputs = [grad, 0.1, 0.9, 0.3, 0.01, nesterov, maximize, first]
        same(host_kernels, "sgd_momentum_step", dtype, inputs, [param.copy(), buffer.copy()], 50)
    same(host_kernels, "sgd_step", dtype, [grad, 0.1, 0.01, maximize], [param.copy()], 50)


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_kernels_agree_with_their_twins(host_kernels, rng, dtype, maximize):
    grad, param, m = rng.normal(size=(3, 50)).astype(dtype)
    v, largest = rng.uniform(size=(2, 50)).astype(dtype)
    inputs = [grad, -0.01, 0.5, 0.9, 0.99, 1e-8, 0.999, 0.1, maximize]
    same(host_kernels, "adam_step", dtype, inputs, [param.copy(), m.copy(), v.copy()], 50)
    largest[3] = np.nan
    same(host_kernels, "amsgrad_step", dtype, inputs, [param, m, v, largest], 50)


def test_every_kernel_has_a_twin():
    assert {f"retrograd_{name}" for name in BY_NAME} == set(TWINS)
