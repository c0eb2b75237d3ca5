"""Layers, initialisers and Module against PyTorch."""

import copy

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

ACTIVATIONS = [
    ("ReLU", {}),
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("LeakyReLU", {}),
    ("LeakyReLU", {"negative_slope": 0.3}),
    ("PReLU", {}),
    ("PReLU", {"num_parameters": 5, "init": 0.1}),
    ("ELU", {}),
    ("ELU", {"alpha": 0.4}),
    ("CELU", {"alpha": 0.7}),
    ("SELU", {}),
    ("GELU", {}),
    ("GELU", {"approximate": "tanh"}),
    ("SiLU", {}),
    ("Mish", {}),
    ("Softplus", {}),
    ("Softplus", {"beta": 2.0, "threshold": 3.0}),
    ("LogSigmoid", {}),
    ("Softsign", {}),
    ("Tanhshrink", {}),
    ("Hardtanh", {}),
    ("Hardtanh", {"min_val": -2.0, "max_val": 0.5}),
    ("ReLU6", {}),
    ("Hardsigmoid", {}),
    ("Hardswish", {}),
    ("Threshold", {"threshold": 0.2, "value": -3.0}),
    ("Hardshrink", {}),
    ("Softshrink", {"lambd": 0.3}),
    ("Softmax", {"dim": 1}),
    ("Softmax", {"dim": -1}),
    ("Softmin", {"dim": 0}),
    ("LogSoftmax", {"dim": 1}),
    ("GLU", {"dim": -1}),
    ("Flatten", {}),
    ("Flatten", {"start_dim": 0, "end_dim": 1}),
    ("Unflatten", {"dim": 1, "unflattened_size": (5, 1)}),
    ("Identity", {}),
    ("Dropout", {"p": 0.3}),
]


def pair(array, dtype="float64"):
    """The same leaf in both libraries."""
    array = np.asarray(array, dtype)
    return rg.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)


def close(ours, theirs, rtol=1e-10, atol=1e-12):
    assert ours.shape == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol)


@pytest.mark.parametrize(("name", "settings"), ACTIVATIONS, ids=lambda v: v if isinstance(v, str) else "-".join(v))
class TestLayers:
    def test_values_and_gradients_of_both_orders_equal_pytorchs(self, name, settings):
        # Kinks (0, ±1, ±3, 6, the shrinks' ends) are among the points: the subgradients must be PyTorch's.
        points = [-30.0, -3.0, -1.0, -0.5, -0.3, 0.0, 0.2, 0.3, 0.5, 1.0, 1.5, 3.0, 4.0, 6.0, 25.0]
        x = np.random.default_rng(0).normal(size=(3, 5, 6)) * 2
        x.reshape(-1)[: len(points)] = points
        ours, theirs = getattr(rg.nn, name)(**settings).double(), getattr(torch.nn, name)(**settings).double()
        a, b = pair(x)
        rg.manual_seed(1)
        torch.manual_seed(1)
        out_a, out_b = ours(a), theirs(b)
        close(out_a, out_b, rtol=2e-7 if name == "CELU" else 1e-10)
        weights = np.random.default_rng(1).normal(size=out_a.shape)
        (g_a,) = rg.autograd.grad((out_a * rg.tensor(weights)).sum(), a, create_graph=True)
        (g_b,) = torch.autograd.grad((out_b * torch.tensor(weights)).sum(), b, create_graph=True)
        # PyTorch takes 1/alpha and 1/6 in float32 here.
        close(g_a, g_b, rtol=2e-7 if name in ("CELU", "Hardsigmoid") else 1e-10)
        if g_b.grad_fn is not None and name != "Hardsigmoid":  # PyTorch lacks its second derivative
            again = np.random.default_rng(2).normal(size=x.shape)
            h_a = rg.zeros_like(a)  # the gradient of a piecewise linear function is no function of its input
            if g_a.requires_grad:
                (h_a,) = rg.autograd.grad((g_a * rg.tensor(again)).sum(), a, allow_unused=True, materialize_grads=True)
            (h_b,) = torch.autograd.grad(
                (g_b * torch.tensor(again)).sum(), b, allow_unused=True, materialize_grads=True
            )
            close(h_a, h_b, rtol=3e-7 if name == "CELU" else 1e-8, atol=1e-10)

    def test_float32_stays_float32_and_is_close(self, name, settings):
        x = np.random.default_rng(0).normal(size=(3, 5, 6)) * 2
        rg.manual_seed(1)
        torch.manual_seed(1)
        a, b = pair(x, "float32")
        close(getattr(rg.nn, name)(**settings)(a), getattr(torch.nn, name)(**settings)(b), 2e-6, 5e-7)

    def test_the_repr_is_pytorchs(self, name, settings):
        assert repr(getattr(rg.nn, name)(**settings)) == repr(getattr(torch.nn, name)(**settings))


