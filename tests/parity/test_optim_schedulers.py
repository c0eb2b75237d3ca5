"""Schedulers against PyTorch: every rate and momentum to the last bit, states, warnings, exceptions."""

import copy
import math
import warnings

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

STEPS = 50


class Decay:
    """A factor with a state of its own."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, epoch):
        return self.rate**epoch


def optimizer_in(lib, kind="SGD", lr=0.3):
    options = {"lr": lr, "momentum": 0.9} if kind == "SGD" else {"lr": lr}
    params = [lib.nn.Parameter(lib.ones(2)) for _ in range(2)]
    return getattr(lib.optim, kind)([{"params": params[:1]}, {"params": params[1:], "lr": 0.07}], **options)


def wave(epoch):
    return 1.1 + 0.5 * math.sin(epoch)


SIMPLE = {
    "lambda": lambda s, o: s.LambdaLR(o, wave),
    "lambdas": lambda s, o: s.LambdaLR(o, [wave, Decay(0.9)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, wave),
    "step": lambda s, o: s.StepLR(o, 7, gamma=0.3),
    "multistep": lambda s, o: s.MultiStepLR(o, [3, 8, 8, 30], gamma=0.7),
    "constant": lambda s, o: s.ConstantLR(o, 0.3, total_iters=6),
    "constant by default": lambda s, o: s.ConstantLR(o),
    "linear": lambda s, o: s.LinearLR(o),
    "linear down": lambda s, o: s.LinearLR(o, 0.9, 0.1, total_iters=13),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.93),
    "polynomial": lambda s, o: s.PolynomialLR(o, 30, power=1.7),
    "polynomial by default": lambda s, o: s.PolynomialLR(o),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 11, eta_min=0.01),
    "cosine, long": lambda s, o: s.CosineAnnealingLR(o, 70),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 7, eta_min=0.002),
    "longer restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, T_mult=2),
    "swa": lambda s, o: swa(s).SWALR(o, 0.05, anneal_epochs=8),
    "swa, linear": lambda s, o: swa(s).SWALR(o, [0.05, 0.5], anneal_epochs=5, anneal_strategy="linear"),
    "swa at once": lambda s, o: swa(s).SWALR(o, 0.05, anneal_epochs=0),
}
CYCLES = {
    "triangles": lambda s, o: s.CyclicLR(o, 0.01, 0.3, step_size_up=5),
    "halved triangles": lambda s, o: s.CyclicLR(o, [0.01, 0.02], [0.3, 0.2], 4, 7, mode="triangular2"),
    "shrinking triangles": lambda s, o: s.CyclicLR(o, 0.01, 0.3, 5, mode="exp_range", gamma=0.97, max_momentum=0.99),
    "scaled by cycle": lambda s, o: s.CyclicLR(o, 0.01, 0.3, 5, scale_fn=Decay(0.8), cycle_momentum=False),
    "scaled by iteration": lambda s, o: s.CyclicLR(o, 0.01, 0.3, 5, scale_fn=Decay(0.99), scale_mode="iterations"),
    "one cycle": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=60),
    "one cycle by epochs": lambda s, o: s.OneCycleLR(o, [0.5, 0.1], epochs=6, steps_per_epoch=10, pct_start=0.2),
    "one cycle in three phases": lambda s, o: s.OneCycleLR(
        o, 0.5, 55, three_phase=True, anneal_strategy="linear", div_factor=10.0, final_div_factor=100.0
    ),
    "one cycle, momentum kept": lambda s, o: s.OneCycleLR(o, 0.5, 60, cycle_momentum=False),
}
COMBINED = {
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=4), s.CosineAnnealingLR(o, 20), s.ExponentialLR(o, 0.9)], [4, 24]
    ),
    "sequential with restarts": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 3), s.CosineAnnealingWarmRestarts(o, 5)], [6]
    ),
    "sequence in a sequence": lambda s, o: s.SequentialLR(
        o,
        [s.SequentialLR(o, [s.ConstantLR(o, 0.1, 3), s.StepLR(o, 3)], [5]), s.ExponentialLR(o, 0.9)],
        [20],
    ),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9), s.StepLR(o, 9)]),
    "chained cosine": lambda s, o: s.ChainedScheduler([s.CosineAnnealingLR(o, 9), s.ExponentialLR(o, 0.99)], o),
}
SCHEDULES = {**SIMPLE, **CYCLES, **COMBINED}


def swa(schedulers):
    return torch.optim.swa_utils if schedulers is torch.optim.lr_scheduler else rg.optim.swa_utils


def settings_of(optimizer):
    """What a schedule may change, as exact numbers."""
    wanted = ("lr", "momentum", "betas", "initial_lr")
    return [{name: group[name] for name in wanted if name in group} for group in optimizer.param_groups]


def run(optimizer, scheduler, steps):
    found = []
    for _ in range(steps):
        found.append((settings_of(optimizer), scheduler.get_last_lr()))
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.filterwarnings("ignore:Detected call")  # a sequence in a sequence, in PyTorch too
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_every_rate_and_momentum_is_pytorchs(name, kind):
    found = []
    for lib in (rg, torch):
        optimizer = optimizer_in(lib, kind)
        found.append(run(optimizer, SCHEDULES[name](lib.optim.lr_scheduler, optimizer), STEPS))
    assert found[0] == found[1]


@pytest.mark.filterwarnings("ignore:Detected call")  # a sequence in a sequence, in PyTorch too
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_saved_schedule_continues_after_its_states_are_loaded(name):
    optimizer = optimizer_in(rg)
    scheduler = SCHEDULES[name](rg.optim.lr_scheduler, optimizer)
    run(optimizer, scheduler, 17)
    states = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    expected = run(optimizer, scheduler, 20)
    optimizer = optimizer_in(rg, lr=5.0)
    scheduler = SCHEDULES[name](rg.optim.lr_scheduler, optimizer)
    optimizer.load_state_dict(states[0])
    scheduler.load_state_dict(states[1])
    assert run(optimizer, scheduler, 20) == expected


@pytest.mark.filterwarnings("ignore:Detected call")  # a sequence in a sequence, in PyTorch too
@pytest.mark.parametrize("name", SCHEDULES)
def test_pytorchs_state_continues_here(name):
    theirs = optimizer_in(torch)
    scheduler = SCHEDULES[name](torch.optim.lr_scheduler, theirs)
    run(theirs, scheduler, 17)
    states = copy.deepcopy((theirs.state_dict(), scheduler.state_dict()))
    ours = optimizer_in(rg, lr=5.0)
    mine = SCHEDULES[name](rg.optim.lr_scheduler, ours)
    assert keys(mine.state_dict()) == keys(states[1])
    ours.load_state_dict(states[0])
    mine.load_state_dict(states[1])
    assert run(ours, mine, 20) == run(theirs, scheduler, 20)


def keys(state):
    return {name: [keys(s) for s in value] if name == "_schedulers" else None for name, value in state.items()}


RESUMED = {
    "lambda": lambda s, o, last: s.LambdaLR(o, wave, last_epoch=last),
    "multiplicative": lambda s, o, last: s.MultiplicativeLR(o, wave, last_epoch=last),
    "step": lambda s, o, last: s.StepLR(o, 7, gamma=0.3, last_epoch=last),
    "multistep": lambda s, o, last: s.MultiStepLR(o, [3, 8, 8, 30], gamma=0.7, last_epoch=last),
    "constant": lambda s, o, last: s.ConstantLR(o, 0.3, total_iters=6, last_epoch=last),
    "linear": lambda s, o, last: s.LinearLR(o, 0.9, 0.1, total_iters=13, last_epoch=last),
    "exponential": lambda s, o, last: s.ExponentialLR(o, 0.93, last_epoch=last),
    "polynomial": lambda s, o, last: s.PolynomialLR(o, 30, power=1.7, last_epoch=last),
    "cosine": lambda s, o, last: s.CosineAnnealingLR(o, 11, eta_min=0.01, last_epoch=last),
    "restarts": lambda s, o, last: s.CosineAnnealingWarmRestarts(o, 7, last_epoch=last),
    "cyclic": lambda s, o, last: s.CyclicLR(o, 0.01, 0.3, step_size_up=5, last_epoch=last),
    "one cycle": lambda s, o, last: s.OneCycleLR(o, 0.5, total_steps=60, last_epoch=last),
}


@pytest.mark.parametrize("name", RESUMED)
@pytest.mark.parametrize("last", [4, 12])
def test_a_schedule_resumes_from_an_epoch_as_pytorchs(name, last):
    found = []
    for lib in (rg, torch):
        optimizer = optimizer_in(lib)
        run(optimizer, RESUMED[name](lib.optim.lr_scheduler, optimizer, -1), last)
        found.append(run(optimizer, RESUMED[name](lib.optim.lr_scheduler, optimizer, last), 20))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", [n for n in SIMPLE if "swa" not in n])
def test_jumping_to_an_epoch_warns_and_gives_pytorchs_rate(name):
    found = []
    for lib in (rg, torch):
        optimizer = optimizer_in(lib)
        scheduler = SIMPLE[name](lib.optim.lr_scheduler, optimizer)
        optimizer.step()
        rates = []
        for epoch in (3, 11, 26):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                scheduler.step(epoch)
            rates.append((scheduler.get_last_lr(), [w.category for w in caught]))
        found.append(rates)
    assert found[0] == found[1]


def test_restarts_take_fractions_of_epochs():
    found = []
    for lib in (rg, torch):
        optimizer = optimizer_in(lib)
        scheduler = lib.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 3, T_mult=2)
        rates = []
        for batch in range(120):
            scheduler.step(batch / 7)
            rates.append((scheduler.get_last_lr(), scheduler.T_i))
        found.append(rates)
    assert found[0] == found[1]


PLATEAUS = [
    {},
    {"patience": 2, "factor": 0.5, "cooldown": 3},
    {"mode": "max", "patience": 3, "threshold": 0.1, "min_lr": [0.01, 0.05]},
    {"threshold_mode": "abs", "patience": 0, "threshold": 0.3, "factor": 0.9, "eps": 1e-2},
    {"mode": "max", "threshold_mode": "abs", "patience": 1, "min_lr": 1e-3},
]


@pytest.mark.parametrize("settings", PLATEAUS)
def test_a_plateau_is_noticed_when_pytorch_notices_it(settings):
    measures = [math.cos(i / 9) + (i * 7919 % 13) / 10 for i in range(60)]
    found = []
    for lib in (rg, torch):
        optimizer = optimizer_in(lib)
        scheduler = lib.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **settings)
        rates = []
        for i, measure in enumerate(measures):
            scheduler.step(lib.tensor(measure) if i % 2 else measure)
            rates.append((scheduler.get_last_lr(), scheduler.in_cooldown, scheduler.num_bad_epochs))
            if i == 30:  # save and load
                state = copy.deepcopy(scheduler.state_dict())
                scheduler = lib.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
                scheduler.load_state_dict(state)
        found.append((rates, set(state)))
    assert found[0] == found[1]


def test_a_rate_that_is_a_tensor_is_changed_in_place():
    for name in ("step", "exponential", "lambda", "cosine", "restarts", "linear"):
        found = []
        for lib in (rg, torch):
            rate = lib.tensor(0.3, dtype=lib.float64)
            optimizer = lib.optim.SGD([lib.nn.Parameter(lib.ones(1))], lr=rate)
            scheduler = SIMPLE[name](lib.optim.lr_scheduler, optimizer)
            rates = []
            for _ in range(10):
                optimizer.step()
                scheduler.step()
                assert optimizer.param_groups[0]["lr"] is rate
                rates.append((rate.item(), scheduler.get_last_lr()[0].item()))
            found.append(rates)
        np.testing.assert_allclose(found[0], found[1], rtol=1e-15)


class TestWarnings:
    def warned(self, lib, action):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            action(lib)
        return [w.category for w in caught if "lr" in str(w.message) or "rate" in str(w.message)]

    def both(self, action):
        ours, theirs = self.warned(rg, action), self.warned(torch, action)
        assert ours == theirs
        return ours

    def test_a_scheduler_that_steps_before_the_optimizer_warns(self):
        def action(lib):
            optimizer = optimizer_in(lib)
            lib.optim.lr_scheduler.StepLR(optimizer, 3).step()

        assert self.both(action) == [UserWarning]

    def test_a_step_before_the_scheduler_was_made_does_not_count(self):
        def action(lib):
            optimizer = optimizer_in(lib)
            optimizer.step()
            scheduler = lib.optim.lr_scheduler.StepLR(optimizer, 3)
            scheduler.step()
            scheduler.step()

        assert self.both(action) == [UserWarning]

    def test_the_right_order_does_not_warn(self):
        def action(lib):
            optimizer = optimizer_in(lib)
            scheduler = lib.optim.lr_scheduler.StepLR(optimizer, 3)
            other = lib.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
            for _ in range(3):
                optimizer.step()
                scheduler.step()
                other.step()

        assert self.both(action) == []

    def test_a_step_function_that_was_replaced_warns(self):
        def action(lib):
            optimizer = optimizer_in(lib)
            scheduler = lib.optim.lr_scheduler.StepLR(optimizer, 3)
            optimizer.step = lambda closure=None: None
            optimizer.step()
            scheduler.step()

        assert self.both(action) == [UserWarning]

    def test_asking_for_the_rate_outside_of_a_step_warns(self):
        def action(lib):
            optimizer = optimizer_in(lib)
            lib.optim.lr_scheduler.ExponentialLR(optimizer, 0.5).get_lr()

        assert self.both(action) == [UserWarning]


def one(lib):
    return lib.optim.SGD([lib.nn.Parameter(lib.ones(1))], lr=0.1)


def sequential(lib, other=False, milestones=(3,), plateau=False):
    s, optimizer = lib.optim.lr_scheduler, one(lib)
    second = s.ReduceLROnPlateau(optimizer) if plateau else s.StepLR(one(lib) if other else optimizer, 3)
    return s.SequentialLR(optimizer, [s.StepLR(optimizer, 2), second], list(milestones))


MISTAKES = [
    lambda lib: lib.optim.lr_scheduler.StepLR("sgd", 3),
    lambda lib: lib.optim.lr_scheduler.StepLR(one(lib), 3, last_epoch=2),
    lambda lib: lib.optim.lr_scheduler.LambdaLR(one(lib), [wave, wave]),
    lambda lib: lib.optim.lr_scheduler.MultiplicativeLR(one(lib), 0.3),
    lambda lib: lib.optim.lr_scheduler.ConstantLR(one(lib), factor=1.1),
    lambda lib: lib.optim.lr_scheduler.ConstantLR(one(lib), factor=-1),
    lambda lib: lib.optim.lr_scheduler.LinearLR(one(lib), start_factor=0),
    lambda lib: lib.optim.lr_scheduler.LinearLR(one(lib), start_factor=1.5),
    lambda lib: lib.optim.lr_scheduler.LinearLR(one(lib), end_factor=1.5),
    lambda lib: lib.optim.lr_scheduler.CosineAnnealingWarmRestarts(one(lib), 0),
    lambda lib: lib.optim.lr_scheduler.CosineAnnealingWarmRestarts(one(lib), 2.0),
    lambda lib: lib.optim.lr_scheduler.CosineAnnealingWarmRestarts(one(lib), 2, T_mult=0),
    lambda lib: lib.optim.lr_scheduler.CosineAnnealingWarmRestarts(one(lib), 2, eta_min="0"),
    lambda lib: lib.optim.lr_scheduler.CosineAnnealingWarmRestarts(one(lib), 2).step(-1),
    lambda lib: lib.optim.lr_scheduler.CyclicLR(one(lib), 0.1, 1.0, mode="square"),
    lambda lib: lib.optim.lr_scheduler.CyclicLR(one(lib), [0.1, 0.2], 1.0),
    lambda lib: lib.optim.lr_scheduler.CyclicLR(lib.optim.Adagrad([lib.nn.Parameter(lib.ones(1))]), 0.1, 1.0),
    lambda lib: lib.optim.lr_scheduler.OneCycleLR(one(lib), 0.1),
    lambda lib: lib.optim.lr_scheduler.OneCycleLR(one(lib), 0.1, total_steps=0),
    lambda lib: lib.optim.lr_scheduler.OneCycleLR(one(lib), 0.1, epochs=-1, steps_per_epoch=3),
    lambda lib: lib.optim.lr_scheduler.OneCycleLR(one(lib), 0.1, epochs=1, steps_per_epoch=3.5),
    lambda lib: lib.optim.lr_scheduler.OneCycleLR(one(lib), 0.1, 10, pct_start=1.5),
    lambda lib: lib.optim.lr_scheduler.OneCycleLR(one(lib), 0.1, 10, anneal_strategy="cubic"),
    lambda lib: run((o := one(lib)), lib.optim.lr_scheduler.OneCycleLR(o, 0.1, 5), 9),
    lambda lib: lib.optim.lr_scheduler.ReduceLROnPlateau(one(lib), factor=1.0),
    lambda lib: lib.optim.lr_scheduler.ReduceLROnPlateau(one(lib), mode="least"),
    lambda lib: lib.optim.lr_scheduler.ReduceLROnPlateau(one(lib), threshold_mode="percent"),
    lambda lib: lib.optim.lr_scheduler.ReduceLROnPlateau(one(lib), min_lr=[0.1, 0.2]),
    lambda lib: lib.optim.lr_scheduler.ReduceLROnPlateau("sgd"),
    lambda lib: lib.optim.lr_scheduler.ReduceLROnPlateau(one(lib)).step(),
    lambda lib: lib.optim.lr_scheduler.SequentialLR(one(lib), [], []),
    lambda lib: lib.optim.lr_scheduler.SequentialLR(one(lib), [3], []),
    lambda lib: sequential(lib, other=True),
    lambda lib: sequential(lib, milestones=(1, 2)),
    lambda lib: sequential(lib, plateau=True),
    lambda lib: lib.optim.lr_scheduler.ChainedScheduler([]),
    lambda lib: lib.optim.lr_scheduler.LRScheduler(one(lib)),
    lambda lib: swa(lib.optim.lr_scheduler).SWALR(one(lib), 0.1, anneal_strategy="cubic"),
    lambda lib: swa(lib.optim.lr_scheduler).SWALR(one(lib), 0.1, anneal_epochs=-1),
    lambda lib: swa(lib.optim.lr_scheduler).SWALR(one(lib), [0.1, 0.2]),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_mistakes_raise_pytorchs_exceptions(number):
    ours, theirs = (raised_by(MISTAKES[number], lib) for lib in (rg, torch))
    assert_same_kind(ours, theirs)
    assert str(ours).count("\n") < 3


def test_a_schedule_of_ones_own_needs_only_get_lr():
    class Halved(rg.optim.lr_scheduler.LRScheduler):
        def get_lr(self):
            return [base * 0.5**self.last_epoch for base in self.base_lrs]

    optimizer = optimizer_in(rg)
    rates = [rates for _, rates in run(optimizer, Halved(optimizer), 3)]
    assert rates == [[0.3, 0.07], [0.15, 0.035], [0.075, 0.0175]]
