"""Indexing: one line per kind of index gives all facts of the factory; then assignment, bounds and duplicates."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from tests.autograd.factory import each, function, host, tensor_of


def below_three(rng, shape):
    """Indices of a dimension of length 3."""
    return rng.integers(0, 3, shape)


INDICES = {
    "integer": 1,
    "negative": -2,
    "slice": slice(1, None, 2),
    "slice from the end": slice(-2, -1),
    "ellipsis": (..., 1),
    "new axis": (None, 1, ..., None),
    "all integers": (1, 2, 0),
    "empty slice": slice(2, 1),
    "list": [2, 0],
    "nested list": [[2, 0], [1, 1]],
    "duplicates": ([0, 0, 2],),
    "list behind a slice": (slice(None), [3, 3, 0]),
    "two lists": ([0, 2], [1, 1]),
    "lists that broadcast": ([[0], [2]], [1, 3]),
    "integer beside a list": (1, [0, 3]),
    "lists apart": ([0, 1], slice(None), [1, 0]),
    "list and new axis": ([0, 1], None, slice(1, 3)),
    "list and slice with step": (slice(0, 3, 2), [0, 1], slice(None, None, 2)),
    "truth values": ([True, False, True],),
    "true": True,
    "false": False,
    "empty list": ([],),
    "array": (np.array([1, 2]), slice(None), 0),
    "range": (range(2),),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
class TestEveryIndex:
    def test_reads_what_numpy_reads_and_passes_the_gradient_back(self, index, device):
        array = np.arange(60.0).reshape(3, 4, 5)
        x = tensor_of(array, device)
        out = x[index]
        wanted = in_two_steps(array, index)
        assert out.shape == wanted.shape
        np.testing.assert_array_equal(host(out), wanted)
        weights = np.cos(np.arange(out.numel())).reshape(out.shape)
        out.backward(tensor_of(weights, device, gradient=False))
        places = in_two_steps(np.arange(60).reshape(3, 4, 5), index)
        expected = np.bincount(places.ravel(), weights.ravel(), 60).reshape(3, 4, 5)
        np.testing.assert_allclose(host(x.grad), expected, rtol=1e-12, atol=1e-12)

    def test_writes_where_it_reads(self, index, device):
        x = tensor_of(np.zeros((3, 4, 5)), device, gradient=False)
        x[index] = 1.0
        expected = np.zeros(60)
        expected[in_two_steps(np.arange(60).reshape(3, 4, 5), index).ravel()] = 1.0
        np.testing.assert_array_equal(host(x).ravel(), expected)


def in_two_steps(array, index):
    """What PyTorch's order means in NumPy: integers first, then the arrays."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(p, (list, np.ndarray, range)) for p in parts) and any(type(p) is int for p in parts):
        axis, rest = 0, []
        for part in parts:
            if type(part) is int:
                array = array.take(part, axis)
            else:
                rest.append(part)
                axis += 1
        parts = tuple(rest)
    return array[parts if isinstance(index, tuple) else index]


