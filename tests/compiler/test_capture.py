"""Stretches of compiled steps as CUDA graphs: the numbers stay, whatever changes between launches.

The strict device runs nothing while a stream captures, launches into the same memory, and stops at memory that was
given back (tests/strict_cupy/streams.py). On a machine with a GPU the same tests run there.
"""

import contextlib
import gc
import threading
import weakref

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.backends import backend_of, flags
from retrograd.compiler import capture
from tests.autograd.factory import host, tensor_of
from tests.compiler.test_every_function import REASONS, SUBJECTS, stepping
from tests.compiler.test_layers import NETWORKS, classifier
from tests.compiler.training import array, classifying, compared, same, state
from tests.strict_cupy.plugin import graphs_of

CALLS = 6
"""One that records, two that warm up, the capture, and launches."""
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _indices_are_not_looked_at():
    flags.check_index_arrays(False)
    yield
    flags.check_index_arrays(True)


@pytest.fixture
def launches(gpu, monkeypatch):
    """Counts the launches of graphs."""
    graphs, count = graphs_of(gpu), []
    launch = graphs.Graph.launch
    monkeypatch.setattr(graphs.Graph, "launch", lambda *args: count.append(args[0]) or launch(*args))
    return count


def batches(shape, count=CALLS):
    return [
        (rg.tensor(RNG.standard_normal(shape, np.float32)), rg.tensor(RNG.integers(0, 2, shape[0])))
        for _ in range(count)
    ]


def tolerance():
    """The strict device computes in the same order; cuBLAS called directly may take another one than CuPy's calls."""
    return 0.0 if rg.get_default_device().type == "strict" else 1e-4


def alike(found, expected):
    np.testing.assert_allclose(found, expected, tolerance(), tolerance())


def captured(function, **options):
    return rg.compile(function, mode="reduce-overhead", fullgraph=True, **options)


NOT_CAPTURED = {"upsampled": {"resample": "it copies from the host"}}
"""The weights of an interpolation are made on the host."""


@pytest.mark.filterwarnings("ignore:.*is compiled, but:UserWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_trains_the_same_captured(name, gpu, launches):
    network, shape = NETWORKS[name]
    step = compared(
        classifier(network), batches(shape, CALLS + 4 * (name in NOT_CAPTURED)), tolerance(), mode="reduce-overhead"
    )
    assert step.uncaptured == NOT_CAPTURED.get(name, {})
    assert launches


@pytest.mark.filterwarnings("ignore:.*is (not compiled|compiled, but):UserWarning")
def test_every_function_gives_the_same_values_and_gradients_captured(gpu, monkeypatch, launches):
    monkeypatch.setattr(capture, "LAUNCHES", 1)
    for subject in SUBJECTS:
        shapes, keywords = next(iter(subject.cases()))
        step = stepping(subject, keywords)
        compiled = rg.compile(step, mode="reduce-overhead")
        for scale in range(1, CALLS + 1):
            arrays = subject.arrays(shapes, np.float32)
            tensors = [tensor_of(a if a.dtype.kind != "f" else a / np.float32(scale), gpu) for a in arrays]
            for expected, found in zip(step(*tensors), compiled(*tensors), strict=True):
                np.testing.assert_allclose(host(found), host(expected), rtol=1e-5, atol=1e-5, err_msg=str(subject))
                assert found.dtype == expected.dtype
            if compiled.reason is not None:
                assert any(reason in compiled.reason for reason in REASONS), compiled.reason
                break
    assert len(launches) > 2 * len(SUBJECTS)


# ---- what may change between launches


def classifier_of(width=6, optimizer="SGD", **options):
    """A network, its optimizer, and a step that is captured."""
    rg.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))
    optimizing = getattr(rg.optim, optimizer)(model.parameters(), **{"lr": 0.1, **options})
    return model, optimizing, classifying(model, optimizing)


def both(change=lambda model, optimizer, call: None, calls=CALLS, shape=(4, 6), **options):
    """Trains plain and captured, with something changed before each call; both steps leave the same behind."""
    given = batches(shape, calls)
    plain_model, plain_optimizer, plain = classifier_of(**options)
    model, optimizer, step = classifier_of(**options)
    step = captured(step)
    for call, batch in enumerate(given):
        change(plain_model, plain_optimizer, call)
        change(model, optimizer, call)
        alike(array(step(*batch)), array(plain(*batch)))
        same(state(plain_model, plain_optimizer), state(model, optimizer), tolerance())
    return model, step


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_the_learning_rate_may_change(gpu, launches, optimizer):
    def change(model, optimizer, call):
        optimizer.param_groups[0]["lr"] = 0.1 / (1 + call)

    both(change, optimizer=optimizer)
    assert len(launches) == CALLS - 3


