"""Models of text: a character LSTM and a small decoder-only Transformer."""

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.programs import Program, Step, training_step

__all__ = ["SEQUENCES", "char_lstm", "transformer"]

VOCABULARY = 65  # characters of the usual Shakespeare file


def _text(lib: ModuleType, *shape: int) -> tuple[Any, Any]:
    tokens = np.random.default_rng(2).integers(0, VOCABULARY, (2, *shape))
    return lib.tensor(tokens[0]), lib.tensor(tokens[1])


def char_lstm(lib: ModuleType, steps: int = 64, batch: int = 32, hidden: int = 128, **options: Any) -> Step:
    """Predict the next character by one LSTM layer."""
    lib.manual_seed(0)
    embedding = lib.nn.Embedding(VOCABULARY, hidden)
    lstm = lib.nn.LSTM(hidden, hidden)
    head = lib.nn.Linear(hidden, VOCABULARY)
    model = lib.nn.ModuleList([embedding, lstm, head])
    optimizer = lib.optim.Adam(model.parameters(), lr=2e-3, **options)
    criterion = lib.nn.CrossEntropyLoss()
    inputs, targets = _text(lib, steps, batch)

    def loss() -> Any:
        states, _ = lstm(embedding(inputs))
        return criterion(head(states).reshape(-1, VOCABULARY), targets.reshape(-1))

    return training_step(optimizer, loss)


def transformer(
    lib: ModuleType,
    tokens: int = 128,
    batch: int = 8,
    width: int = 128,
    layers: int = 2,
    heads: int = 4,
    **options: Any,
) -> Step:
    """Radford et al. 2019 in small: blocks that normalise first, causal attention, GELU, learned positions."""
    lib.manual_seed(0)
    nn, functional = lib.nn, lib.nn.functional

    class Block(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.projections, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x: Any) -> Any:
            qkv = self.projections(self.norm1(x)).reshape(batch, tokens, 3, heads, width // heads)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
            return x + self.mlp(self.norm2(x))

    embedding, places = nn.Embedding(VOCABULARY, width), nn.Embedding(tokens, width)
    blocks = nn.Sequential(*(Block() for _ in range(layers)), nn.LayerNorm(width), nn.Linear(width, VOCABULARY))
    model = nn.ModuleList([embedding, places, blocks])
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-3, **options)
    criterion = nn.CrossEntropyLoss()
    inputs, targets = _text(lib, batch, tokens)
    positions = lib.arange(tokens)

    def loss() -> Any:
        logits = blocks(embedding(inputs) + places(positions))
        return criterion(logits.reshape(-1, VOCABULARY), targets.reshape(-1))

    return training_step(optimizer, loss)


SEQUENCES = (
    Program("lstm", "character LSTM, 64 steps × batch 32, hidden 128, Adam", char_lstm, adam=True),
    Program("transformer", "Transformer, 2 layers, d = 128, 8×128 tokens, AdamW", transformer, adam=True),
)
