"""Whole programs written for PyTorch, run as they are and with the imports changed: the same numbers come out.

The programs lie in programs/: each is a function that gets `log`, and logs what a user would print. Their text is run
twice, and nothing but the names behind `import` and `from` differs. Seeds are equal, and so are the random numbers.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import retrograd as rg

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

FOLDER = Path(__file__).parent / "programs"
TOLERANCE = {"float64": (1e-9, 1e-11), "float32": (2e-4, 2e-5)}
EXCEPTIONS, STEP = 1e-3, 1e-3
"""In float32 one number of a thousand may be further away, but by no more than a usual step."""
IMPORTS = ((r"^( *)import torch$", r"\1import retrograd as torch"), (r"^( *(?:import|from)) torch\b", r"\1 retrograd"))


def loaded(path: Path, changed: bool) -> ModuleType:
    """The programs of a file, on PyTorch or, with its imports changed, on retrograd."""
    text = path.read_text(encoding="utf-8")
    if changed:
        for pattern, name in IMPORTS:
            text = re.sub(pattern, name, text, flags=re.MULTILINE)
        assert not re.search(r"^ *(import|from) torch", text, flags=re.MULTILINE)
    module = ModuleType(path.stem)
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def collected() -> list[Any]:
    pairs = [(loaded(path, False), loaded(path, True)) for path in sorted(FOLDER.glob("*.py"))]
    return [
        pytest.param(theirs, ours, id=f"{pair[0].__name__}-{theirs.__name__}")
        for pair in pairs
        for theirs, ours in zip(pair[0].PROGRAMS, pair[1].PROGRAMS)
    ]


def logged(library: Any, program: Any, dtype: str) -> list[tuple[str, Any]]:
    entries: list[tuple[str, Any]] = []
    before = library.get_default_dtype()
    library.set_default_dtype(getattr(library, dtype))
    try:
        library.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program(lambda name, value: entries.append((name, plain(value))))
    finally:
        library.set_default_dtype(before)
    return entries


def plain(value: Any) -> Any:
    """A copy of what is logged, in NumPy and Python alone."""
    if isinstance(value, torch.Tensor | rg.Tensor):
        return np.array(value.detach())
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return str(value) if isinstance(value, np.dtype) else value


def excepted(ours: Any, theirs: Any, rtol: float, atol: float) -> Any:
    """Where numbers may differ: RMSprop and Adam divide a gradient by its own size, even where it is rounding noise."""
    if ours.shape != theirs.shape or ours.dtype.kind != "f":
        return False
    apart = np.abs(ours - theirs)
    beyond = apart > atol + rtol * np.abs(theirs)
    return beyond if beyond.mean() <= EXCEPTIONS and apart.max() <= STEP else False


def assert_equal(ours: Any, theirs: Any, where: str, dtype: str) -> None:
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        for key in theirs:
            assert_equal(ours[key], theirs[key], f"{where}[{key!r}]", dtype)
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), where
        for i, (mine, yours) in enumerate(zip(ours, theirs)):
            assert_equal(mine, yours, f"{where}[{i}]", dtype)
    elif isinstance(theirs, np.ndarray | float):
        assert type(ours) is type(theirs), where
        rtol, atol = TOLERANCE[dtype]
        if isinstance(theirs, np.ndarray) and dtype == "float32" and theirs.size > 1 / EXCEPTIONS:
            theirs = np.where(excepted(ours, theirs, rtol, atol), ours, theirs)
        np.testing.assert_allclose(ours, theirs, rtol, atol, err_msg=where, strict=isinstance(theirs, np.ndarray))
    else:
        assert ours == theirs, where


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("theirs", "ours"), collected())
def test_a_program_for_pytorch_computes_the_same_when_its_imports_are_changed(theirs, ours, dtype):
    expected, actual = logged(torch, theirs, dtype), logged(rg, ours, dtype)
    assert [name for name, _ in actual] == [name for name, _ in expected]
    for i, ((name, mine), (_, yours)) in enumerate(zip(actual, expected)):
        assert_equal(mine, yours, f"{name} (entry {i})", dtype)
