"""Constructors on both devices: values, dtypes, sharing of memory, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg

SHAPED = {
    "zeros": (lambda **o: rg.zeros(2, 3, **o), np.zeros((2, 3), np.float32)),
    "zeros of a tuple": (lambda **o: rg.zeros((2, 3), **o), np.zeros((2, 3), np.float32)),
    "ones by name": (lambda **o: rg.ones(size=(2,), **o), np.ones(2, np.float32)),
    "full": (lambda **o: rg.full((2,), 2.5, **o), np.full(2, 2.5, np.float32)),
    "eye": (lambda **o: rg.eye(2, 3, **o), np.eye(2, 3, dtype=np.float32)),
    "arange": (lambda **o: rg.arange(0, 1, 0.25, **o), np.arange(0, 1, 0.25, np.float32)),
    "linspace": (lambda **o: rg.linspace(0, 1, 5, **o), np.linspace(0, 1, 5, dtype=np.float32)),
    "logspace": (lambda **o: rg.logspace(0, 2, 3, **o), np.array([1, 10, 100], np.float32)),
    "tensor": (lambda **o: rg.tensor([[1.0, 2.0]], **o), np.array([[1, 2]], np.float32)),
}


@pytest.mark.parametrize(("make", "expected"), SHAPED.values(), ids=SHAPED.keys())
def test_a_constructor_gives_its_values_on_the_device(make, expected, device):
    x = make(device=device)
    assert x.device.type == device.type
    assert x.dtype == expected.dtype
    assert not x.requires_grad
    np.testing.assert_allclose(x.cpu().numpy(), expected, rtol=1e-6)
    y = make(device=device, dtype=rg.float64, requires_grad=True)
    assert y.dtype == rg.float64
    assert y.requires_grad
    assert y.is_leaf


def test_the_default_device_is_where_tensors_are_made(device):
    with rg.device(device):
        assert rg.zeros(2).device.type == device.type
        assert rg.tensor(1.0).device.type == device.type
        assert rg.rand(2).device.type == device.type
        assert rg.as_tensor(np.ones(2)).device.type == device.type


def test_the_default_dtype_is_what_python_floats_become():
    try:
        rg.set_default_dtype(rg.float64)
        assert rg.tensor(1.5).dtype == rg.zeros(1).dtype == rg.rand(1).dtype == rg.full((1,), 1.5).dtype == rg.float64
    finally:
        rg.set_default_dtype(rg.float32)
    assert rg.tensor(1.5).dtype == rg.float32


@pytest.mark.parametrize("like", [rg.zeros_like, rg.ones_like, rg.empty_like, rg.rand_like, rg.randn_like])
def test_like_takes_shape_dtype_and_device(like, device):
    x = rg.zeros(2, 3, dtype=rg.float64, device=device)
    y = like(x)
    assert (y.shape, y.dtype, y.device) == (x.shape, x.dtype, x.device)
    assert like(x, dtype=rg.float32, device="cpu").device.type == "cpu"
    with pytest.raises(TypeError, match="must be a Tensor"):
        like(np.zeros(2))


def test_new_constructors_take_dtype_and_device(device):
    x = rg.zeros(2, dtype=rg.int32, device=device)
    made = [x.new_tensor([1.0]), x.new_zeros(3), x.new_ones((2, 2)), x.new_full((2,), 7), x.new_empty(1)]
    assert {(t.dtype, t.device.type) for t in made} == {(rg.int32, device.type)}
    assert made[3].tolist() == [7, 7]
    assert x.new_ones(1, dtype=rg.float64).dtype == rg.float64


def test_tensor_copies_and_from_numpy_shares():
    a = np.zeros(2)
    copied, shared, as_is, no_copy = rg.tensor(a), rg.from_numpy(a), rg.as_tensor(a), rg.asarray(a, copy=False)
    a[:] = 5
    assert copied.tolist() == [0, 0]
    assert shared.tolist() == as_is.tolist() == no_copy.tolist() == [5, 5]
    shared.add_(1)
    assert a.tolist() == [6, 6]


def test_memory_maps_are_shared_as_arrays(tmp_path):
    a = np.memmap(tmp_path / "a", np.float32, "w+", shape=(2,))
    x = rg.from_numpy(a)
    x.add_(1)
    assert (x * 2).tolist() == [2, 2]
    assert a.tolist() == [1, 1]


def test_as_tensor_keeps_the_graph_and_asarray_can_drop_it():
    x = rg.ones(2, requires_grad=True)
    y = x * 2
    assert rg.as_tensor(x) is x
    assert rg.as_tensor(y, dtype=rg.float64).requires_grad
    assert rg.asarray(y) is y
    assert not rg.asarray(y, requires_grad=False).requires_grad
    assert rg.asarray([1.0], requires_grad=True).requires_grad
    assert rg.asarray(y, copy=True) is not y
    with pytest.raises(ValueError, match="needs a copy"):
        rg.asarray(y, dtype=rg.float64, copy=False)


def test_tensors_in_lists_become_numbers(device):
    parts = [rg.tensor(1.0, device=device), rg.tensor([2.0], requires_grad=True), 3]
    assert rg.tensor(parts).tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="stack"):
        rg.tensor([rg.ones(2)])


def test_a_ragged_sequence_names_the_place():
    with pytest.raises(ValueError, match="expected length 2 at dimension 1, as in its first item, got length 1"):
        rg.tensor([[1, 2], [3]])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: rg.zeros(-1), RuntimeError, "negative"),
        (lambda: rg.zeros(2.5), TypeError, "integers"),
        (lambda: rg.zeros(), TypeError, "missing"),
        (lambda: rg.full(2, 1.0), TypeError, "tuple"),
        (lambda: rg.full((2,), 300, dtype=rg.uint8), RuntimeError, "overflow"),
        (lambda: rg.tensor(float("nan"), dtype=rg.int64), RuntimeError, "int64"),
        (lambda: rg.tensor("a"), TypeError, "str"),
        (lambda: rg.tensor(None), RuntimeError, "NoneType"),
        (lambda: rg.tensor(1j), TypeError, "complex"),
        (lambda: rg.tensor(np.ones(2, np.complex64)), TypeError, "complex64"),
        (lambda: rg.zeros(2, dtype="complex64"), TypeError, "complex64"),
        (lambda: rg.zeros(2, dtype="float33"), TypeError, "float33"),
        (lambda: rg.arange(0, 5, 0), RuntimeError, "nonzero"),
        (lambda: rg.arange(5, 0), RuntimeError, "sign"),
        (lambda: rg.linspace(0, 1, -1), RuntimeError, "non-negative"),
        (lambda: rg.eye(-1), RuntimeError, "negative"),
        (lambda: rg.from_numpy([1]), TypeError, "list"),
        (lambda: rg.from_numpy(np.ones(2, ">f8")), TypeError, "not supported"),
        (lambda: rg.zeros(2, out=rg.ones(2)), NotImplementedError, "out="),
        (lambda: rg.zeros(2, layout="sparse"), NotImplementedError, "layout="),
        (lambda: rg.zeros(2, pin_memory=True), NotImplementedError, "pin_memory="),
        (lambda: rg.zeros_like(rg.ones(1), memory_format="x"), NotImplementedError, "memory_format="),
        (lambda: rg.zeros(2, names=("a",)), TypeError, "names"),
        (lambda: rg.zeros(2, device="nowhere"), RuntimeError, "nowhere"),
        (lambda: rg.one_hot(rg.tensor([-1])), RuntimeError, "non-negative"),
        (lambda: rg.one_hot(rg.tensor([3]), 3), RuntimeError, "num_classes=3"),
        (lambda: rg.one_hot(rg.tensor([1.0])), RuntimeError, "int64"),
    ],
)
def test_what_cannot_be_made_says_why(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_arguments_at_pytorch_s_defaults_are_accepted():
    assert rg.zeros(2, out=None, pin_memory=False, layout=None).tolist() == [0, 0]


def test_one_hot_marks_the_class(device):
    x = rg.one_hot(rg.tensor([[0, 2]], device=device))
    assert x.dtype == rg.int64
    assert x.tolist() == [[[1, 0, 0], [0, 0, 1]]]
    assert rg.one_hot(rg.tensor([1]), 4).shape == (1, 4)


def test_limits_of_dtypes_are_python_numbers():
    assert rg.finfo(rg.float32).eps == 2.0**-23
    assert type(rg.finfo(rg.float64).max) is float
    assert rg.finfo().dtype == "float32"
    assert rg.iinfo(rg.int8).min == -128
    with pytest.raises(TypeError, match="iinfo"):
        rg.finfo(rg.int8)
    with pytest.raises(TypeError, match="finfo"):
        rg.iinfo(rg.float32)
