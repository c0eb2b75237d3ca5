"""Attention against PyTorch: values, gradients of both orders, draws of dropout, exceptions."""

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched")


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def leaves(library, arrays, dtype="float64"):
    return [library.tensor(a.astype(dtype), requires_grad=True) for a in arrays]


def close(ours, theirs, rtol=1e-9, atol=1e-12):
    assert (ours is None) == (theirs is None)
    if ours is not None:
        assert ours.shape == tuple(theirs.shape)
        assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol)


def derivatives(library, outputs, inputs):
    """Gradients of the outputs, weighted, for the inputs, and gradients of those gradients' squares."""
    total = sum((o * library.tensor(values(*o.shape, seed=9)).to(o.dtype)).sum() for o in outputs if o is not None)
    first = library.autograd.grad(total, inputs, create_graph=True, allow_unused=True)
    squares = sum((g**2).sum() for g in first if g is not None)
    return [*first, *library.autograd.grad(squares, inputs, allow_unused=True)]


SDPA = {
    "two dimensions": ([(3, 4), (5, 4), (5, 4)], {}),
    "batch": ([(2, 3, 4), (2, 5, 4), (2, 5, 6)], {}),
    "heads": ([(2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5)], {}),
    "keys and values broadcast": ([(2, 2, 3, 4), (1, 2, 5, 4), (1, 1, 5, 6)], {}),
    "scale": ([(2, 3, 4), (2, 5, 4), (2, 5, 4)], {"scale": 0.3}),
    "negative scale": ([(2, 3, 4), (2, 5, 4), (2, 5, 4)], {"scale": -1.0}),
    "scale of zero": ([(2, 3, 4), (2, 5, 4), (2, 5, 4)], {"scale": 0.0}),
    "causal, more keys": ([(2, 3, 4), (2, 5, 4), (2, 5, 4)], {"is_causal": True}),
    "causal, more queries": ([(2, 5, 4), (2, 3, 4), (2, 3, 4)], {"is_causal": True}),
    "groups of heads": ([(2, 6, 3, 4), (2, 2, 5, 4), (2, 3, 5, 4)], {"enable_gqa": True}),
    "dropout": ([(2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5)], {"dropout_p": 0.4}),
    "everything dropped": ([(3, 4), (5, 4), (5, 4)], {"dropout_p": 1.0}),
    "dropout, causal, groups": (
        [(2, 4, 3, 5), (2, 2, 6, 5), (2, 2, 6, 5)],
        {"dropout_p": 0.4, "is_causal": True, "enable_gqa": True},
    ),
}


