"""Casts, moves between devices, and the way out to NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg

CASTS = {
    "half": rg.float16,
    "float": rg.float32,
    "double": rg.float64,
    "char": rg.int8,
    "short": rg.int16,
    "int": rg.int32,
    "long": rg.int64,
    "byte": rg.uint8,
    "bool": rg.bool,
}


@pytest.mark.parametrize(("name", "dtype"), CASTS.items())
def test_a_cast_by_name_gives_its_dtype(name, dtype, device):
    x = rg.tensor([0.0, 1.5, 2.0], device=device)
    y = getattr(x, name)()
    assert y.dtype == dtype
    assert y.device == x.device
    np.testing.assert_array_equal(y.cpu().numpy(), np.array([0, 1.5, 2], np.float32).astype(dtype))
    assert getattr(y, name)() is y


def test_a_cast_between_floats_passes_the_gradient_in_the_input_s_dtype(device):
    x = rg.ones(2, device=device, requires_grad=True)
    (x.double() * 3).sum().backward()
    assert x.grad.dtype == rg.float32
    assert x.grad.tolist() == [3, 3]


def test_no_gradient_passes_to_integers():
    x = rg.ones(2, requires_grad=True)
    assert not (x * 2).long().requires_grad
    assert not x.to(rg.bool).requires_grad


def test_bfloat16_is_refused():
    with pytest.raises(NotImplementedError, match="float"):
        rg.ones(1).bfloat16()


def test_to_returns_the_tensor_itself_when_nothing_changes(device):
    x = rg.ones(2, device=device)
    assert x.to(rg.float32) is x
    assert x.to(device) is x
    assert x.to(device, rg.float32) is x
    assert x.to(x) is x
    assert x.to(device, copy=True) is not x


@pytest.mark.parametrize(
    "call",
    [
        lambda x, other: x.to(other),
        lambda x, other: x.to(other.device, other.dtype),
        lambda x, other: x.to(dtype=other.dtype, device=other.device),
        lambda x, other: x.to(str(other.device), rg.float64, True, False),
        lambda x, other: x.to(other.dtype).to(other.device, non_blocking=True),
        lambda x, other: x.type_as(other),
    ],
)
def test_to_takes_a_dtype_a_device_or_another_tensor(call, device):
    x = rg.tensor([1.5, 2.5])
    y = call(x, rg.zeros(1, dtype=rg.float64, device=device))
    assert y.dtype == rg.float64
    assert y.device == rg.zeros(1, device=device).device
    assert y.tolist() == [1.5, 2.5]


def test_a_move_passes_the_gradient_back_to_where_it_came_from():
    x = rg.tensor([1.0, 2.0], requires_grad=True)
    y = x.to("strict")
    assert (y * y).device.type == "strict"
    (y * y).sum().backward()
    assert x.grad.device.type == "cpu"
    assert x.grad.tolist() == [2, 4]


def test_a_move_can_be_differentiated_twice():
    x = rg.tensor([1.0, 2.0], requires_grad=True)
    y = (x.to("strict") ** 3).cpu().sum()
    (first,) = rg.autograd.grad(y, x, create_graph=True)
    (second,) = rg.autograd.grad(first.sum(), x)
    assert first.tolist() == [3, 12]
    assert second.tolist() == [6, 12]


def test_cuda_names_a_gpu():
    with pytest.raises(RuntimeError, match="invalid device cpu"):
        rg.ones(1).cuda("cpu")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: x.to("nowhere"), RuntimeError),
        (lambda x: x.to(rg.float32, rg.float64), TypeError),
        (lambda x: x.to(x, dtype=rg.float64), TypeError),
        (lambda x: x.to(np.complex64), TypeError),
        (lambda x: x.to("cpu", True, True, True), TypeError),
        (lambda x: x.to(dtype="float99"), TypeError),
        (lambda x: x.to(rg.float64, memory_format="channels_last"), NotImplementedError),
    ],
)
def test_what_to_cannot_mean_is_refused(call, error):
    with pytest.raises(error):
        call(rg.ones(2))


def test_numpy_shares_memory():
    x = rg.zeros(2)
    a = x.numpy()
    a[0] = 5
    assert x.tolist() == [5, 0]
    assert isinstance(rg.tensor(3.0).numpy(), np.ndarray)


def test_numpy_refuses_where_a_graph_or_a_copy_would_be_lost():
    x = rg.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        x.numpy()
    with pytest.raises(TypeError, match=r"cpu\(\)"):
        rg.ones(2, device="strict").numpy()
    assert x.numpy(force=True).tolist() == [1, 1]
    assert rg.ones(2, device="strict").numpy(force=True).tolist() == [1, 1]


def test_type_names_the_type_and_casts():
    x = rg.ones(2)
    assert x.type() == "rg.FloatTensor"
    assert x.type(rg.int64).dtype == rg.int64
    assert x.type("rg.DoubleTensor").dtype == rg.float64
    with pytest.raises(ValueError, match="DoubleTensor"):
        x.type("rg.QuadTensor")