test_mask = function(lambda x: x[x > 0.1], lambda x: x[x > 0.1], "distinct", shapes=[(2, 3), (4,)])
test_gather = function(
    lambda x, i: x.gather(1, i),
    lambda x, i: np.take_along_axis(x, i, 1),
    "any",
    below_three,
    shapes=[((2, 3), (2, 4)), ((2, 3), (2, 2))],
)
test_scatter_add = function(
    lambda x, i, y: x.scatter_add(0, i, y),
    None,
    "any",
    below_three,
    "any",
    shapes=[((3, 2), (4, 2), (4, 2)), ((3, 2), (1, 2), (2, 2))],
)
test_scatter = function(
    lambda x, i, y: x.scatter(0, i, y),
    None,
    "any",
    below_three,
    "any",
    shapes=[((3, 2), (4, 2), (4, 2)), ((3, 2), (1, 2), (1, 2))],
)
test_scatter_reduce = function(
    lambda x, i, y, reduce, include_self: x.scatter_reduce(0, i, y, reduce, include_self=include_self),
    None,
    "distinct",
    below_three,
    lambda rng, shape: rng.uniform(0.3, 2.1, shape),
    shapes=[((3, 2), (4, 2), (4, 2)), ((3,), (5,), (5,))],
    reduce=each("sum", "prod", "mean", "amax", "amin"),
    include_self=each(True, False),
)
test_index_select = function(
    lambda x, i: x.index_select(1, i),
    lambda x, i: x[:, i],
    "any",
    below_three,
    shapes=[((2, 3), (4,)), ((2, 3, 2), (2,))],
)
test_index_add = function(
    lambda x, i, y: x.index_add(0, i, y, alpha=2),
    None,
    "any",
    below_three,
    "any",
    shapes=[((3, 2), (4,), (4, 2)), ((3,), (1,), (1,))],
)
test_index_copy = function(
    lambda x, i, y: x.index_copy(0, i, y),
    None,
    "any",
    below_three,
    "any",
    shapes=[((3, 2), (4,), (4, 2)), ((3,), (1,), (1,))],
)
test_index_fill = function(
    lambda x, i: x.index_fill(0, i, 0.5), None, "any", below_three, shapes=[((3, 2), (4,)), ((3,), (1,))]
)
test_index_put = function(
    lambda x, i, y: x.index_put((i,), y),
    None,
    "any",
    below_three,
    "any",
    shapes=[((3, 2), (4,), (4, 2)), ((3, 2), (4,), (2,)), ((3,), (2, 2), ())],
)
test_index_put_accumulate = function(
    lambda x, i, y: x.index_put((i,), y, accumulate=True),
    None,
    "any",
    below_three,
    "any",
    shapes=[((3, 2), (4,), (4, 2)), ((3, 2), (4,), (2,))],
)
test_masked_fill = function(
    lambda x, m: x.masked_fill(m, 2.5),
    lambda x, m: np.where(m, 2.5, x),
    "any",
    "booleans",
    repeated=False,
    shapes=[((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 3))],
)
test_masked_select = function(
    lambda x, m: x.masked_select(m),
    lambda x, m: np.broadcast_to(x, (2, 3))[np.broadcast_to(m, (2, 3))],
    "any",
    "booleans",
    repeated=False,
    shapes=[((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 3))],
)
test_masked_scatter = function(
    lambda x, m, y: x.masked_scatter(m, y),
    None,
    "any",
    "booleans",
    "any",
    repeated=False,
    shapes=[((2, 3), (2, 3), (6,)), ((2, 3), (3,), (3, 3))],
)
test_take = function(
    lambda x, i: x.take(i),
    lambda x, i: x.ravel()[i],
    "any",
    lambda rng, shape: rng.integers(-6, 6, shape),
    shapes=[((2, 3), (4,)), ((6,), (2, 2)), ((2, 3), ())],
)
test_take_along_dim = function(
    lambda x, i: x.take_along_dim(i, 1),
    lambda x, i: np.take_along_axis(x, i, 1),
    "any",
    below_three,
    shapes=[((2, 3), (2, 2)), ((2, 3), (1, 2)), ((1, 3), (2, 1))],
)
test_put = function(
    lambda x, i, y: x.put(i, y),
    None,
    "any",
    lambda rng, shape: rng.integers(0, 6, shape),
    "any",
    shapes=[((2, 3), (4,), (4,)), ((6,), (2, 2), (4,))],
)


@pytest.mark.parametrize("index", [3, -4, (0, 5), (slice(None), -6)])
def test_an_integer_out_of_range_raises_index_error(index, device):
    x = tensor_of(np.zeros((3, 5)), device)
    with pytest.raises(IndexError, match="out of bounds"):
        x[index]
    with pytest.raises(IndexError, match="out of bounds"):
        x.detach()[index] = 1.0


@pytest.mark.parametrize("index", [[3], [0, -4], np.array([7]), ([0], [5])])
def test_a_listed_index_out_of_range_raises_index_error(index, device):
    x = tensor_of(np.zeros((3, 5)), device)
    with pytest.raises(IndexError, match="out of"):
        x[index]
    with pytest.raises(IndexError, match="out of"):
        x.detach()[index] = 1.0


@pytest.mark.parametrize(
    ("index", "error"),
    [
        (slice(None, None, -1), ValueError),
        (slice(None, None, 0), ValueError),
        (1.5, IndexError),
        ("a", IndexError),
        ((0, 0, 0), IndexError),
        ((..., ...), IndexError),
        ([True, False], IndexError),
        (slice("a", None), TypeError),
        ([0.5], IndexError),
        ([[0], [1, 2]], IndexError),
    ],
)
def test_an_index_that_does_not_fit_is_refused(index, error):
    with pytest.raises(error):
        rg.zeros(3, 5)[index]


def test_a_negative_step_names_flip_as_the_way():
    with pytest.raises(ValueError, match="flip"):
        rg.zeros(3)[::-1]


def test_a_tensor_without_dimensions_as_index_gives_a_view():
    x = rg.zeros(3)
    x[rg.tensor(1)].fill_(2.0)
    assert x.tolist() == [0, 2, 0]


def test_an_element_is_a_view_without_dimensions(device):
    x = tensor_of(np.zeros(3), device, gradient=False)
    element = x[1]
    element.add_(4.0)
    assert element.shape == ()
    assert x.tolist() == [0, 4, 0]


