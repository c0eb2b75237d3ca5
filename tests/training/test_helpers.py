"""When to stop, how good a classifier is, what its gradients look like, which parameters are best."""

import math
import sys

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn, training
from tests.data.errors import raises_clearly


def host(t):
    return t.detach().cpu().numpy()


# ---- stopping


def test_patience_counts_epochs_without_improvement_by_min_delta():
    stopping = training.EarlyStopping(patience=2, min_delta=0.1)
    assert [stopping.step(v) for v in (1.0, 0.95, 0.85, 0.8, 0.79)] == [False, False, False, False, True]
    assert (stopping.best, stopping.best_epoch, stopping.waited) == (0.85, 2, 2)


def test_accuracies_are_stopped_by_their_maximum_and_nan_is_no_improvement():
    stopping = training.EarlyStopping(patience=2, mode="max")
    assert [stopping.step(rg.tensor(v)) for v in (0.5, math.nan, 0.6, 0.55, math.nan)] == [False] * 4 + [True]
    assert stopping.best == pytest.approx(0.6)


def test_a_value_that_is_always_nan_stops_too():
    stopping = training.EarlyStopping(patience=3)
    assert [stopping.step(math.nan) for _ in range(3)] == [False, False, True]


def test_the_model_gets_the_state_of_its_best_epoch_back(device):
    model = nn.Linear(1, 1, device=device)
    stopping = training.EarlyStopping(patience=5)
    for value, weight in ((3.0, 1.0), (1.0, 2.0), (2.0, 3.0)):
        nn.init.constant_(model.weight, weight)
        stopping.step(value, model)
    stopping.restore(model)
    assert model.weight.item() == 2.0
    nn.init.constant_(model.weight, 9.0)
    stopping.restore(model)
    assert model.weight.item() == 2.0


def test_stopping_goes_on_from_its_state():
    first, second = training.EarlyStopping(2), training.EarlyStopping(2)
    first.step(1.0)
    first.step(2.0)
    second.load_state_dict(first.state_dict())
    assert first.step(3.0) is second.step(3.0) is True
    assert second.best == 1.0


# ---- measures


def test_accuracy_and_top_k_count_the_samples_found(device, rng):
    scores, targets = rng.normal(size=(50, 6)), rng.integers(0, 6, 50)
    s, t = rg.tensor(scores, device=device), rg.tensor(targets, device=device)
    ranks = (scores > scores[np.arange(50), targets][:, None]).sum(1)
    for k in range(1, 7):
        assert training.accuracy(s, t, k) == (ranks < k).mean()
    assert math.isnan(training.accuracy(s[:0], t[:0]))


def test_a_confusion_matrix_counts_every_pair(device, rng):
    given, true = rng.integers(0, 4, 100), rng.integers(0, 4, 100)
    expected = np.zeros((5, 5), int)
    np.add.at(expected, (true, given), 1)
    p, t = rg.tensor(given, device=device), rg.tensor(true, device=device)
    matrix = training.confusion_matrix(p, t, num_classes=5)
    np.testing.assert_array_equal(host(matrix), expected)
    assert matrix.dtype == rg.int64
    scores = rg.tensor(np.eye(5)[given], device=device)
    np.testing.assert_array_equal(host(training.confusion_matrix(scores, t)), expected)
    np.testing.assert_array_equal(host(training.confusion_matrix(p, t)), expected[:4, :4])


def test_precision_recall_and_f1_equal_scikit_learns(rng):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn has them too")
    given, true = rng.integers(0, 4, 100), rng.integers(0, 3, 100)  # class 3 never occurs
    expected = metrics.precision_recall_fscore_support(true, given, labels=range(5), zero_division=0)
    scores = training.precision_recall_f1(training.confusion_matrix(rg.tensor(given), rg.tensor(true), 5))
    for ours, theirs in zip(scores, expected[:3], strict=True):
        np.testing.assert_allclose(host(ours), theirs, rtol=1e-12)


# ---- gradients


def test_gradient_norms_are_those_of_each_parameter_and_print_as_a_table(device):
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(device)
    assert len(training.gradient_norms(net)) == 0
    net(rg.ones(5, 3, device=device)).square().sum().backward()
    report = training.gradient_norms(net)
    assert list(report) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    for name, parameter in net.named_parameters():
        assert report[name] == pytest.approx(np.linalg.norm(host(parameter.grad)), rel=1e-5)
    assert report.rows[0].largest == pytest.approx(np.abs(host(net[0].weight.grad)).max())
    assert report.ratios() == {
        "0.weight": pytest.approx(report["0.weight"] / report["2.weight"]),
        "0.bias": pytest.approx(report["0.bias"] / report["2.bias"]),
    }
    head, *rows = str(report).splitlines()
    assert head.split() == ["parameter", "shape", "norm", "gradient", "largest"]
    assert [row.split()[0] for row in rows] == list(report)
    assert len({len(line) for line in str(report).splitlines()}) == 1


