"""Models of text: a character LSTM and a small decoder-only Transformer."""

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.programs import Program, Step, training_step
from benchmarks.programs.initial import Array, affine, generator, load, norm, table, uniform

__all__ = ["HEADS", "LAYERS", "SEQUENCES", "VOCABULARY", "Parameters", "char_lstm", "text", "transformer"]

VOCABULARY = 65  # characters of the usual Shakespeare file
HIDDEN, WIDTH, HEADS, LAYERS = 128, 128, 4, 2


def text(*shape: int) -> tuple[Array, Array]:
    """Return characters of this shape and those that follow them."""
    tokens = np.random.default_rng(2).integers(0, VOCABULARY, (2, *shape))
    return tokens[0], tokens[1]


class Parameters:
    """First parameters by the name of their program, in the order of the modules."""

    @staticmethod
    def char_lstm() -> list[Array]:
        """Embedding; the LSTM's weights of inputs and states and their biases, gates i, f, g, o; head"""
        rng, bound = generator(), HIDDEN**-0.5
        gates = [(4 * HIDDEN, HIDDEN), (4 * HIDDEN, HIDDEN), (4 * HIDDEN,), (4 * HIDDEN,)]
        lstm = [uniform(rng, bound, *shape) for shape in gates]
        return [table(rng, VOCABULARY, HIDDEN), *lstm, *affine(rng, VOCABULARY, HIDDEN)]

    @staticmethod
    def transformer(tokens: int) -> list[Array]:
        """Embedding, positions; each block's two norms, projections to q, k, v, from heads, up and down; norm, head"""
        rng = generator()
        arrays = [table(rng, VOCABULARY, WIDTH), table(rng, tokens, WIDTH)]
        for _ in range(LAYERS):
            arrays += norm(WIDTH) + norm(WIDTH)
            for shape in ((3 * WIDTH, WIDTH), (WIDTH, WIDTH), (4 * WIDTH, WIDTH), (WIDTH, 4 * WIDTH)):
                arrays += affine(rng, *shape)
        return [*arrays, *norm(WIDTH), *affine(rng, VOCABULARY, WIDTH)]


def char_lstm(lib: ModuleType, steps: int = 64, batch: int = 32, **options: Any) -> Step:
    """Predict the next character by one LSTM layer."""
    embedding = lib.nn.Embedding(VOCABULARY, HIDDEN)
    lstm = lib.nn.LSTM(HIDDEN, HIDDEN)
    head = lib.nn.Linear(HIDDEN, VOCABULARY)
    model = load(lib, lib.nn.ModuleList([embedding, lstm, head]), Parameters.char_lstm())
    optimizer = lib.optim.Adam(model.parameters(), lr=2e-3, **options)
    criterion = lib.nn.CrossEntropyLoss()
    inputs, targets = map(lib.tensor, text(steps, batch))

    def loss() -> Any:
        states, _ = lstm(embedding(inputs))
        return criterion(head(states).reshape(-1, VOCABULARY), targets.reshape(-1))

    return training_step(optimizer, loss)


def transformer(lib: ModuleType, tokens: int = 128, batch: int = 8, **options: Any) -> Step:
    """Radford et al. 2019 in small: blocks that normalise first, causal attention, GELU, learned positions."""
    nn, functional = lib.nn, lib.nn.functional

    class Block(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.projections, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

        def forward(self, x: Any) -> Any:
            qkv = self.projections(self.norm1(x)).reshape(batch, tokens, 3, HEADS, WIDTH // HEADS)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, WIDTH))
            return x + self.mlp(self.norm2(x))

    embedding, places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(tokens, WIDTH)
    blocks = nn.Sequential(*(Block() for _ in range(LAYERS)), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY))
    model = load(lib, nn.ModuleList([embedding, places, blocks]), Parameters.transformer(tokens))
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-3, **options)
    criterion = nn.CrossEntropyLoss()
    inputs, targets = map(lib.tensor, text(batch, tokens))
    positions = lib.arange(tokens)

    def loss() -> Any:
        logits = blocks(embedding(inputs) + places(positions))
        return criterion(logits.reshape(-1, VOCABULARY), targets.reshape(-1))

    return training_step(optimizer, loss)


SEQUENCES = (
    Program("lstm", "character LSTM, 64 steps × batch 32, hidden 128, Adam", char_lstm, adam=True),
    Program("transformer", "Transformer, 2 layers, d = 128, 8×128 tokens, AdamW", transformer, adam=True),
)
