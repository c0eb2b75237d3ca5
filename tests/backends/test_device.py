"""Devices, the registry and the default device."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

from retrograd import backends
from retrograd.backends import Device, get_default_device, set_default_device


@pytest.fixture(autouse=True)
def _default_device_restored():
    yield
    set_default_device(None)


def test_devices_are_written_as_in_pytorch():
    assert repr(Device("cuda:0")) == "device(type='cuda', index=0)"
    assert repr(Device("cpu")) == "device(type='cpu')"
    assert [str(d) for d in (Device("cuda"), Device(1), Device("cuda", 2), Device(Device("cpu")))] == [
        "cuda", "cuda:1", "cuda:2", "cpu",
    ]  # fmt: skip


def test_devices_compare_hash_copy_and_pickle_by_type_and_index():
    assert Device("cuda:1") == Device(1)
    assert Device("cuda:1") != Device("cuda:0")
    assert Device("cuda") != Device("cuda:0")
    assert Device("cpu") != "cpu"
    assert len({Device("cuda:1"), Device(1), Device("cpu")}) == 2
    assert pickle.loads(pickle.dumps(Device("cuda:1"))) == copy.copy(Device("cuda:1")) == Device(1)
    with pytest.raises(AttributeError, match="new device"):
        Device("cpu").index = 3


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ("gpu", RuntimeError, "unknown type 'gpu'; known are cpu, cuda"),
        ("", RuntimeError, "unknown type ''"),
        ("cuda:x", RuntimeError, "expected 'type' or 'type:index'"),
        ("cuda:", RuntimeError, "expected 'type' or 'type:index'"),
        ("cuda:-1", RuntimeError, "expected 'type' or 'type:index'"),
        (-1, RuntimeError, "counts from 0"),
        (1.5, TypeError, "expected a string, an integer or a device, got float"),
        (None, TypeError, "got NoneType"),
    ],
)
def test_what_is_no_device_is_named_in_the_error(asked, error, message):
    with pytest.raises(error, match=message):
        Device(asked)


def test_an_index_can_be_given_once():
    with pytest.raises(RuntimeError, match="already has an index"):
        Device("cuda:0", 1)


def test_the_default_device_is_the_cpu_until_it_is_set():
    assert get_default_device() == Device("cpu")
    set_default_device("strict:1")
    assert get_default_device() == Device("strict:1")
    assert backends.backend_of("strict").device_index(backends.backend_of("strict").zeros(2)) == 1
    set_default_device(None)
    assert get_default_device() == Device("cpu")


def test_a_device_is_a_context_and_a_decorator():
    xp = backends.backend_of("strict")
    with Device("strict:1") as outer:
        assert get_default_device() == outer
        assert backends.device_of(xp.zeros(1)) == Device("strict:1")
        with Device("cpu"):
            assert get_default_device() == Device("cpu")
        assert get_default_device() == outer
        with pytest.raises(KeyError), Device("strict:0"):
            raise KeyError
        assert backends.device_of(xp.zeros(1)) == Device("strict:1")
    assert get_default_device() == Device("cpu")
    assert backends.device_of(xp.zeros(1)) == Device("strict:0")
    assert Device("strict:1")(get_default_device)() == Device("strict:1")


def test_each_thread_has_its_own_default_device():
    set_default_device("strict:0")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(get_default_device()))
    thread.start()
    thread.join()
    assert seen == [Device("cpu")]


def test_a_device_that_does_not_exist_cannot_become_the_default():
    with pytest.raises(RuntimeError, match="strict:7 does not exist"):
        set_default_device("strict:7")
    with pytest.raises(RuntimeError, match="strict:7 does not exist"), Device("strict:7"):
        pass
    assert get_default_device() == Device("cpu")


def test_a_backend_is_found_from_its_device_and_from_its_arrays(device, xp):
    x = xp.zeros(3, dtype=np.float32)
    assert backends.backend_of(device) is backends.backend_of(str(device)) is xp
    assert backends.backend_of_array[type(x)] is xp
    assert backends.device_of(x) == device
    assert backends.backend_of_array[np.float32] is backends.backend_of("cpu")


def test_a_device_type_is_registered_once():
    with pytest.raises(ValueError, match="registered already"):
        backends.register("cpu", lambda: backends.backend_of("cpu"))


def test_available_devices_start_with_the_cpu():
    found = backends.devices_available()
    assert found[0] == Device("cpu")
    assert Device("strict:1") in found


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def test_the_environment_names_the_first_default_device():
    code = "from retrograd.backends import get_default_device; print(get_default_device())"
    assert _python(code, RETROGRAD_DEVICE="cpu").stdout == "cpu\n"
    wrong = _python(code, RETROGRAD_DEVICE="tpu")
    assert "RuntimeError: RETROGRAD_DEVICE=tpu: device 'tpu': unknown type 'tpu'" in wrong.stderr


def test_without_cupy_the_error_names_the_extra():
    code = "import sys; sys.modules['cupy'] = None\nfrom retrograd.backends import backend_of; backend_of('cuda')"
    assert 'RuntimeError: device "cuda" needs CuPy' in (stderr := _python(code).stderr)
    assert 'pip install "retrograd[cuda12]"' in stderr


def test_without_a_gpu_the_error_says_so():
    pytest.importorskip("cupy", reason="CuPy is not installed")
    if Device("cuda:0") in backends.devices_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(RuntimeError, match=r"finds no NVIDIA GPU[^\0]*retrograd\[cuda12\]"):
        backends.backend_of("cuda")


def test_importing_the_backends_imports_no_cupy():
    code = "import sys, retrograd.backends; print([m for m in ('cupy', 'scipy', 'ctypes.util') if m in sys.modules])"
    assert _python(code).stdout == "[]\n"


def test_the_allocator_can_be_left_alone():
    code = "from retrograd.backends.allocator import keep_large_blocks; print(keep_large_blocks())"
    assert _python(code, RETROGRAD_MALLOC="0").stdout == "False\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator is tuned on Linux with glibc")
def test_large_arrays_are_made_from_kept_memory():
    code = """if True:
        import resource, numpy as np
        import retrograd.backends
        def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        np.ones(1_000_000); before = faults()
        for _ in range(20): np.ones(1_000_000)
        print(faults() - before)
    """
    if "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"):
        pytest.skip("not glibc")
    assert int(_python(code).stdout) < 2000  # each fresh array of 8 MB would fault about 2,000 times
