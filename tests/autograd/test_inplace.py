"""Changes in place: the same values as out of place, the same gradients, and a refusal where neither is possible."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd import view
from retrograd.autograd.gradcheck import gradcheck, gradgradcheck
from tests.autograd.factory import host, tensor_of

UNARY = [
    "abs", "neg", "square", "sqrt", "reciprocal", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos",
    "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "atanh", "sigmoid", "rsqrt", "erf", "erfc", "floor",
    "ceil", "round", "trunc", "frac", "sign", "relu", "tril", "triu",
]  # fmt: skip
BINARY = ["add", "sub", "mul", "div", "pow", "remainder", "fmod", "hypot", "atan2", "copysign", "true_divide"]
INTEGER = ["add", "sub", "mul", "floor_divide", "bitwise_and", "bitwise_or", "bitwise_xor", "remainder"]


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(0.2, 0.8, shape)


@pytest.mark.parametrize("name", UNARY)
def test_a_function_of_one_tensor_is_the_same_in_place(name, device):
    array = drawn(3, 3)
    plain = getattr(tensor_of(array, device, gradient=False), name)()
    changed = tensor_of(array, device, gradient=False)
    assert getattr(changed, f"{name}_")() is changed
    np.testing.assert_array_equal(host(changed), host(plain))
    assert changed._version == 1
    leaf, other = tensor_of(array, device), tensor_of(array, device)
    weights = tensor_of(np.cos(np.arange(9.0)).reshape(3, 3), device, gradient=False)
    getattr(leaf * 1, f"{name}_")().backward(weights)
    getattr(other * 1, name)().backward(weights)
    np.testing.assert_allclose(host(leaf.grad), host(other.grad), rtol=1e-12)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shape", [(2, 3), (3,), ()])
def test_a_function_of_two_tensors_is_the_same_in_place(name, shape, device):
    left, right = drawn(2, 3), drawn(*shape) + 0.1
    results = []
    for suffix in ("", "_"):
        x, y = tensor_of(left, device), tensor_of(right, device)
        out = getattr(x * 1, name + suffix)(y)
        out.backward(tensor_of(np.cos(np.arange(6.0)).reshape(2, 3), device, gradient=False))
        results.append([host(out), host(x.grad), host(y.grad)])
    for plain, changed in zip(*results):
        np.testing.assert_allclose(changed, plain, rtol=1e-12)


@pytest.mark.parametrize("name", INTEGER)
def test_an_integer_tensor_changes_in_place(name):
    x = rg.tensor([7, 5, 6])
    wanted = getattr(x, name)(3)
    getattr(x, f"{name}_")(3)
    assert x.tolist() == wanted.tolist()
    assert x.dtype == rg.int64


def test_augmented_operators_change_the_tensor_itself():
    x = same = rg.tensor([7.0, 5.0])
    x += 1
    x -= 2
    x *= 3
    x /= 2
    x **= 2
    x //= 2
    x %= 5
    assert x is same
    assert x.tolist() == [0.0, 3.0]
    bits = same = rg.tensor([6, 3])
    bits &= 3
    bits |= 4
    bits ^= 1
    bits <<= 2
    bits >>= 1
    assert bits is same
    assert bits.tolist() == [14, 12]


def test_an_operand_that_is_no_number_is_refused():
    x = rg.ones(2)
    with pytest.raises(TypeError):
        x += "a"


@pytest.mark.parametrize(
    ("dtype", "change"),
    [
        (rg.int64, lambda x: x.add_(0.5)),
        (rg.int64, lambda x: x.div_(2)),
        (rg.int32, lambda x: x.exp_()),
        (rg.bool, lambda x: x.add_(1)),
        (rg.int64, lambda x: x.mul_(rg.tensor([1.0, 2.0]))),
    ],
)
def test_a_result_of_a_higher_kind_of_dtype_does_not_fit(dtype, change):
    x = rg.ones(2, dtype=dtype)
    with pytest.raises(RuntimeError, match="can't be cast"):
        change(x)
    assert x.tolist() == rg.ones(2, dtype=dtype).tolist()
    assert x._version == 0


def test_a_result_of_the_same_kind_is_cast():
    x = rg.ones(2, dtype=rg.float32)
    x.mul_(rg.tensor([1.5, 2.5], dtype=rg.float64))
    assert x.dtype == rg.float32
    assert x.tolist() == [1.5, 2.5]
    small = rg.ones(2, dtype=rg.uint8)
    small.add_(rg.tensor([1, 2]))
    assert small.tolist() == [2, 3]


def test_a_cast_in_place_passes_the_gradient():
    w = rg.tensor([1.5, 2.5], dtype=rg.float64, requires_grad=True)
    x = rg.ones(2, dtype=rg.float32)
    x.mul_(w)
    x.backward(rg.tensor([1.0, 10.0]))
    assert w.grad.dtype == rg.float64
    assert w.grad.tolist() == [1, 10]


def test_a_broadcast_that_would_grow_the_tensor_is_refused():
    x = rg.ones(3)
    with pytest.raises(RuntimeError, match="shape"):
        x.add_(rg.ones(2, 3))
    assert x.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "change", [lambda x: x.add_(1), lambda x: x.zero_(), lambda x: x.t_(), lambda x: x.copy_(x + 1)]
)
def test_a_leaf_that_requires_a_gradient_changes_only_under_no_grad(change):
    x = rg.ones(2, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        change(x)
    with pytest.raises(RuntimeError, match="view of a leaf Variable"):
        change(x.view(2, 2))
    assert x.tolist() == [[1, 1], [1, 1]]
    with rg.no_grad():
        change(x)
    assert x.is_leaf
    assert x.requires_grad


def test_a_leaf_transposed_in_place_receives_its_gradient_in_the_new_shape():
    x = rg.ones(2, 3, requires_grad=True)
    with rg.no_grad():
        x.t_()
    (x * x).backward(rg.ones(3, 2))
    assert x.grad.shape == (3, 2)


def test_a_constant_becomes_part_of_the_graph_when_a_gradient_enters_it():
    x, w = rg.zeros(3), rg.ones(3, requires_grad=True)
    x.add_(w)
    x[0] = 5.0
    assert x.requires_grad
    x.backward(rg.tensor([1.0, 2.0, 3.0]))
    assert w.grad.tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    "change", [lambda y: y.zero_(), lambda y: y.fill_(3.0), lambda y: y.copy_(rg.ones(3)), lambda y: y.eq_(1)]
)
def test_what_forgets_the_old_value_keeps_the_place_in_the_graph(change):
    x = rg.ones(3, requires_grad=True)
    y = x * 2
    change(y)
    y.backward(rg.ones(3))
    assert x.grad.tolist() == [0, 0, 0]


def test_copying_passes_the_gradient_to_the_source():
    source = rg.tensor([1.0, 2.0], dtype=rg.float64, requires_grad=True)
    x = rg.zeros(3, 2)
    x.copy_(source)
    assert x.dtype == rg.float32
    x.backward(rg.ones(3, 2))
    assert source.grad.tolist() == [3, 3]
    with pytest.raises(RuntimeError, match="broadcast"):
        x.copy_(rg.ones(3))


def test_copying_casts_and_moves(device):
    x = tensor_of(np.zeros(2), device, gradient=False)
    x.copy_(rg.tensor([1, 2]))
    assert x.tolist() == [1, 2]
    number = rg.zeros(2, dtype=rg.int64)
    number.copy_(rg.tensor([1.7, -1.7]))
    assert number.tolist() == [1, -1]


def test_filling_with_a_tensor_passes_the_sum_of_the_gradient():
    value = rg.tensor(2.0, requires_grad=True)
    x = rg.zeros(3)
    x.fill_(value)
    x.backward(rg.ones(3))
    assert value.grad.item() == 3


def test_filling_the_diagonal_leaves_the_rest():
    x = rg.zeros(3, 2).fill_diagonal_(1.0)
    assert x.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert rg.zeros(4, 1).fill_diagonal_(1.0, wrap=True).tolist() == [[1], [0], [1], [0]]
    assert rg.zeros(2, 2, 2).fill_diagonal_(1.0).tolist() == [[[1, 0], [0, 0]], [[0, 0], [0, 1]]]


# ---- versions


def test_a_saved_value_that_was_changed_raises_and_says_where():
    x = rg.ones(3, requires_grad=True)
    y = x * 2
    out = y * y
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"changed in place .*add_ at .*test_inplace\.py"):
        out.backward(rg.ones(3))


def test_a_saved_output_that_was_changed_raises():
    x = rg.ones(3, requires_grad=True)
    out = x.exp()
    kept = out * 1
    out.mul_(2)
    with pytest.raises(RuntimeError, match="exp's output"):
        kept.backward(rg.ones(3))


def test_a_change_of_what_was_not_saved_does_no_harm():
    x = rg.ones(3, requires_grad=True)
    y = x * 2
    out = y + 1
    y.mul_(5)
    out.backward(rg.ones(3))
    assert x.grad.tolist() == [2, 2, 2]


@pytest.mark.parametrize("relative", [lambda y: y.detach(), lambda y: y[1:], lambda y: y.view(3, 1)])
def test_a_change_through_a_relative_is_noticed(relative):
    x = rg.ones(3, requires_grad=True)
    y = x * 2
    other = relative(y)
    out = y * y
    with rg.no_grad():
        other.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        out.backward(rg.ones(3))


def test_a_change_through_data_is_not_noticed():
    x = rg.ones(3, requires_grad=True)
    y = x * 2
    out = y * y
    y.data.mul_(10)
    assert y._version == 0
    out.backward(rg.ones(3))
    assert x.grad.tolist() == [80, 80, 80]


def test_versions_count_changes_of_the_storage():
    x = rg.zeros(3)
    view, cut = x[1:], x.detach()
    x.add_(1)
    view.mul_(2)
    cut[0] = 5.0
    assert x._version == view._version == cut._version == 3
    assert x.data._version == 0
    assert x.clone()._version == 0


def test_a_change_under_no_grad_is_a_constant_to_the_graph():
    x = rg.ones(3, requires_grad=True)
    y = x * 2
    with rg.no_grad():
        y.mul_(10)
    y.backward(rg.ones(3))
    assert y.tolist() == [20, 20, 20]
    assert x.grad.tolist() == [2, 2, 2]


# ---- the tensor among its own operands


@pytest.mark.parametrize(
    ("change", "rewritten"),
    [
        (lambda y: y.mul_(y), lambda x: (2 * x) * (2 * x)),
        (lambda y: y.add_(y.T), lambda x: 2 * x + (2 * x).T),
        (lambda y: y.mul_(y[0]), lambda x: (2 * x) * (2 * x)[0]),
        (lambda y: y.div_(y + 1), lambda x: 2 * x / (2 * x + 1)),
        (lambda y: y.addcmul_(y, y, value=0.5), lambda x: 2 * x + 0.5 * (2 * x) ** 2),
        (lambda y: y.sin_().exp_(), lambda x: (2 * x).sin().exp()),
        (lambda y: y.pow_(3), lambda x: (2 * x) ** 3),
        (lambda y: y.sigmoid_().mul_(y), lambda x: (2 * x).sigmoid() ** 2),
    ],
)
def test_a_change_by_itself_has_the_gradient_of_the_expression(change, rewritten):
    array = drawn(3, 3)
    x, z = (rg.tensor(array.tolist(), dtype=rg.float64, requires_grad=True) for _ in range(2))
    y = 2 * x
    change(y)
    expected = rewritten(z)
    np.testing.assert_allclose(host(y), host(expected), rtol=1e-12)
    y.backward(rg.ones(3, 3, dtype=rg.float64))
    expected.backward(rg.ones(3, 3, dtype=rg.float64))
    np.testing.assert_allclose(host(x.grad), host(z.grad), rtol=1e-12)


def program(x: rg.Tensor, w: rg.Tensor) -> rg.Tensor:
    """Changes of a tensor, of views and of views of views."""
    y = x * 1
    row = y[0]
    element = row[1]
    row.mul_(w)
    y.T[2].sin_()
    element.exp_()
    y[1:, 0] = w[:2] * 2
    y[y > 0.6] *= 0.5
    y += row
    return y


def test_a_program_of_changes_is_differentiable_twice():
    inputs = [rg.tensor(drawn(*shape).tolist(), dtype=rg.float64, requires_grad=True) for shape in ((3, 3), (3,))]
    assert gradcheck(program, inputs)
    assert gradgradcheck(program, inputs)


def test_a_program_of_changes_has_the_same_gradient_with_a_graph():
    inputs = [rg.tensor(drawn(*shape).tolist(), dtype=rg.float64, requires_grad=True) for shape in ((3, 3), (3,))]
    weights = rg.tensor(np.cos(np.arange(9.0)).reshape(3, 3).tolist(), dtype=rg.float64)
    plain = rg.autograd.grad(program(*inputs), inputs, weights)
    recorded = rg.autograd.grad(program(*inputs), inputs, weights, create_graph=True)
    for a, b in zip(plain, recorded):
        np.testing.assert_allclose(host(a), host(b), rtol=1e-12)


# ---- without dimensions, and hooks


def test_a_tensor_without_dimensions_changes_in_place(device):
    x = tensor_of(np.array(3.0), device)
    y = x * 2
    view = y.view(1)
    y.add_(1)
    view.mul_(y)
    assert y.item() == 49
    y.backward()
    assert x.grad.item() == 28


def test_a_reduced_number_changes_in_place():
    x = rg.ones(3)
    total = x.sum()
    total += 1
    total.fill_(total.item() * 2)
    assert total.item() == 8


def test_a_retained_gradient_belongs_to_the_last_value():
    x = rg.ones(3, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    (y * y).backward(rg.ones(3))
    assert y.grad.tolist() == [12, 12, 12]
    assert x.grad.tolist() == [72, 72, 72]


def test_a_hook_stays_with_the_value_it_was_registered_on():
    seen = []
    x = rg.ones(3, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.mul_(3)
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.backward(rg.ones(3))
    assert seen == [[1, 1, 1], [3, 3, 3]]


def test_gradients_accumulated_before_are_not_changed_by_a_later_backward_of_another_tensor():
    x = rg.ones(3, requires_grad=True)
    (x * 2).backward(rg.ones(3))
    first = x.grad
    with rg.no_grad():
        x.sub_(0.1 * x.grad)
    x.grad = None
    (x * 3).backward(rg.ones(3))
    assert first.tolist() == [2, 2, 2]
    assert x.grad.tolist() == [3, 3, 3]


def test_memory_that_is_read_only_is_not_changed():
    array = np.zeros(3)
    array.flags.writeable = False
    x = rg.from_numpy(array)
    for change in (lambda: x.add_(1), lambda: x.zero_(), lambda: x[0:2].fill_(1)):
        with pytest.raises(RuntimeError, match="read-only"):
            change()
    assert array.tolist() == [0, 0, 0]


def test_an_in_place_activation_costs_the_same_however_deep_the_network_before_it(monkeypatch):
    def values_looked_at(depth):
        y = rg.ones(2, requires_grad=True) * 1
        for _ in range(depth):
            y = y + y  # two ways to every earlier node: 2**depth in all
        looked = []
        monkeypatch.setattr(view, "getattr", lambda *a: looked.append(a) or getattr(*a), raising=False)
        rg.nn.functional.relu(y, inplace=True)
        monkeypatch.undo()
        return len(looked)

    assert values_looked_at(16) == values_looked_at(2)


@pytest.mark.parametrize("changed", [0, 1])
def test_a_change_of_one_of_several_outputs_that_the_gradient_needs_is_refused(changed, device):
    matrix = rg.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=rg.float64, device=device, requires_grad=True)
    outputs = rg.linalg.qr(matrix)
    outputs[changed].detach().mul_(2)
    with pytest.raises(RuntimeError, match="qr's output was changed in place .* by mul_"):
        outputs[0].sum().backward()


def test_outputs_that_are_changed_after_the_gradient_is_taken_change_nothing(device):
    matrix = rg.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=rg.float64, device=device, requires_grad=True)
    q, r = rg.linalg.qr(matrix)
    (q.sum() + r.sum()).backward()
    q.detach().mul_(2)
    assert matrix.grad.isfinite().all()
