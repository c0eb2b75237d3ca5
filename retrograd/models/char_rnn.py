"""A recurrent network that learns to write: the next character of a text, from all before it."""

from __future__ import annotations

from typing import Any

import retrograd as rg
from retrograd import nn
from retrograd.autograd.tensor import Tensor

__all__ = ["CharRNN", "char_gru", "char_lstm", "char_rnn"]

LAYERS: dict[str, type[nn.RNNBase]] = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}


class CharRNN(nn.Module):
    """Embedding, recurrent layers, and a linear map to a logit for every character.

    Shapes: tokens (N, T), integers below vocab_size; logits (N, T, vocab_size). The state goes in and comes out as with
    the recurrent layer of that kind, so that a text can be read piece by piece.
    Raises ValueError for a kind that is none of "RNN", "LSTM", "GRU".

    >>> import retrograd as rg
    >>> model = CharRNN(vocab_size=11, hidden_size=16)
    >>> logits, (h, c) = model(rg.zeros(2, 5, dtype=rg.int64))
    >>> logits.shape, h.shape
    ((2, 5, 11), (1, 2, 16))
    """

    def __init__(
        self,
        vocab_size: int,
        kind: str = "LSTM",
        n_embd: int = 64,
        hidden_size: int = 256,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if kind not in LAYERS:
            raise ValueError(f"CharRNN: kind must be one of {', '.join(LAYERS)}, got {kind!r}.")
        layer: Any = LAYERS[kind]
        self.embedding = nn.Embedding(vocab_size, n_embd)
        self.rnn = layer(n_embd, hidden_size, num_layers, batch_first=True, dropout=dropout if num_layers > 1 else 0.0)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, vocab_size)

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        out, state = self.rnn(self.embedding(tokens), state)
        return self.head(self.dropout(out)), state

    def generate(self, tokens: Tensor, max_new_tokens: int, temperature: float = 1.0, generator: Any = None) -> Tensor:
        """The tokens (N, T) and max_new_tokens more, each drawn from softmax(logits / temperature).

        Temperature 0 always takes the likeliest. Every token is read once: what came before is in the state.
        """
        if temperature < 0:
            raise ValueError(f"generate: temperature must be 0 or more, got {temperature}.")
        training = self.training
        self.eval()
        written, new, state = [tokens], tokens, None
        with rg.no_grad():
            for _ in range(max_new_tokens):
                logits, state = self(new, state)
                new = drawn(logits[:, -1], temperature, generator)
                written.append(new)
        self.train(training)
        return rg.cat(written, 1)


def drawn(logits: Tensor, temperature: float, generator: Any) -> Tensor:
    """A token of each row, (N, 1)."""
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    return (logits / temperature).softmax(-1).multinomial(1, generator=generator)


def char_rnn(vocab_size: int, hidden_size: int = 256) -> CharRNN:
    """The plain recurrent network, Elman's."""
    return CharRNN(vocab_size, "RNN", hidden_size=hidden_size)


def char_lstm(vocab_size: int, hidden_size: int = 256) -> CharRNN:
    """Long short-term memory."""
    return CharRNN(vocab_size, "LSTM", hidden_size=hidden_size)


def char_gru(vocab_size: int, hidden_size: int = 256) -> CharRNN:
    """Gated recurrent units."""
    return CharRNN(vocab_size, "GRU", hidden_size=hidden_size)
