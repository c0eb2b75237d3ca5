"""How values are spread, layer by layer: activations, weights, gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from retrograd.viz.plots.canvas import Path, Values, figure_of, finished, host, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["distributions"]


def distributions(
    tensors: Mapping[str, Values],
    path: Path | None = None,
    *,
    axes: Axes | None = None,
    bins: int = 60,
    title: str = "",
) -> Figure:
    """Histograms side by side, one for each tensor, lying on their sides; the standard deviation below each.

    All share one axis of values, which holds 99.8 % of them; each histogram is as wide as its fullest bin.
    tensors: tensors of any shape by name. Values that are not finite are left out, and counted in the name.
    Raises ValueError where there is none, ImportError without matplotlib.

    >>> figure = distributions({"first": [0.0, 1.0, 1.0], "second": [2.0, np.nan]})
    >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
    ['first\\nσ 0.47', 'second (1 not finite)\\nσ 0']
    """
    if not tensors:
        raise ValueError("distributions: no tensors; give some by name.")
    flat = {name: host(values).astype(np.float64).ravel() for name, values in tensors.items()}
    finite = {name: values[np.isfinite(values)] for name, values in flat.items()}
    everything = np.concatenate(list(finite.values()))
    low, high = np.quantile(everything, [0.001, 0.999]) if everything.size else (0.0, 0.0)
    if low == high:
        low, high = low - 1, high + 1
    if axes is None:
        axes = new_figure(min(10.0, 1.1 * len(flat) + 1.5), 3.2).subplots()
    labels = []
    for place, (name, values) in enumerate(finite.items()):
        counts, edges = np.histogram(values, bins=bins, range=(low, high))
        widths = 0.85 * counts / max(counts.max(), 1)
        axes.barh(
            edges[:-1], widths, height=np.diff(edges), left=place - widths / 2, align="edge", color=f"C{place % 10}"
        )
        lost = flat[name].size - values.size
        deviation = values.std() if values.size else np.nan
        labels.append(f"{name}{f' ({lost} not finite)' if lost else ''}\nσ {deviation:.2g}")
    axes.set_xticks(range(len(labels)), labels, fontsize=8)
    axes.set(ylabel="value", title=title, xlim=(-0.6, len(flat) - 0.4), ylim=(low, high))
    axes.grid(axis="y", alpha=0.3)
    return finished(figure_of(axes), path)
