"""Views in the graph: what is changed through one of them is changed for all, in value and in gradient."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import retrograd as rg
from tests.autograd.factory import host, tensor_of


@pytest.fixture
def x(device):
    """A leaf 1 … 6 of shape (2, 3)."""
    return tensor_of(np.arange(1.0, 7.0).reshape(2, 3), device)


def test_a_view_made_before_a_change_follows_it(x):
    y = x * 1
    row = y[0]
    y.mul_(10)
    assert row.tolist() == [10, 20, 30]
    row.sum().backward()
    assert x.grad.tolist() == [[10, 10, 10], [0, 0, 0]]


def test_a_tensor_changed_through_a_view_follows_it(x):
    y = x * 1
    y[0].mul_(10)
    y.sum().backward()
    assert x.grad.tolist() == [[10, 10, 10], [1, 1, 1]]


def test_a_change_through_a_view_of_a_view_reaches_all(x):
    y = x * 1
    column, row = y.T[2], y[0]
    y.view(-1)[2:4].mul_(10)
    assert (column.tolist(), row.tolist()) == ([30, 6], [1, 2, 30])
    (column.sum() + 2 * row.sum()).backward()
    assert x.grad.tolist() == [[2, 2, 30], [0, 0, 1]]


def test_siblings_keep_the_gradient_of_what_they_share(x):
    y = x * 1
    left, right = y[:, :2], y[:, 1:]
    left.mul_(right)
    assert y.tolist() == [[2, 6, 3], [20, 30, 6]]
    y.sum().backward()
    assert x.grad.tolist() == [[2, 4, 3], [5, 10, 6]]


def test_an_overwritten_part_passes_no_gradient(x):
    y = x * 1
    y[0] = y[1]
    y.sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [2, 2, 2]]


def test_values_before_a_change_keep_their_own_gradient(x):
    y = x * 1
    before = y + 0
    y.mul_(10)
    (before.sum() + y.sum()).backward()
    assert x.grad.tolist() == [[11, 11, 11], [11, 11, 11]]


def test_a_buffer_filled_row_by_row_passes_every_gradient(x):
    buffer = rg.zeros(4, 3, dtype=x.dtype, device=x.device)
    state = x[0]
    for t in range(4):
        state = state * x[1]
        buffer[t] = state
    buffer.sum().backward()
    a, b = np.arange(1.0, 4.0), np.arange(4.0, 7.0)
    np.testing.assert_allclose(host(x.grad)[0], b + b**2 + b**3 + b**4)
    np.testing.assert_allclose(host(x.grad)[1], a * (1 + 2 * b + 3 * b**2 + 4 * b**3))


def test_a_change_through_a_diagonal_and_a_reshape(x):
    y = (x * 1)[:, :2]
    y.diagonal().mul_(10)
    y.unsqueeze(0).squeeze(0).T.add_(1)
    assert y.tolist() == [[11, 3], [5, 51]]
    y.sum().backward()
    assert x.grad.tolist() == [[10, 1, 0], [1, 10, 0]]


def test_an_expanded_tensor_is_not_changed(x):
    y = x[:1].detach().expand(4, 3)
    with pytest.raises(RuntimeError, match="single memory location"):
        y.add_(1)
    with pytest.raises(RuntimeError, match="single memory location"):
        y[:, 1] = rg.ones(4, dtype=x.dtype, device=x.device)
    assert x.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_one_row_of_an_expanded_tensor_is_changed():
    base = rg.zeros(3)
    base.expand(4, 3)[0].add_(1)
    assert base.tolist() == [1, 1, 1]


def test_overlapping_windows_are_not_changed():
    x = rg.zeros(5)
    with pytest.raises(RuntimeError, match="single memory location"):
        x.unfold(0, 3, 1).add_(1)
    x.unfold(0, 2, 2).add_(1)
    assert x.tolist() == [1, 1, 1, 1, 0]


@pytest.mark.parametrize(
    "parts", [lambda y: y.split(1), lambda y: y.chunk(2), lambda y: y.unbind(), lambda y: y.tensor_split(2)]
)
def test_one_of_several_views_is_not_changed_while_recording(parts, x):
    y = x * 1
    part = parts(y)[0]
    with pytest.raises(RuntimeError, match="multiple views"):
        part.mul_(2)
    with pytest.raises(RuntimeError, match="multiple views"):
        part[..., 0] = 5.0
    with rg.no_grad():
        part.mul_(2)
    assert y.tolist() == [[2, 4, 6], [4, 5, 6]]


def test_one_of_several_views_is_changed_where_nothing_is_recorded(x):
    y = x.detach()
    for row in y.unbind():
        row.mul_(2)
    assert y.tolist() == [[2, 4, 6], [8, 10, 12]]


def test_several_views_follow_a_change_of_their_base(x):
    y = x * 1
    first, second = y.unbind()
    y.mul_(10)
    (first * second).sum().backward()
    assert x.grad.tolist() == [[400, 500, 600], [100, 200, 300]]


def test_a_view_made_without_recording_is_not_changed_while_recording(x):
    y = x * 1
    with rg.no_grad():
        row = y[0]
    with pytest.raises(RuntimeError, match="no_grad"):
        row.mul_(2)


def test_a_view_that_is_a_leaf_is_not_cut_off():
    base = rg.zeros(3)
    leaf = base[1:].requires_grad_()
    base.add_(1)
    assert leaf.is_leaf
    with pytest.raises(RuntimeError, match="leaf"):
        base.mul_(rg.ones(3, requires_grad=True))
    (leaf * leaf).sum().backward()
    assert leaf.grad.tolist() == [2, 2]


def test_a_detached_tensor_shares_values_and_not_gradients(x):
    y = x * 1
    cut = y.detach()
    y.mul_(2)
    assert cut.tolist() == y.tolist()
    assert not cut.requires_grad
    cut.zero_()
    assert y.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_tensor_transposed_in_place_and_its_views_stay_related(x):
    y = x * 1
    row = y[0]
    assert y.t_() is y
    assert y.shape == (3, 2)
    row.mul_(10)
    assert y.tolist() == [[10, 4], [20, 5], [30, 6]]
    y[0].mul_(3)
    y.unsqueeze_(0)
    y.add_(1)
    assert row.tolist() == [31, 21, 31]
    y.squeeze_()
    (y.sum() + row.sum()).backward()
    assert x.grad.tolist() == [[60, 20, 20], [3, 1, 1]]


def test_a_view_reshaped_in_place_stays_a_view_of_its_base(x):
    y = x * 1
    part = y[:, 1:]
    part.transpose_(0, 1)
    part[0].mul_(10)
    assert y.tolist() == [[1, 20, 3], [4, 50, 6]]
    y.sum().backward()
    assert x.grad.tolist() == [[1, 10, 1], [1, 10, 1]]


def test_a_view_keeps_its_base_alive_and_not_the_other_way_round():
    gc.disable()
    try:
        y = rg.zeros(3)
        view = y[1:]
        base, gone = weakref.ref(y), weakref.ref(view)
        del y
        assert base() is not None
        view.add_(1)
        base().mul_(2)
        assert view.tolist() == [2, 2]
        del view
        assert gone() is None
        assert base() is None
    finally:
        gc.enable()


def test_dead_views_are_forgotten():
    x = rg.zeros(3)
    for _ in range(10_000):
        x[0]
    assert len(x._views) < 20


def test_a_buffer_forgets_the_views_through_which_it_was_written():
    x = rg.zeros(64, requires_grad=True) * 1
    for i in range(2000):
        x[i % 64] = x[(i + 1) % 64] * 0.5
    assert len(getattr(x, "_views", ())) < 64  # so that each write costs the same


def test_views_stay_with_the_old_storage_when_data_is_replaced(device):
    base = tensor_of(np.zeros(4), device, gradient=False)
    view = base[1:3]
    w = tensor_of(np.array(5.0), device)
    base.data = tensor_of(np.ones(4), device, gradient=False)
    view.mul_(w)
    assert not base.requires_grad
    np.testing.assert_array_equal(host(base), np.ones(4))
    view.sum().backward()
    assert w.grad.item() == 0


def test_the_gradient_of_a_view_of_a_number(device):
    x = tensor_of(np.array(2.0), device)
    y = x * 1
    y.view(1, 1)[0, 0].mul_(y)
    assert y.item() == 4
    y.backward()
    assert x.grad.item() == 4
