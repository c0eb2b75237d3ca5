"""What pytest gets: the device type "strict", the fixtures over both backends, and the check after every test."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from retrograd import backends
from retrograd.backends import flags
from tests.strict_cupy import rules
from tests.strict_cupy.cublas import Library
from tests.strict_cupy.modules import make_cupy, make_cupyx

_MODULE = "tests.strict_cupy.loaded_backend"
LIBRARY = Library()
"""The cuBLAS that the backend calls directly."""
_GRAPHS = "retrograd.backends.cupy_graphs"
_KNOWS_CUPY = ("cupy", "retrograd.backends.cupy")
"""How the names of the modules begin that are CuPy's, or import it."""


def load_strict_backend() -> Any:
    """retrograd/backends/cupy.py, and the files it is made of, imported a second time with the stand-in as CuPy."""
    if _MODULE in sys.modules:
        return sys.modules[_MODULE]
    spec = importlib.util.find_spec("retrograd.backends.cupy")
    assert spec is not None
    assert spec.origin is not None
    again = importlib.util.spec_from_file_location(_MODULE, spec.origin)
    assert again is not None
    assert again.loader is not None
    module = importlib.util.module_from_spec(again)
    genuine = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(_KNOWS_CUPY)}
    sys.modules.update(cupy=make_cupy(), cupyx=make_cupyx())
    try:
        again.loader.exec_module(module)
        sys.modules["retrograd.backends.cupy_cublas"].load = lambda: LIBRARY  # type: ignore[attr-defined]
        module.graphs = sys.modules[_GRAPHS]  # type: ignore[attr-defined]
    finally:
        for name in [name for name in sys.modules if name.startswith(_KNOWS_CUPY)]:
            del sys.modules[name]
        sys.modules.update(genuine)
    module.name = "strict"  # type: ignore[attr-defined]
    sys.modules[_MODULE] = module
    return module


def graphs_of(device: backends.Device | str) -> Any:
    """retrograd/backends/cupy_graphs.py, as a device of CuPy's uses it."""
    return getattr(backends.backend_of(device), "graphs", None) or importlib.import_module(_GRAPHS)


def register_strict() -> None:
    """Make "strict" a device type of this process; harmless when it is one already."""
    try:
        backends.register("strict", load_strict_backend)
    except ValueError:
        return


register_strict()


def has_gpu() -> bool:
    """Whether CuPy finds a GPU; CuPy is imported only where a driver is installed."""
    if shutil.which("nvidia-smi") is None or importlib.util.find_spec("cupy") is None:
        return False
    return backends.Device("cuda", 0) in backends.devices_available()


_GPU = [pytest.param("cuda:0", marks=pytest.mark.gpu, id="cuda")] if has_gpu() else []


@pytest.fixture(params=["cpu", pytest.param("strict:0", id="strict"), *_GPU])
def device(request: pytest.FixtureRequest) -> backends.Device:
    """Each device that this machine can run: "cpu", "strict:0" and, where there is one, "cuda:0"."""
    return backends.Device(request.param)


@pytest.fixture
def xp(device: backends.Device) -> Any:
    """The backend module of `device`."""
    return backends.backend_of(device)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def forbid_synchronization() -> Iterator[None]:
    """Within the test, a call that makes the host wait for the strict device raises."""
    flags.check_index_arrays(False)
    with rules.no_waiting():
        yield
    flags.check_index_arrays(True)


@pytest.fixture(autouse=True)
def _rules_of_the_gpu() -> Iterator[None]:
    """Index arrays are checked, so that an index out of range raises IndexError on every device as it does on the CPU;
    one that passes the check by and wraps fails the test. The first device is current again after each test."""
    flags.check_index_arrays(True)
    rules.take_recorded()
    yield
    rules.state.device = 0
    wrapped = rules.take_recorded()
    if wrapped:
        pytest.fail("on a GPU these indices would have wrapped silently: " + "; ".join(wrapped))


@pytest.fixture(params=[pytest.param("strict:0", id="strict"), *_GPU])
def gpu(request: pytest.FixtureRequest) -> Iterator[backends.Device]:
    """Each device of CuPy's, for what NumPy has no need of; it is the default one within the test."""
    with backends.Device(request.param) as device:
        yield device
