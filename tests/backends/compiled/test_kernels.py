"""The switch between NumPy's calls and compiled kernels, and what holds for every kernel."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from retrograd.backends import kernels
from retrograd.backends import numpy as xp
from tests.backends.compiled.same import KERNELS


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = rg.get_kernels()
    yield
    rg.set_kernels(before)


def test_the_switch_turns_kernels_on_and_off() -> None:
    rg.set_kernels("numba")
    assert rg.get_kernels() == "numba"
    assert kernels.compiled == KERNELS
    rg.set_kernels("numpy")
    assert rg.get_kernels() == "numpy"
    assert not kernels.compiled


def test_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match='expects "numpy" or "numba", but got \'cython\''):
        rg.set_kernels("cython")


def test_without_numba_the_switch_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "retrograd.backends.numba", None)
    with pytest.raises(ImportError, match=r"pip install 'retrograd\[numba\]'"):
        rg.set_kernels("numba")


def test_the_environment_turns_them_on_at_the_import() -> None:
    code = "import os; os.environ['RETROGRAD_KERNELS'] = 'numba'; import retrograd as rg; print(rg.get_kernels())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "numba"


def test_importing_the_library_does_not_import_numba() -> None:
    code = "import sys, os; os.environ.pop('RETROGRAD_KERNELS', 0); import retrograd; print('numba' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_what_a_kernel_does_not_take_is_computed_by_numpy() -> None:
    rg.set_kernels("numba")
    param = np.ones((4, 6), "float32")[:, ::2]  # not in one piece
    xp.sgd_step(param, np.ones_like(param), None, lr=0.25)
    assert (param == 0.75).all()
    half = np.ones(3, "float16")
    xp.sgd_step(half, half.copy(), None, lr=0.25)
    assert (half == 0.75).all()


def test_every_kernel_is_named_by_a_test_of_this_folder() -> None:
    sources = [path.read_text() for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    named = {word for source in sources if "same(" in source for word in re.findall(r"\w+", source)}
    assert named >= set(KERNELS)
