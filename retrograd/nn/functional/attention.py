"""Attention (Vaswani et al. 2017, section 3.2): scaled dot products, and several heads of them.

Masks follow PyTorch: to `scaled_dot_product_attention` a bool mask says which keys are seen; everywhere else it says
which are not. A floating mask is added to the scores.
"""

from __future__ import annotations

import math
import warnings

from retrograd.autograd import ops
from retrograd.autograd.methods.random import default_generator
from retrograd.autograd.methods.shape import broadcast_shapes
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.nn.functional.dropout import dropout, on_device, scaled
from retrograd.nn.functional.linear import linear

__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]

INFINITY = float("inf")


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(scale · query keyᵀ + mask) value; Vaswani et al. 2017, eq. 1.

    Shapes: query (*, L, E), key (*, S, E), value (*, S, V), result (*, L, V); the axes before them broadcast.
    attn_mask: broadcasts to (*, L, S); bool, True where a query sees a key, or floating, added to the scores.
    dropout_p: share of the probabilities to drop, always (there is no `training` here), by PyTorch's draws.
    is_causal: query i sees the keys 0 … i. scale: 1/√E by default. A query that sees nothing gives 0.
    enable_gqa: key and value may have fewer heads (axis −3), each of which serves several heads of the query.
    Raises RuntimeError for shapes and dtypes that do not fit, and for attn_mask together with is_causal.

    >>> import retrograd as rg
    >>> x = rg.tensor([[1.0], [3.0]])
    >>> rg.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)[0]
    tensor([1.])
    """
    if enable_gqa:
        key, value = repeated_heads(query, key), repeated_heads(query, value)
    check_attention(query, key, value, attn_mask, dropout_p, is_causal)
    features, lengths = query.shape[-1], (query.shape[-2], key.shape[-2])
    scores = (*broadcast_shapes(query.shape[:-2], key.shape[:-2]), *lengths)
    if scale is None:
        scale = 1 / math.sqrt(features) if features else 1.0
    if is_causal:
        with query.device:
            attn_mask = make(namespace(query).tril(namespace(query).ones(lengths, dtype="bool")))
    if attn_mask is not None and not fits(attn_mask.shape, scores):
        raise RuntimeError(
            f"scaled_dot_product_attention: attn_mask {attn_mask.shape} does not fit the scores {scores}: "
            "its lengths, from the last dimension on, must equal theirs or be 1."
        )
    if attn_mask is not None and attn_mask.dtype.kind == "b":
        attn_mask = additive(attn_mask.logical_not(), query)
    factors = None
    if dropout_p > 0:
        mask = default_generator.dropout_mask(dropout_p, scores, query.dtype)
        factors = on_device(query, scaled(mask, dropout_p))
    if attn_mask is not None and attn_mask.requires_grad:
        return with_learned_mask(query, key, value, attn_mask, factors, scale)
    bias = None if attn_mask is None else attn_mask.array
    return ops.attention(query, key, value, scale=scale, bias=bias, factors=None if factors is None else factors.array)


def with_learned_mask(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, factors: Tensor | None, scale: float) -> Tensor:
    """The same written out: for a mask that needs a gradient itself."""
    scores = (q * scale) @ k.mT + mask.to(q.dtype)
    unseen = (scores.detach() == -INFINITY).all(-1, keepdim=True)
    p = scores.masked_fill(unseen, 0.0).softmax(-1).masked_fill(unseen, 0.0)
    return (p if factors is None else p * factors) @ v


def check_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float, is_causal: bool) -> None:
    """Raises RuntimeError where the arguments do not fit each other."""
    name, shapes = "scaled_dot_product_attention", f"query {q.shape}, key {k.shape}, value {v.shape}"
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise RuntimeError(f"{name}: query, key and value must have at least 2 dimensions, got {shapes}.")
    if not q.dtype == k.dtype == v.dtype or q.dtype.kind != "f":
        dtypes = f"{q.dtype}, {k.dtype} and {v.dtype}"
        raise RuntimeError(f"{name}: query, key and value must have one floating dtype, got {dtypes}.")
    if q.shape[-1] != k.shape[-1]:
        raise RuntimeError(f"{name}: query and key must have the same last dimension, got {shapes}.")
    if k.shape[-2] != v.shape[-2]:
        raise RuntimeError(f"{name}: there must be a value for every key (dimension -2), got {shapes}.")
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(f"{name}: dropout_p is a probability, between 0 and 1, got {dropout_p}.")
    if mask is None:
        return
    if is_causal:
        raise RuntimeError(f"{name}: Explicit attn_mask should not be set when is_causal=True; give one of them.")
    if mask.dtype.kind != "b" and mask.dtype not in (q.dtype, "float32"):
        raise RuntimeError(f"{name}: attn_mask must be bool or of query's dtype {q.dtype}, got {mask.dtype}.")


def fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether the shape broadcasts to the wanted one."""
    return len(shape) <= len(wanted) and all(n in (1, m) for n, m in zip(reversed(shape), reversed(wanted)))