class TestScaledDotProductAttention:
    @pytest.mark.parametrize("name", SDPA)
    def test_values_and_gradients_of_both_orders_equal_pytorchs(self, name):
        shapes, options = SDPA[name]
        arrays = [values(*shape, seed=i) for i, shape in enumerate(shapes)]
        found = []
        for library in (rg, torch):
            inputs = leaves(library, arrays)
            library.manual_seed(3)
            # PyTorch differentiates twice only what it computes in its plain way
            with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
                out = library.nn.functional.scaled_dot_product_attention(*inputs, **options)
                found.append([out, *derivatives(library, [out], inputs), library.rand(1)])
        for ours, theirs in zip(*found, strict=True):
            close(ours, theirs)

    @pytest.mark.parametrize(("batch", "queries", "keys"), [(2, 0, 5), (2, 3, 0), (0, 3, 5)])
    def test_without_queries_keys_or_batch_it_gives_what_pytorch_gives(self, batch, queries, keys):
        arrays = [values(batch, n, 4) for n in (queries, keys, keys)]
        outs = [lib.nn.functional.scaled_dot_product_attention(*leaves(lib, arrays)) for lib in (rg, torch)]
        close(*outs)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("kind", ["bool", "float", "learned", "unseen"])
    @pytest.mark.parametrize("shape", [(3, 5), (1, 5), (3, 1), (2, 1, 3, 5), (1, 4, 3, 5), (2, 4, 3, 5)])
    def test_masks_are_pytorchs(self, shape, kind, dtype):
        mask = values(*shape, seed=5)
        if kind in ("bool", "unseen"):
            mask = mask > (0 if kind == "unseen" else -1)
            mask[..., 0] |= kind == "bool"
        if kind == "float":
            mask[..., -1] = -np.inf if shape[-1] > 1 else 0
        arrays = [values(2, 4, n, 6, seed=n) for n in (3, 5, 5)]
        found = []
        for library in (rg, torch):
            inputs = leaves(library, arrays, dtype)
            given = library.tensor(mask if mask.dtype == bool else mask.astype(dtype))
            if kind == "learned":
                inputs.append(given.requires_grad_())
            out = library.nn.functional.scaled_dot_product_attention(*inputs[:3], given)
            out.sum().backward()
            found.append([out, *[x.grad for x in inputs]])
        for ours, theirs in zip(*found, strict=True):
            close(ours, theirs, *((1e-9, 1e-12) if dtype == "float64" else (2e-4, 2e-6)))

    @pytest.mark.parametrize(
        ("shapes", "options"),
        [
            (((4,), (4,), (4,)), {}),
            (((3, 4), (5, 3), (5, 4)), {}),
            (((3, 4), (5, 4), (6, 4)), {}),
            (((2, 3, 4), (3, 3, 4), (3, 3, 4)), {}),
            (((3, 4), (5, 4), (5, 4)), {"dropout_p": 1.5}),
            (((3, 4), (5, 4), (5, 4)), {"attn_mask": ((3, 4), "float32")}),
            (((3, 4), (5, 4), (5, 4)), {"attn_mask": ((3, 5), "int64")}),
            (((3, 4), (5, 4), (5, 4)), {"attn_mask": ((3, 5), "float64")}),
            (((1, 3, 4), (1, 5, 4), (1, 5, 4)), {"attn_mask": ((2, 3, 5), "float32")}),
            (((3, 4), (5, 4), (5, 4)), {"attn_mask": ((3, 5), "float32"), "is_causal": True}),
            (((1, 6, 3, 4), (1, 4, 3, 4), (1, 4, 3, 4)), {"enable_gqa": True}),
            (((6, 2, 3, 4), (6, 1, 3, 4), (6, 1, 3)), {"enable_gqa": True}),
            (((3, 4), (5, 4), (5, 4)), {"enable_gqa": True}),
        ],
    )
    def test_a_mistake_raises_what_it_raises_in_pytorch(self, shapes, options):
        def attempt(library):
            given = {
                n: library.ones(*v[0], dtype=getattr(library, v[1])) if isinstance(v, tuple) else v
                for n, v in options.items()
            }
            return library.nn.functional.scaled_dot_product_attention(*[library.ones(*s) for s in shapes], **given)

        assert_same_kind(raised_by(attempt, rg), raised_by(attempt, torch))


MODULES = [
    {},
    {"bias": False},
    {"dropout": 0.3},
    {"dropout": 0.3, "batch_first": True},
    {"add_bias_kv": True},
    {"add_zero_attn": True},
    {"add_bias_kv": True, "add_zero_attn": True, "dropout": 0.2},
    {"kdim": 6, "vdim": 4},
    {"kdim": 6, "vdim": 4, "bias": False, "batch_first": True},
    {"kdim": 6},
    {"batch_first": True},
]


def modules(options, dtype="float64", embed=8, heads=2):
    """The same module in both libraries: equal seeds give equal parameters."""
    made = []
    for library in (rg, torch):
        library.manual_seed(7)
        made.append(library.nn.MultiheadAttention(embed, heads, **options, dtype=getattr(library, dtype)))
    return made


