"""What a compiled step does besides returning: optimizers, schedulers, clipping, draws, changes in place, errors."""

import threading

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from tests.compiler.training import array, classifying, compared

RNG = np.random.default_rng(0)
BATCHES = [(rg.tensor(RNG.standard_normal((4, 3), np.float32)), rg.tensor(RNG.integers(0, 2, 4))) for _ in range(5)]


def model_of(width=4):
    return nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 2))


def test_a_scheduler_in_the_step_and_one_outside_go_on_counting():
    def make():
        model = model_of()
        optimizer = rg.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        scheduler = rg.optim.lr_scheduler.StepLR(optimizer, 2, 0.1)

        def step(x, y):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            return loss

        return model, optimizer, step

    compared(make, BATCHES)


@pytest.mark.parametrize(
    "clip", [lambda p: nn.utils.clip_grad_norm_(p, 0.1), lambda p: nn.utils.clip_grad_value_(p, 0.01)]
)
def test_clipped_gradients_are_the_same(clip):
    def make():
        model = model_of()
        optimizer = rg.optim.Adam(model.parameters(), lr=0.1)

        def step(x, y):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            norm = clip(model.parameters())
            optimizer.step()
            return loss if norm is None else norm

        return model, optimizer, step

    compared(make, BATCHES)


def test_gradients_accumulate_over_calls_and_within_one():
    def make():
        model = model_of()
        optimizer = rg.optim.SGD(model.parameters(), lr=0.1)

        def step(x, y):
            for part, target in zip(x.chunk(2), y.chunk(2), strict=True):
                (nn.functional.cross_entropy(model(part), target) / 2).backward()
            return model(x).detach().sum()

        return model, optimizer, step

    compared(make, BATCHES)


def test_an_update_by_hand_is_the_same():
    def make():
        model = model_of()
        optimizer = rg.optim.SGD(model.parameters(), lr=0.1)  # only for its state

        def step(x, y):
            loss = nn.functional.cross_entropy(model(x), y)
            model.zero_grad(set_to_none=False)
            loss.backward()
            with rg.no_grad():
                for p in model.parameters():
                    p -= 0.1 * p.grad
                    p.grad.zero_()
            return loss

        return model, optimizer, step

    compared(make, BATCHES)


def test_noise_is_drawn_from_the_same_stream():
    def make():
        model = model_of()
        optimizer = rg.optim.SGD(model.parameters(), lr=0.1)

        def step(x, y):
            optimizer.zero_grad()
            noisy = x + 0.1 * rg.randn_like(x) + rg.rand(3) * rg.bernoulli(rg.full((3,), 0.5)) + 0.1 * rg.randperm(3)
            loss = nn.functional.cross_entropy(model(noisy), y)
            loss.backward()
            optimizer.step()
            return loss

        return model, optimizer, step

    compared(make, BATCHES)


def test_running_statistics_follow_their_settings_at_every_call():
    norm = nn.BatchNorm1d(3)
    twin = nn.BatchNorm1d(3)
    compiled = rg.compile(rg.no_grad()(lambda x: norm(x)), fullgraph=True)
    for x, _ in BATCHES:
        compiled(x)
        with rg.no_grad():
            twin(x)
    assert rg.equal(norm.running_mean, twin.running_mean)
    assert rg.equal(norm.running_var, twin.running_var)
    assert norm.num_batches_tracked.item() == len(BATCHES)


def test_a_penalty_on_gradients_trains_the_same():
    def make():
        model = model_of()
        optimizer = rg.optim.Adam(model.parameters(), lr=0.1)

        def step(x, y):
            optimizer.zero_grad()
            x = x.clone().requires_grad_()
            loss = nn.functional.cross_entropy(model(x), y)
            (slope,) = rg.autograd.grad(loss, x, create_graph=True)
            (loss + slope.square().sum()).backward()
            optimizer.step()
            return loss

        return model, optimizer, step

    compared(make, BATCHES)