def repeated_heads(query: Tensor, x: Tensor) -> Tensor:
    """Keys or values with every head (axis −3) repeated for the heads of the query that it serves."""
    if min(query.ndim, x.ndim) < 3:
        raise IndexError(
            f"enable_gqa: query, key and value need heads, (*, heads, L, E); got {query.shape}, {x.shape}."
        )
    wanted, heads = query.shape[-3], x.shape[-3]
    if heads == 0 or wanted % heads:
        raise RuntimeError(
            f"enable_gqa: Number of heads in key and value must divide the number of heads in query, "
            f"got {heads} and {wanted}."
        )
    return x if wanted == heads else x.repeat_interleave(wanted // heads, dim=-3)


# ---- masks


def additive(mask: Tensor | None, like: Tensor, name: str = "attn_mask", other: Tensor | None = None) -> Tensor | None:
    """A mask that is True where nothing may be seen, as numbers to add to scores: −∞ there, 0 elsewhere.

    A floating mask is that already. Warns when the dtype is not that of the `other` mask.
    """
    if mask is None:
        return None
    if mask.dtype.kind not in "bf":
        raise AssertionError(f"only bool and floating types of {name} are supported, got {mask.dtype}")
    if other is not None and other.dtype != mask.dtype:
        warnings.warn(
            f"Support for mismatched {name} ({mask.dtype}) and other mask ({other.dtype}) is deprecated. "
            "Use same type for both instead.",
            stacklevel=4,
        )
    if mask.dtype.kind == "f":
        return mask
    xp = namespace(mask)
    return make(xp.astype(xp.where(mask.array, -INFINITY, 0.0), dtype=like.dtype))


def joined_mask(
    attn_mask: Tensor | None, key_padding_mask: Tensor | None, batch: int, heads: int, lengths: tuple[int, int]
) -> Tensor | None:
    """Both masks, additive, as one that broadcasts to (batch, heads, L, S)."""
    if attn_mask is not None:
        if attn_mask.ndim == 2 and attn_mask.shape != lengths:
            raise RuntimeError(f"The shape of the 2D attn_mask is {attn_mask.shape}, but should be {lengths}.")
        if attn_mask.ndim == 3:
            if attn_mask.shape != (batch * heads, *lengths):
                expected = (batch * heads, *lengths)
                raise RuntimeError(f"The shape of the 3D attn_mask is {attn_mask.shape}, but should be {expected}.")
            attn_mask = attn_mask.reshape(batch, heads, *lengths)
    if key_padding_mask is None:
        return attn_mask
    if key_padding_mask.shape != (batch, lengths[1]):
        raise AssertionError(f"Expected key_padding_mask of shape {(batch, lengths[1])}, got {key_padding_mask.shape}")
    key_padding_mask = key_padding_mask.reshape(batch, 1, 1, lengths[1])
    return key_padding_mask if attn_mask is None else attn_mask + key_padding_mask


def widened(mask: Tensor | None) -> Tensor | None:
    """A mask for one key more, which everybody sees."""
    return None if mask is None else ops.pad(mask, widths=((0, 0),) * (mask.ndim - 1) + ((0, 1),))


# ---- several heads


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """What `nn.MultiheadAttention` computes (see there), given its parameters; the batch is axis 1.

    Shapes: query (L, N, E) or (L, E), key (S, N, K), value (S, N, V); result (L, N, E), and the weights (N, L, S), or
    (N, heads, L, S) when they are not averaged, or None. static_k and static_v (N · heads, S, E/heads) stand for the
    projected keys and values. Raises AssertionError and RuntimeError where PyTorch does.
    """
    batched = check_inputs(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    (length, batch, features), source = query.shape, key.shape[0]
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint; make it with Transformer.generate_square_subsequent_mask."
        )
    key_padding_mask = additive(key_padding_mask, query, "key_padding_mask", attn_mask)
    by_hint = is_causal and key_padding_mask is None and not need_weights
    attn_mask = None if by_hint else additive(attn_mask, query)
    if features != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {features}")
    if features % num_heads:
        raise AssertionError(f"embed_dim {features} not divisible by num_heads {num_heads}")

    if use_separate_proj_weight:
        if key.shape[:2] != value.shape[:2]:
            raise AssertionError(
                f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
            )
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
        q, k, v = projected(query, key, value, weights, in_proj_bias)
    else:
        if key.shape != value.shape:
            raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")
        q, k, v = packed_projection(query, key, value, in_proj_weight, in_proj_bias)
    if attn_mask is not None and attn_mask.ndim == 2 and attn_mask.shape != (length, source):
        raise RuntimeError(f"The shape of the 2D attn_mask is {attn_mask.shape}, but should be {(length, source)}.")
    if (bias_k is None) != (bias_v is None):
        raise AssertionError("bias_k and bias_v must be given together")
    if bias_k is not None and bias_v is not None:
        if static_k is not None or static_v is not None:
            raise AssertionError("bias cannot be added to static key or value.")
        k = ops.concat(k, bias_k.expand(1, batch, features), axis=0)
        v = ops.concat(v, bias_v.expand(1, batch, features), axis=0)
        attn_mask, key_padding_mask = widened(attn_mask), widened(key_padding_mask)
    q = as_heads(q, num_heads)
    k = as_heads(k, num_heads) if static_k is None else static_heads(static_k, "static_k", batch, q)
    v = as_heads(v, num_heads) if static_v is None else static_heads(static_v, "static_v", batch, q)
    if add_zero_attn:
        k, v = (ops.pad(x, widths=((0, 0), (0, 0), (0, 1), (0, 0))) for x in (k, v))
        attn_mask, key_padding_mask = widened(attn_mask), widened(key_padding_mask)
    mask = joined_mask(attn_mask, key_padding_mask, batch, num_heads, (length, k.shape[-2]))

    dropout_p = dropout_p if training else 0.0
    p = None
    if need_weights:
        out, p = attention_and_weights(q, k, v, mask, dropout_p)
        p = p.mean(1) if average_attn_weights else p
        p = p if batched else p.squeeze(0)
    else:
        out = scaled_dot_product_attention(q, k, v, mask, dropout_p, by_hint)
    out = linear(out.permute(2, 0, 1, 3).reshape(length, batch, features), out_proj_weight, out_proj_bias)
    return out if batched else out.squeeze(1), p


def attention_and_weights(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float) -> tuple[Tensor, Tensor]:
    """Attention with its probabilities, after dropout; those of a query that sees nothing are NaN, as in PyTorch."""
    scores = (q * math.sqrt(1 / q.shape[-1])) @ k.mT
    weights = dropout((scores if mask is None else scores + mask).softmax(-1), p)
    return weights @ v, weights


def check_inputs(
    query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None, attn_mask: Tensor | None, heads: int
) -> bool:
    """Whether the inputs are batches. Raises AssertionError where their numbers of dimensions do not agree."""
    if query.ndim not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D, but received shape {query.shape}")
    batched = query.ndim == 3
    what = "batched (3-D)" if batched else "unbatched (2-D)"
    if not key.ndim == value.ndim == query.ndim:
        raise AssertionError(
            f"For {what} query, expected key and value to be {query.ndim}-D, got shapes {key.shape} and {value.shape}"
        )
    if key_padding_mask is not None and key_padding_mask.ndim != query.ndim - 1:
        raise AssertionError(
            f"For {what} query, expected key_padding_mask to be {query.ndim - 1}-D, got shape {key_padding_mask.shape}"
        )
    if attn_mask is not None:
        if attn_mask.ndim not in (2, 3):
            raise AssertionError(f"For {what} query, expected attn_mask to be 2-D or 3-D, got shape {attn_mask.shape}")
        expected = (heads, query.shape[0], key.shape[0])
        if not batched and attn_mask.ndim == 3 and attn_mask.shape != expected:
            raise AssertionError(f"Expected attn_mask shape to be {expected} but got {attn_mask.shape}")
    return batched


def packed_projection(
    query: Tensor, key: Tensor, value: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, ...]:
    """Queries, keys and values by one weight (3E, E): one product where they have one source, else two or three."""
    if weight is None:
        raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
    features = query.shape[-1]
    if key is value and query is key:
        return tuple(linear(query, weight, bias).chunk(3, -1))
    sizes = [features, 2 * features] if key is value else [features] * 3
    weights = weight.split(sizes)
    biases = [None] * len(sizes) if bias is None else bias.split(sizes)
    q, *kv = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=False))
    return (q, *kv) if len(kv) == 2 else (q, *kv[0].chunk(2, -1))


