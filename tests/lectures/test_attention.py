"""Row L39 of the checklist: embedding, positions, attention, masks, encoder, decoder and the whole Transformer."""

from __future__ import annotations

import math

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.models.transformer import sinusoids
from retrograd.nn import functional as F

D, HEADS = 8, 2


def drawn(device, *shape, seed=0):
    return rg.tensor(np.random.default_rng(seed).normal(size=shape), dtype=rg.float64, device=device)


def host(t):
    return t.detach().cpu().numpy()


def attention(q, k, v):
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(k.shape[-1])
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v


def test_L39_an_embedding_gives_equal_words_equal_vectors_and_learns_those_that_occur(device):
    embedding = nn.Embedding(5, D, device=device)
    words = rg.tensor([[1, 3, 1], [4, 3, 1]], device=device)
    out = embedding(words)
    assert out.shape == (2, 3, D)
    np.testing.assert_array_equal(host(out), host(embedding.weight)[words.tolist()])
    out.sum().backward()
    assert host(embedding.weight.grad)[:, 0].tolist() == [0, 3, 0, 2, 1]


def test_L39_sinusoidal_positions_are_unique_and_their_products_depend_on_the_distance(device):
    waves = host(sinusoids(100, 16, device))
    np.testing.assert_allclose(waves[7, :2], [math.sin(7), math.cos(7)], rtol=1e-5)
    np.testing.assert_allclose(waves[7, 4:6], [math.sin(7 / 10), math.cos(7 / 10)], rtol=1e-5)
    products = waves @ waves.T
    for distance in (1, 5, 40):
        np.testing.assert_allclose(np.diag(products, distance), products[0, distance], atol=1e-3)
    assert (products - 8.01 * np.eye(100) < 7.99).all()


class TestL39ScaledDotProductAttention:
    def test_L39_it_is_the_softmax_of_the_products_over_the_root_of_the_dimension_times_the_values(self, device):
        q, k, v = drawn(device, 3, 4), drawn(device, 5, 4, seed=1), drawn(device, 5, 6, seed=2)
        out = F.scaled_dot_product_attention(q, k, v)
        np.testing.assert_allclose(host(out), attention(host(q), host(k), host(v)), rtol=1e-12)

    def test_L39_the_division_keeps_the_variance_of_the_scores_at_one(self):
        rng = np.random.default_rng(0)
        q, k = rng.normal(size=(2, 1000, 256))
        assert np.var(q @ k.T) == pytest.approx(256, rel=0.05)
        assert np.var(q @ k.T / math.sqrt(256)) == pytest.approx(1, rel=0.05)

    def test_L39_k_queries_of_the_decoder_and_n_outputs_of_the_encoder_give_k_embeddings(self, device):
        K, N, M = 3, 7, D
        decoder, encoder = drawn(device, K, M), drawn(device, N, M, seed=1)
        assert F.scaled_dot_product_attention(decoder, encoder, encoder).shape == (K, M)
        out, weights = nn.MultiheadAttention(M, HEADS, device=device).double()(decoder, encoder, encoder)
        assert out.shape == (K, M)
        assert weights.shape == (K, N)
        np.testing.assert_allclose(host(weights).sum(-1), 1, rtol=1e-12)


def test_L39_multi_head_attention_is_attention_in_parts_of_the_features_joined_and_mapped(device):
    module = nn.MultiheadAttention(D, HEADS, batch_first=True, device=device).double()
    x = drawn(device, 2, 5, D)
    q, k, v = np.split(host(x) @ host(module.in_proj_weight).T + host(module.in_proj_bias), 3, -1)
    parts = [attention(*(np.split(a, HEADS, -1)[h] for a in (q, k, v))) for h in range(HEADS)]
    wanted = np.concatenate(parts, -1) @ host(module.out_proj.weight).T + host(module.out_proj.bias)
    np.testing.assert_allclose(host(module(x, x, x)[0]), wanted, rtol=1e-10)


