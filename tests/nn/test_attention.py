"""Attention without PyTorch at hand: its formula, masks, gradients, and what it answers to mistakes."""

import math

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.autograd import ops
from retrograd.nn import functional as F
from retrograd.nn.functional.attention import with_learned_mask
from tests.autograd.factory import each, function
from tests.data.errors import raises_clearly

SHAPES = [((2, 3, 4), (2, 5, 4), (2, 5, 2)), ((2, 1, 3, 2), (1, 4, 2), (2, 1, 4, 3)), ((3, 2), (3, 2), (3, 2))]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attend(q, k, v, scale=None, is_causal=False):
    scores = q @ k.swapaxes(-1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if is_causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    return softmax(scores) @ v


def masked(q, k, v):
    """Attention in which the last query sees nothing, the first one all but the first key, and some are dropped."""
    lengths = (q.shape[-2], k.shape[-2])
    bias, factors = np.zeros(lengths), np.full(lengths, 1.25)
    bias[-1], bias[0, 0], factors[1, -1] = -np.inf, -np.inf, 0
    with q.device:
        bias, factors = (rg.tensor(a).to(q.dtype).array for a in (bias, factors))
    return ops.attention(q, k, v, scale=0.7, bias=bias, factors=factors)


test_attention = function(
    F.scaled_dot_product_attention,
    attend,
    "any",
    "any",
    "any",
    shapes=SHAPES,
    scale=each(None, 0.3),
    is_causal=each(False, True),
    repeated=False,
)
test_attention_with_masks = function(masked, None, "any", "any", "any", shapes=SHAPES, repeated=False)
test_attention_with_a_mask_that_learns = function(
    lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, mask),
    lambda q, k, v, mask: softmax(q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]) + mask) @ v,
    *["any"] * 4,
    shapes=[((2, 3, 4), (2, 5, 4), (2, 5, 2), (3, 5)), ((3, 4), (2, 4), (2, 2), (1, 2))],
    repeated=False,
)


def on(device, *shape, seed=0):
    values = np.random.default_rng(seed).normal(size=shape)
    return rg.tensor(values, device=device, dtype=rg.float64, requires_grad=True)


def host(x):
    return x.detach().cpu().numpy()


class TestTheFusedNodeAndItsPlainTwin:
    def test_they_agree_to_second_order(self, device):
        bias = rg.tensor([[0.0, -1.0, float("-inf")], [float("-inf")] * 3], device=device, dtype=rg.float64)
        factors = rg.tensor([[2.0, 0.0, 2.0], [2.0, 2.0, 0.0]], device=device, dtype=rg.float64)
        found = []
        for plain in (False, True):
            q, k, v = on(device, 4, 2, 3), on(device, 4, 3, 3, seed=1), on(device, 4, 3, 5, seed=2)
            if plain:
                out = with_learned_mask(q, k, v, bias, factors, 0.5)
            else:
                out = ops.attention(q, k, v, scale=0.5, bias=bias.array, factors=factors.array)
            first = rg.autograd.grad((out**3).sum(), (q, k, v), create_graph=True)
            second = rg.autograd.grad(sum((g**2).sum() for g in first), (q, k, v))
            found.append([out, *first, *second])
        for fused, plain in zip(*found, strict=True):
            np.testing.assert_allclose(host(fused), host(plain), rtol=1e-10, atol=1e-13)

    def test_scores_of_thousands_do_not_overflow(self, device):
        q = rg.tensor([[1000.0], [-1000.0]], device=device, requires_grad=True)
        out = F.scaled_dot_product_attention(q, q, q)
        out.sum().backward()
        assert out.tolist() == [[1000.0], [-1000.0]]
        assert np.isfinite(host(q.grad)).all()

    def test_a_training_step_does_not_wait_for_the_device(self, device, forbid_synchronization):
        attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True, device=device)
        x = rg.randn(2, 4, 8, device=device)
        padding = rg.zeros(2, 4, dtype=rg.bool, device=device)
        causal = rg.ones(4, 4, dtype=rg.bool, device=device).triu(1)
        for need_weights in (False, True):
            out, _ = attention(x, x, x, padding, need_weights=need_weights, attn_mask=causal)
            out.sum().backward()


