"""A Tensor's place in the graph, its gradient, its layout and its value."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import retrograd as rg


def leaf(values, device="cpu"):
    return rg.tensor(values, device=device, requires_grad=True)


def host(t):
    return t.detach().cpu().numpy()


# ---- leaves and results


def test_a_leaf_has_no_grad_fn_and_a_result_has_one(device):
    x = leaf([1.0, 2.0], device)
    y = x * 2
    assert (x.is_leaf, x.grad_fn, x.requires_grad) == (True, None, True)
    assert (y.is_leaf, y.requires_grad) == (False, True)
    assert y.grad_fn.name() == "MulBackward0"
    assert y.grad_fn.next_functions[0][0].variable is x


def test_a_tensor_without_gradient_is_a_leaf():
    assert rg.ones(2).is_leaf
    assert not rg.ones(2).requires_grad


def test_requires_grad_can_be_set_on_a_leaf_and_taken_back():
    x = rg.ones(2)
    assert x.requires_grad_() is x
    assert x.requires_grad
    x.requires_grad = False
    assert not x.requires_grad
    x.requires_grad = True
    (x * x).backward(rg.ones(2))
    assert x.grad.tolist() == [2, 2]


@pytest.mark.parametrize("dtype", [rg.int64, rg.bool, rg.uint8])
def test_integers_cannot_require_a_gradient(dtype):
    with pytest.raises(RuntimeError, match="floating point"):
        rg.zeros(2, dtype=dtype).requires_grad_()
    with pytest.raises(RuntimeError, match="floating point"):
        rg.zeros(2, dtype=dtype, requires_grad=True)


def test_a_result_cannot_stop_requiring_its_gradient():
    y = leaf([1.0]) * 2
    with pytest.raises(RuntimeError, match=r"leaf variables; detach\(\)"):
        y.requires_grad = False
    assert y.requires_grad_() is y


def test_detach_shares_memory_and_cuts_the_graph(device):
    x = leaf([1.0, 2.0], device)
    y = x * 3
    z = y.detach()
    assert z.is_leaf
    assert not z.requires_grad
    z.fill_(7)
    assert host(y).tolist() == [7, 7]


def test_a_change_through_detach_is_noticed_by_backward():
    x = leaf([1.0, 2.0])
    y = x.exp()
    y.detach().zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_detaching_in_place_makes_a_leaf():
    y = leaf([1.0]) * 2
    assert y.detach_() is y
    assert y.is_leaf
    assert not y.requires_grad


def test_a_view_is_not_detached_in_place():
    with pytest.raises(RuntimeError, match="detach views"):
        leaf([1.0, 2.0]).reshape(2, 1).detach_()


def test_clone_copies_and_passes_the_gradient(device):
    x = leaf([1.0, 2.0], device)
    y = x.clone()
    (y * y).sum().backward()
    assert host(x.grad).tolist() == [2, 4]
    with rg.no_grad():
        y.zero_()
    assert host(x).tolist() == [1, 2]


def test_versions_count_in_place_changes():
    x = rg.ones(2)
    alias = x.detach()
    assert x._version == 0
    x.add_(1)
    alias.add_(1)
    assert x._version == alias._version == 2


# ---- data


def test_data_is_an_alias_without_version_checks():
    w = leaf([1.0, 2.0])
    y = (w * w).sum()
    w.data.mul_(10)  # as an optimizer of old does
    assert w.tolist() == [10, 20]
    assert not w.data.requires_grad
    assert w._version == 0
    y.backward()  # not noticed: that is what .data promises, and why detach() is better


def test_assigning_data_replaces_the_array_and_keeps_the_leaf():
    w = leaf([1.0, 2.0])
    w.data = rg.tensor([5.0, 6.0, 7.0])
    assert w.is_leaf
    assert w.requires_grad
    (w * w).sum().backward()
    assert w.grad.tolist() == [10, 12, 14]


def test_assigning_data_leaves_a_graph_built_before_right():
    w = leaf([1.0, 2.0])
    loss = (w * w).sum()
    w.data = rg.tensor([5.0, 6.0])
    loss.backward()
    assert w.grad.tolist() == [2, 4]


def test_data_of_a_leaf_keeps_a_floating_dtype():
    w = leaf([1.0])
    with pytest.raises(RuntimeError, match="floating point"):
        w.data = rg.tensor([1])
    with pytest.raises(TypeError, match="must be a Tensor"):
        w.data = [1.0]


# ---- grad


def test_grad_is_none_until_backward_and_can_be_cleared():
    x = leaf([1.0])
    assert x.grad is None
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2]
    x.grad = None
    assert x.grad is None
    x.grad = rg.tensor([5.0])
    (x * 2).sum().backward()
    assert x.grad.tolist() == [7]
    del x.grad
    assert x.grad is None


@pytest.mark.parametrize(
    ("grad", "error", "message"),
    [
        (3.0, TypeError, "got grad of type float"),
        (lambda: rg.ones(3), RuntimeError, r"shape \(3,\)"),
        (lambda: rg.ones(2, dtype=rg.float64), RuntimeError, "dtype float64"),
    ],
)
def test_a_grad_that_does_not_fit_is_refused(grad, error, message):
    x = leaf([1.0, 2.0])
    with pytest.raises(error, match=message):
        x.grad = grad() if callable(grad) else grad
    with pytest.raises(RuntimeError, match="its own grad"):
        x.grad = x
    assert x.grad is None


def test_a_grad_on_another_device_is_refused():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="strict:0"):
        x.grad = rg.ones(2, device="strict")


def test_reading_the_grad_of_a_result_warns():
    y = leaf([1.0]) * 2
    with pytest.warns(UserWarning, match="retain_grad"):
        assert y.grad is None


def test_retain_grad_keeps_the_gradient_of_a_result():
    x = leaf([1.0, 2.0])
    y = x * 3
    y.retain_grad()
    y.retain_grad()
    assert y.retains_grad
    assert not x.retains_grad
    (y * y).sum().backward()
    assert y.grad.tolist() == [6, 12]
    assert x.grad.tolist() == [18, 36]
    with pytest.raises(RuntimeError, match="retain_grad"):
        rg.ones(2).retain_grad()


# ---- hooks


def test_a_hook_sees_and_replaces_the_gradient():
    x = leaf([1.0, 2.0])
    y = x * 3
    seen = []
    y.register_hook(seen.append)
    handle = x.register_hook(lambda g: g * 10)
    y.sum().backward()
    assert seen[0].tolist() == [1, 1]
    assert x.grad.tolist() == [30, 30]
    handle.remove()
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_a_retained_gradient_is_the_one_that_hooks_left():
    y = leaf([1.0]) * 3
    y.retain_grad()
    y.register_hook(lambda g: g * 5)
    y.sum().backward()
    assert y.grad.tolist() == [5]


def test_a_hook_after_accumulation_sees_the_leaf():
    x = leaf([1.0])
    seen = []
    handle = x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.tolist()))
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    handle.remove()
    (x * 2).sum().backward()
    assert seen == [[2], [4]]


def test_hooks_need_a_gradient_to_hook():
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        rg.ones(1).register_hook(print)
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        rg.ones(1).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match="non-leaf"):
        (leaf([1.0]) * 2).register_post_accumulate_grad_hook(print)


# ---- backward


def test_backward_of_several_values_needs_a_gradient():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="scalar outputs"):
        (x * 2).backward()
    (x * 2).backward(gradient=rg.tensor([1.0, 10.0]))
    assert x.grad.tolist() == [2, 20]


def test_backward_without_a_graph_says_what_is_missing():
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        rg.ones(1).backward()


def test_backward_can_be_limited_to_some_leaves():
    x, y = leaf([1.0]), leaf([2.0])
    (x * y).sum().backward(inputs=[x])
    assert x.grad.tolist() == [2]
    assert y.grad is None


def test_a_graph_is_freed_unless_retained():
    x = leaf([1.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4]
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


# ---- layout


def test_shape_and_memory_are_described(device):
    x = rg.zeros(2, 3, dtype=rg.float64, device=device)
    assert x.size() == x.shape == (2, 3)
    assert (x.size(0), x.size(-1)) == (2, 3)
    assert (x.dim(), x.ndimension(), x.ndim) == (2, 2, 2)
    assert (x.numel(), x.nelement(), rg.numel(x)) == (6, 6, 6)
    assert (x.element_size(), x.itemsize, x.nbytes) == (8, 8, 48)
    assert (x.stride(), x.stride(0), x.stride(-1)) == ((3, 1), 3, 1)
    assert len(x) == 2
    assert x.device == rg.device(device.type, device.index)
    assert x.is_cpu == (device.type == "cpu")
    assert not x.is_cuda
    with pytest.raises(IndexError, match="Dimension out of range"):
        x.size(2)


def test_dtypes_are_told_apart():
    assert rg.is_floating_point(rg.ones(1))
    assert not rg.ones(1, dtype=rg.int64).is_floating_point()
    assert not rg.ones(1).is_complex()
    assert rg.is_tensor(rg.ones(1))
    assert not rg.is_tensor(np.ones(1))


# ---- Python's numbers


def test_one_element_is_a_python_number(device):
    x = rg.tensor([[2.5]], device=device)
    assert x.item() == float(x) == 2.5
    assert type(x.item()) is float
    assert int(x) == 2
    assert complex(x) == 2.5 + 0j
    assert bool(x)
    assert not rg.tensor(0, device=device)
    assert type(rg.tensor(3, device=device).item()) is int
    assert type(rg.tensor(True, device=device).item()) is bool


def test_several_elements_are_no_number():
    x = rg.ones(2)
    with pytest.raises(RuntimeError, match="2 elements"):
        x.item()
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(x)
    with pytest.raises(RuntimeError, match="no values"):
        bool(rg.ones(0))
    with pytest.raises(ValueError, match="only one element"):
        int(x)
    with pytest.raises(ValueError, match="only one element"):
        float(x)


def test_an_integer_of_one_element_is_an_index():
    assert ["a", "b"][rg.tensor([1])] == "b"
    assert list(range(rg.tensor(3))) == [0, 1, 2]
    with pytest.raises(TypeError, match="only integer tensors"):
        ["a", "b"][rg.tensor(1.0)]


def test_tolist_nests_like_the_shape(device):
    assert rg.tensor([[1, 2], [3, 4]], device=device).tolist() == [[1, 2], [3, 4]]
    assert rg.tensor(5, device=device).tolist() == 5
    assert rg.zeros(0, 2).tolist() == []


def test_iteration_goes_over_the_first_dimension():
    rows = list(rg.tensor([[1, 2], [3, 4]]))
    assert [row.tolist() for row in rows] == [[1, 2], [3, 4]]
    with pytest.raises(TypeError, match="0-d"):
        iter(rg.tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        len(rg.tensor(1.0))


def test_membership_compares_elements(device):
    x = rg.tensor([1.0, 2.0], device=device)
    assert 2 in x
    assert 3 not in x
    with pytest.raises(RuntimeError, match="str"):
        _ = "a" in x


def test_formatting_a_scalar_formats_its_number():
    assert f"{rg.tensor(1.5):.2f}" == "1.50"
    assert f"{rg.tensor(3):03d}" == "003"
    assert f"{rg.ones(2)}" == "tensor([1., 1.])"
    with pytest.raises(TypeError, match="format"):
        f"{rg.ones(2):.2f}"


# ---- copies


def test_a_leaf_is_copied_deeply_with_its_gradient(device):
    x = leaf([1.0, 2.0], device)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    assert y.requires_grad
    assert y.is_leaf
    assert y.device == x.device
    assert host(y.grad).tolist() == [2, 4]
    with rg.no_grad():
        y.zero_()
    assert host(x).tolist() == [1, 2]


def test_deepcopy_keeps_what_is_one_tensor_one():
    x = rg.ones(2)
    a, b = copy.deepcopy([x, x])
    assert a is b
    assert a is not x


def test_a_leaf_is_pickled_with_its_flag(device):
    x = leaf([[1.0, 2.0]], device)
    y = pickle.loads(pickle.dumps(x))
    assert y.requires_grad
    assert y.device == x.device
    assert y.dtype == x.dtype
    assert host(y).tolist() == [[1, 2]]
    assert not pickle.loads(pickle.dumps(rg.ones(1))).requires_grad


def test_a_result_is_neither_copied_deeply_nor_pickled():
    y = leaf([1.0]) * 2
    with pytest.raises(RuntimeError, match="only leaves can be deepcopied"):
        copy.deepcopy(y)
    with pytest.raises(RuntimeError, match="only leaves can be pickled"):
        pickle.dumps(y)


def test_dropping_the_result_frees_the_graph_without_the_garbage_collector():
    gc.disable()
    try:
        x = leaf([1.0])
        y = x * 2
        y.retain_grad()
        y.register_hook(lambda g: g)
        seen = weakref.ref(y.grad_fn)
        del y
        assert seen() is None
    finally:
        gc.enable()


def test_assigning_data_to_a_view_parts_it_from_its_base():
    base = rg.zeros(2, 2)
    view = base.reshape(4)
    view.data = rg.ones(4)
    view.fill_(5)
    assert base.tolist() == [[0, 0], [0, 0]]
    assert not view._is_view()