def projected(
    query: Tensor, key: Tensor, value: Tensor, weights: tuple[Tensor | None, ...], bias: Tensor | None
) -> tuple[Tensor, ...]:
    """Queries, keys and values by a weight each, which need not have the same number of columns."""
    biases = (None,) * 3 if bias is None else bias.chunk(3)
    made = []
    for name, x, weight, b in zip("qkv", (query, key, value), weights, biases, strict=True):
        if weight is None:
            raise AssertionError(f"use_separate_proj_weight is True but {name}_proj_weight is None")
        made.append(linear(x, weight, b))
    return tuple(made)


def as_heads(x: Tensor, heads: int) -> Tensor:
    """(L, N, E) as (N, heads, L, E/heads), a view."""
    length, batch, features = x.shape
    return x.reshape(length, batch, heads, features // heads).permute(1, 2, 0, 3)


def static_heads(x: Tensor, name: str, batch: int, q: Tensor) -> Tensor:
    """Given keys or values (N · heads, S, E/heads) as (N, heads, S, E/heads)."""
    heads, size = q.shape[1], q.shape[-1]
    if x.shape[0] != batch * heads or x.shape[2] != size:
        raise AssertionError(f"expecting {name} of shape ({batch * heads}, S, {size}), but got {x.shape}")
    return x.reshape(batch, heads, -1, size)
