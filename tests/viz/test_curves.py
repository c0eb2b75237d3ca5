"""Curves of a training and bars of its gradients."""

import math
import sys

import pytest

from retrograd import viz
from tests.data.errors import raises_clearly

pytest.importorskip("matplotlib", reason="matplotlib draws")


def test_training_and_validation_share_a_panel_and_the_best_epoch_is_marked(tmp_path):
    history = {"train_loss": [3.0, 2.0], "val_loss": [3.5, 3.0], "val_accuracy": [0.1, 0.2], "lr": [1e-3, 1e-4]}
    figure = viz.curves(history, tmp_path / "curves.png", best_epoch=1, title="a run", log=True)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy", "lr"]
    train, val, best = figure.axes[0].lines
    assert (train.get_label(), list(train.get_xdata()), list(train.get_ydata())) == ("train", [1, 2], [3.0, 2.0])
    assert list(val.get_ydata()) == [3.5, 3.0]
    assert list(best.get_xdata()) == [2, 2]
    assert figure.axes[0].get_yscale() == "log"
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_gradients_that_vanished_or_overflowed_are_named_without_a_bar(tmp_path):
    norms = {"0.weight": 1e-6, "1.weight": 0.0, "2.weight": math.inf, "3.weight": 2.0}
    figure = viz.gradient_norms(norms, tmp_path / "norms.svg")
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0.weight", "1.weight (0)", "2.weight (inf)", "3.weight"]
    heights = [bar.get_height() for bar in axes.patches]
    assert (heights[0], heights[3]) == (1e-6, 2.0)
    assert math.isnan(heights[1])
    assert axes.get_yscale() == "log"
    assert (tmp_path / "norms.svg").stat().st_size > 1000


def test_nothing_to_draw_and_no_matplotlib_are_clear_errors(monkeypatch):
    with raises_clearly(ValueError, "no values"):
        viz.curves({"loss": []})
    with raises_clearly(ValueError, "no gradients"):
        viz.gradient_norms({})
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with raises_clearly(ImportError, r"retrograd\[viz\]"):
        viz.curves({"loss": [1.0]})
