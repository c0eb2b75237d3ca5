"""How gradients come through the depth of networks, several compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrograd.nn import Module
from retrograd.viz.plots.canvas import Path, figure_of, finished, host, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["gradient_flow"]


def gradient_flow(
    models: Mapping[str, Module], path: Path | None = None, *, axes: Axes | None = None, title: str = ""
) -> Figure:
    """Mean sizes of the gradients of the weights, from the input (left) to the output, a line for each model.

    Weights are the parameters with at least two axes. The band reaches from the 10th to the 90th percentile of the
    sizes that are not 0. The scale is logarithmic; a layer whose gradients are all 0 leaves a gap.
    models: models by name, after `backward()`.
    Raises ValueError for a model whose weights have no gradients, ImportError without matplotlib.

    >>> from retrograd import nn, ones
    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    >>> net(ones(1, 2)).sum().backward()
    >>> len(gradient_flow({"two layers": net}).axes[0].lines)
    1
    """
    if axes is None:
        axes = new_figure(6.0, 3.4).subplots()
    for name, model in models.items():
        sizes = [np.abs(host(p.grad)).ravel() for p in model.parameters() if p.ndim >= 2 and p.grad is not None]
        if not sizes:
            raise ValueError(f"gradient_flow: no weight of {name!r} has a gradient; call backward() before.")
        depth = np.arange(1, len(sizes) + 1)
        mean, low, high = np.array([_spread(size) for size in sizes]).T
        (line,) = axes.plot(depth, mean, marker=".", label=name)
        axes.fill_between(depth, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set(xlabel="layer with weights, from the input", ylabel="|gradient|", yscale="log", title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return finished(figure_of(axes), path)


def _spread(sizes: NDArray[Any]) -> tuple[float, float, float]:
    """The mean, and the 10th and 90th percentiles of what is not 0; NaN where all is."""
    some = sizes[sizes > 0]
    if not some.size:
        return np.nan, np.nan, np.nan
    low, high = np.quantile(some, [0.1, 0.9])
    return float(sizes.mean()), float(low), float(high)