def test_parameters_may_be_changed_in_place(gpu, launches):
    def change(model, optimizer, call):
        with rg.no_grad():
            model[2].weight.mul_(0.9)

    both(change)
    assert len({id(graph) for graph in launches}) == 1


def test_a_parameter_that_moves_is_captured_anew_once(gpu, launches):
    def change(model, optimizer, call):
        if call > 3:
            model[4].bias.data = model[4].bias.data.clone()

    both(change, calls=8)
    assert len({id(graph) for graph in launches}) == 2


def test_gradients_may_be_added_up_over_several_calls(gpu, launches):
    model = nn.Linear(6, 2)
    batch = batches((4, 6), 1)[0]

    def step(x, y):
        for _ in range(3):
            nn.functional.cross_entropy(model(x).tanh(), y).backward()

    step(*batch)
    once = array(model.weight.grad)
    model.weight.grad = model.bias.grad = None
    step = captured(step)
    for call in range(1, CALLS + 1):
        step(*batch)
        np.testing.assert_allclose(array(model.weight.grad), call * once, rtol=1e-5)
    assert launches


def test_results_and_gradients_keep_their_values_as_long_as_they_are_held(gpu, launches):
    model, _, step = classifier_of()
    step, held = captured(step), []
    for batch in batches((4, 6), 9):
        loss = step(*batch)
        held.append((loss, array(loss), model[0].weight.grad, array(model[0].weight.grad)))
    for loss, value, grad, numbers in held:
        np.testing.assert_array_equal(array(loss), value)
        np.testing.assert_array_equal(array(grad), numbers)
    assert len({float(value) for _, value, _, _ in held}) == 9


def test_a_result_that_shows_another_shows_it_still(gpu, launches):
    @captured
    def spread(x):
        for _ in range(8):
            x = x * 1.5
        return x, x[0], x.T

    with rg.no_grad():
        for _ in range(CALLS):
            whole, row, turned = spread(rg.ones(2, 3))
            whole.mul_(0)
            assert float(row.sum()) == float(turned.sum()) == 0
    assert launches


def test_large_results_have_memory_of_their_own(gpu, launches):
    n = graphs_of(gpu).SMALL // 4 + 1

    @captured
    def powers(x):
        y = x
        for _ in range(8):
            y = y * x
        return y, y.sum(), y[:2].exp()

    for k in range(1, CALLS + 1):
        before = len(launches)
        y, total, few = powers(rg.full((n,), 1.0 / k))
        expected = np.full(n, np.float32(1 / k)) ** 9
        np.testing.assert_allclose(array(y), expected, rtol=1e-5)
        np.testing.assert_allclose(array(total), expected.sum(), rtol=1e-4)
        np.testing.assert_allclose(array(few), np.exp(expected[:2]), rtol=1e-5)
        if len(launches) > before:
            assert few._array.data.mem is total._array.data.mem
            assert few._array.data.mem is not y._array.data.mem
    assert launches


def test_an_argument_that_is_changed_in_place_is_changed_for_the_caller(gpu, launches):
    @captured
    def shift(x, by):
        for _ in range(9):
            x += by
        return x * 2

    for k in range(CALLS):
        x = rg.full((3,), float(k))  # in memory of its own at every call
        assert shift(x, rg.ones(3)).tolist() == [2.0 * k + 18] * 3
        assert x.tolist() == [k + 9.0] * 3
    assert launches


def test_an_argument_that_shows_what_the_step_changes_sees_the_change(gpu, launches):
    @captured
    def shift(x, shown):
        for _ in range(9):
            x += 1
        return shown * 2

    for _ in range(2):  # once where they stay, once where they move: then the graph cannot follow
        x = rg.zeros(4)
        for k in range(1, CALLS):
            assert shift(x, x[2:]).tolist() == [18.0 * k] * 2
        with pytest.warns(UserWarning, match="shares its memory") if not shift.uncaptured else contextlib.nullcontext():
            moved = rg.zeros(4)
            assert shift(moved, moved[2:]).tolist() == [18.0] * 2
    assert launches


