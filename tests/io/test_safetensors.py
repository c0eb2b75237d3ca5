"""Tensors in safetensors files: written whole or not at all, read or clearly refused."""

import importlib
import json
import os
import pickle
import struct

import numpy as np
import pytest

import retrograd as rg
from retrograd.io import load, load_file, save, save_file
from tests.data.errors import raises_clearly

pytest.importorskip("safetensors", reason="safetensors is in the extra demo")

FLOATS = ["float16", "float32", "float64"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def file_of(header, data=b""):
    """A safetensors file by hand, after the format's description."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, "bool"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3, 4)])
def test_every_dtype_and_shape_comes_back(tmp_path, dtype, shape):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    save_file({"x": rg.tensor(values)}, tmp_path / "a.safetensors")
    loaded = load_file(tmp_path / "a.safetensors")["x"]
    assert loaded.dtype == getattr(rg, dtype)
    assert loaded.shape == shape
    np.testing.assert_array_equal(loaded.numpy(), values)


def test_the_layout_is_the_published_one(tmp_path):
    save_file({"x": rg.tensor([1.0, 2.0])}, tmp_path / "a", {"made": "today"})
    content = (tmp_path / "a").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert header == {
        "__metadata__": {"made": "today"},
        "x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    }
    assert np.frombuffer(content[8 + length :], "<f4").tolist() == [1.0, 2.0]


def test_views_of_one_storage_are_each_saved_with_their_values(tmp_path):
    base = rg.tensor(np.arange(12.0).reshape(3, 4))
    views = {
        "base": base,
        "transposed": base.T,
        "column": base[:, 1],
        "every other": base[:, ::2],
        "row": base[2],
        "same": base,
    }
    save_file(views, tmp_path / "a")
    loaded = load_file(tmp_path / "a")
    assert {name: value.tolist() for name, value in loaded.items()} == {n: v.tolist() for n, v in views.items()}
    loaded["base"].zero_()
    assert loaded["same"].tolist() == base.tolist()


def test_values_travel_between_devices(tmp_path, device):
    with rg.device(device):
        x = rg.tensor([1.0, 2.0], requires_grad=True)
        save_file({"x": x, "y": x * 2}, tmp_path / "a")
        here = load_file(tmp_path / "a")
    assert here["y"].tolist() == [2.0, 4.0]
    assert here["x"].device.type == rg.device(device).type
    assert not here["x"].requires_grad
    assert load_file(tmp_path / "a", device="cpu")["x"].device.type == "cpu"
    assert load_file(tmp_path / "a", device=device)["x"].device.type == rg.device(device).type


def test_names_of_any_text_and_no_tensors_at_all(tmp_path):
    save_file({"größe.0 weight": rg.ones(1), "": rg.zeros(1)}, tmp_path / "a")
    assert set(load_file(tmp_path / "a")) == {"größe.0 weight", ""}
    save_file({}, tmp_path / "a")
    assert load_file(tmp_path / "a") == {}


def test_bfloat16_becomes_the_float32_of_the_same_value(tmp_path):
    halves = np.array([0x3F80, 0xC049, 0x7F80, 0x0001], "<u2")  # 1, −3.140625, ∞ and the smallest subnormal
    header = {
        "b": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]},
        "f": {"dtype": "F32", "shape": [], "data_offsets": [8, 12]},
    }
    (tmp_path / "a").write_bytes(file_of(header, halves.tobytes() + np.float32(7).tobytes()))
    loaded = load_file(tmp_path / "a")
    assert loaded["b"].dtype == rg.float32
    assert loaded["b"].tolist() == [[1.0, -3.140625], [float("inf"), 2.0**-133]]
    assert loaded["f"].item() == 7.0


def test_a_dtype_that_tensors_cannot_have_is_named(tmp_path):
    header = {"odd": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}
    (tmp_path / "a").write_bytes(file_of(header, b"\0\0"))
    with raises_clearly(ValueError, "'odd' in the dtype F8_E4M3"):
        load_file(tmp_path / "a")


def good(folder):
    save_file({"x": rg.ones(100)}, folder / "good")
    return (folder / "good").read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:5],
        lambda content: content[:20],
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content[:8] + b"[" + content[9:],
        lambda content: pickle.dumps({"x": 1}),
        lambda content: b"PK\x03\x04" + bytes(200),
        lambda content: file_of({"x": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, bytes(8)),
        lambda content: file_of({"x": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 8]}}, bytes(8)),
    ],
)
def test_what_is_no_complete_safetensors_file_is_refused(tmp_path, damage):
    path = tmp_path / "model.safetensors"
    path.write_bytes(damage(good(tmp_path)))
    with raises_clearly(ValueError, r"model\.safetensors \(\d+ bytes\) is no complete safetensors file"):
        load_file(path)


BAD_SAVES = [
    ([rg.ones(1)], TypeError, "got list"),
    ({"x": np.ones(1)}, TypeError, "under 'x', got ndarray"),
    ({"state": {"x": rg.ones(1)}}, TypeError, "under 'state', got dict"),
    ({3: rg.ones(1)}, TypeError, "strings, got 3"),
]


@pytest.mark.parametrize(("tensors", "kind", "words"), BAD_SAVES)
def test_what_cannot_be_saved_leaves_the_old_file_as_it_was(tmp_path, tensors, kind, words):
    path = tmp_path / "a"
    path.write_text("old")
    with raises_clearly(kind, words):
        save_file(tensors, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_metadata_must_be_text(tmp_path):
    with raises_clearly(TypeError, "dict of strings"):
        save_file({}, tmp_path / "a", metadata={"epoch": 3})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", ["", "folder", "missing/a", 3, None])
@pytest.mark.parametrize("function", [lambda path: save_file({}, path), load_file])
def test_paths_that_are_no_file_are_refused(tmp_path, monkeypatch, function, path):
    monkeypatch.chdir(tmp_path)
    os.mkdir("folder")
    kind, words = {
        "": (ValueError, "the path is empty"),
        "folder": (IsADirectoryError, "folder is a folder"),
        "missing/a": (FileNotFoundError, "does not exist"),
    }.get(path, (TypeError, "expected the path of a file"))
    with raises_clearly(kind, words):
        function(path)
    assert os.listdir() == ["folder"]


def test_a_failing_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with raises_clearly(OSError, "No space left"):
        save_file({"x": rg.ones(3)}, tmp_path / "a")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("function", [lambda: save_file({}, "a"), lambda: load_file("a")])
def test_without_the_package_the_extra_is_named(monkeypatch, function):
    real = importlib.import_module

    def without(name, *args):
        if name.startswith("safetensors"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)
    with raises_clearly(ImportError, r"safetensors.*retrograd\[demo\]"):
        function()


def test_nothing_is_pickled_or_unpickled():
    with raises_clearly(NotImplementedError, "save_file"):
        save({}, "a.pt")
    with raises_clearly(NotImplementedError, "load_file"):
        load("a.pt")
    assert not os.path.exists("a.pt")
