"""Embedding and EmbeddingBag against PyTorch over a grid of settings."""

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

TABLE = np.random.default_rng(0).normal(size=(7, 3))
FLAT = np.array([1, 2, 4, 5, 4, 3, 2, 6, 2, 2])


def same(ours, theirs, rtol=1e-9):
    assert ours.shape == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=1e-12)


def pair(kind, **settings):
    """The layer in both libraries around the same table."""
    ours = getattr(rg.nn, kind)(7, 3, _weight=rg.tensor(TABLE), **settings)
    theirs = getattr(torch.nn, kind)(7, 3, _weight=torch.tensor(TABLE), **settings)
    assert repr(ours) == repr(theirs)
    return ours, theirs


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("shape", [(), (6,), (2, 3), (0,)])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"padding_idx": 2},
        {"padding_idx": -1},
        {"scale_grad_by_freq": True},
        {"padding_idx": 2, "scale_grad_by_freq": True},
        {"max_norm": 1.0},
        {"max_norm": 0.5, "norm_type": 1.0},
    ],
)
def test_embedding_gives_pytorchs_rows_gradients_and_shortened_table(settings, shape, dtype):
    index = np.random.default_rng(3).integers(0, 7, shape).astype(dtype)
    ours, theirs = pair("Embedding", **settings)
    a, b = ours(rg.tensor(index)), theirs(torch.tensor(index))
    same(a, b)
    (a**3).sum().backward()
    (b**3).sum().backward()
    same(ours.weight.grad, theirs.weight.grad)
    same(ours.weight, theirs.weight, 1e-7)


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
@pytest.mark.parametrize("padding", [None, 3, -2])
def test_equal_seeds_draw_equal_tables(kind, padding):
    rg.manual_seed(5)
    torch.manual_seed(5)
    ours, theirs = (getattr(nn, kind)(9, 4, padding_idx=padding).weight for nn in (rg.nn, torch.nn))
    same(ours, theirs, 1e-6)


BAGS = [(FLAT.reshape(2, 5), None), (FLAT, [0, 4]), (FLAT, [0, 0, 4, 4, 10]), (FLAT, [0, 3, 10]), (FLAT[:0], [0, 0])]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("settings", [{}, {"padding_idx": 2}, {"max_norm": 1.0}, {"include_last_offset": True}])
@pytest.mark.parametrize(("index", "offsets"), BAGS)
def test_bags_give_pytorchs_rows_and_gradients(mode, settings, index, offsets):
    if offsets is None or offsets[-1] != len(index):  # PyTorch's kernels disagree on a last offset before the end
        settings = {key: value for key, value in settings.items() if key != "include_last_offset"}
    ours, theirs = pair("EmbeddingBag", mode=mode, **settings)
    a = ours(rg.tensor(index), None if offsets is None else rg.tensor(offsets))
    b = theirs(torch.tensor(index), None if offsets is None else torch.tensor(offsets))
    same(a, b, 1e-7)
    if mode == "max" and not index.size:  # PyTorch cannot go back through a maximum of nothing
        return
    (a**3).sum().backward()
    (b**3).sum().backward()
    same(ours.weight.grad, theirs.weight.grad, 1e-7)


@pytest.mark.parametrize("offsets", [[0, 3, 7], [0, 0, 2, 2], [0]])
def test_the_last_offset_ends_the_last_bag_as_in_pytorchs_float32_sums(offsets):
    table = np.arange(14.0, dtype=np.float32).reshape(7, 2)
    ours, theirs = (
        lib.nn.functional.embedding_bag(
            lib.asarray(FLAT), lib.asarray(table), lib.asarray(offsets), mode="sum", include_last_offset=True
        )
        for lib in (rg, torch)
    )
    same(ours, theirs, 1e-6)


@pytest.mark.parametrize("padding", [None, 2])
def test_weights_of_the_samples_have_gradients_too(padding):
    ours, theirs = pair("EmbeddingBag", mode="sum", padding_idx=padding)
    factors = np.random.default_rng(0).normal(size=10)
    a, b = rg.tensor(factors, requires_grad=True), torch.tensor(factors, requires_grad=True)
    out_a = ours(rg.tensor(FLAT), rg.tensor([0, 4]), a)
    out_b = theirs(torch.tensor(FLAT), torch.tensor([0, 4]), b)
    same(out_a, out_b)
    (out_a**2).sum().backward()
    (out_b**2).sum().backward()
    same(a.grad, b.grad)
    same(ours.weight.grad, theirs.weight.grad)


@pytest.mark.parametrize(
    "action",
    [
        lambda lib: lib.nn.functional.embedding(lib.tensor([5]), lib.ones(3, 2)),
        lambda lib: lib.nn.functional.embedding(lib.tensor([-1]), lib.ones(3, 2)),
        lambda lib: lib.nn.functional.embedding(lib.tensor([1.0]), lib.ones(3, 2)),
        lambda lib: lib.nn.functional.embedding(lib.tensor([1]), lib.ones(3)),
        lambda lib: lib.nn.functional.embedding(lib.tensor([1]), lib.ones(3, 2), padding_idx=3),
        lambda lib: lib.nn.Embedding(3, 2, padding_idx=-4),
        lambda lib: lib.nn.functional.embedding_bag(lib.tensor([1, 2]), lib.ones(3, 2)),
        lambda lib: lib.nn.functional.embedding_bag(lib.tensor([1, 2]), lib.ones(3, 2), lib.tensor([1])),
        lambda lib: lib.nn.functional.embedding_bag(lib.tensor([1, 2]), lib.ones(3, 2), lib.tensor([0, 3])),
        lambda lib: lib.nn.functional.embedding_bag(lib.tensor([[1]]), lib.ones(3, 2), lib.tensor([0])),
        lambda lib: lib.nn.functional.embedding_bag(
            lib.tensor([1]), lib.ones(3, 2), lib.zeros(0, dtype=lib.int64), include_last_offset=True
        ),
        lambda lib: lib.nn.functional.embedding_bag(lib.tensor([[1]]), lib.ones(3, 2), mode="last"),
        lambda lib: lib.nn.functional.embedding_bag(lib.tensor([[5]]), lib.ones(3, 2)),
        lambda lib: lib.nn.functional.embedding_bag(
            lib.tensor([[1]]), lib.ones(3, 2), mode="max", per_sample_weights=lib.ones(1, 1)
        ),
        lambda lib: lib.nn.functional.embedding_bag(
            lib.tensor([[1]]), lib.ones(3, 2), mode="sum", per_sample_weights=lib.ones(2)
        ),
        lambda lib: lib.nn.functional.embedding_bag(
            lib.tensor([[1]]), lib.ones(3, 2), mode="max", scale_grad_by_freq=True
        ),
    ],
)
def test_a_mistake_raises_pytorchs_exception(action):
    assert_same_kind(*[raised_by(action, library) for library in (rg, torch)])