def test_strides_of_arguments_are_seen(gpu, launches):
    @captured
    def total(x):
        for _ in range(8):
            x = x + 1
        return x.sum(0)

    for k in range(2 * CALLS):
        x = rg.arange(12.0).reshape(3, 4) * k
        for view in (x.T, x[:, 1:3], x[::2], x[:1].expand(3, 4)):
            np.testing.assert_allclose(array(total(view)), (array(view) + 8).sum(0), rtol=1e-6)
    assert len(total.variants) == 4


def test_a_result_that_shows_an_argument_shows_it_still(gpu, launches):
    @captured
    def turned(x):
        y = x
        for _ in range(8):
            y = y * 2
        return y, x.T

    for _ in range(CALLS):
        x = rg.ones(2, 3)
        y, shown = turned(x)
        x.mul_(3)
        assert y.sum().item() == 6 * 256
        assert shown.sum().item() == 18
    assert launches
    assert turned.uncaptured == {}


def test_many_small_arrays_are_joined_within_a_graph(gpu, launches):
    @captured
    def joined(x):
        return rg.stack([x * k for k in range(20)]), rg.cat([x * k for k in range(9)])

    for k in range(CALLS):
        stacked, laid = joined(rg.full((2,), float(k)))
        assert stacked[:, 1].tolist() == [float(k * i) for i in range(20)]
        assert laid[1::2].tolist() == [float(k * i) for i in range(9)]
    assert joined.uncaptured == {}
    assert launches


def test_what_is_read_before_a_change_in_place_is_read_before_it(gpu, launches):
    def make(step):
        w = rg.ones(2)

        @step
        def scaled(x):
            factor = rg.linalg.det(x * 1)  # outside of graphs, and so later than all kernels that need not wait
            y = w * factor
            for _ in range(8):
                w.add_(1)
            for _ in range(8):
                y = y * 2
            return y + w

        return scaled

    plain, graphed = make(lambda f: f), make(captured)
    for k in range(1, CALLS + 1):
        np.testing.assert_allclose(array(graphed(rg.eye(2) * k)), array(plain(rg.eye(2) * k)), rtol=1e-6)
    assert launches


def test_class_weights_may_change_in_place_and_may_move(gpu, launches):
    def make(step):
        model, optimizer, _ = classifier_of()
        weight = rg.ones(2)

        @step
        def weighted(x, y):
            optimizer.zero_grad()
            weight.mul_(0.5)
            loss = nn.functional.cross_entropy(model(x), y, weight=weight)
            loss.backward()
            optimizer.step()
            return loss

        return model, weight, weighted

    plain_model, plain_weight, plain = make(lambda f: f)
    model, weight, graphed = make(captured)
    for k, batch in enumerate(batches((4, 6), 2 * CALLS)):
        for w in (plain_weight, weight):
            w.data = rg.tensor([1.0, 2.0 + k])
        alike(array(graphed(*batch)), array(plain(*batch)))
    for a, b in zip(plain_model.parameters(), model.parameters(), strict=True):
        alike(array(b), array(a))
    assert launches


def test_a_step_that_values_take_another_way_has_drawn_nothing_yet(gpu, launches):
    """Targets that are computed decide whether the program holds, after kernels and before any draw."""

    def make(step):
        model, optimizer, _ = classifier_of()

        @step
        def noisy(x, y):
            loss = nn.functional.cross_entropy(nn.functional.dropout(model(x), 0.5), y - 1)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return noisy

    given = [(x, y + 1) for x, y in batches((4, 6), 2 * CALLS)]
    given[CALLS] = given[CALLS][0], rg.tensor([-99, 1, 2, 1])  # -100 does not count
    history = []
    for step in (make(lambda f: f), make(captured)):
        rg.manual_seed(5)
        history.append([(array(step(*batch)), array(rg.get_rng_state())) for batch in given])
    for (expected, before), (found, after) in zip(*history, strict=True):
        alike(found, expected)
        np.testing.assert_array_equal(before, after)
    assert launches


