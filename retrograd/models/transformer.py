"""The encoder–decoder Transformer on words (Vaswani et al. 2017)."""

from __future__ import annotations

import math
from typing import Any

import retrograd as rg
from retrograd import nn
from retrograd.autograd.tensor import Tensor

__all__ = ["TranslationTransformer", "sinusoids"]


def sinusoids(length: int, features: int, device: Any = None) -> Tensor:
    """Positions as waves, (length, features): sin(p/10000^(2i/features)) at 2i, the cosine at 2i + 1 (section 3.5).

    >>> sinusoids(2, 4)[0]
    tensor([0., 1., 0., 1.])
    """
    places = rg.arange(length, dtype=rg.float32, device=device).unsqueeze(1)
    frequencies = (rg.arange(0, features, 2, dtype=rg.float32, device=device) * (-math.log(10000) / features)).exp()
    angles = places * frequencies
    return rg.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :features]


class TranslationTransformer(nn.Module):
    """Sentences of one language to sentences of another: nn.Transformer between embeddings and a map to words.

    Words are numbers; `padding` fills short sentences and is not looked at.
    Shapes: src (N, S) and tgt (N, T), integers; the result holds logits of the next word at every place of tgt,
    (N, T, tgt_words).
    """

    def __init__(
        self,
        src_words: int,
        tgt_words: int,
        d_model: int = 128,
        nhead: int = 4,
        num_layers: int = 2,
        dim_feedforward: int = 512,
        dropout: float = 0.1,
        padding: int = 0,
    ) -> None:
        super().__init__()
        self.d_model, self.padding = d_model, padding
        self.src_embedding = nn.Embedding(src_words, d_model)
        self.tgt_embedding = nn.Embedding(tgt_words, d_model)
        self.dropout = nn.Dropout(dropout)
        self.transformer = nn.Transformer(
            d_model, nhead, num_layers, num_layers, dim_feedforward, dropout, batch_first=True, norm_first=True
        )
        self.words = nn.Linear(d_model, tgt_words)
        for embedding in (self.src_embedding, self.tgt_embedding):
            nn.init.normal_(embedding.weight, std=d_model**-0.5)

    def embedded(self, words: Tensor, embedding: nn.Module) -> Tensor:
        """(N, L) as (N, L, d_model), with the positions added."""
        x = embedding(words) * math.sqrt(self.d_model)
        out: Tensor = self.dropout(x + sinusoids(words.shape[1], self.d_model, words.device))
        return out

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        return self.decode(tgt, self.encode(src), src)

    def encode(self, src: Tensor) -> Tensor:
        """What the decoder looks at, (N, S, d_model)."""
        memory: Tensor = self.transformer.encoder(
            self.embedded(src, self.src_embedding), src_key_padding_mask=src == self.padding
        )
        return memory

    def decode(self, tgt: Tensor, memory: Tensor, src: Tensor) -> Tensor:
        """Logits of the words that follow each place of tgt; a place sees only those before it."""
        length = tgt.shape[1]
        out = self.transformer.decoder(
            self.embedded(tgt, self.tgt_embedding),
            memory,
            tgt_mask=rg.ones(length, length, dtype=rg.bool, device=tgt.device).triu(1),
            tgt_key_padding_mask=tgt == self.padding,
            memory_key_padding_mask=src == self.padding,
        )
        logits: Tensor = self.words(out)
        return logits

    def translate(self, src: Tensor, start: int, end: int, max_length: int) -> Tensor:
        """The likeliest next word after `start`, again and again: (N, up to max_length), padded behind `end`."""
        training = self.training
        self.eval()
        with rg.no_grad():
            memory = self.encode(src)
            words = rg.full((src.shape[0], 1), start, dtype=rg.int64, device=src.device)
            ended = words != start
            while words.shape[1] <= max_length and not bool(ended.all()):
                following = self.decode(words, memory, src)[:, -1:].argmax(-1).masked_fill(ended, self.padding)
                words = rg.cat([words, following], 1)
                ended = ended | (following == end)
        self.train(training)
        return words[:, 1:]