INPLACE = ["ReLU", "LeakyReLU", "ELU", "CELU", "SELU", "SiLU", "Mish", "Hardtanh", "ReLU6", "Hardsigmoid", "Hardswish"]


@pytest.mark.parametrize("name", INPLACE)
def test_inplace_activations_overwrite_their_input_and_keep_the_gradient(name):
    a, b = pair(np.linspace(-4, 7, 23))
    x, y = a * 1, b * 1
    getattr(rg.nn, name)(inplace=True)(x).sum().backward()
    getattr(torch.nn, name)(inplace=True)(y).sum().backward()
    close(x, y, rtol=2e-7)
    close(a.grad, b.grad, rtol=2e-7)
    assert repr(getattr(rg.nn, name)(inplace=True)) == repr(getattr(torch.nn, name)(inplace=True))


@pytest.mark.parametrize("shape", [(7,), (2, 7), (2, 3, 7), (0, 7)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_equals_pytorchs_from_the_seed_on(shape, bias):
    rg.manual_seed(3)
    torch.manual_seed(3)
    ours, theirs = rg.nn.Linear(7, 4, bias, dtype=rg.float64), torch.nn.Linear(7, 4, bias, dtype=torch.float64)
    a, b = pair(np.random.default_rng(0).normal(size=shape))
    (ours(a) ** 2).sum().backward()
    (theirs(b) ** 2).sum().backward()
    close(ours(a), theirs(b))
    close(a.grad, b.grad)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        close(p, q, 0, 0)
        close(p.grad, q.grad)


def test_bilinear_equals_pytorchs_from_the_seed_on():
    rg.manual_seed(3)
    torch.manual_seed(3)
    ours, theirs = rg.nn.Bilinear(3, 4, 2), torch.nn.Bilinear(3, 4, 2)
    a, b = pair(np.random.default_rng(0).normal(size=(5, 3)), "float32")
    c, d = pair(np.random.default_rng(1).normal(size=(5, 4)), "float32")
    close(ours(a, c), theirs(b, d), 1e-5, 1e-6)
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout_drops_what_pytorch_drops_for_the_same_seed(p, dtype):
    a, b = pair(np.random.default_rng(0).normal(size=(50, 30)), dtype)
    rg.manual_seed(5)
    torch.manual_seed(5)
    out_a, out_b = rg.nn.functional.dropout(a, p), torch.nn.functional.dropout(b, p)
    close(out_a, out_b, 1e-7, 0)
    assert np.array_equal(rg.rand(3).numpy(), torch.rand(3).numpy())
    out_a.sum().backward()
    out_b.sum().backward()
    close(a.grad, b.grad, 1e-7, 0)


INITIALISERS = [
    ("uniform_", (4, 5), {"a": -2.0, "b": 3.0}),
    ("normal_", (4, 5), {"mean": 1.0, "std": 2.0}),
    ("normal_", (3,), {}),
    ("trunc_normal_", (40, 5), {}),
    ("trunc_normal_", (40, 5), {"mean": 1.0, "std": 0.5, "a": 0.9, "b": 1.1}),
    ("trunc_normal_", (40, 5), {"std": 1.0, "a": 1.5, "b": 1.7}),
    ("constant_", (4, 5), {"val": 0.3}),
    ("ones_", (4,), {}),
    ("zeros_", (4,), {}),
    ("eye_", (4, 6), {}),
    ("dirac_", (6, 4, 3), {}),
    ("dirac_", (6, 2, 3, 4), {"groups": 3}),
    ("dirac_", (4, 4, 3, 3, 3), {"groups": 2}),
    ("xavier_uniform_", (4, 5), {"gain": 2.0}),
    ("xavier_normal_", (4, 5, 3), {}),
    ("kaiming_uniform_", (4, 5, 3, 3), {}),
    ("kaiming_uniform_", (4, 5), {"a": 0.2, "mode": "fan_out"}),
    ("kaiming_normal_", (4, 5), {"nonlinearity": "relu"}),
    ("kaiming_normal_", (4, 5, 2), {"mode": "fan_out", "nonlinearity": "tanh"}),
    ("orthogonal_", (4, 4), {}),
    ("orthogonal_", (3, 7), {"gain": 2.0}),
    ("orthogonal_", (7, 3, 2), {}),
    ("sparse_", (10, 4), {"sparsity": 0.33}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "shape", "settings"), INITIALISERS)
def test_initialisers_draw_pytorchs_values_for_the_same_seed(name, shape, settings, dtype):
    rg.manual_seed(7)
    torch.manual_seed(7)
    a, b = rg.empty(shape, dtype=getattr(rg, dtype)), torch.empty(shape, dtype=getattr(torch, dtype))
    out = getattr(rg.nn.init, name)(a, **settings)
    getattr(torch.nn.init, name)(b, **settings)
    assert out is a
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    close(a, b, tolerance, tolerance)
    assert np.array_equal(rg.rand(2).numpy(), torch.rand(2).numpy())


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains_are_pytorchs(name):
    assert rg.nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


def test_generators_of_ones_own_serve_initialisers():
    a, b = rg.empty(3, 4), torch.empty(3, 4)
    rg.nn.init.xavier_uniform_(a, generator=rg.Generator().manual_seed(4))
    torch.nn.init.xavier_uniform_(b, generator=torch.Generator().manual_seed(4))
    close(a, b, 0, 0)


def build(nn):
    return nn.Sequential(
        nn.Linear(3, 4),
        nn.ModuleDict({"a": nn.ReLU(), "b": nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.PReLU()])}),
        nn.Sequential(),
        nn.Linear(4, 2, bias=False),
        nn.ParameterDict({"scale": nn.Parameter(rg.ones(2) if nn is rg.nn else torch.ones(2))}),
    )


