"""nn.utils.prune against PyTorch: masks, values, gradients, state, hooks, mistakes."""

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")
pytest.importorskip("torch.nn.utils.prune")


def layer(library, kind="Conv2d"):
    library.manual_seed(3)
    return library.nn.Conv2d(2, 4, 3) if kind == "Conv2d" else library.nn.Linear(6, 5)


def agree(ours, theirs):
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    for name, value in ours.state_dict().items():
        np.testing.assert_allclose(value.numpy(), state[name], rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(ours.weight.detach().numpy(), theirs.weight.detach().numpy(), rtol=1e-6)


def scores(library, module):
    return library.asarray(np.random.default_rng(0).normal(size=tuple(module.weight.shape)).astype(np.float32))


WAYS = {
    "identity": lambda p, m, lib: p.identity(m, "weight"),
    "random": lambda p, m, lib: p.random_unstructured(m, "weight", 0.3),
    "random number": lambda p, m, lib: p.random_unstructured(m, "weight", amount=5),
    "random nothing": lambda p, m, lib: p.random_unstructured(m, "weight", amount=0),
    "l1": lambda p, m, lib: p.l1_unstructured(m, name="weight", amount=0.4),
    "l1 by scores": lambda p, m, lib: p.l1_unstructured(m, "weight", 7, importance_scores=scores(lib, m)),
    "random channels": lambda p, m, lib: p.random_structured(m, "weight", amount=0.5, dim=0),
    "random last channels": lambda p, m, lib: p.random_structured(m, "weight", amount=1, dim=-1),
    "ln": lambda p, m, lib: p.ln_structured(m, "weight", amount=0.5, n=2, dim=0),
    "ln of infinity": lambda p, m, lib: p.ln_structured(m, "weight", amount=1, n=float("inf"), dim=1),
    "ln by scores": lambda p, m, lib: p.ln_structured(m, "weight", 1, 1, 0, importance_scores=scores(lib, m)),
    "mask": lambda p, m, lib: p.custom_from_mask(m, "weight", (scores(lib, m) > 0).float()),
    "twice": lambda p, m, lib: p.l1_unstructured(p.l1_unstructured(m, "weight", 0.3), "weight", 0.3),
    "channels, then elements": lambda p, m, lib: p.l1_unstructured(
        p.ln_structured(m, "weight", 1, 2, 0), "weight", 0.3
    ),
    "elements, then channels": lambda p, m, lib: p.random_structured(
        p.l1_unstructured(m, "weight", 0.3), "weight", 1, 1
    ),
    "three times": lambda p, m, lib: p.random_unstructured(
        p.custom_from_mask(p.l1_unstructured(m, "weight", 2), "weight", (scores(lib, m) > 0).float()), "weight", 3
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["Conv2d", "Linear"])
@pytest.mark.parametrize("way", WAYS)
def test_pruning_gives_pytorchs_masks_values_and_gradients(way, kind):
    ours, theirs = layer(rg, kind), layer(torch, kind)
    results = []
    for library, module in ((rg, ours), (torch, theirs)):
        library.manual_seed(7)
        assert WAYS[way](library.nn.utils.prune, module, library) is module
        assert library.nn.utils.prune.is_pruned(module)
        x = library.ones(3, *((2, 5, 4) if kind == "Conv2d" else (6,)))
        out = module(x)
        (out**2).sum().backward()
        results.append([out.detach().numpy(), module.weight_orig.grad.numpy()])
    agree(ours, theirs)
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for library, module in ((rg, ours), (torch, theirs)):
        library.nn.utils.prune.remove(module, "weight")
        assert not library.nn.utils.prune.is_pruned(module)
    agree(ours, theirs)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]


def test_pruning_several_modules_as_one_gives_pytorchs_masks():
    results = []
    for library in (rg, torch):
        prune = library.nn.utils.prune
        model = library.nn.Sequential(layer(library, "Linear"), library.nn.ReLU(), layer(library, "Linear"))
        prune.l1_unstructured(model[0], "weight", 3)
        places = [(model[0], "weight"), (model[2], "weight"), (model[2], "bias")]
        prune.global_unstructured(places, prune.L1Unstructured, amount=0.4)
        prune.global_unstructured(
            places, pruning_method=prune.L1Unstructured, amount=4,
            importance_scores={(model[2], "weight"): scores(library, model[2]).abs() / 100},
        )  # fmt: skip
        results.append({name: value.numpy() for name, value in model.state_dict().items()})
    assert list(results[0]) == list(results[1])
    for name, value in results[0].items():
        np.testing.assert_allclose(value, results[1][name], rtol=1e-6)


def test_methods_prune_plain_tensors_too():
    x = np.random.default_rng(1).normal(size=(4, 5))
    for make in (lambda p: p.L1Unstructured(0.5), lambda p: p.LnStructured(2, 2, 1)):
        ours, theirs = (make(lib.nn.utils.prune).prune(lib.asarray(x)).numpy() for lib in (rg, torch))
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "action",
    [
        lambda p, m, lib: p.l1_unstructured(m, "weight", 1.5),
        lambda p, m, lib: p.l1_unstructured(m, "weight", -1),
        lambda p, m, lib: p.l1_unstructured(m, "weight", 1000),
        lambda p, m, lib: p.l1_unstructured(m, "weight", "half"),
        lambda p, m, lib: p.l1_unstructured(m, "scale", 0.5),
        lambda p, m, lib: p.l1_unstructured(m, "weight", 0.5, lib.ones(2)),
        lambda p, m, lib: p.ln_structured(m, "bias", 1, 2, 0),
        lambda p, m, lib: p.ln_structured(m, "weight", 1, 2, 5),
        lambda p, m, lib: p.custom_from_mask(m, "weight", lib.ones(2)),
        lambda p, m, lib: p.remove(m, "weight"),
        lambda p, m, lib: p.global_unstructured([(m, "weight")], p.LnStructured, amount=1, n=2),
        lambda p, m, lib: p.global_unstructured(3, p.L1Unstructured, amount=1),
        lambda p, m, lib: p.global_unstructured([(m, "weight")], p.L1Unstructured, importance_scores=[1], amount=1),
        lambda p, m, lib: p.PruningContainer().add_pruning_method(3),
        lambda p, m, lib: p.L1Unstructured(1).apply_mask(m),
    ],
)
def test_a_mistake_raises_pytorchs_exception_and_leaves_the_module_as_it_was(action):
    errors = []
    for library in (rg, torch):
        module = layer(library, "Linear")
        errors.append(raised_by(action, library.nn.utils.prune, module, library))
        assert sorted(module.state_dict()) == ["bias", "weight"]
    if isinstance(errors[1], AttributeError) and isinstance(errors[0], AssertionError):  # no _tensor_name at all there
        return
    assert_same_kind(*errors)
