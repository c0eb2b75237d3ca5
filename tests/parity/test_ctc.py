"""CTC against PyTorch: losses and gradients over lengths, layouts of the targets, reductions; mistakes."""

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

rng = np.random.default_rng(0)
FRAMES, BATCH, CLASSES = 7, 4, 5


def both(scores, targets, input_lengths, target_lengths, dtype="float64", as_tensors=False, **settings):
    """Losses, and gradients by the scores that go through log_softmax, in both libraries."""
    results = []
    for lib in (rg, torch):
        x = lib.tensor(scores, dtype=getattr(lib, dtype), requires_grad=True)
        lengths = [lib.tensor(n) if as_tensors else n for n in (input_lengths, target_lengths)]
        out = lib.nn.CTCLoss(**settings)(x.log_softmax(-1), lib.tensor(targets), *lengths)
        (out * out).sum().backward()
        results.append((out.detach().numpy(), x.grad.numpy()))
    return results


def assert_same(results, rtol=1e-9):
    for ours, theirs in zip(*results, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * 10)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("blank", [0, 2, 4])
@pytest.mark.parametrize("layout", ["padded", "concatenated", "wide", "one"])
def test_ctc_equals_pytorchs(layout, blank, zero_infinity, reduction):
    scores = rng.normal(size=(FRAMES, BATCH, CLASSES)) * 2
    labels = np.array([c for c in range(CLASSES) if c != blank])
    targets = rng.choice(labels, (BATCH, 3))
    targets[0] = labels[0]  # a label three times needs blanks between
    input_lengths, target_lengths = (7, 6, 3, 1), (3, 2, 0, 1)
    if layout == "concatenated":
        targets = np.concatenate([row[:n] for row, n in zip(targets, target_lengths)])
    elif layout == "wide":
        targets = np.concatenate([targets, np.full((BATCH, 2), blank)], axis=1)
    elif layout == "one":
        scores, targets, input_lengths, target_lengths = scores[:, 0], targets[0], (6,), (3,)
    settings = {"blank": blank, "reduction": reduction, "zero_infinity": zero_infinity}
    assert_same(both(scores, targets, input_lengths, target_lengths, **settings))


@pytest.mark.parametrize("as_tensors", [False, True])
def test_ctc_in_float32_with_long_sequences(as_tensors):
    scores = rng.normal(size=(80, 3, 20))
    targets = rng.integers(1, 20, (3, 30))
    assert_same(both(scores, targets, [80, 75, 70], [30, 25, 28], "float32", as_tensors), rtol=2e-5)


def test_frames_without_labels_and_no_frames_at_all():
    scores = rng.normal(size=(3, 2, 4))
    assert_same(both(scores, np.array([[1, 2], [3, 1]]), (3, 0), (0, 0), reduction="none"))
    assert_same(both(scores, np.zeros(0, np.int64), (3, 2), (0, 0), reduction="none"))


def test_a_target_that_does_not_fit_costs_infinity_or_nothing():
    scores, targets = rng.normal(size=(3, 2, 4)), np.array([[1, 1], [3, 1]])
    assert_same(both(scores, targets, (2, 3), (2, 2), reduction="none", zero_infinity=True))
    ours, theirs = (r[0] for r in both(scores, targets, (2, 3), (2, 2), reduction="none"))
    assert ours[0] == theirs[0] == np.inf


L = [[1, 2], [3, 1]]
MISTAKES = [
    lambda lib, x: lib.nn.CTCLoss()(x, lib.tensor(L), (6, 5), (2, 2)),
    lambda lib, x: lib.nn.CTCLoss()(x, lib.tensor(L), (-1, 5), (2, 2)),
    lambda lib, x: lib.nn.CTCLoss()(x, lib.tensor(L), (5, 5), (2, 3)),
    lambda lib, x: lib.nn.CTCLoss()(x, lib.tensor(L), (5, 5), (2, -1)),
    lambda lib, x: lib.nn.CTCLoss()(x, lib.tensor(L), (5, 5, 5), (2, 2)),
    lambda lib, x: lib.nn.CTCLoss()(x, lib.tensor(L), (5, 5), (2,)),
    lambda lib, x: lib.nn.CTCLoss()(x, lib.tensor([1, 2, 3]), (5, 5), (2, 2)),
    lambda lib, x: lib.nn.CTCLoss()(x, lib.tensor(L), lib.tensor([5.0, 5.0]), lib.tensor([2, 2])),
    lambda lib, x: lib.nn.CTCLoss(blank=4)(x, lib.tensor(L), (5, 5), (2, 2)),
    lambda lib, x: lib.nn.CTCLoss(blank=-1)(x, lib.tensor(L), (5, 5), (2, 2)),
    lambda lib, x: lib.nn.CTCLoss(reduction="all")(x, lib.tensor(L), (5, 5), (2, 2)),
    lambda lib, x: lib.nn.CTCLoss()(x.half(), lib.tensor(L), (5, 5), (2, 2)),
    lambda lib, x: lib.nn.CTCLoss()(x[:, :0], lib.tensor(L)[:0], (), ()),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_mistakes_raise_pytorchs_exceptions(number):
    mistake = MISTAKES[number]
    assert_same_kind(*(raised_by(lambda lib=lib: mistake(lib, lib.zeros(5, 2, 4))) for lib in (rg, torch)))
