"""Row L68 of the checklist: models of sequences on toy texts, and what is sampled from them."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from retrograd.data import DataLoader, split_text
from retrograd.models.char_rnn import CharRNN
from retrograd.models.gpt import GPT
from retrograd.models.transformer import TranslationTransformer
from retrograd.nn import functional as F

SPELLED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"
)
WORDS = ["<padding>", "<start>", "<end>", *SPELLED.split()]
PADDING, START, END = range(3)


def spelled(number):
    """42 as forty two."""
    if number < 20:
        return [WORDS[3 + number]]
    tens, ones = divmod(number, 10)
    return [WORDS[21 + tens]] + ([WORDS[3 + ones]] if ones else [])


def sentences(numbers):
    """Digits, 1 to 10 so that 0 is padding, and words between start and end."""
    src, tgt = np.zeros((len(numbers), 2), int), np.zeros((len(numbers), 4), int)
    for row, number in enumerate(numbers):
        digits = [int(digit) + 1 for digit in str(number)]
        words = [START, *(WORDS.index(word) for word in spelled(number)), END]
        src[row, : len(digits)], tgt[row, : len(words)] = digits, words
    return src, tgt


def test_L68_an_encoder_decoder_transformer_learns_to_translate_digits_to_words_it_has_not_seen_together(device):
    assert [spelled(n) for n in (7, 13, 40, 42)] == [["seven"], ["thirteen"], ["forty"], ["forty", "two"]]
    rg.manual_seed(0)
    order = np.random.default_rng(0).permutation(np.arange(21, 100))
    order = order[order % 10 > 0]
    unseen, seen = order[:10], np.concatenate([np.arange(20), np.arange(20, 100, 10), order[10:]])
    src, tgt = (rg.tensor(a, device=device) for a in sentences(seen))
    model = TranslationTransformer(11, len(WORDS), 32, 4, 1, 64, dropout=0.0).to(device)
    optimizer = rg.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(150):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(src, tgt[:, :-1]).flatten(0, 1), tgt[:, 1:].flatten(), ignore_index=PADDING)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    src, tgt = sentences(unseen)
    out = model.translate(rg.tensor(src, device=device), START, END, 3).tolist()
    right = [
        words[: 3 - row.count(PADDING)] == row[1 : 4 - row.count(PADDING)] for words, row in zip(out, tgt.tolist())
    ]
    assert np.mean(right) >= 0.8


TEXT = "the cat sat on the mat and the rat sat on the cat " * 8


def test_L68_a_causal_language_model_learns_a_text_and_samples_words_of_it(device):
    rg.manual_seed(0)
    letters = sorted(set(TEXT))
    text = np.array([letters.index(letter) for letter in TEXT])
    model = GPT(len(letters), 16, n_embd=32, n_layer=1, n_head=4, dropout=0.0).to(device)
    optimizer = rg.optim.AdamW(model.parameters(), lr=1e-2)
    starts = np.random.default_rng(0).integers(0, len(text) - 17, (80, 16))
    losses = []
    for batch in starts:
        tokens = rg.tensor(text[batch[:, None] + np.arange(17)], device=device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert abs(losses[0] - np.log(len(letters))) < 0.2
    assert losses[-1] < 0.4
    prompt = rg.tensor([[letters.index(letter) for letter in "the "]] * 4, device=device)
    drawn = model.generate(prompt, 40, temperature=0.5, top_k=3)
    samples = ["".join(letters[i] for i in row) for row in drawn.tolist()]
    words = [word for sample in samples for word in sample.split()[:-1]]
    assert np.mean([word in TEXT.split() for word in words]) > 0.8
    assert len(set(samples)) > 1


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_L68_a_character_network_learns_a_text_and_samples_words_of_it(kind, device):
    rg.manual_seed(0)
    with rg.device(device):
        train, held_out = split_text(TEXT, 20, held_out=0.2)
        model = CharRNN(len(train.vocabulary), kind, n_embd=16, hidden_size=32)
        optimizer = rg.optim.Adam(model.parameters(), lr=1e-2)
        losses = []
        for _ in range(6):
            for inputs, targets in DataLoader(train, batch_size=32, shuffle=True, drop_last=True):
                optimizer.zero_grad()
                logits, _ = model(inputs)
                loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
                loss.backward()
                rg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                losses.append(loss.item())
        with rg.no_grad():
            unseen = [
                F.cross_entropy(model(x)[0].flatten(0, 1), y.flatten()).item() for x, y in DataLoader(held_out, 2)
            ]
        letters = train.vocabulary
        prompt = letters.encode("the cat ").expand(4, -1)
        samples = [letters.decode(row) for row in model.generate(prompt, 40, temperature=0.5)]
        likeliest = letters.decode(model.generate(prompt[:1], 40, temperature=0)[0])
    assert abs(losses[0] - np.log(len(letters))) < 0.3
    assert losses[-1] < 0.45
    assert np.mean(unseen) < 0.5
    words = [word for sample in samples for word in sample.split()[:-1]]
    assert np.mean([word in TEXT.split() for word in words]) > 0.8
    assert len(set(samples)) > 1
    assert set(likeliest.split()[:-1]) <= set(TEXT.split())