class TestModule:
    def test_repr_names_and_state_are_pytorchs(self):
        ours, theirs = build(rg.nn), build(torch.nn)
        assert repr(ours[:4]) == repr(theirs[:4])
        for method in ("named_parameters", "named_modules", "named_buffers", "named_children"):
            assert [n for n, _ in getattr(ours, method)()] == [n for n, _ in getattr(theirs, method)()]
        assert list(ours.state_dict()) == list(theirs.state_dict())
        assert list(ours.state_dict(prefix="net.")) == list(theirs.state_dict(prefix="net."))

    def test_a_state_moves_between_the_libraries(self):
        ours, theirs = build(rg.nn), build(torch.nn)
        result = ours.load_state_dict({k: rg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
        assert repr(result) == "<All keys matched successfully>"
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            close(p, q, 0, 0)

    @pytest.mark.parametrize(
        "mistake",
        [
            lambda nn, m: m.load_state_dict({}),
            lambda nn, m: setattr(m[0], "weight", 3),
            lambda nn, m: setattr(m, "0", 3),
            lambda nn, m: m.register_buffer("a.b", None),
            lambda nn, m: m.register_buffer("", None),
            lambda nn, m: m.register_buffer("training", None),
            lambda nn, m: m.register_buffer("x", 3),
            lambda nn, m: m.register_parameter("x", 3),
            lambda nn, m: m.add_module("x", 3),
            lambda nn, m: m.get_submodule("9"),
            lambda nn, m: m.get_parameter("0.nothing"),
            lambda nn, m: m.nothing,
            lambda nn, m: m[9],
            lambda nn, m: m.train("yes"),
            lambda nn, m: nn.Module()(1),
            lambda nn, m: nn.Dropout(1.5),
            lambda nn, m: nn.Hardtanh(1.0, -1.0),
            lambda nn, m: nn.Sequential(3),
            lambda nn, m: nn.ModuleList([3]),
        ],
    )
    def test_mistakes_raise_pytorchs_exceptions(self, mistake):
        theirs = raised_by(mistake, torch.nn, build(torch.nn))
        assert_same_kind(raised_by(mistake, rg.nn, build(rg.nn)), theirs)

    @pytest.mark.filterwarnings("ignore:Full backward hook is firing")
    def test_forward_and_backward_hooks_see_what_pytorchs_see(self):
        seen = {}
        for lib in (rg, torch):
            net = lib.nn.Sequential(lib.nn.Linear(3, 2), lib.nn.Tanh(), lib.nn.Linear(2, 1)).double()
            with lib.no_grad():
                for i, p in enumerate(net.parameters()):
                    p.copy_(lib.arange(p.numel(), dtype=lib.float64).reshape(p.shape) / 7 - i * 0.1)
            log = seen[lib] = []
            numbers = lambda ts: [None if t is None else t.detach().numpy().copy() for t in ts]  # noqa: E731
            net[0].register_forward_pre_hook(lambda m, args: (args[0] * 2,))
            net[1].register_forward_hook(lambda m, args, out, log=log, f=numbers: log.append(f([*args, out])))
            net[1].register_full_backward_hook(
                lambda m, gi, go, log=log, f=numbers: log.append(f([*gi, *go])) or (gi[0] * 3,)
            )
            net[2].register_full_backward_pre_hook(lambda m, go, log=log, f=numbers: log.append(f(go)) or (go[0] * 2,))
            net[0].register_full_backward_hook(lambda m, gi, go, log=log, f=numbers: log.append(f([*gi, *go])))
            net(lib.ones(4, 3, dtype=lib.float64)).sum().backward()
            log.append(numbers([p.grad for p in net.parameters()]))
        assert len(seen[rg]) == len(seen[torch]) == 5
        for ours, theirs in zip(seen[rg], seen[torch], strict=True):
            for a, b in zip(ours, theirs, strict=True):
                assert (a is None) == (b is None)
                if a is not None:
                    np.testing.assert_allclose(a, b, rtol=1e-12)

    def test_conversion_keeps_the_parameters_and_casts_their_gradients(self):
        for lib in (rg, torch):
            net = lib.nn.Linear(3, 2)
            weight = net.weight
            net(lib.ones(1, 3)).sum().backward()
            net.double()
            assert net.weight is weight
            assert weight.dtype == lib.float64 == weight.grad.dtype
            net(lib.ones(1, 3, dtype=lib.float64)).sum().backward()
            assert weight.grad.tolist() == [[2.0] * 3] * 2
            with pytest.raises(TypeError):
                net.to(lib.int64)

    def test_a_deep_copy_is_independent_and_keeps_shared_parameters_shared(self):
        for lib in (rg, torch):
            net = lib.nn.Sequential(lib.nn.Linear(2, 2), lib.nn.Linear(2, 2))
            net[1].weight = net[0].weight
            twin = copy.deepcopy(net)
            assert twin[0].weight is twin[1].weight
            assert twin[0].weight is not net[0].weight
            assert len(list(twin.parameters())) == 3
            with lib.no_grad():
                twin[0].weight.fill_(9)
            assert net[0].weight.max().item() < 9


def test_clipping_equals_pytorchs():
    for norm in (1.0, 2.0, 3.0, float("inf")):
        grads = [np.random.default_rng(i).normal(size=s) for i, s in enumerate([(3, 4), (5,), ()])]
        ours, theirs = [], []
        for g in grads:
            a, b = pair(np.zeros_like(g))
            a.grad, b.grad = rg.tensor(g), torch.tensor(g)
            ours.append(a)
            theirs.append(b)
        close(rg.nn.utils.clip_grad_norm_(ours, 0.7, norm), torch.nn.utils.clip_grad_norm_(theirs, 0.7, norm))
        for a, b in zip(ours, theirs, strict=True):
            close(a.grad, b.grad)
        rg.nn.utils.clip_grad_value_(ours, 0.1)
        torch.nn.utils.clip_grad_value_(theirs, 0.1)
        for a, b in zip(ours, theirs, strict=True):
            close(a.grad, b.grad)
    vector = rg.nn.utils.parameters_to_vector(ours)
    close(vector, torch.nn.utils.parameters_to_vector(theirs))
    rg.nn.utils.vector_to_parameters(vector + 1, ours)
    assert ours[0].tolist() == [[1.0] * 4] * 3


def test_softmax_without_a_dimension_warns_and_chooses_pytorchs():
    for shape in [(4,), (2, 3), (2, 3, 4), (2, 3, 4, 5)]:
        a, b = pair(np.random.default_rng(0).normal(size=shape))
        with pytest.warns(UserWarning, match="dim"):
            ours = rg.nn.Softmax()(a)
        with pytest.warns(UserWarning, match="dim"):
            theirs = torch.nn.Softmax()(b)
        close(ours, theirs)