def test_custom_functions_and_checkpoints_train_the_same():
    class Doubled(rg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 2 + 0 * x

    def make():
        model = model_of()
        optimizer = rg.optim.SGD(model.parameters(), lr=0.1)

        def step(x, y):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(Doubled.apply(model(x)), y)
            loss.backward()
            optimizer.step()
            return loss

        return model, optimizer, step

    compared(make, BATCHES)


# ---- what the caller holds


def test_results_and_gradients_of_earlier_calls_stay_as_they_were():
    w = rg.rand(64, 64, requires_grad=True)

    @rg.compile(fullgraph=True)
    def step(x):
        w.grad = None
        y = (x * w).tanh() * 2
        y.square().sum().backward()
        return y.detach(), y.detach() + 1, w.grad

    held, copies = [], []
    for _ in range(4):
        found = step(rg.rand(64, 64))
        held.append(found)
        copies.append([array(t) for t in found])
    for tensors, values in zip(held, copies, strict=True):
        for tensor, value in zip(tensors, values, strict=True):
            np.testing.assert_array_equal(array(tensor), value)
    assert held[-1][2] is w.grad


def test_arguments_and_parameters_are_not_written_over():
    w, x = rg.rand(64, 64), rg.rand(64, 64)
    before = array(w), array(x)
    compiled = rg.compile(lambda x: ((x * w).exp() + x - w).tanh() * (x + w), fullgraph=True)
    for _ in range(3):
        compiled(x)
    np.testing.assert_array_equal(array(w), before[0])
    np.testing.assert_array_equal(array(x), before[1])


def test_a_returned_loss_knows_that_its_graph_is_used_up():
    w = rg.ones(2, requires_grad=True)

    @rg.compile(fullgraph=True)
    def step():
        loss = (w * w).sum()
        loss.backward()
        return loss

    for _ in range(2):
        loss = step()
        assert loss.requires_grad
        assert "SumBackward0" in repr(loss.grad_fn)
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()


def test_a_view_of_a_parameter_that_is_returned_shows_the_parameter():
    w = rg.zeros(2, requires_grad=True)
    compiled = rg.compile(lambda: w.detach(), fullgraph=True)
    for _ in range(2):
        compiled().fill_(3)
        assert w.tolist() == [3.0, 3.0]


# ---- errors, threads, large arrays


def test_an_error_in_a_replay_is_the_error_of_the_function():
    table = nn.Embedding(5, 2)

    def look_up(i):
        with rg.no_grad():
            return table(i)

    compiled = rg.compile(look_up, fullgraph=True)
    for _ in range(2):
        compiled(rg.tensor([1, 2]))
    with pytest.raises(IndexError, match="9") as expected:
        look_up(rg.tensor([1, 9]))
    with pytest.raises(IndexError, match="9") as found:
        compiled(rg.tensor([1, 9]))
    assert str(found.value) == str(expected.value)
    assert rg.equal(compiled(rg.tensor([3, 4])), look_up(rg.tensor([3, 4])))


def test_an_error_while_recording_leaves_the_function_to_be_recorded_later():
    table = nn.Embedding(5, 2)
    compiled = rg.compile(rg.no_grad()(lambda i: table(i)), fullgraph=True)
    with pytest.raises(IndexError):
        compiled(rg.tensor([9]))
    assert rg.equal(compiled(rg.tensor([1])), table(rg.tensor([1])))
    assert len(compiled.variants) == 1
    assert rg.tensor([2.0]).exp().item() == pytest.approx(np.exp(2))


def test_steps_compiled_in_two_threads_do_not_disturb_each_other():
    def train(results, place):
        model = nn.Linear(3, 2)
        with rg.no_grad():
            for p in model.parameters():
                p.fill_(0.5)
        optimizer = rg.optim.SGD(model.parameters(), lr=0.1)

        step = rg.compile(classifying(model, optimizer))
        results[place] = [step(*batch).item() for batch in BATCHES for _ in range(10)]

    results = {}
    threads = [threading.Thread(target=train, args=(results, i)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("threads", [1, 2])
def test_large_arrays_in_blocks_give_the_same_numbers(threads):
    shape = (521, 1009)  # more than one block, none of them full at the end
    w = rg.rand(shape, requires_grad=True)

    def step(x):
        w.grad = None
        y = (w * x + 0.5).tanh() - x
        z = rg.where(y > 0, y * y, -y) / (1 + (y * w).exp())
        z.mean().backward()
        return z.detach(), y.detach(), w.grad

    number, kernels = rg.get_num_threads(), rg.get_kernels()
    rg.set_num_threads(threads)
    rg.set_kernels("numpy")  # numba's: test_loops.py
    try:
        compiled = rg.compile(step, fullgraph=True)
        for x in (rg.rand(shape), rg.rand(1009, 521).T, rg.rand(shape)):
            expected = [array(t) for t in step(x)]
            for value, tensor in zip(expected, compiled(x), strict=True):
                np.testing.assert_array_equal(array(tensor), value)
        assert "def fused_1" in compiled.variants[0].source
    finally:
        rg.set_num_threads(number)
        rg.set_kernels(kernels)
