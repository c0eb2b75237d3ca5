"""What `import retrograd` brings, and what it leaves until it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import retrograd as rg

HEAVY = ("cupy", "graphviz", "matplotlib", "tqdm", "mpi4py", "safetensors", "sklearn", "torch", "scipy", "onnx")


def run(code: str, **environment: str) -> str:
    plain = {name: value for name, value in os.environ.items() if name != "RETROGRAD_KERNELS"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**plain, **environment}
    )
    return result.stdout


def test_importing_retrograd_costs_at_most_60_ms_over_numpy(tmp_path):
    code = "import {}, time; print(time.process_time())"
    compiled = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "", "OMP_NUM_THREADS": "1"}
    times = {name: [float(run(code.format(name), **compiled)) for _ in range(6)][1:] for name in ("numpy", "retrograd")}
    assert min(times["retrograd"]) - min(times["numpy"]) < 0.060


def test_importing_retrograd_imports_nothing_heavy():
    loaded = run("import sys, retrograd; print(*{name.partition('.')[0] for name in sys.modules})").split()
    assert set(HEAVY) & set(loaded) == set()


def test_rooms_are_opened_on_first_use():
    code = (
        "import sys, retrograd as rg; a = 'retrograd.nn' in sys.modules; rg.nn; print(a, 'retrograd.nn' in sys.modules)"
    )
    assert run(code).split() == ["False", "True"]


def test_every_public_name_exists():
    assert [name for name in rg.__all__ if not hasattr(rg, name)] == []
    assert len(set(rg.__all__)) == len(rg.__all__)
    assert {"nn", "optim", "tensor", "float32"} <= set(dir(rg))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nowhere'"):
        rg.nowhere


def test_dtypes_have_pytorch_s_names():
    assert rg.float is rg.float32
    assert rg.double is rg.float64
    assert rg.half is rg.float16
    assert (rg.long, rg.int, rg.short) == (rg.int64, rg.int32, rg.int16)
    assert str(rg.bool) == "bool"


def test_questions_about_gpus_need_no_cupy():
    assert rg.cuda.is_available() == (rg.cuda.device_count() > 0)
    with pytest.raises(ValueError, match="cuda device"):
        rg.cuda.set_device("cpu")


def test_deterministic_algorithms_can_be_asked_for():
    assert not rg.are_deterministic_algorithms_enabled()
    rg.use_deterministic_algorithms(True)
    assert rg.are_deterministic_algorithms_enabled()
    rg.use_deterministic_algorithms(False)


def test_functions_of_layers_are_at_the_front_door_without_importing_layers_for_it():
    code = (
        "import sys, retrograd as rg; a = 'retrograd.nn' in sys.modules;"
        "print(a, rg.conv2d is rg.nn.functional.conv2d, rg.max_pool2d is rg.max_pool2d, 'conv2d' in dir(rg))"
    )
    assert run(code).split() == ["False", "True", "True", "True"]


def test_the_front_door_names_every_function_of_layers_that_it_leads_to():
    from retrograd.nn import top_level

    assert set(top_level.__all__) < set(rg.LAYERS)
    for name in rg.LAYERS:
        home = top_level if name in top_level.__all__ else rg.nn.functional
        assert getattr(rg, name) is getattr(home, name)
    assert set(rg.LAYERS) & set(rg.__all__) == set()


def test_reductions_have_numbers_at_the_front_door():
    x, y = rg.zeros(2, 3), rg.ones(2, 3)
    assert rg.kl_div(x, y, 0).shape == (2, 3)
    assert rg.binary_cross_entropy_with_logits(x, y, reduction=2).item() == pytest.approx(6 * 0.6931, rel=1e-4)
    with pytest.raises(TypeError, match="reduction"):
        rg.kl_div(x, y, "mean")
    with pytest.raises(ValueError, match="reduction"):
        rg.kl_div(x, y, 3)
