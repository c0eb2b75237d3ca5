"""The Transformer (Vaswani et al. 2017, section 3 and figure 1): layers of encoder and decoder, their stacks, and both.

Masks are bool, True where nothing may be seen, or floating, added to the scores.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from retrograd.autograd.methods.creation import full
from retrograd.autograd.tensor import Tensor
from retrograd.nn import functional as F
from retrograd.nn import init
from retrograd.nn.attention import MultiheadAttention
from retrograd.nn.containers import ModuleList
from retrograd.nn.dropout import Dropout
from retrograd.nn.functional.attention import additive
from retrograd.nn.linear import Linear
from retrograd.nn.module import Module
from retrograd.nn.normalization import LayerNorm

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Activation = str | Callable[[Tensor], Tensor]


class TransformerEncoderLayer(Module):
    """Self-attention and a feed-forward network, each added to its input and normalised.

    Shapes: src (S, N, d_model), (N, S, d_model) with `batch_first`, or (S, d_model); the result has the same.
    norm_first: normalise the inputs of the two instead of the sums (Xiong et al. 2020, figure 1). activation: "relu",
    "gelu" or a function. The call takes src_mask (S, S) or (N · nhead, S, S), src_key_padding_mask (N, S), and
    is_causal, a hint that src_mask is the causal mask.

    >>> import retrograd as rg
    >>> rg.nn.TransformerEncoderLayer(d_model=8, nhead=2, batch_first=True)(rg.ones(3, 5, 8)).shape
    (3, 5, 8)
    """

    activation: Callable[[Tensor], Tensor]

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        placed: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **placed)
        self.linear1 = Linear(d_model, dim_feedforward, **placed)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **placed)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, **placed)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, **placed)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = activation_of(activation)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        src_key_padding_mask = additive(src_key_padding_mask, src, "src_key_padding_mask", src_mask)
        src_mask = additive(src_mask, src, "src_mask")
        x = src
        if self.norm_first:
            x = x + self._attend(self.norm1(x), src_mask, src_key_padding_mask, is_causal)
            return x + self._feed(self.norm2(x))
        x = self.norm1(x + self._attend(x, src_mask, src_key_padding_mask, is_causal))
        out: Tensor = self.norm2(x + self._feed(x))
        return out

    def _attend(self, x: Tensor, mask: Tensor | None, padding: Tensor | None, is_causal: bool) -> Tensor:
        out: Tensor = self.dropout1(attended(self.self_attn, x, x, mask, padding, is_causal))
        return out

    def _feed(self, x: Tensor) -> Tensor:
        out: Tensor = self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))
        return out


class TransformerDecoderLayer(Module):
    """Self-attention, attention to the encoder's result, and a feed-forward network, each added and normalised.

    Shapes: tgt (T, N, d_model) and memory (S, N, d_model), batch first with `batch_first`, or without the batch; the
    result has tgt's. The call takes masks tgt_mask (T, T), memory_mask (T, S) and the paddings of both, (N, T) and
    (N, S); the rest is as in TransformerEncoderLayer.
    """

    activation: Callable[[Tensor], Tensor]

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        placed: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **placed)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **placed)
        self.linear1 = Linear(d_model, dim_feedforward, **placed)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **placed)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, **placed)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, **placed)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, **placed)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = activation_of(activation)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory_mask, memory_key_padding_mask, memory_is_causal)
        x = tgt
        if self.norm_first:
            x = x + self._attend(self.norm1(x), *own)
            x = x + self._look(self.norm2(x), memory, *other)
            return x + self._feed(self.norm3(x))
        x = self.norm1(x + self._attend(x, *own))
        x = self.norm2(x + self._look(x, memory, *other))
        out: Tensor = self.norm3(x + self._feed(x))
        return out

    def _attend(self, x: Tensor, mask: Tensor | None, padding: Tensor | None, is_causal: bool) -> Tensor:
        out: Tensor = self.dropout1(attended(self.self_attn, x, x, mask, padding, is_causal))
        return out

    def _look(self, x: Tensor, memory: Tensor, mask: Tensor | None, padding: Tensor | None, is_causal: bool) -> Tensor:
        out: Tensor = self.dropout2(attended(self.multihead_attn, x, memory, mask, padding, is_causal))
        return out

    def _feed(self, x: Tensor) -> Tensor:
        out: Tensor = self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))
        return out


class TransformerEncoder(Module):
    """A stack of encoder layers: `num_layers` copies of the one given, which start with equal parameters.

    norm: a module for the result. enable_nested_tensor and mask_check change no number and are accepted for PyTorch's
    sake: there they say whether inference may skip the padding (what it then writes at padded places is 0).
    """

    norm: Module | None

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        src_key_padding_mask = additive(src_key_padding_mask, src, "src_key_padding_mask", mask)
        mask = additive(mask, src, "mask")
        hint = is_causal is True
        output = src
        for layer in self.layers:
            output = layer(output, src_mask=mask, is_causal=hint, src_key_padding_mask=src_key_padding_mask)
        return output if self.norm is None else self.norm(output)


class TransformerDecoder(Module):
    """A stack of decoder layers: `num_layers` copies of the one given. norm: a module for the result."""

    norm: Module | None

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        output = tgt
        for layer in self.layers:
            output = layer(
                output,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=tgt_is_causal is True,
                memory_is_causal=memory_is_causal,
            )
        return output if self.norm is None else self.norm(output)


class Transformer(Module):
    """Encoder and decoder: the model of Vaswani et al. 2017, without embeddings and the map to words.

    Shapes: src (S, N, d_model) and tgt (T, N, d_model), batch first with `batch_first`, or without the batch; the
    result has tgt's. custom_encoder and custom_decoder stand for the library's. Masks: as in the decoder layer.
    Raises RuntimeError where src, tgt and d_model do not fit.

    >>> import retrograd as rg
    >>> model = rg.nn.Transformer(8, nhead=2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=16)
    >>> model(rg.ones(5, 3, 8), rg.ones(4, 3, 8), tgt_mask=model.generate_square_subsequent_mask(4)).shape
    (4, 3, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first)
        placed: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}

        def stack(kind: Any, layer: Any, count: int) -> Module:
            made: Module = kind(layer(*shape, **placed), count, LayerNorm(d_model, layer_norm_eps, **placed))
            return made

        if custom_encoder is None:
            custom_encoder = stack(TransformerEncoder, TransformerEncoderLayer, num_encoder_layers)
        if custom_decoder is None:
            custom_decoder = stack(TransformerDecoder, TransformerDecoderLayer, num_decoder_layers)
        self.encoder, self.decoder = custom_encoder, custom_decoder
        self._reset_parameters()
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def _reset_parameters(self) -> None:
        """Draws every matrix anew by Glorot's rule."""
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        axis = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[axis] != tgt.shape[axis]:
            raise RuntimeError(f"the batch number of src and tgt must be equal, got shapes {src.shape} and {tgt.shape}")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError(
                "the feature number of src and tgt must be equal to d_model, "
                f"got shapes {src.shape} and {tgt.shape} for d_model {self.d_model}"
            )
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        output: Tensor = self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
        return output

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """The causal mask to be added to scores, (sz, sz): −∞ above the diagonal, 0 elsewhere."""
        return full((sz, sz), float("-inf"), dtype=dtype, device=device).triu(1)


def attended(
    attention: Module, x: Tensor, source: Tensor, mask: Tensor | None, padding: Tensor | None, is_causal: bool
) -> Tensor:
    """What `attention` makes of x looking at the source, without the probabilities."""
    out: Tensor = attention(
        x, source, source, attn_mask=mask, key_padding_mask=padding, need_weights=False, is_causal=is_causal
    )[0]
    return out


def clones(layer: Module, count: int) -> ModuleList:
    """Copies that share nothing."""
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


def activation_of(activation: Activation) -> Callable[[Tensor], Tensor]:
    """The function of a name; a function is its own."""
    if not isinstance(activation, str):
        return activation
    named: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}
    if activation not in named:
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return named[activation]