def test_the_gradients_of_duplicates_add_up(device):
    x = tensor_of(np.zeros(3), device)
    x[[0, 0, 2]].backward(tensor_of(np.array([1.0, 10.0, 100.0]), device, gradient=False))
    assert x.grad.tolist() == [11, 0, 100]


def test_of_duplicates_in_an_assignment_the_last_stays_and_it_alone_has_a_gradient(device):
    base = tensor_of(np.zeros(3), device)
    values = tensor_of(np.array([1.0, 2.0, 3.0]), device)
    x = base * 1
    x[[0, 0, 2]] = values
    assert x.tolist() == [2, 0, 3]
    x.backward(tensor_of(np.array([1.0, 10.0, 100.0]), device, gradient=False))
    assert values.grad.tolist() == [0, 1, 100]
    assert base.grad.tolist() == [0, 10, 0]


@pytest.mark.parametrize("index", [0, slice(1, 3), [0, 2], [True, False, True], ...], ids=str)
def test_an_assignment_passes_gradients_to_the_value_and_to_what_it_leaves(index, device):
    base, value = tensor_of(np.ones((3, 2)), device), tensor_of(np.array([5.0, 7.0]), device)
    x = base * 2
    x[index] = value
    x.backward(tensor_of(np.arange(6.0).reshape(3, 2), device, gradient=False))
    written = np.zeros((3, 2), dtype=bool)
    written[index] = True
    weights = np.arange(6.0).reshape(3, 2)
    np.testing.assert_allclose(host(base.grad), np.where(written, 0, 2 * weights))
    np.testing.assert_allclose(host(value.grad), np.where(written, weights, 0).sum(0))


def test_an_assignment_to_a_leaf_that_requires_a_gradient_is_refused():
    x = rg.zeros(3, requires_grad=True)
    for index in (0, [0], rg.tensor([True, False, False])):
        with pytest.raises(RuntimeError, match="leaf"):
            x[index] = 1.0
    with rg.no_grad():
        x[0] = 1.0
    assert x.tolist() == [1, 0, 0]


def test_a_value_that_does_not_fit_changes_nothing():
    x = rg.zeros(3)
    for index, value in ((0, rg.ones(2)), (slice(0, 2), rg.ones(3)), ([0, 1], rg.ones(3)), ([0], rg.ones(2, 1, 1))):
        with pytest.raises(RuntimeError, match="shape"):
            x[index] = value
    with pytest.raises(TypeError):
        x[0] = "a"
    with pytest.raises(TypeError):
        x[0:2] = [1.0, 2.0]
    assert x.tolist() == [0, 0, 0]
    assert x._version == 0


def test_an_index_array_changed_before_backward_raises():
    x = rg.zeros(3, requires_grad=True)
    places = rg.tensor([0, 1])
    out = x[places]
    places.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        out.backward(rg.ones(2))


def test_an_index_array_changed_after_an_assignment_does_not_matter():
    x, value = rg.zeros(3), rg.ones(2, requires_grad=True)
    places = rg.tensor([0, 1])
    x[places] = value
    places.add_(1)
    x.backward(rg.tensor([1.0, 10.0, 100.0]))
    assert value.grad.tolist() == [1, 10]


def test_an_assignment_of_overlapping_parts_reads_before_it_writes(device):
    x = tensor_of(np.arange(5.0), device, gradient=False)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3]


def test_an_augmented_assignment_changes_the_part_once():
    x = rg.zeros(3)
    x[1] += 5.0
    x[[0, 0]] += 1.0
    x[x > 3] *= 2.0
    assert x.tolist() == [1, 0 + 10, 0]
    y = rg.zeros(3, requires_grad=True) * 1
    version = y._version
    y[1] += 5.0
    assert y._version == version + 1


def test_nonzero_gives_indices_that_select_the_elements():
    x = rg.tensor([[0.0, 2.0], [3.0, 0.0]])
    assert x.nonzero().tolist() == [[0, 1], [1, 0]]
    assert x[x.nonzero(as_tuple=True)].tolist() == [2, 3]
    assert rg.argwhere(x).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("reduce", ["amin", "amax"])
def test_an_extremum_of_scattered_values_is_nan_where_one_of_them_is(device, reduce):
    index = rg.tensor([0, 0, 0, 1, 1, 0, 2, 2], device=device)
    values = rg.tensor([1.0, np.nan, -2.0, np.nan, 5.0, 0.0, 4.0, 4.0], device=device)
    for include_self in (True, False):
        found = rg.zeros(3, device=device).scatter_reduce(0, index, values, reduce, include_self=include_self)
        assert found.isnan().tolist() == [True, True, False]
