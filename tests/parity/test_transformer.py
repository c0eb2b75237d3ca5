"""The Transformer's layers, stacks and whole against PyTorch: values, gradients, draws, states, exceptions."""

import warnings

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.filterwarnings("ignore:Support for mismatched"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True"),
]
CAUSAL = np.triu(np.full((4, 4), -np.inf), 1)
LAYER = [
    {},
    {"batch_first": True},
    {"norm_first": True},
    {"bias": False},
    {"activation": "gelu", "layer_norm_eps": 1e-3},
    {"activation": "elu"},
    {"norm_first": True, "batch_first": True, "bias": False, "dropout": 0.5},
]


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def close(ours, theirs, rtol=1e-9, atol=1e-11):
    assert ours.shape == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol)


def built(library, name, options, dtype="float64"):
    """A small module: equal seeds give equal parameters in both libraries."""
    nn, options = library.nn, dict(options)
    if options.get("activation") == "elu":
        options["activation"] = nn.functional.elu
    options["dtype"] = getattr(library, dtype)
    library.manual_seed(7)
    if name == "Transformer":
        return nn.Transformer(8, 2, 2, 1, 16, **options)
    return getattr(nn, name)(8, 2, 16, **options)


def stack(library, name, norm=True, **options):
    layer = built(library, f"{name}Layer", options)
    return getattr(library.nn, name)(layer, 3, library.nn.LayerNorm(8, dtype=library.float64) if norm else None)


def inputs_of(library, module, name, batched=True):
    """src or tgt and memory; (4, 3, 8) and (5, 3, 8), or batch first."""
    arrays = [values(4, 3, 8), values(5, 3, 8, seed=1)]
    if name == "Transformer":
        arrays = arrays[::-1]
    if not batched:
        arrays = [a[:, 0] for a in arrays]
    elif getattr(module, "batch_first", False) or getattr(getattr(module, "self_attn", None), "batch_first", False):
        arrays = [a.swapaxes(0, 1) for a in arrays]
    return [library.tensor(a, requires_grad=True) for a in (arrays[:1] if "Encoder" in name else arrays)]


def compared(make, name, masks=None, train=True, batched=True):
    """Results, gradients and the next random number of both libraries."""
    found = []
    for library in (rg, torch):
        module = make(library).train(train)
        inputs = inputs_of(library, module, name, batched)
        library.manual_seed(11)
        out = module(
            *inputs, **{n: library.tensor(m) if isinstance(m, np.ndarray) else m for n, m in (masks or {}).items()}
        )
        (out * library.tensor(values(*out.shape, seed=9))).sum().backward()
        gradients = [x.grad for x in inputs] + [p.grad for p in module.parameters()]
        found.append([out, *gradients, library.rand(3)])
    for ours, theirs in zip(*found, strict=True):
        close(ours, theirs)


