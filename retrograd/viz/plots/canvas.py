"""What all figures share: where they are drawn, and how values come from tensors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrograd.autograd.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SIGNED", "Path", "Values", "figure_of", "finished", "host", "new_figure"]

Path = str | os.PathLike[str]
Values = Tensor | ArrayLike

SIGNED = "RdBu_r"
"""A colour map for values with a sign, white at 0; told apart with every kind of colour vision."""


def host(values: Values) -> NDArray[Any]:
    """A NumPy array of a tensor on any device, or of whatever NumPy takes."""
    if isinstance(values, Tensor):
        return np.asarray(values.detach().cpu().numpy())
    return np.asarray(values)


def new_figure(width: float, height: float) -> Figure:
    """A figure of its own, outside pyplot: nothing to close. Raises ImportError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'retrograd[viz]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def figure_of(axes: Axes) -> Figure:
    """The whole figure that axes belong to."""
    figure: Any = axes.get_figure(root=True)
    return figure  # type: ignore[no-any-return,unused-ignore]


def finished(figure: Figure, path: Path | None) -> Figure:
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure
