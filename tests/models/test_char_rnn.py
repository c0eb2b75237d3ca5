"""The character model: it learns a text, reads it piece by piece, and writes on."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.data.text import CharacterDataset
from retrograd.models.char_rnn import CharRNN, char_gru, char_lstm, char_rnn
from retrograd.nn import functional as F
from tests.data.errors import raises_clearly

TEXT = "the cat sat on my mat; " * 12


@pytest.fixture(scope="module")
def windows():
    return CharacterDataset(TEXT, length=24)


@pytest.fixture(scope="module", params=["RNN", "LSTM", "GRU"])
def trained(request, windows):
    rg.manual_seed(0)
    model = CharRNN(len(windows.vocabulary), request.param, n_embd=16, hidden_size=32)
    optimizer = rg.optim.AdamW(model.parameters(), lr=0.01)
    rng = np.random.default_rng(0)
    for _ in range(150):
        x, y = windows.__getbatch__(rng.integers(0, len(windows), 16).tolist())
        optimizer.zero_grad()
        F.cross_entropy(model(x)[0].flatten(0, 1), y.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model


def test_it_writes_on_the_text_it_has_learned(trained, windows):
    start = windows.vocabulary.encode("the cat").unsqueeze(0)
    written = windows.vocabulary.decode(trained.generate(start, 33, temperature=0)[0])
    assert written == TEXT[:40]


def test_reading_piece_by_piece_is_reading_at_once(trained, windows):
    tokens = windows.vocabulary.encode(TEXT[:20]).unsqueeze(0)
    whole, last = trained(tokens)
    first, state = trained(tokens[:, :7])
    second, end = trained(tokens[:, 7:], state)
    np.testing.assert_allclose(rg.cat([first, second], 1).detach(), whole.detach(), rtol=1e-5, atol=1e-5)
    for a, b in zip(last, end, strict=True):
        np.testing.assert_allclose(a.detach(), b.detach(), rtol=1e-5, atol=1e-5)


def test_equal_generators_write_the_same_text_and_several_at_once_differ(trained):
    start = rg.zeros(5, 1, dtype=rg.int64)
    one, two = (trained.generate(start, 12, 2.0, rg.Generator().manual_seed(3)) for _ in range(2))
    assert one.shape == (5, 13)
    assert one.tolist() == two.tolist()
    assert len({tuple(row) for row in one.tolist()}) > 1


def test_writing_leaves_the_mode_and_the_gradients_alone(trained):
    trained.train()
    out = trained.generate(rg.zeros(1, 1, dtype=rg.int64), 2)
    assert trained.training
    assert not out.requires_grad


@pytest.mark.parametrize(("make", "kind"), [(char_rnn, nn.RNN), (char_lstm, nn.LSTM), (char_gru, nn.GRU)])
def test_the_named_models_are_networks_of_that_kind(make, kind):
    model = make(11)
    assert isinstance(model.rnn, kind)
    assert model(rg.zeros(2, 3, dtype=rg.int64))[0].shape == (2, 3, 11)


def test_an_unknown_kind_is_refused():
    with raises_clearly(ValueError, "RNN, LSTM, GRU"):
        CharRNN(5, "QRNN")


def test_a_negative_temperature_is_refused():
    with raises_clearly(ValueError, "temperature"):
        char_rnn(5).generate(rg.zeros(1, 1, dtype=rg.int64), 1, temperature=-1)