class TestMasks:
    def test_a_query_sees_only_what_the_mask_lets_it_see(self, device):
        q, k, v = on(device, 3, 4), on(device, 5, 4, seed=1), on(device, 5, 2, seed=2)
        seen = np.array([[1, 0, 0, 0, 0], [0, 1, 0, 1, 0], [1, 1, 1, 1, 1]], bool)
        out = host(F.scaled_dot_product_attention(q, k, v, rg.tensor(seen, device=device)))
        np.testing.assert_array_equal(out[0], host(v)[0])
        chosen = seen[1]
        np.testing.assert_allclose(out[1], attend(host(q)[1:2], host(k)[chosen], host(v)[chosen])[0])
        np.testing.assert_allclose(out[2], attend(host(q)[2:], host(k), host(v))[0])

    def test_a_query_that_sees_nothing_gives_zero_and_gets_no_gradient(self, device):
        q, k = on(device, 2, 4), on(device, 3, 4, seed=1)
        seen = rg.tensor([[True, True, False], [False, False, False]], device=device)
        out = F.scaled_dot_product_attention(q, k, k, seen)
        out.sum().backward()
        assert out[1].tolist() == q.grad[1].tolist() == [0.0] * 4
        assert np.isfinite(host(k.grad)).all()

    def test_padding_does_not_change_what_is_computed_for_the_rest(self, device):
        attention = nn.MultiheadAttention(4, 2, batch_first=True, device=device).double()
        x = on(device, 2, 5, 4)
        padding = rg.tensor([[False] * 5, [False] * 3 + [True] * 2], device=device)
        whole, weights = attention(x, x, x, key_padding_mask=padding)
        short, _ = attention(x[1:, :3], x[1:, :3], x[1:, :3])
        np.testing.assert_allclose(host(whole)[1, :3], host(short)[0], rtol=1e-12)
        assert (host(weights)[1, :, 3:] == 0).all()

    def test_the_result_without_weights_is_the_result_with_them(self, device):
        attention = nn.MultiheadAttention(6, 3, device=device).double()
        x, y = on(device, 4, 2, 6), on(device, 5, 2, 6, seed=1)
        mask = rg.tensor(np.arange(20).reshape(4, 5) % 3 == 1, device=device)
        with_weights, weights = attention(x, y, y, attn_mask=mask, average_attn_weights=False)
        without, nothing = attention(x, y, y, attn_mask=mask, need_weights=False)
        np.testing.assert_allclose(host(without), host(with_weights), rtol=1e-12)
        assert nothing is None
        assert weights.shape == (2, 3, 4, 5)
        np.testing.assert_allclose(host(weights).sum(-1), 1)


class TestMistakes:
    x = staticmethod(lambda *shape: rg.zeros(*shape))

    @pytest.mark.parametrize(
        ("shapes", "options", "words"),
        [
            (((4,), (4,), (4,)), {}, "at least 2 dimensions"),
            (((3, 4), (5, 3), (5, 4)), {}, "same last dimension"),
            (((3, 4), (5, 4), (6, 4)), {}, "a value for every key"),
            (((2, 3, 4), (3, 3, 4), (3, 3, 4)), {}, "broadcast"),
            (((3, 4), (5, 4), (5, 4)), {"dropout_p": 1.5}, "between 0 and 1, got 1.5"),
            (((3, 4), (5, 4), (5, 4)), {"attn_mask": (3, 4)}, "attn_mask .* does not fit the scores"),
            (((3, 4), (5, 4), (5, 4)), {"attn_mask": (3, 5), "is_causal": True}, "give one of them"),
            (((1, 6, 3, 4), (1, 4, 3, 4), (1, 4, 3, 4)), {"enable_gqa": True}, "must divide .* got 4 and 6"),
        ],
    )
    def test_shapes_that_do_not_fit_are_named(self, shapes, options, words):
        options = {n: self.x(*v) if isinstance(v, tuple) else v for n, v in options.items()}
        with raises_clearly(RuntimeError, words):
            F.scaled_dot_product_attention(*[self.x(*shape) for shape in shapes], **options)

    def test_dtypes_that_do_not_fit_are_named(self):
        x = self.x(3, 4)
        with raises_clearly(RuntimeError, "one floating dtype, got float32, float64 and float32"):
            F.scaled_dot_product_attention(x, x.double(), x)
        with raises_clearly(RuntimeError, "attn_mask must be bool or of query's dtype float32, got int64"):
            F.scaled_dot_product_attention(x, x, x, rg.ones(3, 3, dtype=rg.int64))

    def test_heads_must_divide_the_features(self):
        with raises_clearly(AssertionError, "divisible by num_heads, got 8 and 3"):
            nn.MultiheadAttention(8, 3)
        with raises_clearly(ValueError, "greater than 0, got embed_dim=0"):
            nn.MultiheadAttention(0, 1)

    @pytest.mark.parametrize(
        ("query", "key", "options", "kind", "words"),
        [
            ((2, 3, 6), (2, 3, 6), {}, AssertionError, "embedding dimension of 8, but got 6"),
            ((2, 8), (2, 3, 8), {}, AssertionError, r"unbatched \(2-D\) query"),
            ((1, 2, 3, 8), (2, 3, 8), {}, AssertionError, "2D or batched 3D"),
            ((2, 3, 8), (4, 3, 8), {"attn_mask": (4, 2)}, RuntimeError, r"2D attn_mask is \(4, 2\), but should be"),
            ((2, 3, 8), (4, 3, 8), {"attn_mask": (3, 2, 4)}, RuntimeError, r"should be \(6, 2, 4\)"),
            ((2, 3, 8), (4, 3, 8), {"key_padding_mask": (3, 5)}, AssertionError, r"\(3, 4\), got \(3, 5\)"),
            ((2, 3, 8), (4, 3, 8), {"is_causal": True}, RuntimeError, "Need attn_mask"),
        ],
    )
    def test_inputs_that_do_not_fit_are_named(self, query, key, options, kind, words):
        options = {n: self.x(*v) if isinstance(v, tuple) else v for n, v in options.items()}
        with raises_clearly(kind, words):
            nn.MultiheadAttention(8, 2)(self.x(*query), self.x(*key), self.x(*key), **options)