def test_what_overflowed_is_named(device):
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)).to(device)
    assert training.nonfinite(net) == {}
    net(rg.full((1, 2), 1e38, device=device)).mul(1e30).sum().backward()
    found = training.nonfinite(net)
    assert set(found) <= {f"{name}.grad" for name, _ in net.named_parameters()}
    assert "0.weight.grad" in found
    net[1].bias.data.fill_(float("nan"))
    assert training.nonfinite(net)["1.bias"] == "1 NaN, 0 infinite of 1"


# ---- search

optuna = pytest.importorskip("optuna", reason="search runs on Optuna, in the extra search")


def test_a_grid_tries_every_combination_once():
    result = training.search(lambda p: p["a"] * p["b"], {"a": [1, 2, 3], "b": [-1, 1]}, "grid")
    tried = sorted((p["a"], p["b"]) for p, _ in result.trials)
    assert tried == [(a, b) for a in (1, 2, 3) for b in (-1, 1)]
    assert (result.parameters, result.value) == ({"a": 3, "b": -1}, -3.0)


@pytest.mark.parametrize("method", ["random", "tpe"])
def test_drawn_parameters_lie_in_their_space_and_the_seed_repeats_them(method):
    space = {"x": training.Float(1e-4, 1e-1, log=True), "n": training.Integer(4, 12, step=4), "act": ["relu", "tanh"]}
    runs = [training.search(lambda p: abs(math.log10(p["x"]) + 2), space, method, trials=30, seed=s) for s in (1, 1, 2)]
    assert runs[0].trials == runs[1].trials != runs[2].trials
    for parameters, _ in runs[0].trials:
        assert 1e-4 <= parameters["x"] <= 1e-1
        assert parameters["n"] in (4, 8, 12)
        assert parameters["act"] in ("relu", "tanh")
    assert sum(p["x"] < 1e-2 for p, _ in runs[0].trials) > 5
    assert 10**-2.5 < runs[0].parameters["x"] < 10**-1.5


def test_the_largest_value_is_found_when_asked_for():
    assert training.search(lambda p: p["x"], {"x": [1, 5, 3]}, "grid", direction="maximize").parameters == {"x": 5}


def test_trials_without_a_number_are_passed_over():
    result = training.search(lambda p: math.nan if p["x"] == 1 else p["x"], {"x": [1, 2]}, "grid")
    assert result.parameters == {"x": 2}
    with raises_clearly(ValueError, "none of 2 trials"):
        training.search(lambda p: math.nan, {"x": [1, 2]}, "grid")


def test_optuna_is_quiet_and_its_verbosity_stays(capsys):
    before = optuna.logging.get_verbosity()
    training.search(lambda p: p["x"], {"x": [1]}, "grid")
    assert optuna.logging.get_verbosity() == before
    assert capsys.readouterr() == ("", "")


def test_without_optuna_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with raises_clearly(ImportError, r"pip install 'retrograd\[search\]'"):
        training.search(lambda p: 0.0, {"x": [1]})


S, T = rg.zeros(3, 4), rg.zeros(3, dtype=rg.int64)
BAD = [
    (lambda: training.EarlyStopping(patience=0), ValueError, "at least 1"),
    (lambda: training.EarlyStopping(mode="best"), ValueError, "'min' or 'max'"),
    (lambda: training.EarlyStopping(min_delta=-1), ValueError, "not be negative"),
    (lambda: training.EarlyStopping().restore(nn.Linear(1, 1)), RuntimeError, r"step\(value, model\)"),
    (lambda: training.accuracy(S, T[:2]), ValueError, r"got \(3, 4\) and \(2,\)"),
    (lambda: training.accuracy(S, S[:, 0]), ValueError, "integers, got float32"),
    (lambda: training.accuracy(S, T, 5), ValueError, "from 1 to 4"),
    (lambda: training.confusion_matrix(T, T[:2]), ValueError, "do not fit"),
    (lambda: training.confusion_matrix(T + 3, T, 3), ValueError, "0 to 2, got 0 to 3"),
    (lambda: training.confusion_matrix(T - 1, T), ValueError, "got -1 to 0"),
    (lambda: training.precision_recall_f1(S), ValueError, r"got shape \(3, 4\)"),
    (lambda: training.search(len, {}), ValueError, "space is empty"),
    (lambda: training.search(len, {"x": [1]}, "best"), ValueError, "one of grid, random, tpe"),
    (lambda: training.search(len, {"x": [1]}, direction="up"), ValueError, "'maximize'"),
    (lambda: training.search(len, {"x": [1]}, trials=0), ValueError, "at least 1"),
    (lambda: training.search(len, {"x": training.Float(0, 1)}, "grid"), ValueError, "a list of choices"),
    (lambda: training.search(len, {"x": training.Float(0, 1, log=True)}), ValueError, "above 0"),
    (lambda: training.search(len, {"x": training.Integer(3, 1)}), ValueError, "in order"),
    (lambda: training.search(len, {"x": "abc"}), ValueError, "a Float or an Integer"),
    (lambda: training.search(len, {"x": []}), ValueError, "a Float or an Integer"),
]


@pytest.mark.parametrize(("make", "kind", "words"), BAD)
def test_bad_arguments_raise_one_clear_error(make, kind, words):
    with raises_clearly(kind, words):
        make()
