"""nn.utils and the functional calls of Modules against PyTorch."""

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")

rng = np.random.default_rng(0)


def close(ours, theirs, rtol=1e-5):
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=rtol)


def linear(lib, out=4, into=3):
    lib.manual_seed(0)
    return lib.nn.Linear(into, out)


def assert_same_training(change, steps=3):
    """Outputs, states and gradients of a changed layer, step by step, in both libraries."""
    x = rng.normal(size=(5, 3)).astype("f4")
    runs = []
    for lib in (rg, torch):
        layer = change(lib, linear(lib))
        optimizer = lib.optim.SGD(layer.parameters(), lr=0.1)
        run = [(name, value.clone()) for name, value in layer.state_dict().items()]
        for _ in range(steps):
            optimizer.zero_grad()
            out = layer(lib.tensor(x))
            (out * out).sum().backward()
            run += [(f"gradient of {name}", p.grad.clone()) for name, p in layer.named_parameters()]
            optimizer.step()
            run += [("output", out), *((name, value.clone()) for name, value in layer.state_dict().items())]
        layer.eval()
        run.append(("output in evaluation", layer(lib.tensor(x))))
        runs.append(run)
    assert [name for name, _ in runs[0]] == [name for name, _ in runs[1]]
    for (_, ours), (_, theirs) in zip(*runs):
        close(ours, theirs, 2e-5)


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm_as_a_parametrization(dim):
    assert_same_training(lambda lib, layer: lib.nn.utils.parametrizations.weight_norm(layer, dim=dim))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_weight_norm_as_a_hook(dim):
    assert_same_training(lambda lib, layer: lib.nn.utils.weight_norm(layer, dim=dim))


@pytest.mark.parametrize("settings", [{}, {"n_power_iterations": 3}, {"dim": 1}])
def test_spectral_norm_as_a_parametrization(settings):
    assert_same_training(lambda lib, layer: lib.nn.utils.parametrizations.spectral_norm(layer, **settings))


@pytest.mark.parametrize("settings", [{}, {"n_power_iterations": 3}, {"dim": 1}])
def test_spectral_norm_as_a_hook(settings):
    assert_same_training(lambda lib, layer: lib.nn.utils.spectral_norm(layer, **settings))


def test_removing_a_norm_leaves_the_weight_and_its_name():
    for kind in ("weight_norm", "spectral_norm"):
        layers = []
        for lib in (rg, torch):
            layer = getattr(lib.nn.utils, kind)(linear(lib))
            layer(lib.ones(2, 3))
            getattr(lib.nn.utils, f"remove_{kind}")(layer)
            layers.append(layer)
        assert list(layers[0].state_dict()) == list(layers[1].state_dict())
        close(layers[0].weight, layers[1].weight)


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
@pytest.mark.parametrize("trivial", [False, True])
@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley", "householder", None])
def test_orthogonal_weights(orthogonal_map, trivial, shape):
    if not trivial and (orthogonal_map in ("matrix_exp", "cayley") or (orthogonal_map is None and shape == (4, 4))):
        pytest.skip("these maps take the present value only by trivialization, in PyTorch too")
    x = rng.normal(size=(2, shape[1]))
    results = []
    for lib in (rg, torch):
        layer = linear(lib, *shape).double()
        lib.nn.utils.parametrizations.orthogonal(layer, orthogonal_map=orthogonal_map, use_trivialization=trivial)
        with lib.no_grad():
            start = layer.parametrizations.weight.original
            start += 0.1 * lib.tensor(np.tril(np.cos(np.arange(start.numel())).reshape(start.shape), -1))
        out = layer(lib.tensor(x))
        (out * out * out).sum().backward()
        gram = layer.weight @ layer.weight.mT if shape[0] < shape[1] else layer.weight.mT @ layer.weight
        np.testing.assert_allclose(gram.detach().numpy(), np.eye(min(shape)), atol=1e-6)
        results.append([out, start.grad])
    if shape[0] == shape[1] or not trivial:  # else the base is completed by random columns, orthogonalised anew
        for ours, theirs in zip(*results):
            close(ours, theirs, 1e-6)


def symmetric(lib, base=None):
    class Symmetric(base or lib.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).mT

        def right_inverse(self, x):
            return x.triu()

    return Symmetric()


def doubled(lib):
    class Doubled(lib.nn.Module):
        def forward(self, x):
            return x * 2

    return Doubled()


