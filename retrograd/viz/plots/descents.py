"""Paths of optimizers on a surface over the plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.autograd.methods.creation import tensor
from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor
from retrograd.viz.plots.canvas import Path, Values, figure_of, finished, host, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["descents"]

Bounds = tuple[float, float, float, float]


def descents(
    function: Callable[[Tensor, Tensor], Tensor],
    paths: Mapping[str, Values],
    bounds: Bounds,
    path: Path | None = None,
    *,
    minimum: tuple[float, float] | None = None,
    axes: Axes | None = None,
    log: bool = True,
    resolution: int = 200,
    title: str = "",
) -> Figure:
    """Level lines of a function of two variables, and the paths taken down on it.

    function  of x and y, elementwise: it is called once with all points of a grid
    paths     positions (steps + 1, 2) by name; what leaves the picture, or is not finite, is cut off
    bounds    x from, x to, y from, y to
    minimum   where a star is drawn
    log       levels at equal ratios above the lowest value, for narrow valleys; otherwise at equal distances
    Raises ValueError for paths of another shape, ImportError without matplotlib.

    >>> figure = descents(lambda x, y: x * x + 10 * y * y, {"down": [[1, 1], [0, 0]]}, (-2, 2, -2, 2), minimum=(0, 0))
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['down']
    """
    x, y = np.meshgrid(np.linspace(*bounds[:2], resolution), np.linspace(*bounds[2:], resolution))
    with no_grad():
        height = host(function(tensor(x), tensor(y))).reshape(x.shape)
    if axes is None:
        axes = new_figure(5.0, 4.2).subplots()
    shown = np.log10(height - height.min() + 1e-3 * np.ptp(height)) if log else height
    looks: dict[str, Any] = {"aspect": "auto", "cmap": "Greys_r", "alpha": 0.5, "interpolation": "bilinear"}
    axes.imshow(shown, extent=bounds, origin="lower", **looks)
    axes.contour(x, y, shown, levels=12, colors="white", linestyles="solid", linewidths=0.6)
    for number, (name, positions) in enumerate(paths.items()):
        at = host(positions).astype(np.float64)
        if at.ndim != 2 or at.shape[1] != 2:
            raise ValueError(f"descents: the path {name!r} has shape {at.shape}; give (steps + 1, 2).")
        at[~np.isfinite(at).all(axis=1)] = np.nan
        axes.plot(*at.T, ".-", color=f"C{number % 10}", markersize=3, linewidth=1.2, label=name)
        axes.plot(*at[0], "o", color="black", markersize=5)
    if minimum is not None:
        axes.plot(*minimum, "*", color="gold", markeredgecolor="black", markersize=13)
    axes.set(xlim=bounds[:2], ylim=bounds[2:], xlabel="x", ylabel="y", title=title)
    if len(paths) > 1:  # beside the picture, where it hides no path
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    else:
        axes.legend(fontsize=8, loc="upper left")
    return finished(figure_of(axes), path)