def test_dropout_draws_from_the_stream_as_it_does_uncompiled(gpu, launches):
    drop = nn.Dropout(0.5)

    def noisy(x):
        for _ in range(3):
            x = drop(x * 2 + 1).T
        return x.sum(1)

    with rg.no_grad():
        rg.manual_seed(7)
        expected = [array(noisy(rg.ones(3, 4))) for _ in range(CALLS)]
        rg.manual_seed(7)
        step = captured(noisy)
        for value in expected:
            np.testing.assert_array_equal(array(step(rg.ones(3, 4))), value)
    assert len(launches) == CALLS - 3  # all draws come before the one graph
    assert step.source.count("def graph_") == 1


def test_a_second_shape_has_a_graph_of_its_own(gpu, launches):
    model, optimizer, step = classifier_of()
    plain_model, plain_optimizer, plain = classifier_of()
    step = captured(step)
    for small, large in zip(batches((2, 6), 8), batches((5, 6), 8), strict=True):
        for batch in (small, large):
            alike(array(step(*batch)), array(plain(*batch)))
    same(state(plain_model, plain_optimizer), state(model, optimizer), tolerance())
    assert len({id(graph) for graph in launches}) == len(step.variants) == 2


def test_a_model_alone_is_captured_forward_and_backward(gpu, launches):
    rg.manual_seed(0)
    model = nn.Sequential(*(layer for _ in range(5) for layer in (nn.Linear(6, 6), nn.Tanh())))
    compiled = rg.compile(model, mode="reduce-overhead")
    held = []
    for k in range(1, CALLS + 1):
        x = rg.full((2, 6), 1.0 / k)
        grads = []
        for one in (model, compiled):
            y = one(x)
            model.zero_grad()
            y.square().sum().backward()
            grads.append([array(p.grad) for p in model.parameters()])
            held.append((y, array(y)))
        for a, b in zip(*grads, strict=True):
            alike(b, a)
    for y, value in held:
        np.testing.assert_array_equal(array(y), value)
    assert len({id(graph) for graph in launches}) == 2


def test_clipping_by_the_norm_stays_exact(gpu, launches):
    def make():
        model, optimizer, _ = classifier_of()

        def step(x, y):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.01)
            optimizer.step()
            return loss

        return model, optimizer, step

    compared(make, batches((4, 6)), tolerance(), mode="reduce-overhead")
    assert len({id(graph) for graph in launches}) == 2  # the gradients, their norm


def test_what_cannot_be_handed_out_is_not_captured(gpu):
    failures = []
    made = graphs_of(gpu).Captured(lambda x: (x[1:], x + 1), (), failures.append)
    xp = backend_of(gpu)
    for k in range(CALLS):
        x = xp.full((3,), float(k))
        shown, more = made(x)
        assert xp.to_host(shown).tolist() == [k, k]
        assert xp.to_host(more).tolist() == [k + 1] * 3
    assert [str(error) for error in failures] == ["a result is a view of an input"]


# ---- where and when


def test_every_stream_sees_the_work_of_the_last_one(gpu, launches):
    @captured
    def grow(x):
        for _ in range(8):
            x = x @ x
        return x

    cp = graphs_of(gpu).cp
    streams = [cp.cuda.Stream(non_blocking=True) for _ in range(2)]
    x = rg.eye(2)
    cp.cuda.Device().synchronize()
    results = []
    for k in range(2 * CALLS):
        with streams[k % 2]:
            results.append(grow(x))
    cp.cuda.Device().synchronize()
    assert all(y.tolist() == [[1.0, 0.0], [0.0, 1.0]] for y in results)
    assert launches


def test_threads_do_not_mix_their_inputs(gpu, launches):
    @captured
    def grow(x):
        for _ in range(8):
            x = x * 2
        return x

    grow(rg.ones(3))
    wrong = []

    def work(number):
        with gpu:
            for k in range(20):
                value = float(number * 100 + k)
                if grow(rg.full((3,), value)).tolist() != [value * 256] * 3:
                    wrong.append(value)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert launches


def test_on_another_gpu_it_runs_uncaptured(gpu, launches):
    if backend_of(gpu).device_count() < 2:
        pytest.skip("there is one GPU only")

    @captured
    def grow(x):
        for _ in range(8):
            x = x * 2
        return x

    for index in (0, 0, 0, 0, 0, 1, 0, 1):
        with rg.device(f"{gpu.type}:{index}"):
            assert grow(rg.ones(2)).tolist() == [256.0] * 2
    assert len(launches) == 3


