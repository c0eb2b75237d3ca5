"""Sheets of images, as autoencoders and generative models show what they learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retrograd import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["sheet"]


def sheet(images: Tensor, columns: int, titles: tuple[str, ...] = ()) -> Figure:
    """A figure of gray images (N, H, W) with pixels in [0, 1], row by row; a title for each row."""
    from matplotlib.figure import Figure

    values: Any = images.detach().cpu().numpy()
    rows = -(-len(values) // columns)
    figure = Figure(figsize=(0.6 * columns + 0.4, 0.62 * rows + 0.2), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False)
    for place, image in zip(places.flat, values):
        place.imshow(image, cmap="gray", vmin=0, vmax=1)
    for place in places.flat:
        place.set(xticks=[], yticks=[])
        place.spines[:].set_visible(False)
    for place, title in zip(places[:, 0], titles):
        place.set_ylabel(title, fontsize=8)
    return figure