def test_parametrizations_compose_and_are_removed_as_in_pytorch():
    seen = []
    for lib in (rg, torch):
        p = lib.nn.utils.parametrize
        layer = linear(lib, 3, 3)
        p.register_parametrization(layer, "weight", symmetric(lib))
        p.register_parametrization(layer, "weight", doubled(lib))
        facts = [repr(layer), list(layer.state_dict()), p.is_parametrized(layer), p.is_parametrized(layer, "bias")]
        facts += [
            p.type_before_parametrizations(layer).__name__,
            type(layer).__name__,
            len(layer.parametrizations.weight),
        ]
        weight = layer.weight
        with p.cached():
            facts.append(layer.weight is layer.weight)
        p.remove_parametrizations(layer, "weight")
        facts += [repr(layer), sorted(layer.state_dict()), type(layer) is lib.nn.Linear]
        seen.append((facts, weight, layer.weight))
    assert seen[0][0] == seen[1][0]
    close(seen[0][1], seen[1][1])
    close(seen[0][2], seen[1][2])


def test_an_assignment_goes_through_the_right_inverse():
    seen = []
    for lib in (rg, torch):
        layer = linear(lib, 3, 3)
        lib.nn.utils.parametrize.register_parametrization(layer, "weight", symmetric(lib))
        layer.weight = lib.ones(3, 3)
        seen.append(layer.parametrizations.weight.original)
    close(*seen)


def test_parametrizations_are_transferred():
    for lib in (rg, torch):
        p = lib.nn.utils.parametrize
        first, second = linear(lib, 3, 3), lib.nn.Linear(3, 3)
        p.register_parametrization(first, "weight", symmetric(lib))
        p.transfer_parametrizations_and_params(first, second)
        assert p.is_parametrized(second, "weight")
        assert (first.weight == second.weight).all()


def test_gradients_are_scaled_by_a_norm_that_is_known():
    for lib in (rg, torch):
        w = lib.nn.Parameter(lib.zeros(2))
        w.grad = lib.tensor([3.0, 4.0])
        lib.nn.utils.clip_grads_with_norm_([w], 1.0, lib.tensor(10.0))
        np.testing.assert_allclose(w.grad.numpy(), [0.3, 0.4], rtol=1e-6)
        lib.nn.utils.clip_grads_with_norm_(w, 1.0, lib.tensor(0.5))
        np.testing.assert_allclose(w.grad.numpy(), [0.3, 0.4], rtol=1e-6)


def test_a_linear_layer_and_its_batch_norm_become_one():
    x, outs = rng.normal(size=(4, 3)).astype("f4"), []
    for lib in (rg, torch):
        layer, norm = linear(lib), lib.nn.BatchNorm1d(4)
        norm(layer(lib.tensor(x)))
        fused = lib.nn.utils.fuse_linear_bn_eval(layer.eval(), norm.eval())
        outs += [fused(lib.tensor(x)), norm(layer(lib.tensor(x)))]
    close(outs[0], outs[1])
    close(outs[0], outs[2])


@pytest.mark.parametrize("transpose", [False, True])
def test_a_convolutions_weights_take_in_a_batch_norm(transpose):
    arrays = [
        rng.normal(size=(3, 3, 2, 2)),
        rng.normal(size=3),
        rng.normal(size=3),
        rng.random(3),
        *rng.normal(size=(2, 3)),
    ]
    found = []
    for lib in (rg, torch):
        w, b, mean, var, gamma, beta = (lib.tensor(a) for a in arrays)
        found.append(lib.nn.utils.fuse_conv_bn_weights(w, b, mean, var, 1e-5, gamma, beta, transpose))
    for ours, theirs in zip(*found):
        close(ours, theirs, 1e-9)


def test_a_module_without_initialisation_has_its_shapes():
    for lib in (rg, torch):
        layer = lib.nn.utils.skip_init(lib.nn.Linear, 3, 4)
        assert tuple(layer.weight.shape) == (4, 3)


# ---- modules as functions


def test_a_functional_call_takes_other_parameters_and_leaves_the_modules():
    results = []
    for lib in (rg, torch):
        layer = linear(lib)
        before = layer.weight
        w = lib.ones(4, 3, requires_grad=True)
        for given in ({"weight": w}, ({"weight": w}, {"bias": lib.zeros(4)})):
            out = lib.func.functional_call(layer, given, (lib.ones(2, 3),))
            results.append((lib, out, lib.autograd.grad(out.sum(), w)[0]))
        assert layer.weight is before
        assert list(dict(layer.named_parameters())) == ["weight", "bias"]
    for ours, theirs in zip(results[:2], results[2:]):
        close(ours[1], theirs[1])
        close(ours[2], theirs[2])