def test_the_memory_of_a_step_that_is_gone_is_released(gpu, launches):
    step = captured(classifier_of()[2])
    for batch in batches((4, 6)):
        step(*batch)
    graph = weakref.ref(launches[0])  # which holds the one reference to its pool
    launches.clear()
    del step
    gc.collect()
    assert graph() is None


# ---- what is not captured


def test_on_the_cpu_the_mode_changes_nothing():
    _, _, step = classifier_of()
    plain, step = rg.compile(step), captured(step)
    batch = batches((4, 6), 1)[0]
    plain(*batch)
    step(*batch)
    assert step.source == plain.source
    assert step.uncaptured == plain.uncaptured == {}


def test_without_the_mode_nothing_is_captured(gpu, launches):
    step = rg.compile(classifier_of()[2])
    for batch in batches((4, 6)):
        step(*batch)
    assert not launches
    assert "graph" not in step.source


def test_modes_that_are_not_there_raise():
    assert rg.compile(len, mode="default").graphs is None
    with pytest.raises(RuntimeError, match="'swift' is unknown; there are 'default', 'reduce-overhead'"):
        rg.compile(len, mode="swift")
    with pytest.raises(NotImplementedError, match="max-autotune"):
        rg.compile(len, mode="max-autotune")
    assert rg.compile(mode="reduce-overhead")(len).graphs is not None


def test_too_few_kernels_are_not_captured_and_a_warning_says_so(gpu, launches):
    double = captured(lambda x: x * 2 + 1)
    with pytest.warns(UserWarning, match=r"<lambda> is compiled, but a program is not captured.*8 kernels"):
        double(rg.ones(2))
    for _ in range(CALLS):
        assert double(rg.ones(2)).tolist() == [3.0, 3.0]
    assert not launches
    assert list(double.uncaptured) == ["a program"]


def test_an_operation_that_waits_for_the_gpu_stays_outside_and_the_rest_is_captured(gpu, launches):
    @captured
    def ranked(x):
        for _ in range(8):
            x = x * 1.5
        middle = x.median()
        for _ in range(8):
            x = x - middle
        return x

    expected = np.array([1, 2, 4], np.float32) * np.float32(1.5) ** 8
    with pytest.warns(UserWarning, match="ranked is compiled, but median is not captured.*capturing"):
        results = [array(ranked(rg.tensor([1.0, 2.0, 4.0]))) for _ in range(2 * CALLS)]
    for found in results:
        np.testing.assert_allclose(found, expected - 8 * expected[1], rtol=1e-5)
    assert list(ranked.uncaptured) == ["median"]
    assert ranked.source.count("def graph_") == 2
    assert launches


def test_without_cublas_products_stay_outside(gpu, launches, monkeypatch):
    graphs = graphs_of(gpu)
    monkeypatch.setattr(graphs, "lanes", {})
    monkeypatch.setattr(graphs, "Products", lambda: (_ for _ in ()).throw(OSError("libcublas is not there")))

    @captured
    def product(x):
        for _ in range(8):
            x = x + 1
        y = x @ x
        for _ in range(8):
            y = y + 1
        return y

    with pytest.warns(UserWarning, match="matmul is not captured.*cuBLAS"):
        results = [product(rg.zeros(2, 2)).tolist() for _ in range(2 * CALLS)]
    assert all(found == [[136.0] * 2] * 2 for found in results)
    assert launches
    assert list(product.uncaptured) == ["matmul"]


def test_a_capture_that_fails_as_a_whole_leaves_a_step_that_runs(gpu, launches, monkeypatch):
    graphs = graphs_of(gpu)

    def fails(*args):
        raise RuntimeError("cudaErrorNotSupported")

    monkeypatch.setattr(graphs.cp.cuda.Stream, "begin_capture", fails)
    with pytest.warns(UserWarning, match="a part of it is not captured in a CUDA graph: cudaErrorNotSupported"):
        _, step = both()
    assert step.uncaptured == {"a part of it": "cudaErrorNotSupported"}
    assert not launches


def test_inputs_from_ever_new_addresses_end_the_attempts(gpu, launches):
    def change(model, optimizer, call):
        if call > 3:
            moving = list(model.parameters())[call % 6]
            moving.data = moving.data.clone()

    with pytest.warns(UserWarning, match="ever new addresses"):
        both(change, calls=12)
    assert len({id(graph) for graph in launches}) == graphs_of(gpu).CAPTURES
