"""Hooks of optimizers, copies and closures, as in PyTorch."""

import copy
import importlib

import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")


def optimizer_in(lib):
    p = lib.nn.Parameter(lib.tensor([2.0, -1.0]))
    p.grad = lib.tensor([1.0, 1.0])
    return lib.optim.SGD([p], lr=0.5, momentum=0.5)


def same(story):
    """What both libraries tell."""
    ours, theirs = story(rg), story(torch)
    assert ours == theirs
    return ours


def test_hooks_around_steps_are_called_in_pytorchs_order():
    def story(lib):
        told = []

        def say(word):
            def hook(optimizer, args, kwargs):
                told.append(
                    (word, args[0] is optimizer, args[1:], kwargs, optimizer.param_groups[0]["params"][0].tolist())
                )

            return hook

        optimizer, other = optimizer_in(lib), optimizer_in(lib)
        everywhere = importlib.import_module(f"{lib.__name__}.optim.optimizer")
        handles = [
            optimizer.register_step_pre_hook(say("before")),
            optimizer.register_step_post_hook(say("after")),
            everywhere.register_optimizer_step_pre_hook(say("before all")),
            everywhere.register_optimizer_step_post_hook(say("after all")),
        ]
        optimizer.step()
        other.step(closure=None)
        for handle in handles:
            handle.remove()
        optimizer.step()
        return told

    assert [word for word, *_ in same(story)] == [
        "before all",
        "before",
        "after",
        "after all",
        "before all",
        "after all",
    ]


def test_a_hook_before_a_step_may_replace_its_arguments():
    def story(lib):
        optimizer, called = optimizer_in(lib), []

        def closure():
            called.append(1)
            return 7.0

        optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: ((*args, closure), kwargs))
        return optimizer.step(), called

    assert same(story) == (7.0, [1])


def test_a_hook_that_returns_something_else_raises_as_in_pytorch():
    def mistake(lib):
        optimizer = optimizer_in(lib)
        optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: 3)
        optimizer.step()

    assert_same_kind(*(raised_by(mistake, lib) for lib in (rg, torch)))


def test_hooks_of_state_dicts_see_and_replace_them():
    def story(lib):
        optimizer, told = optimizer_in(lib), []

        def late(optimizer, state):
            told.append("late")
            return {**state, "extra": 1}

        def before_loading(optimizer, state):
            told.append(("loading", state.pop("extra")))
            state["param_groups"][0]["lr"] = 9.0
            return state

        optimizer.register_state_dict_pre_hook(lambda optimizer: told.append("saving"))
        optimizer.register_state_dict_post_hook(late)
        optimizer.register_state_dict_post_hook(lambda optimizer, state: told.append("early"), prepend=True)
        optimizer.register_load_state_dict_pre_hook(before_loading)
        optimizer.register_load_state_dict_post_hook(lambda o: told.append(o.param_groups[0]["lr"]))
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        return told

    assert same(story) == ["saving", "early", "late", ("loading", 1), 9.0]


def test_a_deep_copy_goes_its_own_way_without_the_hooks():
    def story(lib):
        optimizer, told = optimizer_in(lib), []
        optimizer.register_step_post_hook(lambda *_: told.append(1))
        optimizer.step()
        twin = copy.deepcopy(optimizer)
        (p,), (q,) = optimizer.param_groups[0]["params"], twin.param_groups[0]["params"]
        q.grad = lib.tensor([3.0, 3.0])
        for _ in range(2):
            twin.step()
        optimizer.step()
        return p.tolist(), q.tolist(), told, twin.state[q]["momentum_buffer"].tolist()

    same(story)


def test_a_subclass_that_calls_its_bases_step_has_its_hooks_called_once():
    class Counted(rg.optim.SGD):
        def step(self, closure=None):
            self.steps = getattr(self, "steps", 0) + 1
            return super().step(closure)

    p, told = rg.nn.Parameter(rg.ones(1)), []
    optimizer = Counted([p], lr=0.1)
    optimizer.register_step_pre_hook(lambda *_: told.append(1))
    p.grad = rg.ones(1)
    optimizer.step()
    assert (optimizer.steps, told) == (1, [1])
    assert p.item() == pytest.approx(0.9)
