"""Training over the epochs, and gradients over the layers, as figures of matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from retrograd.viz.plots.canvas import Path, finished, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["curves", "gradient_norms"]


def curves(
    history: Mapping[str, Sequence[float]],
    path: Path | None = None,
    *,
    best_epoch: int | None = None,
    title: str = "",
    log: bool = False,
) -> Figure:
    """Curves of values by epoch, training and validation together; drawn into a file too, where a path is given.

    history     values of every epoch by name; names that begin with "train" and "val" and go on alike, such as
                train_loss and val_loss, share a panel, as others do that go on so; epochs count from 1
    best_epoch  an epoch, counted from 0 as in `EarlyStopping.best_epoch`, to be marked
    log         a logarithmic scale
    Raises ImportError without matplotlib, ValueError for a history without values.

    >>> figure = curves({"train_loss": [1.0, 0.5, 0.3], "val_loss": [1.1, 0.8, 0.9]}, best_epoch=1)
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss']
    """
    if not history or not any(len(values) for values in history.values()):
        raise ValueError("curves: the history has no values; give lists of one value per epoch.")
    panels: dict[str, dict[str, Sequence[float]]] = {}
    for name, values in history.items():
        part, _, quantity = name.partition("_")
        known = part in ("train", "training", "val", "valid", "validation", "test") and quantity
        panels.setdefault(quantity if known else name, {})[part if known else name] = values
    figure = new_figure(4.5 * len(panels), 3.2)
    for axes, (quantity, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items()):
        for name, values in lines.items():
            axes.plot(range(1, len(values) + 1), values, marker="." if len(values) <= 50 else "", label=name)
        axes.set(xlabel="epoch", ylabel=quantity.replace("_", " "), yscale="log" if log else "linear")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if best_epoch is not None:
            axes.axvline(best_epoch + 1, color="gray", linestyle="--", linewidth=1, label="best epoch")
        if len(lines) > 1 or best_epoch is not None:
            axes.legend()
        axes.grid(alpha=0.3)
    return _finished(figure, path, title)


def gradient_norms(norms: Mapping[str, float], path: Path | None = None, *, title: str = "gradient norms") -> Figure:
    """Bars on a logarithmic scale, one per parameter from the input to the output: where gradients vanish or explode.

    norms: those of `training.gradient_norms`, or any by name; what is 0 or not finite has no bar and is marked by its
    name. Raises ImportError without matplotlib, ValueError for none.

    >>> figure = gradient_norms({"0.weight": 1e-3, "2.weight": 0.1})
    >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
    ['0.weight', '2.weight']
    """
    if not norms:
        raise ValueError("gradient_norms: no gradients; call backward() before.")
    values = np.array(list(norms.values()), np.float64)
    drawn = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    labels = [name if np.isfinite(bar) else f"{name} ({value:g})" for name, value, bar in zip(norms, values, drawn)]
    figure = new_figure(max(4.0, 0.45 * len(labels) + 1.5), 3.6)
    axes = figure.subplots()
    axes.bar(range(len(labels)), drawn)
    if np.isfinite(drawn).any():
        axes.set_yscale("log")
    axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right")
    axes.set_ylabel("norm of the gradient")
    axes.grid(axis="y", alpha=0.3)
    return _finished(figure, path, title)


def _finished(figure: Figure, path: Path | None, title: str) -> Figure:
    if title:
        figure.suptitle(title)
    return finished(figure, path)
