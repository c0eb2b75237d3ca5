"""GPT-2: it learns a toy text, samples from it, and has the parameters of the published weights."""

import math

import numpy as np
import pytest

import retrograd as rg
from retrograd.io import save_file
from retrograd.models.gpt import GPT, gpt
from retrograd.nn import functional as F
from tests.data.errors import raises_clearly

SEPARATOR, LETTERS, LENGTH = 0, 6, 4


def copies(count, rng):
    """Random letters, a separator, the same letters."""
    letters = rng.integers(1, LETTERS, (count, LENGTH))
    return np.concatenate([letters, np.zeros((count, 1), int), letters], 1)


@pytest.fixture(scope="module")
def trained():
    rg.manual_seed(0)
    rng = np.random.default_rng(0)
    model = GPT(LETTERS, 2 * LENGTH + 1, n_embd=32, n_layer=2, n_head=4, dropout=0.0)
    optimizer = rg.optim.AdamW(model.parameters(), lr=4e-3)
    for _ in range(300):
        tokens = rg.tensor(copies(64, rng))
        optimizer.zero_grad()
        logits = model(tokens[:, :-1])[:, LENGTH:]
        F.cross_entropy(logits.flatten(0, 1), tokens[:, LENGTH + 1 :].flatten()).backward()
        optimizer.step()
    return model


def test_it_learns_to_copy_what_it_has_read(trained):
    tokens = copies(100, np.random.default_rng(1))
    out = trained.generate(rg.tensor(tokens[:, : LENGTH + 1]), LENGTH, temperature=0).numpy()
    assert (out == tokens).all(1).mean() > 0.95


def test_what_it_draws_is_what_it_has_learned(trained):
    tokens = copies(100, np.random.default_rng(2))
    out = trained.generate(rg.tensor(tokens[:, : LENGTH + 1]), LENGTH, temperature=0.5, top_k=3).numpy()
    assert (out == tokens).mean() > 0.9


def test_the_same_seed_draws_the_same_tokens_and_a_high_temperature_many(trained):
    start = rg.zeros(50, 1, dtype=rg.int64)
    one, same, other = (
        trained.generate(start, 3, temperature=100.0, generator=rg.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert one.tolist() == same.tolist() != other.tolist()
    assert set(one[:, 1:].flatten().tolist()) == set(range(LETTERS))


def test_the_likeliest_alone_is_left_by_top_k_of_one(trained):
    start = rg.tensor(copies(5, np.random.default_rng(3))[:, :6])
    assert trained.generate(start, 2, top_k=1).tolist() == trained.generate(start, 2, temperature=0).tolist()


def test_generation_looks_back_as_far_as_there_are_positions():
    out = GPT(7, n_positions=4, n_embd=8, n_layer=1, n_head=2).generate(rg.zeros(2, 3, dtype=rg.int64), 6)
    assert out.shape == (2, 9)


def test_a_place_sees_no_later_token(device):
    model = GPT(7, 5, n_embd=8, n_layer=2, n_head=2).to(device).eval()
    one, other = (model(rg.tensor([[1, 2, last]], device=device)).detach().cpu().numpy() for last in (3, 6))
    np.testing.assert_array_equal(one[:, :2], other[:, :2])
    assert (one[:, 2] != other[:, 2]).any()


def test_the_first_loss_is_that_of_a_guess(device):
    model = GPT(50, 16, n_embd=32, n_layer=2, n_head=4).to(device)
    tokens = rg.tensor(np.random.default_rng(0).integers(0, 50, (4, 16)), device=device)
    loss = F.cross_entropy(model(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(50), rel=0.02)


PUBLISHED = {
    "wte.weight": (11, 8),
    "wpe.weight": (6, 8),
    "h.0.ln_1.weight": (8,),
    "h.0.ln_1.bias": (8,),
    "h.0.attn.c_attn.weight": (8, 24),
    "h.0.attn.c_attn.bias": (24,),
    "h.0.attn.c_proj.weight": (8, 8),
    "h.0.attn.c_proj.bias": (8,),
    "h.0.ln_2.weight": (8,),
    "h.0.ln_2.bias": (8,),
    "h.0.mlp.c_fc.weight": (8, 32),
    "h.0.mlp.c_fc.bias": (32,),
    "h.0.mlp.c_proj.weight": (32, 8),
    "h.0.mlp.c_proj.bias": (8,),
    "ln_f.weight": (8,),
    "ln_f.bias": (8,),
}


class TestPublishedWeights:
    def model(self):
        return GPT(11, 6, n_embd=8, n_layer=1, n_head=2, dropout=0.0)

    def test_the_parameters_have_their_names_and_shapes(self):
        assert {name: tensor.shape for name, tensor in self.model().state_dict().items()} == PUBLISHED

    def test_the_smallest_published_model_has_124_million_parameters(self):
        d, layers = 768, 12
        block = 4 * d + (d * 3 * d + 3 * d) + (d * d + d) + (d * 4 * d + 4 * d) + (4 * d * d + d)
        small = sum(p.numel() for p in GPT(n_layer=1, vocab_size=10).parameters())
        assert small == 10 * d + 1024 * d + block + 2 * d
        assert 50257 * d + 1024 * d + layers * block + 2 * d == 124439808

    @pytest.mark.parametrize("prefix", ["", "transformer."])
    def test_a_file_loads_with_its_masks_and_tied_head_passed_over(self, tmp_path, prefix):
        source = self.model()
        state = {prefix + name: tensor for name, tensor in source.state_dict().items()}
        state[prefix + "h.0.attn.bias"] = rg.ones(1, 1, 6, 6).tril()
        state["lm_head.weight"] = source.wte.weight.detach().clone()
        save_file(state, tmp_path / "model.safetensors")
        model = self.model()
        model.load_weights(tmp_path / "model.safetensors")
        tokens = rg.tensor([[1, 2, 3]])
        assert model(tokens).tolist() == source(tokens).tolist()

    def test_a_file_of_another_size_is_refused(self, tmp_path):
        save_file(GPT(11, 6, n_embd=4, n_layer=1, n_head=2).state_dict(), tmp_path / "model.safetensors")
        with pytest.raises(RuntimeError, match="wte.weight"):
            self.model().load_weights(tmp_path / "model.safetensors")


def test_mistakes_are_named():
    model = gpt(5, n_positions=4, n_embd=8, n_layer=1, n_head=2)
    with raises_clearly(ValueError, "5 tokens do not fit 4 positions"):
        model(rg.zeros(1, 5, dtype=rg.int64))
    with raises_clearly(ValueError, "temperature must be 0 or more, got -1"):
        model.generate(rg.zeros(1, 1, dtype=rg.int64), 1, temperature=-1)
    with raises_clearly(ValueError, "top_k must be 1 or more, got 0"):
        model.generate(rg.zeros(1, 1, dtype=rg.int64), 1, top_k=0)
    with raises_clearly(ValueError, "multiple of n_head, got 10 and 4"):
        GPT(5, 4, n_embd=10, n_head=4)
