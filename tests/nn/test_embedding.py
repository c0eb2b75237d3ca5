"""Embedding and EmbeddingBag: rows of a table, on every device."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.nn import functional as F
from tests.autograd.factory import each, function
from tests.data.errors import raises_clearly


def indices(rng, shape):
    return rng.integers(0, 4, shape)


def looked_up(weight, index, padding_idx=None, scale_grad_by_freq=False):
    return F.embedding(index, weight, padding_idx, scale_grad_by_freq=scale_grad_by_freq)


test_embedding = function(
    looked_up,
    lambda weight, index: weight[index],
    "any",
    indices,
    shapes=[((4, 3), (5,)), ((4, 3), (2, 3)), ((4, 2), ()), ((4, 0), (2,))],
)
test_embedding_bag_sums = function(
    lambda weight, index: F.embedding_bag(index, weight, mode="sum"),
    lambda weight, index: weight[index].sum(1),
    "any",
    indices,
    shapes=[((4, 3), (2, 3)), ((4, 3), (1, 1))],
)
test_embedding_bag_with_weights = function(
    lambda weight, index, factors: F.embedding_bag(index, weight, mode="sum", per_sample_weights=factors),
    lambda weight, index, factors: (weight[index] * factors[..., None]).sum(1),
    "any",
    indices,
    "any",
    shapes=[((4, 3), (2, 3), (2, 3))],
)
test_embedding_bag_of_the_largest = function(
    lambda weight, index, mode: F.embedding_bag(index, weight, mode=mode),
    lambda weight, index, mode: weight[index].max(1) if mode == "max" else weight[index].mean(1),
    "distinct",
    indices,
    shapes=[((4, 3), (2, 3))],
    mode=each("max", "mean"),
)


def table(device, rows=5, features=2, **settings):
    layer = nn.Embedding(rows, features, device=device, dtype=rg.float64, **settings)
    layer.weight.data = rg.tensor(np.arange(1.0, rows * features + 1).reshape(rows, features), device=device)
    return layer


def test_a_row_that_is_looked_up_twice_gets_twice_the_gradient(device):
    layer = table(device)
    layer(rg.tensor([1, 3, 1], device=device)).sum().backward()
    assert layer.weight.grad.tolist() == [[0, 0], [2, 2], [0, 0], [1, 1], [0, 0]]


def test_the_padding_row_starts_at_zero_and_gets_no_gradient(device):
    layer = nn.Embedding(4, 3, padding_idx=-1, device=device)
    assert layer.padding_idx == 3
    assert layer.weight[3].tolist() == [0, 0, 0]
    layer(rg.tensor([3, 0, 3], device=device)).sum().backward()
    assert layer.weight.grad.tolist() == [[1] * 3, [0] * 3, [0] * 3, [0] * 3]


def test_gradients_can_be_divided_by_the_number_of_occurrences(device):
    layer = table(device, scale_grad_by_freq=True)
    layer(rg.tensor([[1, 3], [1, 1]], device=device)).sum().backward()
    np.testing.assert_allclose(layer.weight.grad.cpu().numpy()[:, 0], [0, 1, 0, 1, 0])


def test_the_second_gradient_knows_padding_and_frequency(device):
    weight = rg.tensor(np.ones((3, 1)), device=device, requires_grad=True)
    index = rg.tensor([0, 2, 2], device=device)
    out = F.embedding(index, weight, padding_idx=0, scale_grad_by_freq=True)
    v = rg.tensor([[1.0], [2.0], [3.0]], device=device, dtype=rg.float64, requires_grad=True)
    (g,) = rg.autograd.grad(out, weight, v, create_graph=True)
    assert g.tolist() == [[0], [0], [2.5]]
    (h,) = rg.autograd.grad(g.sum(), v)
    assert h.tolist() == [[0], [0.5], [0.5]]


def test_max_norm_shortens_the_rows_that_are_used_in_place(device):
    layer = table(device, max_norm=1.0)
    out = layer(rg.tensor([4, 4, 0], device=device))
    np.testing.assert_allclose(np.linalg.norm(out.detach().cpu().numpy(), axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(layer.weight.detach().cpu().numpy()[1], axis=0), 5)


def test_a_pretrained_table_is_frozen_unless_asked(device):
    rows = rg.ones(3, 2, device=device)
    assert not nn.Embedding.from_pretrained(rows).weight.requires_grad
    assert nn.Embedding.from_pretrained(rows, freeze=False).weight.requires_grad
    assert not nn.EmbeddingBag.from_pretrained(rows).weight.requires_grad


def test_bags_of_any_length_start_at_their_offsets_and_an_empty_one_is_zero(device):
    layer = nn.EmbeddingBag.from_pretrained(table(device).weight.detach(), mode="sum")
    flat, offsets = rg.tensor([0, 1, 4], device=device), rg.tensor([0, 2, 2], device=device)
    assert layer(flat, offsets).tolist() == [[4, 6], [0, 0], [9, 10]]
    layer.mode = "mean"
    assert layer(flat, offsets).tolist() == [[2, 3], [0, 0], [9, 10]]
    layer.mode = "max"
    assert layer(flat, offsets).tolist() == [[3, 4], [0, 0], [9, 10]]


def test_a_training_step_does_not_wait_for_the_device(device, forbid_synchronization):
    with device:
        layer, bag = nn.Embedding(5, 2, padding_idx=0), nn.EmbeddingBag(5, 2)
        index = rg.tensor([[1, 2], [0, 2]])
        (layer(index).sum() + bag(index).sum()).backward()


@pytest.mark.parametrize(
    ("action", "kind", "words"),
    [
        (lambda d: table(d)(rg.tensor([5], device=d)), IndexError, "index 5 is out of range.*5 rows"),
        (lambda d: table(d)(rg.tensor([-1], device=d)), IndexError, "index -1 is out of range"),
        (lambda d: table(d)(rg.tensor([1.0], device=d)), RuntimeError, "int32 or int64, got float32"),
        (lambda d: nn.Embedding(3, 2, sparse=True), NotImplementedError, "sparse=True"),
        (lambda d: nn.EmbeddingBag(3, 2, sparse=True), NotImplementedError, "sparse=True"),
        (lambda d: nn.Embedding(3, 2, padding_idx=3), AssertionError, "Padding_idx must be within"),
        (lambda d: nn.Embedding.from_pretrained(rg.ones(3)), AssertionError, "2-dimensional"),
        (lambda d: nn.EmbeddingBag(3, 2)(rg.tensor([1])), ValueError, "offsets"),
        (lambda d: nn.EmbeddingBag(3, 2)(rg.tensor([[1]]), rg.tensor([0])), ValueError, "leave offsets out"),
        (lambda d: nn.EmbeddingBag(3, 2)(rg.tensor([1, 2]), rg.tensor([1])), RuntimeError, "start at 0"),
        (lambda d: nn.EmbeddingBag(3, 2)(rg.tensor([1, 2]), rg.tensor([0, 3])), RuntimeError, "not exceed the 2"),
        (lambda d: nn.EmbeddingBag(3, 2)(rg.tensor([1, 3]), rg.tensor([0])), RuntimeError, "index 3 is out of range"),
        (lambda d: nn.EmbeddingBag(3, 2, mode="last")(rg.tensor([[1]])), ValueError, "'last'"),
        (
            lambda d: F.embedding_bag(rg.tensor([[1]]), rg.ones(3, 2), per_sample_weights=rg.ones(1, 1)),
            NotImplementedError,
            "mode='sum'",
        ),
    ],
)
def test_a_mistake_is_named(device, action, kind, words):
    with raises_clearly(kind, words):
        action(device)


def test_gradients_scaled_by_frequency_are_differentiable_at_every_order(device):
    weight = rg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], device=device, requires_grad=True)
    index = rg.tensor([0, 1, 1], device=device)
    out = F.embedding(index, weight, scale_grad_by_freq=True) ** 3
    (first,) = rg.autograd.grad(out.sum(), weight, create_graph=True)
    second = [rg.autograd.grad((first**2).sum(), weight, create_graph=each, retain_graph=True)[0] for each in (0, 1)]
    assert second[0].tolist() == second[1].tolist()
    assert second[1].requires_grad


def test_the_last_offset_ends_the_last_bag(device):
    weight = rg.tensor([[1.0], [2.0], [4.0]], device=device, requires_grad=True)
    index, offsets = rg.tensor([0, 1, 2, 2], device=device), rg.tensor([0, 1, 2], device=device)
    for mode in ("sum", "mean", "max"):
        out = F.embedding_bag(index, weight, offsets, mode=mode, include_last_offset=True)
        assert out.tolist() == [[1.0], [2.0]]
        assert rg.autograd.grad(out.sum(), weight)[0].tolist() == [[1.0], [1.0], [0.0]]


def test_one_row_gets_its_gradient_without_a_list_of_indices(device):
    weight = rg.zeros(3, 2, device=device, requires_grad=True)
    weight[rg.tensor(1, device=device)].sum().backward()
    assert weight.grad.tolist() == [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