class TestL39Masks:
    def test_L39_under_the_causal_mask_no_place_sees_a_later_one(self, device):
        layer = nn.TransformerEncoderLayer(D, HEADS, 16, dropout=0.0, batch_first=True, device=device).double()
        x = drawn(device, 1, 6, D).requires_grad_()
        causal = nn.Transformer.generate_square_subsequent_mask(6, device=device, dtype=rg.float64)
        assert host(causal).tolist() == [[0.0 if j <= i else -math.inf for j in range(6)] for i in range(6)]
        direction = drawn(device, D)  # not the sum of squares: behind a norm that is constant
        for place in range(6):
            x.grad = None
            (layer(x, causal)[0, place] @ direction).backward()
            sees = (host(x.grad)[0] != 0).any(-1)
            assert sees.tolist() == [True] * (place + 1) + [False] * (5 - place)

    def test_L39_padding_is_not_seen(self, device):
        layer = nn.TransformerEncoderLayer(D, HEADS, 16, dropout=0.0, batch_first=True, device=device).double()
        x = drawn(device, 2, 5, D)
        padding = rg.tensor([[False] * 5, [False] * 3 + [True] * 2], device=device)
        out = layer(x, src_key_padding_mask=padding)
        np.testing.assert_allclose(host(out)[1, :3], host(layer(x[1:, :3]))[0], rtol=1e-10)


class TestL39TheLayersAndTheWhole:
    def test_L39_an_encoder_layer_normalises_the_sum_of_each_part_and_its_input(self, device):
        layer = nn.TransformerEncoderLayer(D, HEADS, 16, dropout=0.0, batch_first=True, device=device).double()
        x = drawn(device, 2, 5, D)
        attended = layer.norm1(x + layer.self_attn(x, x, x)[0])
        wanted = layer.norm2(attended + layer.linear2(F.relu(layer.linear1(attended))))
        out = layer(x)
        np.testing.assert_allclose(host(out), host(wanted), rtol=1e-10)
        np.testing.assert_allclose(host(out).mean(-1), 0, atol=1e-12)

    def test_L39_a_decoder_layer_looks_at_itself_and_at_the_encoder(self, device):
        K, N = 4, 6
        layer = nn.TransformerDecoderLayer(D, HEADS, 16, dropout=0.0, batch_first=True, device=device).double()
        x, memory = drawn(device, 2, K, D), drawn(device, 2, N, D, seed=1)
        own = layer.norm1(x + layer.self_attn(x, x, x)[0])
        other = layer.norm2(own + layer.multihead_attn(own, memory, memory)[0])
        wanted = layer.norm3(other + layer.linear2(F.relu(layer.linear1(other))))
        out = layer(x, memory)
        assert out.shape == (2, K, D)
        np.testing.assert_allclose(host(out), host(wanted), rtol=1e-10)

    def test_L39_the_whole_transformer_gives_a_vector_for_every_target_word_and_learns_in_all_its_parts(self, device):
        model = nn.Transformer(D, HEADS, 2, 2, 16, batch_first=True, device=device).double()
        src, tgt = drawn(device, 3, 7, D), drawn(device, 3, 5, D, seed=1)
        mask = model.generate_square_subsequent_mask(5, device=device, dtype=rg.float64)
        out = model(src, tgt, tgt_mask=mask)
        assert out.shape == (3, 5, D)
        out.square().mean().backward()
        assert all(p.grad is not None and np.isfinite(host(p.grad)).all() for p in model.parameters())

    def test_L39_without_positions_the_order_of_the_words_does_not_matter(self, device):
        encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(D, HEADS, 16, 0.0, batch_first=True), 2)
        encoder = encoder.to(device).double()
        x, order = drawn(device, 1, 5, D), [3, 1, 4, 0, 2]
        np.testing.assert_allclose(host(encoder(x[:, order])), host(encoder(x))[:, order], rtol=1e-9)
        waves = sinusoids(5, D, device)
        moved, kept = encoder(x[:, order] + waves), encoder(x + waves)
        assert not np.allclose(host(moved), host(kept)[:, order], atol=1e-3)