NAMES = ["TransformerEncoderLayer", "TransformerDecoderLayer", "Transformer"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", LAYER, ids=str)
class TestLayers:
    def test_parameters_names_and_repr_are_pytorchs(self, name, options):
        ours, theirs = (built(library, name, options, "float32") for library in (rg, torch))
        assert repr(ours) == repr(theirs)
        a, b = ours.state_dict(), theirs.state_dict()
        assert list(a) == list(b)
        for key in a:
            np.testing.assert_allclose(a[key].numpy(), b[key].numpy(), rtol=2e-7, atol=1e-9)

    @pytest.mark.parametrize("train", [True, False])
    @pytest.mark.parametrize("batched", [True, False])
    def test_values_gradients_and_draws_equal_pytorchs(self, name, options, train, batched):
        compared(lambda library: built(library, name, options), name, train=train, batched=batched)


PADDING = np.array([[False] * 4, [False, False, False, True], [False, False, True, True]])
MEMORY_PADDING = np.array([[False] * 5, [False] * 4 + [True], [False] * 3 + [True] * 2])
ENCODER_MASKS = [
    {"src_mask": CAUSAL},
    {"src_mask": CAUSAL < 0},
    {"src_key_padding_mask": PADDING},
    {"src_mask": CAUSAL < 0, "src_key_padding_mask": PADDING},
    {"src_mask": CAUSAL, "src_key_padding_mask": np.where(PADDING, -np.inf, 0.0)},
    {"src_mask": np.broadcast_to(CAUSAL < 0, (6, 4, 4)).copy()},
    {"src_mask": CAUSAL, "is_causal": True},
]
DECODER_MASKS = [
    {"tgt_mask": CAUSAL},
    {"tgt_mask": CAUSAL < 0, "memory_key_padding_mask": MEMORY_PADDING, "tgt_key_padding_mask": PADDING},
    {"memory_mask": values(4, 5)},
    {"memory_mask": values(4, 5) > 0.5, "tgt_mask": CAUSAL, "tgt_is_causal": True},
]


class TestMasks:
    @pytest.mark.parametrize("options", [{}, {"batch_first": True, "norm_first": True}], ids=str)
    @pytest.mark.parametrize("masks", ENCODER_MASKS, ids=lambda m: "+".join(m))
    def test_of_the_encoder_are_pytorchs(self, masks, options):
        name = "TransformerEncoderLayer"
        compared(lambda library: built(library, name, options), name, masks)
        if "batch_first" not in options:
            masks = {"mask" if n == "src_mask" else n: m for n, m in masks.items()}
            compared(lambda library: stack(library, "TransformerEncoder"), "TransformerEncoder", masks)

    @pytest.mark.parametrize("options", [{}, {"batch_first": True, "norm_first": True}], ids=str)
    @pytest.mark.parametrize("masks", DECODER_MASKS, ids=lambda m: "+".join(m))
    def test_of_the_decoder_are_pytorchs(self, masks, options):
        name = "TransformerDecoderLayer"
        compared(lambda library: built(library, name, options), name, masks)
        if "batch_first" not in options:
            compared(lambda library: stack(library, "TransformerDecoder"), "TransformerDecoder", masks)

    @pytest.mark.parametrize("masks", DECODER_MASKS, ids=lambda m: "+".join(m))
    def test_of_the_whole_are_pytorchs(self, masks):
        masks = {**masks, "src_key_padding_mask": MEMORY_PADDING}
        for options in ({}, {"batch_first": True}):
            compared(lambda library, options=options: built(library, "Transformer", options), "Transformer", masks)

    def test_the_causal_mask_is_pytorchs(self):
        for n in (0, 1, 5):
            ours = rg.nn.Transformer.generate_square_subsequent_mask(n)
            close(ours, torch.nn.Transformer.generate_square_subsequent_mask(n))

    def test_what_stands_at_places_that_are_not_padded_equals_pytorchs_inference_that_skips_padding(self):
        found = []
        for library in (rg, torch):
            module = library.nn.TransformerEncoder(built(library, "TransformerEncoderLayer", {"batch_first": True}), 2)
            module.eval()
            with library.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                x = library.tensor(values(3, 4, 8))
                found.append(module(x, src_key_padding_mask=library.tensor(PADDING)).numpy()[~PADDING])
        np.testing.assert_allclose(*found, rtol=1e-9)


class TestStacks:
    @pytest.mark.parametrize("name", ["TransformerEncoder", "TransformerDecoder"])
    @pytest.mark.parametrize("norm", [True, False])
    def test_names_repr_values_and_gradients_are_pytorchs(self, name, norm):
        ours, theirs = stack(rg, name, norm), stack(torch, name, norm)
        assert repr(ours) == repr(theirs)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        compared(lambda library: stack(library, name, norm), name)

    def test_custom_parts_stand_for_the_librarys(self):
        def make(library):
            layer = built(library, "TransformerEncoderLayer", {})
            encoder = library.nn.TransformerEncoder(layer, 1, enable_nested_tensor=False, mask_check=False)
            return library.nn.Transformer(
                8, 2, num_decoder_layers=1, dim_feedforward=16, custom_encoder=encoder, dtype=library.float64
            )

        compared(make, "Transformer")

    def test_pytorchs_state_loads_and_gives_its_outputs(self):
        ours, theirs = built(rg, "Transformer", {}), built(torch, "Transformer", {})
        torch.manual_seed(99)
        theirs._reset_parameters()
        ours.load_state_dict({n: rg.tensor(p.numpy()) for n, p in theirs.state_dict().items()})
        src, tgt = values(5, 3, 8), values(4, 3, 8)
        a = ours.eval()(rg.tensor(src), rg.tensor(tgt))
        close(a, theirs.eval()(torch.tensor(src), torch.tensor(tgt)))

    def test_ten_steps_of_training_with_dropout_give_pytorchs_losses(self):
        losses = []
        for library in (rg, torch):
            model = built(library, "Transformer", {"batch_first": True})
            optimizer = library.optim.AdamW(model.parameters(), lr=1e-2)
            src, tgt = library.tensor(values(3, 5, 8)), library.tensor(values(3, 4, 8, seed=2))
            mask = library.tensor(CAUSAL)
            losses.append([])
            for _ in range(10):
                optimizer.zero_grad()
                loss = ((model(src, tgt, tgt_mask=mask) - tgt) ** 2).mean()
                loss.backward()
                optimizer.step()
                losses[-1].append(loss.item())
        np.testing.assert_allclose(*losses, rtol=1e-7)


class TestMistakes:
    @pytest.mark.parametrize(
        "attempt",
        [
            lambda lib: lib.nn.TransformerEncoderLayer(8, 3),
            lambda lib: lib.nn.TransformerEncoderLayer(8, 2, activation="tanh"),
            lambda lib: lib.nn.TransformerDecoderLayer(8, 2, activation="tanh"),
            lambda lib: lib.nn.TransformerEncoderLayer(8, 2, dropout=1.5),
            lambda lib: lib.nn.TransformerEncoderLayer(8, 2, 16)(lib.ones(4, 3, 6)),
            lambda lib: lib.nn.TransformerEncoderLayer(8, 2, 16)(lib.ones(4, 3, 8), lib.zeros(3, 3)),
            lambda lib: lib.nn.TransformerEncoderLayer(8, 2, 16)(lib.ones(4, 3, 8), is_causal=True),
            lambda lib: lib.nn.TransformerDecoderLayer(8, 2, 16)(lib.ones(4, 3, 8), lib.ones(5, 2, 8)),
            lambda lib: lib.nn.Transformer(8, 2, 1, 1, 16)(lib.ones(4, 3, 8), lib.ones(4, 2, 8)),
            lambda lib: lib.nn.Transformer(8, 2, 1, 1, 16, batch_first=True)(lib.ones(4, 3, 8), lib.ones(3, 3, 8)),
            lambda lib: lib.nn.Transformer(8, 2, 1, 1, 16)(lib.ones(4, 3, 6), lib.ones(4, 3, 8)),
        ],
    )
    def test_each_raises_what_it_raises_in_pytorch(self, attempt):
        assert_same_kind(raised_by(attempt, rg), raised_by(attempt, torch))