def test_shared_parameters_are_exchanged_together_unless_told_otherwise():
    for lib in (rg, torch):
        model = lib.nn.Sequential(lib.nn.Linear(2, 2, bias=False), lib.nn.Linear(2, 2, bias=False))
        model[1].weight = model[0].weight
        given = {"0.weight": 2 * lib.eye(2)}
        call = lib.func.functional_call
        assert call(model, given, lib.ones(2)).tolist() == [4.0, 4.0]
        untied = call(model, given, lib.ones(2), tie_weights=False)
        np.testing.assert_allclose(untied.tolist(), (2 * model[0].weight.sum(1)).tolist(), rtol=1e-6)


def test_an_ensemble_is_stacked_and_run_by_vmap():
    x, results = rng.normal(size=(5, 3)).astype("f4"), []
    for lib in (rg, torch):
        lib.manual_seed(0)
        models = [lib.nn.Sequential(lib.nn.Linear(3, 2), lib.nn.Tanh()) for _ in range(3)]
        parameters, buffers = lib.func.stack_module_state(models)

        def call(p, b, x, lib=lib, model=models[0]):
            return lib.func.functional_call(model, (p, b), (x,))

        out = lib.func.vmap(call, in_dims=(0, 0, None))(parameters, buffers, lib.tensor(x))
        assert out.shape == (3, 5, 2)
        out.sum().backward()
        results.append([out, *(p.grad for p in parameters.values())])
    for ours, theirs in zip(*results, strict=True):
        close(ours, theirs)


def test_a_linearized_function_gives_its_derivative_along_directions():
    results = []
    for lib in (rg, torch):
        xs = lib.tensor([0.5, 1.0], dtype=lib.float64), lib.tensor([2.0, 3.0], dtype=lib.float64)
        out, along = lib.func.linearize(lambda x, y: (x * y).sin(), *xs)
        results.append([out, along(*xs), along(xs[1], xs[0])])
    for ours, theirs in zip(*results):
        close(ours, theirs, 1e-12)


def test_batch_norms_forget_their_statistics():
    for lib in (rg, torch):
        model = lib.func.replace_all_batch_norm_modules_(lib.nn.Sequential(lib.nn.BatchNorm1d(3)))
        assert model[0].running_mean is None
        assert model[0].track_running_stats is False


MISTAKES = [
    lambda lib: lib.nn.utils.parametrize.register_parametrization(linear(lib), "none", symmetric(lib)),
    lambda lib: lib.nn.utils.parametrize.remove_parametrizations(linear(lib), "weight"),
    lambda lib: lib.nn.utils.parametrizations.orthogonal(linear(lib), "bias"),
    lambda lib: lib.nn.utils.parametrizations.orthogonal(linear(lib), orthogonal_map="qr"),
    lambda lib: lib.nn.utils.parametrizations.orthogonal(linear(lib), "none"),
    lambda lib: lib.nn.utils.parametrizations.orthogonal(
        linear(lib, 3, 3), orthogonal_map="cayley", use_trivialization=False
    ).__setattr__("weight", lib.eye(3)),
    lambda lib: lib.nn.utils.parametrizations.spectral_norm(linear(lib), n_power_iterations=0),
    lambda lib: lib.nn.utils.parametrizations.spectral_norm(linear(lib), dim=3),
    lambda lib: lib.nn.utils.parametrizations.spectral_norm(linear(lib), "none"),
    lambda lib: lib.nn.utils.weight_norm(lib.nn.utils.weight_norm(linear(lib))),
    lambda lib: lib.nn.utils.remove_weight_norm(linear(lib)),
    lambda lib: lib.nn.utils.remove_spectral_norm(linear(lib)),
    lambda lib: lib.nn.utils.spectral_norm(linear(lib), n_power_iterations=0),
    lambda lib: lib.func.stack_module_state([]),
    lambda lib: lib.func.stack_module_state([linear(lib), linear(lib).eval()]),
    lambda lib: lib.func.functional_call(linear(lib), {"weight": lib.ones(4, 3)}, lib.ones(3), strict=True),
    lambda lib: lib.func.functional_call(linear(lib), ({"bias": lib.ones(4)}, {"bias": lib.ones(4)}), lib.ones(3)),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_mistakes_raise_pytorchs_exceptions(number):
    assert_same_kind(raised_by(MISTAKES[number], rg), raised_by(MISTAKES[number], torch))


@pytest.mark.parametrize("name", ["uniform", "normal", "xavier_uniform", "kaiming_normal", "orthogonal", "eye"])
def test_the_old_names_of_initialisers_warn_and_work(name):
    values = []
    for lib in (rg, torch):
        lib.manual_seed(0)
        with pytest.warns(FutureWarning, match=f"nn.init.{name}"):
            values.append(getattr(lib.nn.init, name)(lib.empty(4, 3)))
    close(*values)
