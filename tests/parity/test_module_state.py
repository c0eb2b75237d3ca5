"""Saving and loading of Modules against PyTorch: hooks, extra state, what is refused."""

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")


def net(lib):
    lib.manual_seed(0)
    return lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.Sequential(lib.nn.Linear(3, 1)))


def calls_of_hooks(lib):
    """What the hooks of a network and of its child are called with, as its state is taken out and put back."""
    model, log = net(lib), []
    for name, module in (("root", model), ("child", model[1])):
        module.register_state_dict_pre_hook(lambda m, prefix, keep, n=name: log.append(("saving", n, prefix, keep)))
        module.register_state_dict_post_hook(
            lambda m, state, prefix, meta, n=name: log.append(("saved", n, prefix, list(state), meta))
        )
        module.register_load_state_dict_pre_hook(
            lambda m, state, prefix, meta, strict, *lists, n=name: log.append(("loading", n, prefix, strict, lists))
        )
        module.register_load_state_dict_post_hook(
            lambda m, keys, n=name: log.append(("loaded", n, tuple(map(list, keys))))
        )
    model.load_state_dict(model.state_dict())
    return log


def test_hooks_of_saving_and_loading_are_called_in_pytorchs_order_with_pytorchs_arguments():
    assert calls_of_hooks(rg) == calls_of_hooks(torch)


def test_a_hook_may_rename_what_is_loaded():
    for lib in (rg, torch):
        model = net(lib)

        def rename(module, state, prefix, *_):
            for key in [k for k in state if k.startswith("old.")]:
                state[key.replace("old.", "0.")] = state.pop(key)

        model.register_load_state_dict_pre_hook(rename)
        state = {k.replace("0.", "old.", 1) if k.startswith("0.") else k: v * 0 for k, v in model.state_dict().items()}
        assert str(model.load_state_dict(state)) == "<All keys matched successfully>"
        assert "old.weight" in state
        assert float(abs(model[0].weight.detach()).sum()) == 0


def test_a_hook_may_forgive_missing_names():
    for lib in (rg, torch):
        model = net(lib)
        handle = model.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
        model.load_state_dict({})
        handle.remove()
        assert isinstance(raised_by(lambda m=model: m.load_state_dict({})), RuntimeError)


def counting(lib):
    class Counting(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 3

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    return lib.nn.Sequential(Counting())


def test_extra_state_is_saved_and_loaded():
    for lib in (rg, torch):
        first, second = counting(lib), counting(lib)
        first[0].count = 7
        state = first.state_dict()
        assert dict(state) == {"0._extra_state": {"count": 7}}
        second.load_state_dict(state)
        assert second[0].count == 7
        assert list(second.load_state_dict({}, strict=False).missing_keys) == ["0._extra_state"]


def test_assigned_tensors_are_the_parameters_themselves():
    for lib in (rg, torch):
        model, values = net(lib), {k: v.clone() * 2 for k, v in net(lib).state_dict().items()}
        model.load_state_dict(values, assign=True)
        assert model[0].weight.requires_grad
        values["0.weight"].zero_()
        assert float(abs(model[0].weight.detach()).sum()) == 0


def test_a_submodule_is_put_at_a_path():
    for lib in (rg, torch):
        model = net(lib)
        model.set_submodule("1.0", lib.nn.Tanh())
        assert repr(model[1][0]) == "Tanh()"
        model.set_submodule("1.last", lib.nn.ReLU())
        assert [name for name, _ in model[1].named_children()] == ["0", "last"]


def test_to_empty_keeps_shapes_and_names():
    for lib in (rg, torch):
        model = net(lib).to_empty(device="cpu")
        assert [tuple(p.shape) for p in model.parameters()] == [(3, 2), (3,), (1, 3), (1,)]


MISTAKES = [
    lambda lib: net(lib).set_submodule("", lib.nn.Tanh()),
    lambda lib: net(lib).set_submodule("1.0", 3),
    lambda lib: net(lib).set_submodule("1.5", lib.nn.Tanh(), strict=True),
    lambda lib: net(lib).set_submodule("7.0", lib.nn.Tanh()),
    lambda lib: net(lib).load_state_dict([]),
    lambda lib: net(lib).load_state_dict({"0._extra_state": 1}),
    lambda lib: net(lib).get_extra_state(),
    lambda lib: lib.nn.Module(3),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_mistakes_raise_pytorchs_exceptions(number):
    assert_same_kind(raised_by(MISTAKES[number], rg), raised_by(MISTAKES[number], torch))


@pytest.mark.parametrize("name", ["bfloat16", "share_memory", "compile"])
def test_what_is_not_supported_says_so(name):
    with pytest.raises(NotImplementedError, match=name):
        getattr(net(rg), name)()


def test_values_of_a_loaded_state_equal_pytorchs():
    theirs = net(torch)
    ours = net(rg)
    ours.load_state_dict({k: rg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    x = np.ones((1, 2), np.float32)
    np.testing.assert_allclose(ours(rg.tensor(x)).tolist(), theirs(torch.tensor(x)).tolist(), rtol=1e-6)
