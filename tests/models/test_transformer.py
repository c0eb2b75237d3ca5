"""The encoder–decoder Transformer learns to turn sentences round, and what it shows on the way."""

import math

import numpy as np
import pytest

import retrograd as rg
from retrograd.models.transformer import TranslationTransformer, sinusoids
from retrograd.nn import functional as F

START, END, FIRST, WORDS = 1, 2, 3, 9


def reversals(count, rng, longest=5):
    """Sentences of random words and the same backwards between START and END, both padded with 0."""
    src, tgt = np.zeros((count, longest), int), np.zeros((count, longest + 2), int)
    for row, length in enumerate(rng.integers(2, longest + 1, count)):
        sentence = rng.integers(FIRST, WORDS, length)
        src[row, :length] = sentence
        tgt[row, : length + 2] = [START, *sentence[::-1], END]
    return src, tgt


def small(**options):
    return TranslationTransformer(WORDS, WORDS, **{"d_model": 32, "num_layers": 1, "dim_feedforward": 64, **options})


@pytest.fixture(scope="module")
def trained():
    rg.manual_seed(0)
    rng = np.random.default_rng(0)
    model = small(dropout=0.0)
    optimizer = rg.optim.AdamW(model.parameters(), lr=4e-3)
    for _ in range(400):
        src, tgt = map(rg.tensor, reversals(64, rng))
        optimizer.zero_grad()
        logits = model(src, tgt[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), tgt[:, 1:].flatten(), ignore_index=0).backward()
        optimizer.step()
    return model


def test_it_learns_to_turn_sentences_round(trained):
    src, tgt = reversals(100, np.random.default_rng(1))
    out = trained.translate(rg.tensor(src), START, END, 7).numpy()
    wanted = tgt[:, 1 : 1 + out.shape[1]]
    assert (out == wanted).all(1).mean() > 0.9


def test_translation_stops_when_all_sentences_have_ended(trained):
    out = trained.translate(rg.tensor([[3, 4], [4, 3]]), START, END, 50)
    assert out.shape[1] < 50
    assert (out == END).sum(1).tolist() == [1, 1]
    assert trained.training


def test_the_padding_of_a_sentence_changes_nothing(trained):
    short, long = rg.tensor([[3, 4, 5]]), rg.tensor([[3, 4, 5, 0, 0]])
    tgt = rg.tensor([[START, 5, 4]])
    np.testing.assert_allclose(trained(short, tgt).detach().numpy(), trained(long, tgt).detach().numpy(), atol=1e-5)


def test_a_place_sees_no_later_word(device):
    model = small(dropout=0.0).to(device)
    src = rg.tensor([[3, 4, 5]], device=device)
    one, other = (model(src, rg.tensor([[START, 5, last]], device=device)) for last in (4, 7))
    np.testing.assert_allclose(one[:, :2].detach().cpu().numpy(), other[:, :2].detach().cpu().numpy(), atol=1e-6)
    assert one.shape == (1, 3, WORDS)


def test_positions_are_waves_of_growing_length(device):
    waves = sinusoids(50, 6, device).cpu().numpy()
    wanted = [[f(p / 10000 ** (2 * i / 6)) for i in range(3) for f in (math.sin, math.cos)] for p in range(50)]
    np.testing.assert_allclose(waves, wanted, atol=2e-5)
    assert sinusoids(4, 5).shape == (4, 5)
