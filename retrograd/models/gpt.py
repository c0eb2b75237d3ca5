"""A causal language model, GPT-2 (Radford et al. 2019), with the parameter names of its published weights."""

from __future__ import annotations

import math
import os
from typing import Any

import retrograd as rg
from retrograd import nn
from retrograd.autograd.tensor import Tensor
from retrograd.io import load_file
from retrograd.nn import functional as F

__all__ = ["GPT", "gpt"]


class Conv1D(nn.Module):
    """An affine map x W + b whose weight is (in, out): how GPT-2 stores its maps."""

    def __init__(self, in_features: int, out_features: int, std: float = 0.02) -> None:
        super().__init__()
        self.weight = nn.Parameter(rg.randn(in_features, out_features) * std)
        self.bias = nn.Parameter(rg.zeros(out_features))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.T, self.bias)


class Attention(nn.Module):
    """Causal self-attention in several heads."""

    def __init__(self, n_embd: int, n_head: int, n_layer: int, dropout: float) -> None:
        super().__init__()
        self.n_head, self.dropout = n_head, dropout
        self.c_attn = Conv1D(n_embd, 3 * n_embd)
        self.c_proj = Conv1D(n_embd, n_embd, 0.02 / math.sqrt(2 * n_layer))
        self.resid_dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.n_head, -1)).transpose(1, 2) for part in self.c_attn(x).chunk(3, -1))
        dropout = self.dropout if self.training else 0.0
        seen = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        out: Tensor = self.resid_dropout(self.c_proj(seen.transpose(1, 2).flatten(2)))
        return out


class FeedForward(nn.Module):
    """Two maps with a GELU between them."""

    def __init__(self, n_embd: int, n_layer: int, dropout: float) -> None:
        super().__init__()
        self.c_fc = Conv1D(n_embd, 4 * n_embd)
        self.c_proj = Conv1D(4 * n_embd, n_embd, 0.02 / math.sqrt(2 * n_layer))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dropout(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")))
        return out


class Block(nn.Module):
    """Attention and feed-forward, each on its normalised input and added to it."""

    def __init__(self, n_embd: int, n_head: int, n_layer: int, dropout: float) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(n_embd)
        self.attn = Attention(n_embd, n_head, n_layer, dropout)
        self.ln_2 = nn.LayerNorm(n_embd)
        self.mlp = FeedForward(n_embd, n_layer, dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class GPT(nn.Module):
    """Logits of the next token at every place; the map to tokens is the transposed embedding.

    Shapes: tokens (N, T), integers below vocab_size, T at most n_positions; result (N, T, vocab_size).
    Starts as GPT-2 does: normal with deviation 0.02, less in maps that add to the residual stream.

    >>> import retrograd as rg
    >>> model = GPT(vocab_size=11, n_positions=8, n_embd=16, n_layer=1, n_head=2)
    >>> model(rg.zeros(2, 5, dtype=rg.int64)).shape
    (2, 5, 11)
    """

    def __init__(
        self,
        vocab_size: int = 50257,
        n_positions: int = 1024,
        n_embd: int = 768,
        n_layer: int = 12,
        n_head: int = 12,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if n_embd % n_head:
            raise ValueError(f"GPT: n_embd must be a multiple of n_head, got {n_embd} and {n_head}.")
        self.n_positions = n_positions
        self.wte = nn.Embedding(vocab_size, n_embd)
        self.wpe = nn.Embedding(n_positions, n_embd)
        self.drop = nn.Dropout(dropout)
        self.h = nn.ModuleList([Block(n_embd, n_head, n_layer, dropout) for _ in range(n_layer)])
        self.ln_f = nn.LayerNorm(n_embd)
        for embedding in (self.wte, self.wpe):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        if length > self.n_positions:
            raise ValueError(f"GPT: {length} tokens do not fit {self.n_positions} positions; pass the last ones.")
        x = self.drop(self.wte(tokens) + self.wpe(rg.arange(length, device=tokens.device)))
        for block in self.h:
            x = block(x)
        return F.linear(self.ln_f(x), self.wte.weight)

    def generate(
        self,
        tokens: Tensor,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: Any = None,
    ) -> Tensor:
        """The tokens (N, T) and max_new_tokens more, each drawn from softmax(logits / temperature).

        top_k: draw among the likeliest k only. Temperature 0 always takes the likeliest. Looks back n_positions tokens.
        """
        if temperature < 0:
            raise ValueError(f"generate: temperature must be 0 or more, got {temperature}.")
        if top_k is not None and top_k < 1:
            raise ValueError(f"generate: top_k must be 1 or more, got {top_k}.")
        training = self.training
        self.eval()
        with rg.no_grad():
            for _ in range(max_new_tokens):
                logits = self(tokens[:, -self.n_positions :])[:, -1]
                tokens = rg.cat([tokens, self._drawn(logits, temperature, top_k, generator)], 1)
        self.train(training)
        return tokens

    def _drawn(self, logits: Tensor, temperature: float, top_k: int | None, generator: Any) -> Tensor:
        """A token of each row, (N, 1)."""
        if temperature == 0:
            return logits.argmax(-1, keepdim=True)
        if top_k is not None:
            least = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
            logits = logits.masked_fill(logits < least, -math.inf)
        return (logits / temperature).softmax(-1).multinomial(1, generator=generator)

    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Loads published GPT-2 weights, a safetensors file.

        What such files hold besides the parameters is passed over: the causal masks, and the map to tokens, which is
        the embedding. Raises RuntimeError where the sizes of model and file differ.
        """
        passed = (".attn.bias", ".attn.masked_bias", "lm_head.weight")
        state = {name.removeprefix("transformer."): tensor for name, tensor in load_file(path).items()}
        self.load_state_dict({name: tensor for name, tensor in state.items() if not name.endswith(passed)})


def gpt(vocab_size: int, n_positions: int = 128, n_embd: int = 128, n_layer: int = 4, n_head: int = 4) -> GPT:
    """A GPT small enough to learn a text on a CPU in minutes."""
    return GPT(vocab_size, n_positions, n_embd, n_layer, n_head)