class TestMultiheadAttention:
    @pytest.mark.parametrize("options", MODULES, ids=str)
    def test_parameters_names_and_repr_are_pytorchs(self, options):
        ours, theirs = modules(options, "float32")
        assert repr(ours) == repr(theirs)
        a, b = ours.state_dict(), theirs.state_dict()
        assert list(a) == list(b)
        assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
        for name in a:
            np.testing.assert_allclose(a[name].numpy(), b[name].numpy(), rtol=2e-7, atol=1e-9)

    @pytest.mark.parametrize("options", MODULES, ids=str)
    @pytest.mark.parametrize("who", ["self", "cross", "all three"])
    @pytest.mark.parametrize("weights", [True, False])
    @pytest.mark.parametrize("train", [True, False])
    def test_values_and_gradients_of_both_orders_equal_pytorchs(self, options, who, weights, train):
        if who == "self" and "kdim" in options:
            options = {**options, "kdim": 8, "vdim": 8}
        ours, theirs = modules(options)
        k = ours.kdim
        v = ours.vdim if who == "all three" else k
        if v != ours.vdim:
            pytest.skip("one tensor cannot be keys of one size and values of another")
        found = []
        for library, module in ((rg, ours), (torch, theirs)):
            module.train(train)
            source = 3 if who == "self" else 5
            arrays = [values(3, 2, 8), values(source, 2, k, seed=1), values(source, 2, v, seed=2)]
            if module.batch_first:
                arrays = [a.swapaxes(0, 1) for a in arrays]
            inputs = leaves(library, arrays[: {"self": 1, "cross": 2}.get(who, 3)])
            given = {"self": [0, 0, 0], "cross": [0, 1, 1]}.get(who, [0, 1, 2])
            library.manual_seed(3)
            with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
                out, p = module(*[inputs[i] for i in given], need_weights=weights)
                found.append([out, p, *derivatives(library, [out, p], [*inputs, *module.parameters()])])
        for a, b in zip(*found, strict=True):
            close(a, b, atol=1e-10)

    @pytest.mark.parametrize("weights", [True, False])
    @pytest.mark.parametrize("average", [True, False])
    @pytest.mark.parametrize("batched", [True, False])
    @pytest.mark.parametrize("attn_mask", [None, "bool", "float", "bool of all", "float of all"])
    @pytest.mark.parametrize("padding", [None, "bool", "float"])
    @pytest.mark.parametrize(
        "options", [{}, {"add_bias_kv": True, "add_zero_attn": True}, {"batch_first": True}], ids=str
    )
    def test_masks_are_pytorchs(self, options, padding, attn_mask, batched, average, weights):
        def mask(kind, *shape):
            seen = values(*shape, seed=4) > -0.5
            seen[..., 0] = True
            return np.where(seen, values(*shape, seed=6), -np.inf) if kind.startswith("float") else ~seen

        given = {}
        if attn_mask:
            given["attn_mask"] = mask(attn_mask, *((6 if batched else 2,) if "all" in attn_mask else ()), 4, 5)
        if padding:
            given["key_padding_mask"] = mask(padding, *((3, 5) if batched else (5,)))
        arrays = [values(4, 3, 8), values(5, 3, 8, seed=1)] if batched else [values(4, 8), values(5, 8, seed=1)]
        if options.get("batch_first") and batched:
            arrays = [a.swapaxes(0, 1) for a in arrays]
        ours, theirs = modules(options)
        found = []
        for library, module in ((rg, ours), (torch, theirs)):
            inputs = leaves(library, arrays)
            out, p = module(
                inputs[0], inputs[1], inputs[1], need_weights=weights, average_attn_weights=average,
                **{n: library.tensor(m) for n, m in given.items()},
            )  # fmt: skip
            out.sum().backward()
            found.append([out, p, *[x.grad for x in inputs], *[x.grad for x in module.parameters()]])
        for a, b in zip(*found, strict=True):
            close(a, b, atol=1e-10)

    @pytest.mark.parametrize("weights", [True, False])
    def test_a_query_that_sees_nothing_gives_what_it_gives_in_pytorch(self, weights):
        ours, theirs = modules({})
        mask = np.array([[True] * 3, [False] * 3])
        x = values(3, 2, 8)
        a = ours(*[rg.tensor(x[:2])], *[rg.tensor(x)] * 2, attn_mask=rg.tensor(mask), need_weights=weights)
        b = theirs(*[torch.tensor(x[:2])], *[torch.tensor(x)] * 2, attn_mask=torch.tensor(mask), need_weights=weights)
        close(a[0], b[0])
        close(a[1], b[1])

    @pytest.mark.parametrize("weights", [True, False])
    @pytest.mark.parametrize("padded", [True, False])
    def test_the_hint_that_a_mask_is_causal_is_pytorchs(self, weights, padded):
        ours, theirs = modules({"batch_first": True})
        found = []
        for library, module in ((rg, ours), (torch, theirs)):
            x = library.tensor(values(2, 4, 8))
            mask = library.full((4, 4), -np.inf, dtype=library.float64).triu(1)
            padding = library.tensor(np.array([[0.0] * 4, [0.0, 0.0, 0.0, -np.inf]])) if padded else None
            found.append(module(x, x, x, padding, weights, mask, is_causal=True))
        for a, b in zip(*found, strict=True):
            close(a, b)

    def test_pytorchs_state_loads_and_gives_its_outputs(self):
        ours, theirs = (
            rg.nn.MultiheadAttention(8, 4, add_bias_kv=True),
            torch.nn.MultiheadAttention(8, 4, add_bias_kv=True),
        )
        ours.load_state_dict({n: rg.tensor(p.numpy()) for n, p in theirs.state_dict().items()})
        x = values(3, 2, 8).astype("float32")
        close(ours(*[rg.tensor(x)] * 3)[0], theirs(*[torch.tensor(x)] * 3)[0], rtol=1e-5, atol=1e-6)

    def test_static_keys_and_values_are_pytorchs(self):
        q, k, v = values(3, 2, 8), values(4, 5, 4, seed=1), values(4, 5, 4, seed=2)
        found = []
        for library in (rg, torch):
            module = modules({})[library is torch]
            given = [library.tensor(a) for a in (q, k, v)]
            found.append(
                library.nn.functional.multi_head_attention_forward(
                    given[0], given[0], given[0], 8, 2, module.in_proj_weight, module.in_proj_bias, None, None, False,
                    0.0, module.out_proj.weight, module.out_proj.bias, static_k=given[1], static_v=given[2],
                )
            )  # fmt: skip
        for a, b in zip(*found, strict=True):
            close(a, b)

    @pytest.mark.parametrize(
        ("query", "key", "options"),
        [
            ((2, 3, 6), (2, 3, 6), {}),
            ((2, 3, 8), (2, 3, 6), {}),
            ((2, 8), (2, 3, 8), {}),
            ((2, 3, 8), (2, 8), {}),
            ((8,), (8,), {}),
            ((1, 2, 3, 8), (2, 3, 8), {}),
            ((2, 3, 8), (4, 3, 8), {"attn_mask": (4, 2)}),
            ((2, 3, 8), (4, 3, 8), {"attn_mask": (3, 2, 4)}),
            ((2, 3, 8), (4, 3, 8), {"attn_mask": (6, 2, 5)}),
            ((2, 3, 8), (4, 3, 8), {"attn_mask": (4,)}),
            ((2, 8), (4, 8), {"attn_mask": (3, 2, 4)}),
            ((2, 3, 8), (4, 3, 8), {"key_padding_mask": (3, 5)}),
            ((2, 3, 8), (4, 3, 8), {"key_padding_mask": (2, 4)}),
            ((2, 3, 8), (4, 3, 8), {"key_padding_mask": (4,)}),
            ((2, 8), (4, 8), {"key_padding_mask": (1, 4)}),
            ((2, 3, 8), (4, 3, 8), {"is_causal": True}),
        ],
    )
    def test_a_mistake_raises_what_it_raises_in_pytorch(self, query, key, options):
        def attempt(library):
            given = {n: library.zeros(*v) if isinstance(v, tuple) else v for n, v in options.items()}
            q, k = library.ones(*query), library.ones(*key)
            return library.nn.MultiheadAttention(8, 2)(q, k, k, **given)

        assert_same_kind(raised_by(attempt, rg), raised_by(attempt, torch))

    @pytest.mark.parametrize("arguments", [(8, 3), (0, 1), (8, 0), (-4, 2)])
    def test_a_mistake_at_construction_raises_what_it_raises_in_pytorch(self, arguments):
        assert_same_kind(
            raised_by(rg.nn.MultiheadAttention, *arguments), raised_by(torch.nn.MultiheadAttention, *arguments)
        )

    def test_an_integer_mask_raises_what_it_raises_in_pytorch(self):
        def attempt(library):
            x = library.ones(3, 2, 8)
            return library.nn.MultiheadAttention(8, 2)(x, x, x, attn_mask=library.ones(3, 3, dtype=library.int64))

        assert_same_kind(raised_by(attempt, rg), raised_by(attempt, torch))


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (0, 2, 1), (2, 1, 0)])
@pytest.mark.parametrize("step", [1, 2])
def test_dropout_draws_in_the_order_of_memory(axes, step):
    array = np.ones((3, 4, 5 * step))[..., ::step].transpose(axes)
    outs = []
    for library, x in (
        (rg, rg.from_numpy(array)),
        (
            torch,
            torch.as_strided(torch.ones(60 * step, dtype=torch.float64), array.shape, [s // 8 for s in array.strides]),
        ),
    ):
        library.manual_seed(5)
        outs.append(library.nn.functional.dropout(x, 0.4))
    close(*outs)
