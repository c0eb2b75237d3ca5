"""NumPy's functions, the array API's namespace and DLPack on Tensors."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd import ops

VALUES = np.array([[0.5, -0.25, 0.75], [0.1, 0.9, -0.6]])

UFUNCS = [
    np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.sinh, np.cosh, np.tanh, np.arcsinh, np.arctanh,
    np.exp, np.exp2, np.expm1, np.log1p, np.square, np.negative, np.absolute, np.fabs, np.sign, np.reciprocal,
    np.floor, np.ceil, np.trunc, np.rint, np.isnan, np.isinf, np.isfinite, np.signbit, np.logical_not,
]  # fmt: skip
BINARY = [
    np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.fmax, np.fmin, np.arctan2, np.hypot,
    np.logaddexp, np.copysign, np.remainder, np.fmod, np.floor_divide, np.equal, np.not_equal, np.less, np.greater,
    np.less_equal, np.greater_equal, np.logical_and, np.logical_or, np.logical_xor,
]  # fmt: skip


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda u: u.__name__)
def test_a_ufunc_of_one_input_is_the_primitive(ufunc, device):
    x = rg.tensor(VALUES, device=device)
    y = ufunc(x)
    assert isinstance(y, rg.Tensor)
    assert y.device == x.device
    np.testing.assert_allclose(y.cpu().numpy(), ufunc(VALUES), rtol=1e-12)


@pytest.mark.parametrize("ufunc", BINARY, ids=lambda u: u.__name__)
def test_a_ufunc_of_two_inputs_takes_arrays_numbers_and_tensors(ufunc):
    x, other = rg.tensor(VALUES), np.array([0.3, -0.25, 2.0])
    for ours, theirs in [
        (ufunc(x, other), ufunc(VALUES, other)),
        (ufunc(other, x), ufunc(other, VALUES)),
        (ufunc(x, 0.5), ufunc(VALUES, 0.5)),
        (ufunc(2.0, x), ufunc(2.0, VALUES)),
    ]:
        assert isinstance(ours, rg.Tensor)
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-12)


def test_ufuncs_record_the_graph():
    x = rg.tensor([0.5, 1.0], dtype=rg.float64, requires_grad=True)
    y = np.multiply(np.sin(x), np.array([2.0, 3.0]))
    assert y.grad_fn.name() == "MulBackward0"
    np.add.reduce(y).backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos([0.5, 1.0]) * [2, 3])


@pytest.mark.parametrize(
    ("operate", "value", "slope"),
    [
        (lambda a, x: a + x, lambda a, x: a + x, lambda a, x: 1 + 0 * x),
        (lambda a, x: a - x, lambda a, x: a - x, lambda a, x: -1 + 0 * x),
        (lambda a, x: a * x, lambda a, x: a * x, lambda a, x: a),
        (lambda a, x: a / x, lambda a, x: a / x, lambda a, x: -a / x**2),
        (lambda a, x: a**x, lambda a, x: a**x, lambda a, x: a**x * np.log(a)),
        (lambda a, x: x**2, lambda a, x: x**2, lambda a, x: 2 * x),
        (lambda a, x: np.power(x, 3), lambda a, x: x**3, lambda a, x: 3 * x**2),
    ],
)
def test_an_array_on_the_left_of_an_operator_is_recorded(operate, value, slope):
    a, x0 = np.array([2.0, 3.0]), np.array([0.5, 1.5])
    x = rg.tensor(x0, requires_grad=True)
    y = operate(a, x)
    assert isinstance(y, rg.Tensor)
    np.testing.assert_allclose(y.detach().numpy(), value(a, x0))
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), slope(a, x0))


def test_numpy_scalars_mix_like_python_numbers():
    x = rg.tensor([1.0, 2.0])
    for number in (np.float64(2), np.float32(2), np.int64(2), np.bool_(True)):
        for y in (x * number, number * x, number + x, number - x, number / x):
            assert isinstance(y, rg.Tensor)
            assert y.dtype == rg.float32


FUNCTIONS = {
    "sum": lambda a: np.sum(a),
    "sum over an axis": lambda a: np.sum(a, axis=1),
    "sum keeping dimensions": lambda a: np.sum(a, axis=(0, 1), keepdims=True),
    "mean": lambda a: np.mean(a, axis=0),
    "prod": lambda a: np.prod(a, axis=1),
    "max": lambda a: np.max(a, axis=1),
    "min": lambda a: np.min(a),
    "var": lambda a: np.var(a, axis=0),
    "std": lambda a: np.std(a, axis=1, ddof=1),
    "cumsum": lambda a: np.cumsum(a, axis=1),
    "cumprod": lambda a: np.cumprod(a),
    "concatenate": lambda a: np.concatenate([a, a], axis=1),
    "concatenate with arrays": lambda a: np.concatenate([np.ones((1, 3)), a]),
    "stack": lambda a: np.stack([a, a], axis=1),
    "vstack": lambda a: np.vstack([a, a]),
    "hstack": lambda a: np.hstack([a, a]),
    "where": lambda a: np.where(a > 0, a, 2.0),
    "clip": lambda a: np.clip(a, -0.1, 0.6),
    "matmul": lambda a: np.matmul(a, np.ones((3, 2))),
    "dot": lambda a: np.dot(a, np.arange(3.0)),
    "einsum": lambda a: np.einsum("ij,kj->ik", a, a),
    "outer": lambda a: np.outer(a[0], a[1]),
    "reshape": lambda a: np.reshape(a, (3, 2)),
    "ravel": lambda a: np.ravel(a),
    "transpose": lambda a: np.transpose(a),
    "swapaxes": lambda a: np.swapaxes(a, 0, 1),
    "moveaxis": lambda a: np.moveaxis(a, 0, 1),
    "expand_dims": lambda a: np.expand_dims(a, 0),
    "squeeze": lambda a: np.squeeze(np.expand_dims(a, 0), 0),
    "broadcast_to": lambda a: np.broadcast_to(a, (4, 2, 3)),
    "flip": lambda a: np.flip(a, 1),
    "roll": lambda a: np.roll(a, 1, 1),
    "tile": lambda a: np.tile(a, (2, 1)),
    "sort": lambda a: np.sort(a, axis=1),
    "trace": lambda a: np.trace(a),
    "tril": lambda a: np.tril(a),
    "triu": lambda a: np.triu(a),
    "copy": lambda a: np.copy(a),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_a_function_of_numpy_gives_its_value_and_a_gradient(function):
    x = rg.tensor(VALUES, requires_grad=True)
    y = function(x)
    assert isinstance(y, rg.Tensor)
    assert y.requires_grad
    np.testing.assert_allclose(y.detach().numpy(), function(VALUES), rtol=1e-12)
    weights = np.random.RandomState(0).rand(*y.shape)
    (y * rg.tensor(weights)).sum().backward()
    step = 1e-6
    for index in np.ndindex(VALUES.shape):
        moved = VALUES.copy()
        moved[index] += step
        slope = ((function(moved) - function(VALUES)) * weights).sum() / step
        assert x.grad[index].item() == pytest.approx(slope, abs=1e-4)


COUNTING = {
    "argmax": lambda a: np.argmax(a, axis=1),
    "argmin": lambda a: np.argmin(a),
    "all": lambda a: np.all(a > 0, axis=0),
    "any": lambda a: np.any(a > 0),
    "count_nonzero": lambda a: np.count_nonzero(a > 0),
    "zeros_like": lambda a: np.zeros_like(a),
    "ones_like": lambda a: np.ones_like(a),
    "full_like": lambda a: np.full_like(a, 2),
}


@pytest.mark.parametrize("function", COUNTING.values(), ids=COUNTING.keys())
def test_a_function_without_gradient_gives_a_tensor(function):
    y = function(rg.tensor(VALUES))
    assert isinstance(y, rg.Tensor)
    np.testing.assert_array_equal(y.numpy(), function(VALUES))


def test_shapes_are_read_without_a_copy(device):
    x = rg.zeros(2, 3, device=device)
    assert (np.shape(x), np.ndim(x), np.size(x), np.size(x, 1)) == ((2, 3), 2, 6, 3)


def test_a_function_without_counterpart_refuses_where_a_gradient_would_be_lost():
    x = rg.tensor(VALUES, requires_grad=True)
    for call in (lambda: np.percentile(x, 50), lambda: np.cbrt(x), lambda: np.sum(x, where=VALUES > 0)):
        with pytest.raises(TypeError, match=r"detach\(\)\.numpy\(\)"):
            call()
    assert np.percentile(x.detach(), 50) == np.percentile(VALUES, 50)
    np.testing.assert_allclose(np.cbrt(x.detach()).numpy(), np.cbrt(VALUES))
    with pytest.raises(TypeError, match=r"t\.cpu\(\)"):
        np.percentile(rg.ones(3, device="strict"), 50)


def test_a_tensor_is_added_into_an_array_only_without_a_graph():
    a = np.ones(2)
    with pytest.raises(TypeError, match="gradient"):
        a += rg.ones(2, requires_grad=True)
    a += rg.ones(2)
    assert isinstance(a, np.ndarray)
    assert a.tolist() == [2, 2]


def test_asarray_shares_the_memory_of_a_tensor_without_graph():
    x = rg.zeros(2)
    np.asarray(x)[0] = 4
    assert x.tolist() == [4, 0]
    assert np.array(x, dtype=np.float64).dtype == np.float64
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        np.asarray(rg.zeros(2, requires_grad=True))
    with pytest.raises(TypeError, match="cpu"):
        np.asarray(rg.zeros(2, device="strict"))
    with pytest.raises(ValueError, match="copy"):
        np.asarray(x, dtype=np.float64, copy=False)


def test_the_namespace_of_the_array_api_is_the_primitives():
    x = rg.tensor([1.0, 2.0], requires_grad=True)
    xp = x.__array_namespace__()
    assert xp is ops
    xp.sum(xp.sin(x)).backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos([1, 2]), rtol=1e-6)


def test_no_cuda_array_interface_is_offered():
    assert not hasattr(rg.ones(1), "__cuda_array_interface__")


def test_dlpack_hands_memory_over_both_ways():
    x = rg.zeros(3)
    theirs = np.from_dlpack(x)
    x.fill_(5)
    assert theirs.tolist() == [5, 5, 5]
    a = np.zeros(2)
    ours = rg.from_dlpack(a)
    a[:] = 3
    assert ours.tolist() == [3, 3]
    assert rg.from_dlpack(rg.ones(2)).tolist() == [1, 1]
    copied = rg.from_dlpack(a, copy=True)
    a[:] = 4
    assert copied.tolist() == [3, 3]


def test_arrays_of_other_libraries_become_tensors():
    class WithArray:
        def __array__(self, dtype=None, copy=None):
            return VALUES

    class WithDlpack:
        __dlpack__, __dlpack_device__ = VALUES.__dlpack__, VALUES.__dlpack_device__

    for other in (WithArray(), WithDlpack()):
        shared, copied = rg.as_tensor(other), rg.tensor(other)
        assert np.shares_memory(shared.numpy(), VALUES)
        assert not np.shares_memory(copied.numpy(), VALUES)
        assert copied.tolist() == VALUES.tolist()


def test_an_array_on_a_device_stays_there():
    there = rg.ones(2, device="strict").array
    assert rg.as_tensor(there).array is there
    assert rg.tensor(there).device.type == "strict"


def test_dlpack_refuses_a_graph_and_what_is_no_array():
    with pytest.raises(BufferError, match=r"detach\(\)"):
        np.from_dlpack(rg.zeros(2, requires_grad=True))
    with pytest.raises(TypeError, match="as_tensor"):
        rg.from_dlpack([1.0])
    with pytest.raises(TypeError, match="complex128"):
        rg.from_dlpack(np.ones(2, complex))
