"""nn.Buffer, the hooks on all modules at once, and CrossMapLRN2d against PyTorch."""

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")


def calls_of(library, register):
    """What hooks on all modules see of one training step, in order."""
    seen = []
    model = library.nn.Sequential(library.nn.Linear(3, 2), library.nn.Tanh())
    with register(library.nn.modules.module, seen):
        model[1].register_forward_hook(lambda *args: seen.append("own"))
        model(library.ones(4, 3, requires_grad=True)).sum().backward()
    model(library.ones(4, 3))
    return seen


def named(seen, word, *places):
    return lambda module, *args: seen.append((word, type(module).__name__, *[len(args[i]) for i in places]))


@pytest.mark.parametrize(
    "register",
    [
        lambda m, seen: m.register_module_forward_pre_hook(named(seen, "before", 0)),
        lambda m, seen: m.register_module_forward_hook(named(seen, "after", 0, 1)),
        lambda m, seen: m.register_module_forward_hook(named(seen, "after", 0, 1, 2), with_kwargs=True),
        lambda m, seen: m.register_module_full_backward_hook(named(seen, "backward", 0, 1)),
        lambda m, seen: m.register_module_full_backward_pre_hook(named(seen, "backward", 0)),
    ],
)
def test_hooks_on_all_modules_are_called_as_in_pytorch(register):
    ours, theirs = (calls_of(library, register) for library in (rg, torch))
    assert ours == theirs
    assert len(ours) > 3


def test_hooks_on_all_modules_replace_what_they_return():
    results = []
    for library in (rg, torch):
        module = library.nn.modules.module
        x = library.ones(2, requires_grad=True)
        with (
            module.register_module_forward_pre_hook(lambda m, args: args[0] * 3),
            module.register_module_forward_hook(lambda m, args, out: out + 1),
            module.register_module_full_backward_pre_hook(lambda m, g: (g[0] * 5,)),
            module.register_module_full_backward_hook(lambda m, g, out: (g[0] * 7,)),
        ):
            y = library.nn.Identity()(x)
        y.sum().backward()
        results.append((y.tolist(), x.grad.tolist()))
    assert results[0] == results[1]


@pytest.mark.parametrize("always", [True, False])
def test_a_hook_on_all_modules_sees_failures_if_it_is_always_called(always):
    results = []
    for library in (rg, torch):
        seen = []
        register = library.nn.modules.module.register_module_forward_hook
        with (
            register(lambda m, args, out, seen=seen: seen.append(out), always_call=always),
            pytest.raises(RuntimeError),
        ):
            library.nn.Linear(3, 2)(library.ones(4))
        results.append(seen)
    assert results[0] == results[1] == [None] * always


def test_an_always_called_hook_that_raises_becomes_a_warning():
    for library in (rg, torch):
        layer = library.nn.Linear(3, 2)
        layer.register_forward_hook(lambda m, args, out: 1 / 0, always_call=True)
        with pytest.warns(UserWarning, match="silenced"), pytest.raises(RuntimeError):
            layer(library.ones(4))


def test_registration_hooks_see_and_replace_what_modules_take_in():
    results = []
    for library in (rg, torch):
        seen, module = [], library.nn.modules.module

        def note(module, name, value, seen=seen):
            seen.append((type(module).__name__, name, type(value).__name__))

        with (
            module.register_module_parameter_registration_hook(note),
            module.register_module_buffer_registration_hook(note),
            module.register_module_module_registration_hook(note),
        ):
            model = library.nn.Module()
            model.first = library.nn.Linear(2, 2, bias=False)
            model.add_module("second", library.nn.ReLU())
            model.register_buffer("mean", library.zeros(2))
            model.mean = library.ones(2)
            model.mean = None
            model.scale = library.nn.Parameter(library.ones(1))
            model.register_parameter("nothing", None)
        with module.register_module_module_registration_hook(lambda m, name, value, other=library.nn.Tanh: other()):
            model.first = library.nn.ReLU()
        results.append((seen, type(model.first).__name__))
    assert results[0] == results[1]


