"""Images, kernels as images, and what the layers of a convolutional network make of one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor
from retrograd.nn import Module
from retrograd.viz.plots.canvas import SIGNED, Path, Values, finished, host, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["activations", "images", "kernels"]


def images(
    batch: Values,
    path: Path | None = None,
    *,
    titles: Sequence[Any] | None = None,
    columns: int = 8,
    signed: bool = False,
    each: bool = False,
    title: str = "",
) -> Figure:
    """A sheet of images.

    batch   (n, height, width), (n, 1, height, width) in shades of grey, or (n, 3, height, width) in colours from 0 to 1
    signed  values with a sign: white at 0, red above, blue below
    each    a scale of its own for each image, instead of one for all
    Raises ValueError for another shape, ImportError without matplotlib.

    >>> figure = images(np.zeros((3, 8, 8)), titles=[7, 1, 4])
    >>> [axes.get_title() for axes in figure.axes]
    ['7', '1', '4']
    """
    pixels = _pixels(host(batch))
    columns = min(columns, len(pixels))
    rows = -(-len(pixels) // columns)
    shape = pixels.shape[1] / pixels.shape[2]
    head = 0.25 if titles is not None else 0.0
    width = min(1.3, 10 / columns)
    figure = new_figure(width * columns, (width * shape + head) * rows + (0.35 if title else 0.0))
    shared = _scale(pixels, signed)
    for number, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        if number >= len(pixels):
            axes.remove()
            continue
        _draw(axes, pixels[number], signed, _scale(pixels[number], signed) if each else shared)
        if titles is not None and number < len(titles):
            axes.set_title(str(titles[number]), fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11)
    return finished(figure, path)


def kernels(
    weight: Values,
    path: Path | None = None,
    *,
    titles: Sequence[Any] | None = None,
    columns: int = 8,
    each: bool = False,
    title: str = "",
) -> Figure:
    """The kernels of a convolution (out, in, height, width), or the rows of a linear layer reshaped so, as images.

    A kernel for each pair of channels, the outputs one after the other: red pulls up, blue pulls down. One scale for
    all, or one for each; titles instead of the channels' numbers where given.
    Raises ValueError for a weight that has not four axes, ImportError without matplotlib.

    >>> figure = kernels(np.ones((2, 3, 5, 5)))
    >>> [axes.get_title() for axes in figure.axes][:4]
    ['0←0', '0←1', '0←2', '1←0']
    """
    values = host(weight)
    if values.ndim != 4:
        raise ValueError(f"kernels: the weight has shape {values.shape}; give (out, in, height, width).")
    if titles is None:
        pairs = np.ndindex(values.shape[:2])
        titles = [f"{out}←{into}" if values.shape[1] > 1 else str(out) for out, into in pairs]
    stack = values.reshape(-1, *values.shape[2:])
    return images(stack, path, titles=titles, columns=columns, signed=True, each=each, title=title)


def activations(model: Module, image: Tensor, path: Path | None = None, *, channels: int = 8) -> Figure:
    """What the layers of a model make of one image: a row for each call of a layer that gives a stack of images.

    image     (1, channels, height, width), as the model takes it
    channels  how many channels of a layer are drawn
    Only layers without layers of their own are drawn. The model runs once without a graph, in the mode that it is in.
    Raises ValueError where no layer's output has four axes, ImportError without matplotlib.

    >>> from retrograd import nn, ones
    >>> figure = activations(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), ones(1, 1, 8, 8))
    >>> [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    ['0: Conv2d\\n2×6×6', '1: ReLU\\n2×6×6']
    """
    outputs = _outputs(model, image)
    if not outputs:
        raise ValueError("activations: no layer's output has shape (1, channels, height, width).")
    columns = min(channels, max(out.shape[1] for _, out in outputs))
    figure = new_figure(1.1 * columns + 1.2, 1.15 * len(outputs))
    panels = figure.subplots(len(outputs), columns, squeeze=False)
    for row, (name, out) in zip(panels, outputs):
        signed = bool(out.min() < 0)
        for number, axes in enumerate(row):
            if number >= out.shape[1]:
                axes.remove()
                continue
            _draw(axes, out[0, number], signed, _scale(out[0], signed))
        size = "×".join(map(str, out.shape[1:]))
        row[0].set_ylabel(f"{name}\n{size}", rotation=0, ha="right", va="center", fontsize=9)
    return finished(figure, path)


def _outputs(model: Module, image: Tensor) -> list[tuple[str, NDArray[Any]]]:
    """Names of layers and what they gave, in the order of the calls."""
    found: list[tuple[str, NDArray[Any]]] = []

    def keep(name: str) -> Any:
        def hook(module: Module, arguments: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                found.append((f"{name}: {type(module).__name__}", host(output)))

        return hook

    leaves = [(name, module) for name, module in model.named_modules() if not list(module.children())]
    handles = [module.register_forward_hook(keep(name)) for name, module in leaves]
    try:
        with no_grad():
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _pixels(values: NDArray[Any]) -> NDArray[Any]:
    """Images as matplotlib takes them: (n, height, width) or (n, height, width, 3)."""
    if values.ndim == 4 and values.shape[1] == 1:
        values = values[:, 0]
    elif values.ndim == 4 and values.shape[1] == 3:
        values = values.transpose(0, 2, 3, 1)
    if values.ndim != 3 and not (values.ndim == 4 and values.shape[-1] == 3):
        raise ValueError(f"images: shape {values.shape}; give (n, height, width) or (n, 1 or 3, height, width).")
    if len(values) == 0:
        raise ValueError("images: the batch is empty; give at least one image.")
    return values


def _scale(values: NDArray[Any], signed: bool) -> tuple[float, float]:
    if signed:
        reach = float(np.abs(values).max()) or 1.0
        return -reach, reach
    return float(values.min()), float(values.max())


def _draw(axes: Axes, pixels: NDArray[Any], signed: bool, scale: tuple[float, float]) -> None:
    if pixels.ndim == 3:
        axes.imshow(np.clip(pixels, 0, 1))
    else:
        axes.imshow(pixels, cmap=SIGNED if signed else "gray", vmin=scale[0], vmax=scale[1])
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color="0.7", linewidth=0.5)
