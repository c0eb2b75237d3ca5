"""What a network, and each of its hidden units, says of every point of a plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrograd.autograd.methods.creation import tensor
from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor
from retrograd.nn import Module
from retrograd.viz.plots.canvas import SIGNED, Path, Values, figure_of, finished, host, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["decision_regions", "unit_maps"]

Model = Callable[[Tensor], Tensor]
"""From points (n, 2) to values (n,) or (n, units)."""


def decision_regions(
    model: Model,
    points: Values,
    labels: Values,
    path: Path | None = None,
    *,
    axes: Axes | None = None,
    threshold: float = 0.5,
    resolution: int = 200,
    title: str = "",
) -> Figure:
    """The regions into which a classifier parts the plane, with the points that it was given.

    model      maps (n, 2) to (n,) or (n, 1), class 1 above `threshold` (0 for logits), or to (n, classes) of which the
               largest wins; a Module is run in evaluation mode on its own device and in the dtype of its parameters
    points     (n, 2); the picture is a tenth larger than what they span
    labels     (n,) or (n, 1), integers
    axes       axes to draw on; without them a figure is made
    Raises ValueError for points or labels of other shapes, ImportError without matplotlib.

    >>> figure = decision_regions(lambda x: x[:, 0] * x[:, 1], [[1, 1], [-1, 1], [1, -1]], [1, 0, 0], threshold=0.0)
    >>> len(figure.axes)
    1
    """
    at, classes = _points("decision_regions", points), host(labels).reshape(-1).astype(int)
    if len(classes) != len(at):
        raise ValueError(f"decision_regions: {len(classes)} labels do not fit {len(at)} points; give one for each.")
    x, y, grid = _grid(at, resolution)
    out = _values(model, grid)
    if axes is None:
        axes = new_figure(4.4, 3.8).subplots()
    if out.shape[1] == 1:
        _draw_two_classes(axes, x, y, out.reshape(x.shape), threshold)
    else:
        _draw_classes(axes, x, y, out.argmax(axis=1).reshape(x.shape), out.shape[1])
    _draw_points(axes, at, classes, max(out.shape[1], 2))
    axes.set(xlabel="$x_1$", ylabel="$x_2$", title=title)
    return finished(figure_of(axes), path)


def unit_maps(
    units: Model,
    points: Values,
    path: Path | None = None,
    *,
    columns: int = 4,
    resolution: int = 100,
    labels: Values | None = None,
) -> Figure:
    """What every unit of a layer says of the plane: a panel for each, red above 0, blue below.

    units   maps (n, 2) to (n, units), for example the first layers of a network
    points  (n, 2); the picture is a tenth larger than what they span
    labels  (n,), to draw the points too
    Raises ValueError for points of another shape, ImportError without matplotlib.

    >>> figure = unit_maps(lambda x: x.relu(), [[-1, -1], [1, 1]])
    >>> [axes.get_title() for axes in figure.axes[:2]]
    ['unit 1', 'unit 2']
    """
    at = _points("unit_maps", points)
    x, y, grid = _grid(at, resolution)
    out = _values(units, grid)
    count, columns = out.shape[1], min(columns, out.shape[1])
    rows = -(-count // columns)
    figure = new_figure(2.2 * columns + 0.8, 2.1 * rows + 0.3)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat
    largest = np.abs(out).max() or 1.0
    for number, panel in enumerate(panels):
        if number >= count:
            panel.set_visible(False)
            continue
        drawn = panel.pcolormesh(
            x, y, out[:, number].reshape(x.shape), cmap=SIGNED, vmin=-largest, vmax=largest, rasterized=True
        )
        if labels is not None:
            _draw_points(panel, at, host(labels).reshape(-1).astype(int), 2, size=5)
        panel.set_title(f"unit {number + 1}", fontsize=10)
    figure.colorbar(drawn, ax=figure.axes, shrink=0.8)
    return finished(figure, path)


def _points(asked: str, points: Values) -> NDArray[Any]:
    at = host(points)
    if at.ndim != 2 or at.shape[1] != 2 or len(at) == 0:
        raise ValueError(f"{asked}: points have shape {at.shape}; give (n, 2), n ≥ 1.")
    return at.astype(np.float64)


def _grid(at: NDArray[Any], resolution: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The coordinates of a grid around the points, each (resolution, resolution), and its points as rows."""
    low, high = at.min(axis=0), at.max(axis=0)
    margin = np.where(high > low, 0.1 * (high - low), 0.5)
    sides = [np.linspace(a, b, resolution) for a, b in zip(low - margin, high + margin)]
    x, y = np.meshgrid(*sides)
    return x, y, np.stack([x.ravel(), y.ravel()], axis=1)


def _values(model: Model, grid: NDArray[Any]) -> NDArray[Any]:
    """What a model says of the rows, (n, units), in evaluation mode; its mode is given back."""
    parameter = next(model.parameters(), None) if isinstance(model, Module) else None
    inputs = tensor(grid.astype(np.float32))
    if parameter is not None:
        inputs = inputs.to(device=parameter.device, dtype=parameter.dtype)
    modes = [(module, module.training) for module in model.modules()] if isinstance(model, Module) else []
    try:
        for module, _ in modes:
            module.training = False
        with no_grad():
            out = host(model(inputs))
    finally:
        for module, training in modes:
            module.training = training
    return out.reshape(len(grid), -1)


def _draw_two_classes(axes: Axes, x: Any, y: Any, values: NDArray[Any], threshold: float) -> None:
    probable = threshold == 0.5 and values.min() >= 0 and values.max() <= 1
    reach = 0.5 if probable else np.abs(values - threshold).max() or 1.0
    axes.pcolormesh(
        x, y, values, cmap=SIGNED, vmin=threshold - reach, vmax=threshold + reach, alpha=0.6, rasterized=True
    )
    if values.min() < threshold < values.max():
        axes.contour(x, y, values, levels=[threshold], colors="black", linewidths=1.5)


def _draw_classes(axes: Axes, x: Any, y: Any, winner: NDArray[Any], classes: int) -> None:
    edges = np.arange(classes + 1) - 0.5
    axes.contourf(x, y, winner, levels=edges, colors=_colours(classes), alpha=0.4)
    axes.contour(x, y, winner, levels=edges[1:-1], colors="black", linewidths=0.8)


def _draw_points(axes: Axes, at: NDArray[Any], classes: NDArray[Any], count: int, size: float = 18) -> None:
    colours = np.array(_colours(max(count, int(classes.max()) + 1)), dtype=object)
    axes.scatter(at[:, 0], at[:, 1], c=list(colours[classes]), s=size, edgecolors="white", linewidths=size / 40)


def _colours(classes: int) -> list[Any]:
    """Two classes as the ends of the map behind them; more as Okabe and Ito's colours (2008), then by hue."""
    if classes == 2:
        return ["#2166ac", "#b2182b"]
    okabe_ito = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#f0e442", "#56b4e9", "#e69f00", "#000000"]
    if classes <= len(okabe_ito):
        return okabe_ito[:classes]
    from matplotlib import colormaps

    return [colormaps["hsv"](k / classes) for k in range(classes)]