def buffered(library):
    model = library.nn.Module()
    model.kept = library.nn.Buffer(library.ones(2))
    model.lost = library.nn.Buffer(library.zeros(3, dtype=library.int64), persistent=False)
    model.register_buffer("plain", library.ones(1))
    model.empty = library.nn.Buffer()
    return model


def test_assigned_buffers_are_pytorchs():
    ours, theirs = buffered(rg), buffered(torch)
    for step in (
        lambda lib, m: None,
        lambda lib, m: setattr(m, "plain", lib.nn.Buffer(lib.ones(2), persistent=False)),
        lambda lib, m: setattr(m, "lost", lib.nn.Buffer(lib.ones(2))),
        lambda lib, m: setattr(m, "kept", lib.zeros(4)),
        lambda lib, m: m.double(),
        lambda lib, m: setattr(m, "kept", lib.nn.Parameter(lib.zeros(4))),
    ):
        step(rg, ours), step(torch, theirs)
        for kind in ("named_buffers", "named_parameters"):
            a, b = ([(n, tuple(t.shape), str(t.dtype)[-7:]) for n, t in getattr(m, kind)()] for m in (ours, theirs))
            assert [x[:2] for x in a] == [x[:2] for x in b]
            assert [x[2].split(".")[-1] for x in a] == [x[2].split(".")[-1] for x in b]
        assert list(ours.state_dict()) == list(theirs.state_dict())
    assert isinstance(buffered(rg).kept, rg.nn.Buffer)
    assert rg.nn.Buffer(rg.ones(1, requires_grad=True)).requires_grad


def test_buffers_are_copied_with_their_module():
    import copy

    model = buffered(rg)
    twin = copy.deepcopy(model)
    twin.kept.zero_()
    assert model.kept.tolist() == [1.0, 1.0]
    assert list(twin.state_dict()) == list(model.state_dict())
    assert isinstance(twin.kept, rg.nn.Buffer)


def assigned(lib, name, value):
    model = lib.nn.Linear(2, 2)
    model.child, model.note = lib.nn.ReLU(), 3
    setattr(model, name, value)


def unready(lib):
    class Hasty(lib.nn.Module):
        def __init__(self):
            self.mean = lib.nn.Buffer(lib.ones(1))

    Hasty()


@pytest.mark.parametrize(
    "action",
    [
        lambda lib: assigned(lib, "weight", lib.nn.Buffer(lib.ones(2))),
        lambda lib: assigned(lib, "child", lib.nn.Buffer(lib.ones(2))),
        lambda lib: assigned(lib, "note", lib.nn.Buffer(lib.ones(2))),
        lambda lib: setattr(buffered(lib), "kept", 3),
        unready,
        lambda lib: lib.nn.CrossMapLRN2d(3)(lib.ones(2, 3, 4)),
    ],
)
def test_a_mistake_raises_pytorchs_exception(action):
    assert_same_kind(*[raised_by(action, library) for library in (rg, torch)])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_cross_map_norms_have_pytorchs_values(size, channels):
    x = np.random.default_rng(0).normal(size=(2, channels, 3, 2))
    ours, theirs = (lib.nn.CrossMapLRN2d(size, 1.0, 0.7, 2.0)(lib.asarray(x)).numpy() for lib in (rg, torch))
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    assert rg.autograd.gradcheck(rg.nn.CrossMapLRN2d(size, 1.0), rg.tensor(x, requires_grad=True))


def test_cross_map_norms_of_few_channels_have_pytorchs_gradients():
    x = np.random.default_rng(0).normal(size=(2, 2, 3, 2))
    gradients = []
    for library in (rg, torch):
        a = library.asarray(x).requires_grad_()
        (library.nn.CrossMapLRN2d(5, 1.0, 0.7, 2.0)(a) ** 2).sum().backward()
        gradients.append(a.grad.numpy())
    np.testing.assert_allclose(*gradients, rtol=1e-9)
